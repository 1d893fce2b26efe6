"""A peer's own messages: judged by the rule of all, once."""

from types import SimpleNamespace

import pytest
import trio

from node.coordinator.actions import Publish
from node.peer import peer as subject
from node.peer.peer import Peer
from protocol.errors import LocalError
from protocol.rules import tasks
from protocol.rules.view import Seen
from tests.node.coordinator.desk import Desk


class Mesh:
    """Keeps what is published."""

    def __init__(self):
        self.published = []

    async def publish(self, topic, data):
        await trio.lowlevel.checkpoint()
        self.published.append((topic, data))


@pytest.fixture
def desk(monkeypatch):
    desk = Desk()
    monkeypatch.setattr(subject, "now_ms", lambda: desk.now_ms)
    desk.place()
    return desk


@pytest.fixture
def peer(desk):
    peer = Peer.__new__(Peer)
    peer.seen, peer.mesh, peer.chain = Seen(), Mesh(), SimpleNamespace(view=desk.market.view)
    peer.network = SimpleNamespace(topic=lambda name: name)
    return peer


async def test_a_message_that_others_gave_back_after_a_restart_goes_out_again(desk, peer):
    data = desk.of(Publish)[-1].data
    tasks.validate_task(peer.seen, peer.view, data, desk.now_ms)
    await peer.publish(tasks.TOPIC, data)
    assert peer.mesh.published == [(tasks.TOPIC, data)]


async def test_a_message_that_breaks_its_rule_stays_here(desk, peer):
    desk.now_ms += 10 * 60 * 1000
    with pytest.raises(LocalError) as caught:
        await peer.publish(tasks.TOPIC, desk.of(Publish)[-1].data)
    assert str(caught.value) == "our own message for tasks breaks its rule: task is over"
    assert peer.mesh.published == []
