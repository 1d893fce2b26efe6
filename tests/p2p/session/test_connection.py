"""p2p/session/connection.py on real sockets: what a stream promises, and peers that break every promise."""

import random

import pytest
import trio
import trio.testing

from p2p.host_streams import StreamRefused
from p2p.session import hub, yamux_application, yamux_frames
from p2p.session.connection import Session
from p2p.session.counts import Violation
from p2p.session.errors import ConnectionLost, StreamIsClosed, StreamWasReset, TooManyStreams
from p2p.session.stream import SessionStream
from p2p.session.wires import SocketWire
from p2p.session.yamux_frames import ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW_UPDATE
from p2p.session.yamux_streams import WINDOW_BYTES
from protocol.errors import LocalError
from tests.limits import HANG_S
from tests.p2p.nodes import connect, open_hosts, settled, until
from tests.p2p.session.peers import packed, raw_peer_of, session_between, two_ends

LONG = bytes(range(256)) * 4_000


async def read_all(stream):
    heard = b""
    while data := await stream.read():
        heard += data
    return heard


async def write_for_ever(stream, piece=b"x"):
    while True:
        await stream.write(piece)
        await trio.sleep(0.001)


async def test_long_texts__go_both_ways_at_once_and_end():
    async def write(stream):
        await stream.write(LONG)
        await stream.close()

    async with two_ends() as (ours, theirs, one, other), trio.open_nursery() as nursery:
        nursery.start_soon(write, ours)
        nursery.start_soon(write, theirs)
        assert await read_all(ours) == LONG
        assert await read_all(theirs) == LONG
        assert await ours.read() == b""
        assert await ours.read(5) == b""
        await until(lambda: session_between(one, other.peer_id).streams.keys() == set())


async def test_a_read__gives_at_most_what_was_asked_and_all_without_a_limit():
    async with two_ends() as (ours, theirs, *_):
        await ours.write(b"hello")
        assert await theirs.read(3) == b"hel"
        assert await theirs.read(3) == b"lo"
        for piece in (b"one", b"two", b"three"):
            await ours.write(piece)
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert await theirs.read(4) == b"onet"
        assert await theirs.read(0) == b""
        assert await theirs.read() == b"wothree"


async def test_a_cancelled_read__loses_nothing():
    rng = random.Random(1)
    async with two_ends() as (ours, theirs, *_), trio.open_nursery() as nursery:
        nursery.start_soon(ours.write, LONG)
        heard, cancelled = b"", 0
        while len(heard) < len(LONG):
            with trio.CancelScope() as scope:
                if rng.random() < 0.5:
                    scope.cancel()
                heard += await theirs.read(9_999)
            cancelled += scope.cancelled_caught
        assert heard == LONG
        assert cancelled > 20


async def test_a_waiting_read_that_is_cancelled__loses_nothing():
    async with two_ends() as (ours, theirs, *_):
        for number in range(20):
            with trio.move_on_after(0.002):
                await theirs.read()
            await ours.write(bytes([number]))
            assert await theirs.read() == bytes([number])


async def test_a_reader_that_rests__costs_the_writer_only_time():
    async with two_ends() as (ours, theirs, *_), trio.open_nursery() as nursery:
        nursery.start_soon(ours.write, LONG)
        await settled()
        heard = b""
        while len(heard) < len(LONG):
            heard += await theirs.read(100_000)
        assert heard == LONG


async def test_a_writers_deadline__is_its_own_and_the_connection_goes_on():
    async with two_ends() as (ours, _theirs, one, other):
        with trio.move_on_after(0.1) as scope:
            await ours.write(bytes(10 * WINDOW_BYTES))
        assert scope.cancelled_caught
        assert one.is_connected(other.peer_id)
        assert await one.open_stream(other.peer_id, ["/test/1"])


async def test_a_stream_that_nobody_reads__holds_up_no_other():
    async with two_ends() as (ours, _theirs, one, other), trio.open_nursery() as nursery:
        nursery.start_soon(ours.write, LONG)

        async def echo(stream, _peer):
            await stream.write(await stream.read())

        other.handle_streams("/echo/1", echo)
        stream = await one.open_stream(other.peer_id, ["/echo/1"])
        await stream.write(b"hello")
        assert await stream.read() == b"hello"
        nursery.cancel_scope.cancel()


async def test_writes_of_several_tasks__stay_together():
    async with two_ends() as (ours, theirs, *_), trio.open_nursery() as nursery:
        size = 2 * WINDOW_BYTES
        for number in range(3):
            nursery.start_soon(ours.write, bytes([number]) * size)
        heard = b""
        while len(heard) < 3 * size:
            heard += await theirs.read()
        assert sorted(heard[place] for place in (0, size, 2 * size)) == [0, 1, 2]
        assert all(len(set(heard[start : start + size])) == 1 for start in (0, size, 2 * size))


