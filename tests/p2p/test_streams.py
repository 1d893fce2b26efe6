"""p2p/streams.py: direct streams, first on streams in memory with a clock of their own, then on sockets."""

import pytest
import trio
import trio.testing
from libp2p.network.stream.exceptions import StreamEOF, StreamReset

from p2p import streams
from p2p.frames import FRAME_PAYLOAD_BYTES_MAX, FrameWriter, RemoteAborted, TruncatedStream
from p2p.host import StreamRefused
from p2p.streams import DirectStream, StreamBroken, StreamTimeout, leaving
from protocol.errors import DecodeError, LocalError, Refusal
from tests.p2p.nodes import connect, open_hosts, until

PEER = b"peer"


class MemoryStream:
    """One end of a stream in memory that fails as py-libp2p's do: EOF and reset are exceptions."""

    def __init__(self, stream):
        self._stream = stream
        self.was_reset = False
        self.stalled = False
        self.writes = []

    async def read(self, n=None):
        try:
            data = await self._stream.receive_some(n)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise StreamReset from error
        if not data:
            raise StreamEOF
        return bytes(data)

    async def write(self, data):
        if self.stalled:
            await trio.sleep_forever()
        self.writes.append(len(data))
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise StreamReset from error

    async def close(self):
        await self._stream.send_eof()

    async def reset(self):
        self.was_reset = True
        await self._stream.aclose()


@pytest.fixture
def ends():
    return [MemoryStream(stream) for stream in trio.testing.memory_stream_pair()]


@pytest.fixture
def pair(ends):
    return [DirectStream(stream, PEER) for stream in ends]


async def test_payloads__arrive_in_order_and_then_the_end(pair):
    alice, bob = pair
    await alice.send(b"one")
    await alice.send(b"two")
    await alice.finish()
    await alice.finish()
    assert [await bob.receive() for _ in range(4)] == [b"one", b"two", None, None]
    await bob.send(b"back")
    assert await alice.receive() == b"back"


async def test_large_payloads__go_out_in_small_pieces(ends, pair):
    alice, bob = pair
    payload = bytes(FRAME_PAYLOAD_BYTES_MAX)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice.send, payload)
        assert await bob.receive() == payload
    assert max(ends[0].writes) <= streams.WRITE_PIECE_BYTES


@pytest.mark.parametrize("payload", [b"", bytes(FRAME_PAYLOAD_BYTES_MAX + 1)])
async def test_a_payload_of_a_wrong_size__is_refused_and_the_stream_goes_on(pair, payload):
    alice, bob = pair
    with pytest.raises(LocalError):
        await alice.send(payload)
    await alice.send(b"x")
    assert await bob.receive() == b"x"


async def test_leaving_both_ends__is_clean(ends, pair):
    async def leave(stream):
        async with leaving(stream):
            await stream.send(b"x")

    async with trio.open_nursery() as nursery:
        for stream in pair:
            nursery.start_soon(leave, stream)
    assert not any(end.was_reset for end in ends)
    assert await ends[0]._stream.receive_some(1) == b""


async def test_a_reset_without_an_end__is_a_truncated_stream(ends, pair):
    alice, bob = pair
    await alice.send(b"x")
    await ends[0].reset()
    assert await bob.receive() == b"x"
    with pytest.raises(TruncatedStream):
        await bob.receive()


async def test_an_end_of_file_without_an_end__is_a_truncated_stream(ends, pair):
    await ends[0].close()
    with pytest.raises(TruncatedStream):
        await pair[1].receive()


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Refusal("not today"), streams.ERROR_REFUSED, "not today"),
        (DecodeError("secret detail"), streams.ERROR_PROTOCOL, "protocol error"),
        (RuntimeError("secret detail"), streams.ERROR_INTERNAL, "internal error"),
        (RemoteAborted(9, "their words"), streams.ERROR_REFUSED, "aborted"),
    ],
)
async def test_leaving_by_an_exception__tells_only_what_may_be_told(autojump_clock, pair, error, code, text):
    alice, bob = pair

    async def leave():
        with pytest.raises(type(error)):
            async with leaving(alice):
                raise error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        with pytest.raises(RemoteAborted) as caught:
            await bob.receive()
        assert (caught.value.code, caught.value.reason) == (code, text)
        await bob.leave()


