"""p2p/streams.py: direct streams, first on streams in memory with a clock of their own, then on sockets."""

import random
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing
from libp2p.network.stream.exceptions import StreamEOF, StreamReset

from p2p import stream_errors, streams
from p2p.admission import Admission, Share
from p2p.frames import CREDIT_BYTES, PAYLOAD_BYTES_MAX, PIECE_BYTES_MAX
from p2p.framing import FrameWriter
from p2p.host_streams import StreamRefused
from p2p.stream_errors import CreditExceeded, RemoteAborted, StreamBroken, StreamTimeout, TruncatedStream
from p2p.streams import DirectStream, open_direct
from protocol.errors import DecodeError, LocalError, Refusal
from tests.limits import HANG_S
from tests.p2p.nodes import connect, open_hosts, until

PEER = b"peer"
RNG = random.Random(0)


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
async def pair(ends, nursery):
    """Two direct streams that end with the test, whatever became of them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(served(end, nursery)) for end in ends]


@asynccontextmanager
async def served(end, nursery, **changes):
    stream = DirectStream(end, PEER, **changes)
    nursery.start_soon(stream.serve)
    yield stream
    stream._serving.cancel()


async def test_payloads__arrive_in_order_and_then_the_end(pair):
    alice, bob = pair
    await alice.send(b"one")
    await alice.send(b"two")
    await alice.finish()
    await alice.finish()
    assert [await bob.receive() for _ in range(4)] == [b"one", b"two", None, None]
    await bob.send(b"back")
    assert await alice.receive() == b"back"


async def test_large_payloads__go_out_in_small_pieces_and_both_ways_at_once(ends, pair):
    alice, bob = pair
    payload = bytes(PAYLOAD_BYTES_MAX)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice.send, payload)
        nursery.start_soon(bob.send, payload)
        assert await bob.receive() == payload
        assert await alice.receive() == payload
    assert max(ends[0].writes) <= PIECE_BYTES_MAX + 5


@pytest.mark.parametrize("payload", [b"", bytes(PAYLOAD_BYTES_MAX + 1)])
async def test_a_payload_of_a_wrong_size__is_refused_and_the_stream_goes_on(pair, payload):
    alice, bob = pair
    with pytest.raises(LocalError):
        await alice.send(payload)
    await alice.send(b"x")
    assert await bob.receive() == b"x"


async def test_a_reader_that_takes_nothing__holds_up_its_writer_at_the_credit_and_no_memory(
    autojump_clock, ends, pair
):
    alice, bob = pair
    sent = 0
    with pytest.raises(StreamTimeout):  # noqa: PT012 - by how much fits
        while True:
            await alice.send(bytes(1_000), timeout_ms=100)
            sent += 1
    assert sent == CREDIT_BYTES // 1_005
    assert sum(ends[0].writes) <= CREDIT_BYTES
    assert [len(await bob.receive()) for _ in range(sent)] == [1_000] * sent
    assert ends[1].writes  # the reader took it: there is credit again


async def test_a_reader_that_comes_late__lets_its_writer_go_on(autojump_clock, pair):
    alice, bob = pair
    payloads = [bytes((number,)) * 100_000 for number in range(9)]
    found = []

    async def write():
        for payload in payloads:
            await alice.send(payload, timeout_ms=60_000)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        for _ in payloads:
            await trio.sleep(6)
            found.append(await bob.receive())
    assert found == payloads


async def test_more_than_the_credit__is_the_remotes_fault(ends, nursery):
    async with served(ends[1], nursery) as bob:
        writer = FrameWriter()
        for _ in range(CREDIT_BYTES // 1_005 + 1):
            await ends[0].write(next(writer.payload(bytes(1_000))))
        with pytest.raises(CreditExceeded):  # noqa: PT012 - what was within the credit comes first
            while await bob.receive():
                pass


async def test_leaving_both_ends__is_clean(ends):
    async def leave(end):
        async with open_direct(end, PEER) as stream:
            await stream.send(b"x")

    async with trio.open_nursery() as nursery:
        for end in ends:
            nursery.start_soon(leave, end)
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
        (Refusal("not today"), stream_errors.ERROR_REFUSED, "not today"),
        (DecodeError("secret detail"), stream_errors.ERROR_PROTOCOL, "protocol error"),
        (RuntimeError("secret detail"), stream_errors.ERROR_INTERNAL, "internal error"),
        (RemoteAborted(9, "their words"), stream_errors.ERROR_REFUSED, "aborted"),
    ],
)
async def test_leaving_by_an_exception__tells_only_what_may_be_told(autojump_clock, ends, error, code, text):
    async def leave():
        with pytest.raises(type(error)):
            async with open_direct(ends[0], PEER):
                raise error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        async with open_direct(ends[1], PEER) as bob:
            with pytest.raises(RemoteAborted) as caught:
                await bob.receive()
            assert (caught.value.code, caught.value.reason) == (code, text)


async def test_leaving_a_silent_remote__ends_in_a_reset_after_a_while(autojump_clock, ends):
    started = trio.current_time()
    async with open_direct(ends[0], PEER):
        pass
    assert trio.current_time() - started == pytest.approx(streams.LINGER_TIMEOUT_MS / 1000)
    assert ends[0].was_reset


async def test_leaving_by_cancellation__says_so_and_takes_a_moment_at_most(autojump_clock, ends, nursery):
    started = trio.current_time()
    async with served(ends[1], nursery) as bob:
        with trio.CancelScope() as scope:
            async with open_direct(ends[0], PEER) as alice:
                await alice.send(b"x")
                scope.cancel()
                await trio.sleep_forever()
        assert trio.current_time() - started == pytest.approx(streams.RESET_TIMEOUT_MS / 1000)
        assert ends[0].was_reset
        assert await bob.receive() == b"x"
        for act in (bob.receive, bob.receive, partial(bob.send, b"x")):
            with pytest.raises(RemoteAborted) as caught:
                await act()
            assert caught.value.code == stream_errors.ERROR_CANCELLED


async def test_a_reader_that_wants_no_more__stops_its_writer_without_delay(autojump_clock, ends):
    async def read_one():
        async with open_direct(ends[1], PEER) as bob:
            await bob.receive()
            raise Refusal("enough")

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, Refusal, read_one)
        async with open_direct(ends[0], PEER) as alice:
            with pytest.raises(RemoteAborted) as caught:  # noqa: PT012 - by how much is under way
                while True:
                    await alice.send(bytes(10_000))
            assert caught.value.reason == "enough"
    assert trio.current_time() - started < 4


async def expect(error, act):
    with pytest.raises(error):
        await act()


async def test_a_receive_that_is_cut_off__loses_nothing(autojump_clock, pair):
    alice, bob = pair
    with pytest.raises(StreamTimeout) as caught:
        await bob.receive(timeout_ms=50)
    assert caught.value.timeout_ms == 50
    with trio.move_on_after(0.05):
        await bob.receive()
    await alice.send(b"late")
    assert await bob.receive() == b"late"


async def test_payloads_that_come_in_crumbs__are_put_together_however_receives_are_cut_off(ends, pair):
    writer = FrameWriter()
    payloads = [bytes((number,)) * 50 for number in range(20)]
    raw = b"".join(frame for payload in payloads for frame in writer.payload(payload))
    found = []

    async def trickle():
        for index in range(len(raw)):
            await ends[0].write(raw[index : index + 1])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trickle)
        with trio.fail_after(HANG_S):
            while len(found) < len(payloads):
                with trio.CancelScope() as scope:
                    if RNG.random() < 0.7:
                        scope.cancel()
                    found.append(await pair[1].receive())
    assert found == payloads


async def test_send__gives_up_in_time_and_the_stream_is_useless_then(autojump_clock, ends, pair):
    ends[0].stalled = True
    with pytest.raises(StreamTimeout):
        await pair[0].send(b"x", timeout_ms=50)
    ends[0].stalled = False
    with pytest.raises(StreamBroken):
        await pair[0].send(b"x")
    await pair[0].abort("no")
    assert ends[0].writes == []


async def test_a_send_cut_off_while_it_waits_for_credit__can_still_say_so(autojump_clock, ends, nursery):
    async with served(ends[1], nursery) as bob:
        async with open_direct(ends[0], PEER) as alice:
            with trio.move_on_after(1):
                await alice.send(bytes(2 * CREDIT_BYTES))
                await alice.send(bytes(2 * CREDIT_BYTES))
            with pytest.raises(StreamBroken):
                await alice.send(b"x")
            with pytest.raises(StreamBroken):
                await alice.finish()
        assert len(await bob.receive()) == 2 * CREDIT_BYTES
        with pytest.raises(RemoteAborted) as caught:
            await bob.receive()
        assert caught.value.code == stream_errors.ERROR_CANCELLED


async def test_sending_to_a_dead_stream__is_broken(ends, pair):
    await ends[1].reset()
    with pytest.raises(StreamBroken):
        await pair[0].send(b"x")
    await pair[0].leave()


async def test_several_tasks_may_send__their_payloads_do_not_mix(pair):
    alice, bob = pair
    payloads = [bytes((number,)) * 200_000 for number in range(4)]
    found = []
    async with trio.open_nursery() as nursery:
        for payload in payloads:
            nursery.start_soon(alice.send, payload)
        found += [await bob.receive() for _ in payloads]
    assert sorted(found) == payloads


async def test_an_abort_amid_a_payload__is_the_last_that_is_said(autojump_clock, pair):
    alice, bob = pair
    await alice.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, StreamBroken, partial(alice.send, bytes(3 * CREDIT_BYTES)))
        await trio.testing.wait_all_tasks_blocked()
        await alice.abort("changed my mind")
        assert await bob.receive() == b"x"
        with pytest.raises(RemoteAborted):
            await bob.receive()
        await bob.abort("me too")


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
            (connection,) = host._peers.connections(other.peer_id)
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
        await until(lambda: alice.statistics().direct_streams.failed == 1)
        assert alice.statistics().streams.handler_failed == 0


async def test_a_remote_that_sends_garbage__fails_its_own_stream():
    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/echo/1", echo)
        await connect(bob, alice)
        for garbage in (b"\xff" * 10, b"\0\0\0\x01\x07", b"\0\0\0\0"):
            stream = await bob.open_stream(alice.peer_id, ["/echo/1"])
            await stream.write(garbage)
        await until(lambda: alice.statistics().direct_streams.failed == 3)
        assert bob.is_connected(alice.peer_id)


async def test_an_unknown_protocol__is_refused():
    async with open_hosts(2) as (alice, bob):
        await connect(bob, alice)
        with pytest.raises(StreamRefused):
            async with bob.open_direct_stream(alice.peer_id, "/unknown/1"):
                pass


@pytest.mark.process
async def test_a_reader_that_takes_nothing_for_longer_than_the_muxers_window_lasts__costs_nobody_anything():
    """The stock muxer gives a writer up after 5 s without window; credit keeps it from ever being shut."""
    parts = [bytes((number,)) * 500_000 for number in range(6)]

    async def serve(stream, _peer):
        for part in parts:
            await stream.send(part)

    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/parts/1", serve)
        alice.handle_direct_streams("/echo/1", echo)
        await connect(bob, alice)
        async with bob.open_direct_stream(alice.peer_id, "/parts/1") as slow:
            deadline = trio.current_time() + 6
            while trio.current_time() < deadline:
                async with bob.open_direct_stream(alice.peer_id, "/echo/1") as other:
                    with trio.fail_after(HANG_S):
                        await other.send(b"x" * 300_000)
                        assert len(await other.receive()) == 300_000
                await trio.sleep(0.2)
            assert [await slow.receive() for _ in parts] == parts
            assert await slow.receive() is None


@pytest.mark.process
async def test_fifty_transfers_at_once__complete_and_a_cancelled_one_harms_none():
    async def serve(stream, _peer):
        seed = await stream.receive()
        for number in range(8):
            await stream.send((seed + bytes((number,))) * 10_000)

    async def fetch(host, peer_id, number, done):
        seed = bytes((number,)) * 4
        async with host.open_direct_stream(peer_id, "/fetch/1") as stream:
            await stream.send(seed)
            for part in range(8):
                if number % 10 == 9 and part == 3:
                    return
                assert await stream.receive() == (seed + bytes((part,))) * 10_000
            assert await stream.receive() is None
        done.append(number)

    async with open_hosts(5) as (alice, *others):
        alice.handle_direct_streams("/fetch/1", serve, admission=Admission(strangers=Share(13, 52)))
        done = []
        async with trio.open_nursery() as nursery:
            for index, other in enumerate(others):
                await connect(other, alice)
                for number in range(index * 13, index * 13 + 13):
                    nursery.start_soon(fetch, other, alice.peer_id, number, done)
        assert len(done) == 52 - 5
        await until(lambda: not alice._gate._open)


async def test_a_reset_in_a_transfer__is_told_apart_from_its_end():
    async def serve(stream, _peer):
        await stream.send(b"x")
        await stream.receive()
        await stream._stream.reset()
        await trio.sleep_forever()

    async with open_hosts(2) as (alice, bob):
        alice.handle_direct_streams("/half/1", serve)
        await connect(bob, alice)
        async with bob.open_direct_stream(alice.peer_id, "/half/1") as stream:
            assert await stream.receive() == b"x"
            await stream.send(b"reset it")
            with pytest.raises(TruncatedStream):
                await stream.receive()