async def test_a_reset__is_an_error_and_not_an_end__and_what_came_before_can_be_read():
    async with two_ends() as (ours, theirs, *_):
        await ours.write(b"before")
        await ours.reset()
        assert await theirs.read() == b"before"
        for _ in range(2):
            with pytest.raises(StreamWasReset):
                await theirs.read()
        with pytest.raises(StreamWasReset):
            await theirs.write(b"x")
        with pytest.raises(StreamWasReset):
            await ours.read()


@pytest.mark.parametrize("who", ["the remote", "ourselves"])
async def test_a_reset__wakes_readers_and_writers(who):
    async with two_ends() as (ours, theirs, *_), trio.open_nursery() as nursery:

        async def fail(operation, *arguments):
            with pytest.raises(StreamWasReset):
                await operation(*arguments)

        nursery.start_soon(fail, ours.read)
        nursery.start_soon(fail, ours.write, bytes(10 * WINDOW_BYTES))
        await settled()
        nursery.start_soon(fail, ours.write, b"waits for its turn")
        await settled()
        await (theirs if who == "the remote" else ours).reset()


async def test_a_lost_connection__ends_everything_that_waits_and_what_came_can_be_read():
    async with two_ends() as (ours, theirs, one, other), trio.open_nursery() as nursery:
        session = session_between(one, other.peer_id)

        async def fail(operation, *arguments):
            with pytest.raises(ConnectionLost):
                await operation(*arguments)

        await theirs.write(b"last words")
        nursery.start_soon(fail, write_for_ever, ours)
        nursery.start_soon(fail, read_all, theirs)
        await trio.testing.wait_all_tasks_blocked()
        await other.disconnect(one.peer_id)
        await until(lambda: session.is_closed)
        assert await ours.read() == b"last words"
        await fail(ours.read)
        await fail(session.open_stream)
        await fail(session.accept_stream)
        assert session.streams == {}


async def test_our_own_ends__are_our_own_to_respect():
    async with two_ends() as (ours, theirs, *_):
        await ours.close()
        await ours.close()
        with pytest.raises(StreamIsClosed):
            await ours.write(b"x")
        await theirs.write(b"still heard")
        assert await ours.read() == b"still heard"
        inner = theirs._inner
        await inner.close()
        for operation in (inner.read, lambda: inner.write(b"x")):
            with pytest.raises(StreamIsClosed):
                await operation()
        with pytest.raises(LocalError):
            inner.set_deadline(1)


async def test_a_closed_stream__is_reset_by_what_still_comes():
    async with two_ends() as (ours, theirs, one, other):
        await theirs._inner.close()
        with pytest.raises(StreamWasReset):
            await write_for_ever(ours)
        await until(lambda: not session_between(one, other.peer_id).streams)


async def test_what_was_written_before_a_good_close__arrives():
    async with two_ends() as (ours, theirs, one, other):
        await ours.write(LONG[:200_000])
        await ours.close()
        await session_between(one, other.peer_id).close()
        assert await read_all(theirs) == LONG[:200_000]


async def test_streams_of_our_own__are_bounded(monkeypatch):
    async with two_ends() as (_ours, _theirs, one, other):
        session = session_between(one, other.peer_id)
        monkeypatch.setattr(yamux_application, "OUTBOUND_STREAMS_MAX", 0)
        with pytest.raises(TooManyStreams):
            await session.open_stream()
        with pytest.raises(StreamRefused):
            await one.open_stream(other.peer_id, ["/test/1"])


async def test_a_fault_of_ours__ends_the_session_and_not_the_host(monkeypatch):
    def fail(*_):
        raise RuntimeError("fault")

    async with two_ends() as (ours, _theirs, one, _other):
        monkeypatch.setattr(SessionStream, "note_data", fail)
        with pytest.raises(ConnectionLost):
            await write_for_ever(ours)
        await until(lambda: not one.connected_peers())
        monkeypatch.undo()
        assert one.statistics().sessions.failed + _other.statistics().sessions.failed >= 1


