"""A peer's own messages: judged by the rule of all, once."""

import dataclasses
from collections import defaultdict
from types import SimpleNamespace

import pytest
import trio

from node.coordinator.actions import Publish
from node.peer import peer as subject
from node.peer.peer import Peer
from protocol.errors import InvalidMessage, LocalError
from protocol.evidence import TwoStatements, verify_evidence
from protocol.evidence.faults import Fault
from protocol.messages import ResultCommitment
from protocol.rules import results, tasks
from protocol.rules.view import Seen
from tests.node.coordinator.desk import Desk, sealed
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, TASK

MINER = builders.KEY_OF[builders.COMMITTED.signer.address]


class Mesh:
    """Keeps what is published."""

    def __init__(self):
        self.published = []

    async def publish(self, topic, data):
        await trio.lowlevel.checkpoint()
        self.publish_now(topic, data)

    def publish_now(self, topic, data):
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


class TestPassedOn:
    """A miner's commitment that came on its stream alone: the coordinator makes everybody hear of it."""

    @pytest.fixture
    def heard(self, peer):
        """What listeners heard, and what the peer accused."""
        heard = []
        peer._listeners = defaultdict(list)
        peer._listeners[results.TOPIC].append(lambda accepted: heard.append(accepted.digest))
        peer.own_statements = SimpleNamespace(reason=None, hear_evidence=lambda evidence: None)
        peer.key = SimpleNamespace(address=bytes(20))
        peer.evidence = SimpleNamespace(found=heard.append)
        return heard

    @pytest.fixture
    def commitment(self, desk, peer):
        """Of the first drawn miner, for an announced task that this peer knows."""
        tasks.validate_task(peer.seen, peer.view, desk.of(Publish)[-1].data, desk.now_ms)
        miner = desk.miner(0)
        return lambda **changes: signed(miner, **changes)

    def test_it_is_heard_here_and_goes_out_once(self, peer, heard, commitment):
        data = commitment()
        peer.pass_on(results.TOPIC, data)
        assert peer.mesh.published == [(results.TOPIC, data)]
        assert len(heard) == len(peer.seen.commitments) == 1
        peer.pass_on(results.TOPIC, data)
        assert len(peer.mesh.published) == len(heard) == 1

    def test_one_that_gossip_brought_goes_out_no_second_time(self, desk, peer, heard, commitment):
        data = commitment()
        results.validate_result(peer.seen, peer.view, data, desk.now_ms)
        peer.pass_on(results.TOPIC, data)
        assert (peer.mesh.published, heard) == ([], [])

    def test_a_late_one_stays_here(self, desk, peer, heard, commitment):
        data = commitment()
        desk.now_ms += 10 * 60 * 1000
        peer.pass_on(results.TOPIC, data)
        assert (peer.mesh.published, heard) == ([], [])

    def test_attack_another_commitment_on_the_stream_than_on_gossip(self, desk, peer, heard, commitment):
        """The buyer hears one thing, the world another: both together are evidence."""
        results.validate_result(peer.seen, peer.view, commitment(), desk.now_ms)
        peer.pass_on(results.TOPIC, commitment(output_hash=b"o" * 32))
        assert peer.mesh.published == []
        assert [type(one) for one in heard] == [TwoStatements]


def signed(miner, **changes):
    """The envelope of a commitment by a miner of the desk."""
    made = ResultCommitment(miner.task.digest, bytes(32), 5, bytes(32), bytes(32), 20)
    return sealed(miner.key, dataclasses.replace(made, **changes))


class TestFalseCount:
    """Announcement and commitment say all of it: whoever hears both reports it, without an audit."""

    @pytest.fixture
    def accused(self, peer):
        accused = []
        peer.accuse = accused.append
        peer.seen.tasks[TASK.digest] = TASK
        return accused

    @pytest.mark.parametrize("units_done", [0, 1, builders.STEPS - 1, builders.STEPS + 1])
    def test_a_false_count_is_reported_by_whoever_hears_it(self, peer, accused, units_done):
        result = builders.opened(MINER, builders.commitment(units_done=units_done))
        peer._look_at_count(result)
        (evidence,) = accused
        assert verify_evidence(DOMAIN, evidence, {}).fault is Fault.STEP_COUNT

    def test_a_right_count_and_work_that_is_not_known_are_no_fault(self, peer, accused):
        peer._look_at_count(builders.COMMITTED)
        peer.seen.tasks.clear()
        peer._look_at_count(builders.opened(MINER, builders.commitment(units_done=1)))
        assert accused == []

    def test_a_count_that_does_not_prove_itself_stops_nobody(self, peer, accused):
        def refuse(evidence):
            raise InvalidMessage("no such fault")

        peer.accuse = refuse
        peer._look_at_count(builders.opened(MINER, builders.commitment(units_done=1)))
        assert accused == []


def test_work_that_was_accepted_before_a_restart_is_known_again(peer):
    wanted = []
    peer.beacons = SimpleNamespace(want=wanted.append)
    peer.recall(TASK, builders.COMMITTED)
    assert peer.seen.tasks == {TASK.digest: TASK}
    assert peer.seen.commitments == {(TASK.digest, MINER.address): builders.COMMITTED}
    assert wanted == [TASK.message.deadline_ms]
    # What was heard since stays what was heard first.
    other = builders.opened(MINER, builders.commitment(units_done=1))
    peer.recall(TASK, other)
    assert list(peer.seen.commitments.values()) == [builders.COMMITTED]
