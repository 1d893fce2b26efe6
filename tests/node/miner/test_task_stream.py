"""The miner's end of a task stream: in order, bounded, and with a word on how it ended."""

import pytest
import trio
import trio.testing

from node.miner import task_stream
from node.miner.task_stream import Closed, Lost, TaskStream, lost_by
from p2p.stream_errors import (
    ERROR_CANCELLED,
    ERROR_PROTOCOL,
    ERROR_REFUSED,
    RemoteAborted,
    StreamBroken,
    StreamTimeout,
)
from protocol.errors import DecodeError


class Direct:
    """A direct stream in memory. :ivar sent: what has left. :ivar gate: until it is set, nothing leaves."""

    def __init__(self, *coming):
        self.sent, self.gate = [], trio.Event()
        self.gate.set()
        self.send_coming, self.coming = trio.open_memory_channel(100)
        for one in coming:
            self.send_coming.send_nowait(one)

    async def send(self, payload):
        await self.gate.wait()
        self.sent.append(payload)

    async def receive(self, *, timeout_ms):
        with trio.move_on_after(timeout_ms / 1000):
            one = await self.coming.receive()
            if isinstance(one, Exception):
                raise one
            return one
        raise StreamTimeout(timeout_ms)


async def test_what_is_sent_before_the_end_leaves_in_order():
    direct = Direct()
    stream = TaskStream(direct)
    stream.send(b"one")
    stream.send(b"two")
    stream.close("")
    assert await stream.run(pytest.fail) == Closed("")
    assert direct.sent == [b"one", b"two"]


async def test_an_answer_to_what_is_heard():
    direct, heard = Direct(b"question"), []
    stream = TaskStream(direct)

    def hear(payload):
        heard.append(payload)
        stream.send(b"answer")
        stream.close("why")

    assert await stream.run(hear) == Closed("why")
    assert (heard, direct.sent) == ([b"question"], [b"answer"])


async def test_nothing_is_heard_after_the_end():
    direct, heard = Direct(b"one", b"two"), []
    stream = TaskStream(direct)

    def hear(payload):
        heard.append(payload)
        stream.close("")

    await stream.run(hear)
    assert heard == [b"one"]


async def test_silence_is_the_engines_matter(autojump_clock):
    stream = TaskStream(Direct())
    with trio.move_on_after(1_000) as scope:
        await stream.run(pytest.fail)
    assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("coming", "lost"),
    [
        (None, Lost("the coordinator ended the stream", refused=False)),
        (StreamBroken("the stream broke"), Lost("the stream broke", refused=False)),
        (RemoteAborted(ERROR_REFUSED, "no"), Lost("no", refused=True)),
        (RemoteAborted(ERROR_PROTOCOL, "protocol error"), Lost("protocol error", refused=True)),
        (RemoteAborted(ERROR_CANCELLED, "cancelled"), Lost("cancelled", refused=False)),
    ],
)
async def test_how_it_is_lost(coming, lost):
    assert await TaskStream(Direct(coming)).run(pytest.fail) == lost


async def test_a_send_that_fails_loses_it():
    class Broken(Direct):
        async def send(self, payload):
            raise StreamTimeout(30_000)

    stream = TaskStream(Broken())
    stream.send(b"one")
    assert await stream.run(pytest.fail) == Lost("the remote did not act in time", refused=False)


async def test_attack_a_coordinator_that_reads_too_slowly_is_lost(monkeypatch):
    monkeypatch.setattr(task_stream, "OUTBOX_BYTES_MAX", 10)
    direct = Direct()
    direct.gate = trio.Event()
    stream, ends = TaskStream(direct), []

    async def run():
        ends.append(await stream.run(pytest.fail))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        for _ in range(3):
            stream.send(b"four")
            await trio.testing.wait_all_tasks_blocked()
        direct.gate.set()
    assert ends == [Lost("the coordinator reads too slowly", refused=False)]
    assert direct.sent == [b"four"]


def test_a_broken_protocol_is_a_loss_too():
    assert lost_by(DecodeError("not a frame")) == Lost("not a frame", refused=False)