VIOLATIONS = {
    "yamux_version": b"\x01" + bytes(11),
    "yamux_type": packed(9, 0, 0, 0),
    "yamux_stream_id": packed(DATA, 0, 0, b"x"),
    "yamux_window": packed(WINDOW_UPDATE, SYN, 1, 0) + packed(DATA, 0, 1, WINDOW_BYTES + 1),
    "yamux_finished": packed(DATA, SYN | FIN, 1, b"x") + packed(DATA, 0, 1, b"y"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
async def test_attack_broken_protocol__ends_that_connection_and_is_counted(name):
    async with open_hosts(2) as (host, friend):
        await connect(friend, host)
        async with raw_peer_of(host) as attacker:
            await until(lambda: len(host.connected_peers()) == 2)
            await attacker.secured.write(VIOLATIONS[name])
            with trio.fail_after(HANG_S):
                heard = await attacker.read_until_end()
            assert heard.endswith(packed(GO_AWAY, 0, 0, yamux_frames.PROTOCOL_ERROR))
        await until(lambda: host.connected_peers() == (friend.peer_id,))
        assert host.statistics().sessions.violations == {name: 1}


async def test_attack_record_that_is_not_sealed__ends_that_connection_and_is_counted():
    async with open_hosts(1) as (host,), raw_peer_of(host) as attacker:
        await attacker.send_sealed(b"\x00\x20" + bytes(32))
        await until(lambda: not host.connected_peers())
        assert host.statistics().sessions.violations == {Violation.NOISE_TAG: 1}


async def test_attack_pings_whose_answers_nobody_fetches__end_the_connection():
    async with open_hosts(1) as (host,), raw_peer_of(host) as attacker:
        with trio.fail_after(HANG_S), pytest.raises(ConnectionLost):
            await write_for_ever(attacker.secured, packed(PING, SYN, 0, 1) * 5_000)
        await until(lambda: not host.connected_peers())
        assert host.statistics().sessions.violations == {Violation.YAMUX_FLOOD: 1}


async def test_attack_streams_opened_and_reset_at_once__reach_no_handler():
    async with open_hosts(1) as (host,), raw_peer_of(host) as attacker:
        burst = [(WINDOW_UPDATE, flags, number, 0) for number in range(1, 2_001, 2) for flags in (SYN, RST)]
        await attacker.send(*burst, (PING, SYN, 0, 9))
        heard = b""
        while not heard.endswith(packed(PING, ACK, 0, 9)):
            heard += await attacker.secured.read()
        (peer_id,) = host.connected_peers()
        session = session_between(host, peer_id)
        assert not {number for number in session.streams if number % 2}
        await until(lambda: not host._guard._open[peer_id])
        await host.disconnect(peer_id)
        assert host.statistics().sessions.streams.reset_unseen > 900


async def test_a_ping__is_answered_and_a_farewell_ends_the_connection():
    async with open_hosts(1) as (host,), raw_peer_of(host) as peer:
        await peer.send((PING, SYN, 0, 77))
        heard = b""
        while packed(PING, ACK, 0, 77) not in heard:
            heard += await peer.secured.read()
        await peer.send((GO_AWAY, 0, 0, 0))
        await until(lambda: not host.connected_peers())


async def test_attack_silence__is_found_and_an_idle_friend_is_left_alone(monkeypatch):
    monkeypatch.setattr(hub, "BEAT_MS", 150)
    async with open_hosts(2) as (host, friend):
        await connect(friend, host)
        async with raw_peer_of(host):  # says nothing more
            await until(lambda: len(host.connected_peers()) == 2)
            await until(lambda: host.connected_peers() == (friend.peer_id,))
        assert host.statistics().sessions.silent == 1


async def test_attack_frozen_peer_with_full_windows__cannot_hold_up_a_close():
    async with open_hosts(1) as (host,), raw_peer_of(host) as frozen:
        (peer_id,) = host.connected_peers()
        session = session_between(host, peer_id)
        await frozen.send((PING, SYN, 0, 1))
        async with trio.open_nursery() as nursery:

            async def fill():
                stream = await session.open_stream()
                await frozen.send((WINDOW_UPDATE, ACK, stream.stream_id, 2**30))
                with pytest.raises(ConnectionLost):
                    await stream.write(bytes(64 * 1024 * 1024))

            nursery.start_soon(fill)
            await until(lambda: session._yamux.is_full)
            with trio.fail_after(HANG_S):
                await session.close()
        assert session.is_closed


async def test_a_wire_that_cannot_call__is_read_by_the_session_itself(monkeypatch):
    monkeypatch.setattr(SocketWire, "listen", lambda _wire, _listener: False)
    async with two_ends() as (ours, theirs, one, other), trio.open_nursery() as nursery:
        nursery.start_soon(ours.write, LONG)
        heard = b""
        while len(heard) < len(LONG):
            heard += await theirs.read()
        assert heard == LONG
        await other.disconnect(one.peer_id)
        with pytest.raises(ConnectionLost):
            await ours.read()


async def test_a_wire_that_takes_nothing_at_once__is_written_by_a_task(monkeypatch):
    monkeypatch.setattr(Session, "_flush", flush_nothing_at_once(Session._flush))
    async with two_ends() as (ours, theirs, *_), trio.open_nursery() as nursery:
        nursery.start_soon(ours.write, LONG)
        nursery.start_soon(theirs.write, LONG)
        for end in (ours, theirs):
            heard = b""
            while len(heard) < len(LONG):
                heard += await end.read()
            assert heard == LONG


def flush_nothing_at_once(flush):
    def flush_later(session):
        send_nowait = session._wire.send_nowait
        session._wire.send_nowait = lambda _data: 0
        try:
            flush(session)
        finally:
            session._wire.send_nowait = send_nowait

    return flush_later
