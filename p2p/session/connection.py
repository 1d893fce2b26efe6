"""The session: a secured connection's streams, on trio.

Is: the shell around :mod:`p2p.session.yamux`; what py-libp2p knows as a muxed connection. A hub calls it when
something has come, to write, and now and then to look whether the remote is alive
(:mod:`p2p.session.hub`). One task writes what the system does not take at once; one reads, where the wire
cannot call.
Is not: a stream (:mod:`p2p.session.stream`), nor a judge of what streams are for.

Written data waits in one place until the hub's next pass, so that many small writes share a frame, a
record and a call of the system.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import trio
from libp2p.abc import IMuxedConn

from p2p.session.errors import ConnectionLost, StreamWasReset, TooManyStreams
from p2p.session.stream import SessionStream
from p2p.session.yamux import Yamux
from p2p.session.yamux_streams import Data, Finished, GoneAway, Opened, Pong, Reset, Writable

if TYPE_CHECKING:
    from libp2p.abc import ISecureConn
    from libp2p.connection_types import ConnectionType
    from libp2p.peer.id import ID
    from multiaddr import Multiaddr

    from p2p.session.counts import SessionCounts, Violation
    from p2p.session.secure import SecureConnection
    from p2p.session.yamux_streams import Event

QUIET_BEATS: Final = 2
"""The hub's beat since its last word at which a remote is asked whether it is there: after 5 to 10 s."""
SILENT_BEATS: Final = 4
"""The beat at which the connection ends, if there was no answer, nor anything else: 10 s later."""
CLOSE_FLUSH_MS: Final = 100
"""Time for the remote to take what was written, and to hang up, when a connection is closed in good order."""

_log = logging.getLogger(__name__)


