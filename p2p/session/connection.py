"""The session: a secured connection's streams, on trio.

Is: the shell around :mod:`p2p.session.yamux`; what py-libp2p knows as a muxed connection and its streams. One
task reads, one writes, one listens whether the remote is alive.
Is not: a judge of what streams are for, nor of how long anything may take: a read or write waits until it is
done or cancelled, or the stream or the connection is gone.

What is written waits in one place until the writing task's turn, so that many small writes share a frame, a
record and a call of the system. A write returns when its bytes have a place there or are under way; no more
than a window of the stream's bytes is ahead of the remote's reading. A read never loses bytes: it takes them
without waiting, or waits without taking them, so it may be cancelled and repeated.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import TYPE_CHECKING, Final, cast

import trio
from libp2p.abc import IMuxedConn, IMuxedStream

from p2p.session.errors import ConnectionLost, StreamIsClosed, StreamWasReset, TooManyStreams
from p2p.session.yamux import Data, Finished, GoneAway, Opened, Pong, Reset, Writable, Yamux
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from libp2p.abc import ISecureConn
    from libp2p.connection_types import ConnectionType
    from libp2p.peer.id import ID
    from multiaddr import Multiaddr

    from p2p.session.secure import SecureConnection
    from p2p.session.yamux import Event

KEEPALIVE_INTERVAL_MS: Final = 5_000
"""Silence after which a remote is asked whether it is there."""
KEEPALIVE_TIMEOUT_MS: Final = 10_000
"""Time for its answer, or for anything else from it; then the connection ends."""
CLOSE_FLUSH_MS: Final = 100
"""Time for what was written to go out when a connection is closed in good order."""

_log = logging.getLogger(__name__)


class SessionStream(IMuxedStream):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """One stream. Any number of tasks may read and write; a write's bytes stay together."""

    def __init__(self, session: Session, stream_id: int) -> None:
        self.muxed_conn = session
        self.stream_id = stream_id
        self._session = session
        self._first = b""  # what came first; most often it is read before anything follows
        self._rest = bytearray()
        self._consumer: Callable[[bytes], bool] | None = None
        self._readers = trio.lowlevel.ParkingLot()
        self._writers = trio.lowlevel.ParkingLot()
        self._turns = trio.lowlevel.ParkingLot()
        self._writing = False
        self._finished = False
        self._closed_reading = False
        self._closed_writing = False
        self._gone: type[StreamWasReset | ConnectionLost] | None = None

    async def read(self, n: int | None = None) -> bytes:
        """One to `n` bytes as soon as there are any, by default all there are; nothing at the end.

        :raises StreamWasReset: the stream was reset; what had come before was read.
        :raises ConnectionLost: so with the connection.
        :raises StreamIsClosed: we have closed the stream.
        """
        if self._first and not self._closed_reading:
            await trio.lowlevel.checkpoint_if_cancelled()
        while not self._first or self._closed_reading:
            if self._closed_reading:
                raise StreamIsClosed("the stream is closed")
            if self._finished:
                await trio.lowlevel.checkpoint()
                return b""
            self._raise_if_gone()
            await self._readers.park()
        taken = self._take(n)
        self._session.note_read(self.stream_id, len(taken))
        return taken

    async def write(self, data: bytes) -> None:
        """Write everything, waiting as long as the remote reads nothing.

        When cancelled, some of the bytes may be under way.

        :raises StreamIsClosed: we have ended our direction.
        :raises StreamWasReset: the stream was reset.
        :raises ConnectionLost: the connection is gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._writing:
            await self._turns.park()
        self._raise_if_unwritable()
        sent = self._session.send(self.stream_id, data)
        if sent == len(data):
            return
        self._writing = True
        try:
            view = memoryview(data)[sent:]
            while view:
                await self._session.wait_for_room(self._writers)
                self._raise_if_unwritable()
                view = view[self._session.send(self.stream_id, view) :]
        finally:
            self._writing = False
            self._turns.unpark_all()

    def write_nowait(self, data: bytes) -> bool:
        """Write everything now and return True; or nothing, if that would mean to wait or cannot be."""
        if self._writing or self._closed_writing or self._gone is not None:
            return False
        return self._session.send_nowait(self.stream_id, data)

    def offer(self, consumer: Callable[[bytes], bool] | None) -> None:
        """From now on, offer what comes to a consumer first, by a call instead of a task's turn.

        It returns whether it took the bytes; what it leaves is kept for :meth:`read`, and so is everything as
        long as something is unread. It must neither block nor raise. None ends this.
        """
        self._consumer = consumer

    async def close_write(self) -> None:
        """Say that we will write no more. Reading goes on."""
        self._end_writing()
        self._session.finish(self.stream_id)
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Write and read no more. What was written still goes out; what still comes resets the stream."""
        self._end_writing()
        self._closed_reading = True
        self._first = b""
        self._rest.clear()
        self._readers.unpark_all()
        self._session.abandon(self.stream_id)
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        """End both directions at once; the remote hears of it. No error if they have ended."""
        self._session.reset(self.stream_id)
        self.note_gone(StreamWasReset)
        await trio.lowlevel.checkpoint()

    def set_deadline(self, ttl: int) -> None:
        """Refused. :raises LocalError: deadlines are the caller's, by trio's cancel scopes."""
        del ttl
        raise LocalError("a stream has no deadline; use a cancel scope")

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP address and port at the other end."""
        return self._session.get_remote_address()

    async def __aenter__(self) -> Self:
        return self

    # What the session tells

    def note_data(self, data: bytes) -> None:
        """Bytes have come."""
        if self._consumer is not None and not self._first and self._consumer(data):
            self._session.note_read(self.stream_id, len(data))
            return
        if not self._first:
            self._first = data
        else:
            # In one piece: crumbs kept one by one would take many times their size.
            self._rest += data
        self._readers.unpark_all()

    def note_finished(self) -> None:
        """The remote will send no more."""
        self._finished = True
        self._readers.unpark_all()

    def note_writable(self) -> None:
        """There is room in the window."""
        self._writers.unpark_all()

    def note_gone(self, why: type[StreamWasReset | ConnectionLost]) -> None:
        """The stream has ended on both sides, not in good order."""
        if self._gone is None:
            self._gone = why
        self._readers.unpark_all()
        self._wake_writers()

    # Within

    def _take(self, n: int | None) -> bytes:
        first = self._first
        if n is not None and len(first) >= n:
            self._first = first[n:]
            taken = first[:n]
        elif not self._rest:
            self._first = b""
            return first
        else:
            room = len(self._rest) if n is None else n - len(first)
            self._first = b""
            taken = first + self._rest[:room]
            del self._rest[:room]
        if not self._first and self._rest:
            self._first = bytes(self._rest)
            self._rest.clear()
        return taken

    def _end_writing(self) -> None:
        self._closed_writing = True
        self._wake_writers()

    def _wake_writers(self) -> None:
        self._writers.unpark_all()
        self._session.wake_writers()

    def _raise_if_unwritable(self) -> None:
        if self._closed_writing:
            raise StreamIsClosed("this direction of the stream is closed")
        self._raise_if_gone()

    def _raise_if_gone(self) -> None:
        if self._gone is not None:
            raise self._gone(self._session.why if self._gone is ConnectionLost else "the stream was reset")


class Session(IMuxedConn):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """One connection's streams. Made by the upgrader; :meth:`start` runs it.

    :ivar peer_id: the authenticated remote.
    :ivar event_started: it runs; :ivar event_closed: it is over.
    :ivar why: why it ended, in few words.
    :ivar streams: those with a direction that has not ended, by number.
    """

    def __init__(self, conn: ISecureConn, peer_id: ID, counts: Counter[str]) -> None:
        """:param counts: counts violations and other misfortunes of all sessions of a node, by name."""
        self.peer_id = peer_id
        self.secured_conn = cast("SecureConnection", conn)
        self.event_started = trio.Event()
        self.event_closed = trio.Event()
        self.why = "the connection is closed"
        self._wire = self.secured_conn.wire
        self._noise = self.secured_conn.transport
        self._yamux = Yamux(initiator=conn.is_initiator)
        self._counts = counts
        self.streams: dict[int, SessionStream] = {}
        self._backlog: deque[SessionStream] = deque()
        self._accepting = trio.lowlevel.ParkingLot()
        self._output = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._scope = trio.CancelScope()
        self._heard = False
        self._writer_idle = True
        self._sending = False
        self._pinged = 0.0

    @property
    def is_initiator(self) -> bool:
        """Whether we dialled."""
        return bool(self.secured_conn.is_initiator)

    @property
    def is_established(self) -> bool:
        """Whether streams can be opened."""
        return not self.is_closed

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self.event_closed.is_set()

    async def start(self) -> None:
        """Run until the connection ends or is closed. Raises nothing but Cancelled."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._keep_alive)
                    self.event_started.set()
                    await self._read()
        except* ConnectionLost as losses:
            _log.debug("connection with %s lost: %r", self.peer_id, losses.exceptions)
        except* Exception as failures:  # noqa: BLE001 - a fault of ours must not end the node
            self._counts["failed"] += 1
            _log.exception("a session failed, peer %s", self.peer_id, exc_info=failures)
        finally:
            self.event_started.set()
            self.abort()

    async def close(self) -> None:
        """End in good order, within CLOSE_FLUSH_MS. No error if it has ended."""
        if self.is_closed:
            await trio.lowlevel.checkpoint()
            return
        self._yamux.go_away()
        self._wake_writer()
        with trio.move_on_after(CLOSE_FLUSH_MS / 1000):
            while not self._writer_idle and not self.is_closed:
                await self._room.park()
        self.abort()

    def abort(self) -> None:
        """End at once, also when the remote is frozen. What the system does not take at once is lost."""
        if self.is_closed:
            return
        self.event_closed.set()
        self._counts.update(self._yamux.counts)
        if self._yamux.output_bytes and not self._sending:
            self._wire.send_nowait(self._noise.seal(self._yamux.take_output()))
        self._wire.close()
        self._scope.cancel()
        for stream in self.streams.values():
            stream.note_gone(ConnectionLost)
        self.streams.clear()
        self._backlog.clear()
        for waiting in (self._accepting, self._room, self._output):
            waiting.unpark_all()

    # Streams

    async def open_stream(self) -> SessionStream:
        """Open a stream. :raises TooManyStreams: so many are open; :raises ConnectionLost: it is over."""
        await trio.lowlevel.checkpoint()
        if self.is_closed:
            raise ConnectionLost(self.why)
        stream_id = self._yamux.open_stream()
        if stream_id is None:
            raise TooManyStreams("too many streams are open on the connection")
        stream = self.streams[stream_id] = SessionStream(self, stream_id)
        self._wake_writer()
        return stream

    async def accept_stream(self) -> SessionStream:
        """The next stream that the remote has opened. :raises ConnectionLost: it is over."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._backlog:
            if self.is_closed:
                raise ConnectionLost(self.why)
            await self._accepting.park()
        return self._backlog.popleft()

    def send(self, stream_id: int, data: bytes | memoryview) -> int:
        """For a stream: queue what there is room for; returns how many bytes that was."""
        if not self._yamux.is_open(stream_id):
            raise StreamWasReset("the stream was reset")
        sent = self._yamux.send(stream_id, data)
        self._wake_writer()
        return sent

    def send_nowait(self, stream_id: int, data: bytes) -> bool:
        """For a stream: queue everything, or nothing if there is no room. Returns whether it was queued."""
        if not self._yamux.has_room(stream_id, len(data)):
            return False
        self._yamux.send(stream_id, data)
        self._wake_writer()
        return True

    def wake_writers(self) -> None:
        """For a stream: have those who wait for room look again; one of them waits in vain."""
        self._room.unpark_all()

    async def wait_for_room(self, window: trio.lowlevel.ParkingLot) -> None:
        """For a stream: wait for what kept :meth:`send` from taking all: room in the output or the window."""
        await (self._room if self._yamux.is_full else window).park()

    def note_read(self, stream_id: int, count: int) -> None:
        """For a stream: the application has read so many bytes."""
        if self._yamux.consume(stream_id, count):
            self._yamux.grant(stream_id, int(trio.current_time() * 1000))
            self._wake_writer()

    def finish(self, stream_id: int) -> None:
        """For a stream: end our direction."""
        self._yamux.finish(stream_id)
        self._after(stream_id)

    def abandon(self, stream_id: int) -> None:
        """For a stream: we want no more of it."""
        self._yamux.abandon(stream_id)
        self.streams.pop(stream_id, None)
        self._wake_writer()

    def reset(self, stream_id: int) -> None:
        """For a stream: end both directions at once."""
        self._yamux.reset(stream_id)
        self._after(stream_id)

    # What the library asks

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP address and port at the other end."""
        return self.secured_conn.get_remote_address()

    def get_transport_addresses(self) -> list[Multiaddr]:
        """The same as multiaddresses."""
        return self.secured_conn.get_transport_addresses()

    def get_connection_type(self) -> ConnectionType:
        """Direct."""
        return self.secured_conn.get_connection_type()

    # Tasks

    async def _read(self) -> None:
        self._handle(self._yamux.receive(self.secured_conn.take_opened()))
        while self._yamux.violation is None and self._noise.violation is None:
            self._wake_writer()
            data = await self._wire.receive()
            if not data:
                self.why = "the remote closed the connection"
                self.abort()
                return
            self._heard = True
            for plaintext in self._noise.open(data):
                self._handle(self._yamux.receive(plaintext))
                if self.is_closed:
                    return
        name = self._yamux.violation or self._noise.violation
        self.why = f"the remote broke the protocol: {name}"
        self._counts[str(name)] += 1
        _log.info("ending the connection with %s: %s", self.peer_id, name)
        self.abort()

    async def _write(self) -> None:
        while True:
            while self._yamux.output_bytes:
                records = self._noise.seal(self._yamux.take_output())
                self._room.unpark_all()
                self._sending = True
                await self._wire.send(records)
                self._sending = False
            self._writer_idle = True
            self._room.unpark_all()
            await self._output.park()

    async def _keep_alive(self) -> None:
        """End a connection whose remote is frozen or unreachable: it sends nothing, not even an answer."""
        self._ping()  # at once, for the round trip's time
        while True:
            await trio.sleep(KEEPALIVE_INTERVAL_MS / 1000)
            if self._heard:
                self._heard = False
                continue
            self._ping()
            await trio.sleep(KEEPALIVE_TIMEOUT_MS / 1000)
            if not self._heard:
                self._counts["silent"] += 1
                self.why = "the remote is silent"
                _log.info("ending the connection with %s: it is silent", self.peer_id)
                self.abort()

    # Within

    def _handle(self, events: Iterable[Event]) -> None:
        streams = self.streams
        for event in events:
            match event:
                case Data(stream_id, data):
                    streams[stream_id].note_data(data)
                case Writable(stream_id):
                    streams[stream_id].note_writable()
                case Opened(stream_id):
                    stream = streams[stream_id] = SessionStream(self, stream_id)
                    self._backlog.append(stream)
                    self._accepting.unpark()
                case Finished(stream_id):
                    streams[stream_id].note_finished()
                    self._after(stream_id)
                case Reset(stream_id):
                    self._drop_reset(stream_id)
                case Pong():
                    self._yamux.round_trip_ms = max(1, int((trio.current_time() - self._pinged) * 1000))
                case GoneAway():
                    self.why = "the remote ended the connection"
                    self.abort()
                    return

    def _drop_reset(self, stream_id: int) -> None:
        stream = self.streams[stream_id]
        stream.note_gone(StreamWasReset)
        self._after(stream_id)
        if stream in self._backlog:
            # Opened and reset before anybody looked: nobody needs to.
            self._backlog.remove(stream)
            self._counts["streams_reset_unseen"] += 1

    def _after(self, stream_id: int) -> None:
        # The stream lives on for whoever holds it; we need not know it any longer.
        if not self._yamux.is_open(stream_id):
            self.streams.pop(stream_id, None)
        self._wake_writer()

    def _ping(self) -> None:
        self._pinged = trio.current_time()
        self._yamux.ping(0)
        self._wake_writer()

    def _wake_writer(self) -> None:
        if self._writer_idle and self._yamux.output_bytes:
            self._writer_idle = False
            self._output.unpark()