async def test_leaving_a_silent_remote__ends_in_a_reset_after_a_while(autojump_clock, ends, pair):
    started = trio.current_time()
    async with leaving(pair[0]):
        pass
    assert trio.current_time() - started == pytest.approx(streams.LINGER_TIMEOUT_MS / 1000)
    assert ends[0].was_reset


async def test_leaving_by_cancellation__resets_at_once(autojump_clock, ends, pair):
    started = trio.current_time()
    with trio.CancelScope() as scope:
        async with leaving(pair[0]):
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert trio.current_time() == started
    assert ends[0].was_reset
    with pytest.raises(TruncatedStream):
        await pair[1].receive()


async def test_receive__gives_up_in_time_and_was_the_last_then(autojump_clock, pair):
    alice, bob = pair
    with pytest.raises(StreamTimeout) as caught:
        await bob.receive(timeout_ms=50)
    assert caught.value.timeout_ms == 50
    await alice.send(b"late")
    with pytest.raises(StreamBroken):
        await bob.receive()
    await bob.send(b"still")
    assert await alice.receive() == b"still"


async def test_a_payload_that_comes_in_crumbs__is_put_together(ends, pair):
    raw = FrameWriter().data(b"payload")
    for index in range(len(raw)):
        await ends[0].write(raw[index : index + 1])
    assert await pair[1].receive() == b"payload"


async def test_send__gives_up_in_time_and_the_stream_is_useless_then(autojump_clock, ends, pair):
    ends[0].stalled = True
    with pytest.raises(StreamTimeout):
        await pair[0].send(b"x", timeout_ms=50)
    ends[0].stalled = False
    with pytest.raises(StreamBroken):
        await pair[0].send(b"x")
    await pair[0].abort("no")
    assert ends[0].writes == []


async def test_a_cancelled_send__leaves_a_useless_stream_too(autojump_clock, ends, pair):
    ends[0].stalled = True
    with trio.move_on_after(1):
        await pair[0].send(b"x")
    with pytest.raises(StreamBroken):
        await pair[0].send(b"x")


async def test_sending_to_a_dead_stream__is_broken(ends, pair):
    await ends[1].reset()
    with pytest.raises(StreamBroken):
        await pair[0].send(b"x")
    await pair[0].leave()


async def test_two_tasks_may_send__their_frames_do_not_mix(pair):
    alice, bob = pair
    payloads = [bytes((number,)) * 200_000 for number in range(4)]
    found = []
    async with trio.open_nursery() as nursery:
        for payload in payloads:
            nursery.start_soon(alice.send, payload)
        found += [await bob.receive() for _ in payloads]
    assert sorted(found) == payloads


# On sockets


async def echo(stream, _peer):
    while (payload := await stream.receive()) is not None:
        await stream.send(payload)


async def test_a_request_and_its_reply__over_hosts():
    async with open_hosts(2) as (alice, bob):
        seen = []

        async def serve(stream, peer):
            seen.append((stream.peer_id, peer))
            await echo(stream, peer)

        alice.handle_direct_streams("/echo/1", serve)
        await connect(bob, alice)
        async with bob.open_direct_stream(alice.peer_id, "/echo/1") as stream:
            await stream.send(b"hello")
            await stream.finish()
            assert [await stream.receive(), await stream.receive()] == [b"hello", None]
        assert seen == [(bob.peer_id, bob.peer_id)]


async def test_a_long_transfer__arrives_whole():
    parts = [bytes((number,)) * 1_000_000 for number in range(12)]

    async def serve(stream, _peer):
        for part in parts:
            await stream.send(part)

    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/long/1", serve)
        await connect(bob, alice)
        async with bob.open_direct_stream(alice.peer_id, "/long/1") as stream:
            assert [await stream.receive() for _ in parts] == parts
            assert await stream.receive() is None