class Session(IMuxedConn):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """One connection's streams. Made by the upgrader; :meth:`start` runs it.

    :ivar peer_id: the authenticated remote.
    :ivar event_started: it runs; :ivar event_closed: it is over.
    :ivar why: why it ended, in few words.
    :ivar streams: those with a direction that has not ended, by number.
    """

    def __init__(self, conn: ISecureConn, peer_id: ID, counts: SessionCounts) -> None:
        """:param counts: of all sessions of the node."""
        self.peer_id = peer_id
        self.secured_conn = cast("SecureConnection", conn)
        self.event_started = trio.Event()
        self.event_closed = trio.Event()
        self.why = "the connection is closed"
        self._wire = self.secured_conn.wire
        self._hub = self.secured_conn.hub
        self._noise = self.secured_conn.transport
        self._yamux = Yamux(initiator=conn.is_initiator, counts=counts.streams)
        self._counts = counts
        self.streams: dict[int, SessionStream] = {}
        self._backlog: deque[SessionStream] = deque()
        self._accepting = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._stuck = trio.lowlevel.ParkingLot()
        self._scope = trio.CancelScope()
        self._silent_beats = 0
        self._closed = False
        self._flush_asked = False
        self._unsent = b""
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
        return self._closed

    async def start(self) -> None:
        """Run until the connection ends or is closed. Raises nothing but Cancelled."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    self._hub.add_keepalive(self._keep_alive)
                    self._ping()  # at once, for the round trip's time
                    self.event_started.set()
                    await self._read()
        except* ConnectionLost as losses:
            _log.debug("connection with %s lost: %r", self.peer_id, losses.exceptions)
        except* Exception as failures:  # noqa: BLE001 - a fault of ours must not end the node
            self._counts.failed += 1
            _log.exception("a session failed, peer %s", self.peer_id, exc_info=failures)
        finally:
            self._hub.remove_keepalive(self._keep_alive)
            self.event_started.set()
            self.abort()

    async def close(self) -> None:
        """End in good order, within CLOSE_FLUSH_MS. No error if it has ended."""
        if self.is_closed:
            await trio.lowlevel.checkpoint()
            return
        self._yamux.go_away()
        self._flush()
        with trio.move_on_after(CLOSE_FLUSH_MS / 1000):
            # It hangs up when it has heard us out. Whoever closes a socket with something in it unread takes
            # back what is under way.
            await self.event_closed.wait()
        self.abort()

    def abort(self) -> None:
        """End at once, also when the remote is frozen. What the system does not take at once is lost."""
        if self.is_closed:
            return
        self._closed = True
        self.event_closed.set()
        if self._yamux.output_bytes and not self._unsent:
            with contextlib.suppress(ConnectionLost):
                self._wire.send_nowait(self._noise.seal(self._yamux.take_output()))
        self._wire.close()
        self._scope.cancel()
        for stream in self.streams.values():
            stream.note_gone(ConnectionLost)
        self.streams.clear()
        self._backlog.clear()
        for waiting in (self._accepting, self._room, self._stuck):
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
        self._flush_soon()
        return stream

    async def accept_stream(self) -> SessionStream:
        """The next stream that the remote has opened. :raises ConnectionLost: it is over."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._backlog:
            if self.is_closed:
                raise ConnectionLost(self.why)
            await self._accepting.park()
        return self._backlog.popleft()

    # For streams: see p2p.session.stream.Carrier

    def send(self, stream_id: int, data: bytes | memoryview) -> int:
        """See :meth:`~p2p.session.stream.Carrier.send`."""
        if not self._yamux.is_open(stream_id):
            raise StreamWasReset("the stream was reset")
        sent = self._yamux.send(stream_id, data)
        self._flush_soon()
        return sent

    def send_nowait(self, stream_id: int, data: bytes) -> bool:
        """See :meth:`~p2p.session.stream.Carrier.send_nowait`."""
        if not self._yamux.send_whole(stream_id, data):
            return False
        self._flush_soon()
        return True

    def wake_writers(self) -> None:
        """See :meth:`~p2p.session.stream.Carrier.wake_writers`."""
        self._room.unpark_all()

    async def wait_for_room(self, window: trio.lowlevel.ParkingLot) -> None:
        """See :meth:`~p2p.session.stream.Carrier.wait_for_room`."""
        await (self._room if self._yamux.is_full else window).park()

    def note_read(self, stream_id: int, count: int) -> None:
        """See :meth:`~p2p.session.stream.Carrier.note_read`."""
        if self._yamux.consume(stream_id, count):
            self._yamux.grant(stream_id, int(trio.current_time() * 1000))
            self._flush_soon()

    def finish(self, stream_id: int) -> None:
        """See :meth:`~p2p.session.stream.Carrier.finish`."""
        self._yamux.finish(stream_id)
        self._after(stream_id)

    def abandon(self, stream_id: int) -> None:
        """See :meth:`~p2p.session.stream.Carrier.abandon`."""
        self._yamux.abandon(stream_id)
        self.streams.pop(stream_id, None)
        self._flush_soon()

    def reset(self, stream_id: int) -> None:
        """See :meth:`~p2p.session.stream.Carrier.reset`."""
        self._yamux.reset(stream_id)
        self._after(stream_id)

    # For the library

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP address and port at the other end."""
        return self.secured_conn.get_remote_address()

    def get_transport_addresses(self) -> list[Multiaddr]:
        """The same as multiaddresses."""
        return self.secured_conn.get_transport_addresses()

    def get_connection_type(self) -> ConnectionType:
        """Direct or relayed."""
        return self.secured_conn.get_connection_type()

    # Tasks

    async def _read(self) -> None:
        self._take(self.secured_conn.take_opened())
        if self._noise.violation is not None:
            self._end_broken(self._noise.violation)
        self._flush_soon()
        if not self.is_closed and self._wire.listen(self._receive):
            await trio.sleep_forever()
        while not self.is_closed:
            self._receive(await self._wire.receive())

    async def _write(self) -> None:
        """Write what the system did not take at once."""
        while True:
            while not self._unsent:
                await self._stuck.park()
            await self._wire.send(self._unsent)
            self._unsent = b""
            self._flush()

    # For the hub

    def _receive(self, data: bytes) -> None:
        """Take what has come, nothing at the end."""
        if not data:
            self.why = "the remote closed the connection"
            self.abort()
            return
        self._silent_beats = 0
        try:
            for plaintext in self._noise.open(data):
                self._take(plaintext)
            if self._noise.violation is not None:
                self._end_broken(self._noise.violation)
        except Exception:  # noqa: BLE001 - a fault of ours must not end the node
            self._counts.failed += 1
            _log.exception("a session failed, peer %s", self.peer_id)
            self.abort()

    def _keep_alive(self) -> None:
        """End a connection whose remote is frozen or unreachable: it sends nothing, not even an answer."""
        self._silent_beats += 1
        if self._silent_beats == QUIET_BEATS:
            self._ping()
        elif self._silent_beats >= SILENT_BEATS:
            self._counts.silent += 1
            self.why = "the remote is silent"
            _log.info("ending the connection with %s: it is silent", self.peer_id)
            self.abort()

    def _flush(self) -> None:
        """Seal and write what waits. What the system does not take is the writing task's."""
        self._flush_asked = False
        if self._unsent or self._closed or not self._yamux.output_bytes:
            return
        records = self._noise.seal(self._yamux.take_output())
        if len(self._room):
            self._room.unpark_all()
        try:
            sent = self._wire.send_nowait(records)
        except ConnectionLost:
            self.why = "the connection broke"
            self.abort()
            return
        if sent < len(records):
            self._unsent = records[sent:]
            self._stuck.unpark()

    # Internals

    def _take(self, plaintext: bytes) -> None:
        for event in self._yamux.receive(plaintext):
            if self._closed:
                return
            if type(event) is Data:
                self.streams[event.stream_id].note_data(event.data)
            else:
                self._handle(event)
        if self._yamux.violation is not None:
            self._end_broken(self._yamux.violation)
        elif self._yamux.output_bytes:
            self._flush_soon()

    def _handle(self, event: Event) -> None:
        streams = self.streams
        match event:
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

    def _drop_reset(self, stream_id: int) -> None:
        stream = self.streams[stream_id]
        stream.note_gone(StreamWasReset)
        self._after(stream_id)
        if stream in self._backlog:
            # Opened and reset before anybody looked: nobody needs to.
            self._backlog.remove(stream)
            self._counts.streams.reset_unseen += 1

    def _after(self, stream_id: int) -> None:
        # The stream lives on for whoever holds it; we need not know it any longer.
        if not self._yamux.is_open(stream_id):
            self.streams.pop(stream_id, None)
        self._flush_soon()

    def _ping(self) -> None:
        self._pinged = trio.current_time()
        self._yamux.ping(0)
        self._flush_soon()

    def _end_broken(self, violation: Violation) -> None:
        if self._closed:
            return
        self.why = f"the remote broke the protocol: {violation}"
        self._counts.violations[violation] += 1
        _log.info("ending the connection with %s: %s", self.peer_id, violation)
        self.abort()

    def _flush_soon(self) -> None:
        if not self._flush_asked and self._yamux.output_bytes and not self._unsent:
            self._flush_asked = True
            self._hub.write_later(self._flush)