async def test_a_hundred_streams_one_after_another__leave_nothing_behind():
    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/echo/1", echo)
        await connect(bob, alice)
        for _ in range(100):
            async with bob.open_direct_stream(alice.peer_id, "/echo/1") as stream:
                await stream.send(b"x")
                assert await stream.receive() == b"x"
        await until(lambda: not alice._gate._open)
        for host, other in ((alice, bob), (bob, alice)):
            (connection,) = host._connections(other.peer_id)
            await until(lambda muxed=connection.muxed_conn: len(muxed.streams) <= 1)


async def test_a_host_that_dies_in_a_transfer__truncates_it():
    async def serve(stream, _peer):
        await stream.send(b"x")
        await trio.sleep_forever()

    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/half/1", serve)
        await connect(bob, alice)
        async with bob.open_direct_stream(alice.peer_id, "/half/1") as stream:
            assert await stream.receive() == b"x"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(alice.close)
                with pytest.raises(TruncatedStream):
                    await stream.receive()


async def test_a_failing_handler__is_an_error_at_the_caller_and_a_count_at_home():
    async def fail(stream, _peer):
        await stream.receive()
        raise Refusal("no capacity")

    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/fail/1", fail)
        await connect(bob, alice)
        async with bob.open_direct_stream(alice.peer_id, "/fail/1") as stream:
            await stream.send(b"x")
            with pytest.raises(RemoteAborted) as caught:
                await stream.receive()
        assert caught.value.reason == "no capacity"
        await until(lambda: alice.statistics()["direct_failed"] == 1)
        assert "stream_handler_failed" not in alice.statistics()


async def test_a_remote_that_sends_garbage__fails_its_own_stream():
    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/echo/1", echo)
        await connect(bob, alice)
        for garbage in (b"\xff" * 10, b"\0\0\0\x01\x07", b"\0\0\0\0"):
            stream = await bob.open_stream(alice.peer_id, ["/echo/1"])
            await stream.write(garbage)
        await until(lambda: alice.statistics()["direct_failed"] == 3)
        assert bob.is_connected(alice.peer_id)


async def test_streams_beyond_the_limits__are_told_to_come_later(monkeypatch):
    monkeypatch.setattr(streams, "DIRECT_STREAMS_PER_PEER_MAX", 2)

    async def wait(_stream, _peer):
        await trio.sleep_forever()

    async def is_busy(host, peer_id):
        async with host.open_direct_stream(peer_id, "/wait/1") as stream:
            with pytest.raises(RemoteAborted) as caught:
                await stream.receive()
            return caught.value.code == streams.ERROR_BUSY

    async with open_hosts(3) as (alice, bob, carol), trio.open_nursery() as nursery:
        alice.handle_direct_streams("/wait/1", wait)

        async def occupy():
            async with bob.open_direct_stream(alice.peer_id, "/wait/1"):
                await trio.sleep_forever()

        await connect(bob, alice)
        await connect(carol, alice)
        nursery.start_soon(occupy)
        nursery.start_soon(occupy)
        await until(lambda: alice.statistics().get("direct_accepted") == 2)
        assert await is_busy(bob, alice.peer_id)
        monkeypatch.setattr(streams, "DIRECT_STREAMS_MAX", 2)
        assert await is_busy(carol, alice.peer_id)
        counts = alice.statistics()
        assert (counts["direct_refused_peer_full"], counts["direct_refused_host_full"]) == (1, 1)
        nursery.cancel_scope.cancel()


async def test_an_unknown_protocol__is_refused():
    async with open_hosts(2) as (alice, bob):
        await connect(bob, alice)
        with pytest.raises(StreamRefused):
            async with bob.open_direct_stream(alice.peer_id, "/unknown/1"):
                pass


@pytest.mark.process
async def test_a_reader_that_takes_nothing__costs_the_writer_its_stream_after_5_s():
    outcome = []

    async def serve(stream, _peer):
        try:
            while True:
                await stream.send(bytes(500_000))
        except StreamBroken as error:
            outcome.append(error)
            raise

    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/flood/1", serve)
        await connect(bob, alice)
        async with bob.open_direct_stream(alice.peer_id, "/flood/1"):
            await until(lambda: outcome)
