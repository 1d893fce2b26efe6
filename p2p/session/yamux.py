"""Yamux, sans I/O: many streams in one byte stream. Bytes in, events and bytes out, never an exception.

Is: frames, windows, the life of streams and their limits (hashicorp/yamux ``spec.md``; libp2p yamux
specification). Time is an argument.
Is not: a buffer of what was received, nor anything that waits; :mod:`p2p.session.connection` does both.

    frame  = version 0 (1 byte) | type (1) | flags (2) | stream (4) | length (4), big-endian | body of DATA
    types    0 DATA, 1 WINDOW UPDATE (length: bytes granted), 2 PING (length: any), 3 GO AWAY (length: code)
    flags    1 SYN opens a stream, 2 ACK accepts it or answers a ping, 4 FIN ends a direction, 8 RST both

Any bytes, whole or one at a time, give the same events. What breaks the protocol is not raised but named in
``violation``; every event before it has come out then, no more do, and a GO AWAY waits to be sent.

**Windows.** A sender may have as many bytes under way as it was granted: 256 KiB at first. What the
application has read is granted again once it is half a window; a window that is used up within four round
trips doubles, up to WINDOW_BYTES_MAX, while the connection's windows together have not grown by more than
WINDOWS_GROWTH_BYTES_MAX. So a peer fills at most INBOUND_STREAMS_MAX windows and that.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, TypeAlias

from p2p.session.counts import StreamCounts, Violation
from protocol.errors import LocalError

HEADER: Final = struct.Struct("!BBHII")
_PLAIN_HEADER: Final = struct.Struct("!III")  # a header whose first number is 0: DATA without flags
DATA, WINDOW_UPDATE, PING, GO_AWAY = 0, 1, 2, 3
SYN, ACK, FIN, RST = 1, 2, 4, 8
NORMAL, PROTOCOL_ERROR = 0, 1

WINDOW_BYTES: Final = 256 * 1024
"""Bytes of a new stream's window, by the specification."""
WINDOW_BYTES_MAX: Final = 1024 * 1024
"""Bytes of a window that has grown; also the longest frame."""
WINDOWS_GROWTH_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes by which the windows of a connection may have grown together."""
SEND_WINDOW_BYTES_MAX: Final = 2**32 - 1
"""Bytes that a remote may have granted and not yet got; more is a fault of its."""
FRAME_BODY_BYTES_MAX: Final = 65_519 - HEADER.size
"""Bytes of one DATA frame of ours: with its header, one record of noise."""
INBOUND_STREAMS_MAX: Final = 128
"""Streams that the remote may have open; a further one is refused with RST."""
OUTBOUND_STREAMS_MAX: Final = 128
"""Streams that we may have open."""
ABANDONED_STREAMS_MAX: Final = 32
"""Streams that we have left and the remote has not; beyond that the oldest is reset."""
OUTPUT_BYTES_FULL: Final = 256 * 1024
"""Bytes that wait to be sent at which no more of the application's are taken."""
OUTPUT_BYTES_MAX: Final = 1024 * 1024
"""Bytes that wait to be sent at which the remote is asking for answers that it does not fetch."""


class Opened(NamedTuple):
    """The remote has opened a stream."""

    stream_id: int


class Data(NamedTuple):
    """Bytes have come on a stream, at least one."""

    stream_id: int
    data: bytes


class Finished(NamedTuple):
    """The remote will send no more on a stream."""

    stream_id: int


class Reset(NamedTuple):
    """The remote has reset a stream."""

    stream_id: int


class Writable(NamedTuple):
    """A stream's window was shut and is open."""

    stream_id: int


class Pong(NamedTuple):
    """A ping of ours was answered. :ivar value: what it said."""

    value: int


class GoneAway(NamedTuple):
    """The remote ends the connection. :ivar code: 0 normal, 1 protocol error, 2 internal error."""

    code: int


Event: TypeAlias = Opened | Data | Finished | Reset | Writable | Pong | GoneAway


class _Stream:
    """Where a stream is.

    :ivar send_window: bytes that we may send; :ivar receive_window: bytes that the remote may.
    :ivar window_bytes: bytes of our window now; :ivar consumed: those read and not yet granted again.
    """

    __slots__ = (
        "abandoned",
        "consumed",
        "granted_ms",
        "local_finished",
        "receive_window",
        "remote_finished",
        "send_window",
        "window_bytes",
    )

    def __init__(self) -> None:
        self.send_window = WINDOW_BYTES
        self.receive_window = WINDOW_BYTES
        self.window_bytes = WINDOW_BYTES
        self.consumed = 0
        self.granted_ms = 0
        self.local_finished = False
        self.remote_finished = False
        self.abandoned = False


class Yamux:
    """One side of a connection.

    :ivar violation: what the remote did wrong, one of those that begin with YAMUX, or None.
    :ivar counts: of streams, `reset_unseen` excepted.
    :ivar round_trip_ms: as measured by whoever sends the pings; 0 is not known.
    :ivar output_bytes: how many wait to be sent.
    """

    def __init__(self, *, initiator: bool, counts: StreamCounts | None = None) -> None:
        """:param initiator: whether we dialled. :param counts: to count in, with other connections."""
        self.violation: Violation | None = None
        self.counts = StreamCounts() if counts is None else counts
        self.round_trip_ms = 0
        self.output_bytes = 0
        self._ours = 1 if initiator else 0  # the lowest bit of the streams that we open
        self._next_id = 1 if initiator else 2
        self._streams: dict[int, _Stream] = {}
        self._open = [0, 0]  # streams by their lowest bit
        self._abandoned: dict[int, None] = {}
        self._growth_bytes = 0
        self._buffer = bytearray()
        self._needed = HEADER.size
        self._output: list[bytes] = []
        # The DATA frame at the end of the output takes more until another frame follows.
        self._tail_id = 0
        self._tail_bytes = 0
        self._tail_place = 0

    # Input

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes as they came. Never raises."""
        events: list[Event] = []
        if self.violation is not None:
            return events
        if self._buffer:
            # Grown in place: a frame that comes byte by byte is not copied with every byte.
            self._buffer += data
            if len(self._buffer) < self._needed:
                return events
            data = bytes(self._buffer)
            self._buffer = bytearray()
        self._needed = HEADER.size
        offset, end = 0, len(data)
        while end - offset >= HEADER.size:
            taken = self._take_plain(events, data, offset, end) or self._take_frame(events, data, offset)
            if self.violation is not None:
                return events
            if not taken:
                break
            offset += taken
        if offset < end:
            self._buffer += memoryview(data)[offset:]
        return events

    def _take_plain(self, events: list[Event], data: bytes, offset: int, end: int) -> int:
        """Take what nearly every frame is: bytes on an open stream. Anything else gives 0."""
        plain: int
        length: int
        plain, stream_id, length = _PLAIN_HEADER.unpack_from(data, offset)
        body_start = offset + HEADER.size
        body_end = body_start + length
        if plain or not length or body_end > end:
            return 0
        stream = self._streams.get(stream_id)
        if stream is None or length > stream.receive_window or stream.remote_finished or stream.abandoned:
            return 0
        stream.receive_window -= length
        events.append(Data(stream_id, data[body_start:body_end]))
        return body_end - offset

    def _take_frame(self, events: list[Event], data: bytes, offset: int) -> int:
        """Take the frame that begins here. Returns its length, or 0 when its end has not come."""
        version, kind, flags, stream_id, length = HEADER.unpack_from(data, offset)
        body_start = offset + HEADER.size
        taken = HEADER.size
        if version != 0:
            self._violate(Violation.YAMUX_VERSION)
        elif kind == DATA:
            taken += length
            fault = self._fault_of_data(flags, stream_id, length)
            if fault is not None:
                self._violate(fault)
            elif offset + taken > len(data):
                self._needed = taken
                return 0
            else:
                self._take_data(events, flags, stream_id, data[body_start : body_start + length])
        else:
            self._take_control(events, kind, flags, stream_id, length)
        if self.output_bytes > OUTPUT_BYTES_MAX and self.violation is None:
            self._violate(Violation.YAMUX_FLOOD)
        return taken

    def _fault_of_data(self, flags: int, stream_id: int, length: int) -> Violation | None:
        """The fault of a DATA frame; known from its header, before its body is waited for."""
        stream = self._streams.get(stream_id)
        if flags & SYN:
            if not self._may_open(stream_id):
                return Violation.YAMUX_STREAM_ID
            window = WINDOW_BYTES
        elif stream is not None:
            if length and stream.remote_finished:
                return Violation.YAMUX_FINISHED
            window = stream.receive_window
        elif stream_id == 0:
            return Violation.YAMUX_STREAM_ID
        else:
            window = WINDOW_BYTES_MAX
        return Violation.YAMUX_WINDOW if length > window else None

    def _may_open(self, stream_id: int) -> bool:
        return stream_id != 0 and stream_id & 1 != self._ours and stream_id not in self._streams

    def _take_data(self, events: list[Event], flags: int, stream_id: int, body: bytes) -> None:
        if flags & SYN:
            self._accept(events, stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            self.counts.late_frames += 1
            return
        stream.receive_window -= len(body)
        if body and stream.abandoned:
            self.reset(stream_id)
            return
        if body:
            events.append(Data(stream_id, body))
        if flags & (FIN | RST):
            self._take_end(events, flags, stream_id, stream)

    def _take_control(self, events: list[Event], kind: int, flags: int, stream_id: int, length: int) -> None:
        if kind == WINDOW_UPDATE:
            self._take_window(events, flags, stream_id, length)
        elif kind == PING:
            if flags & SYN:
                self._queue(PING, ACK, 0, length)
            elif flags & ACK:
                events.append(Pong(length))
        elif kind == GO_AWAY:
            events.append(GoneAway(length))
        else:
            self._violate(Violation.YAMUX_TYPE)

    def _take_window(self, events: list[Event], flags: int, stream_id: int, length: int) -> None:
        if flags & SYN:
            if not self._may_open(stream_id):
                self._violate(Violation.YAMUX_STREAM_ID)
                return
            self._accept(events, stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            if stream_id == 0:
                self._violate(Violation.YAMUX_STREAM_ID)
            else:
                self.counts.late_frames += 1
            return
        if length:
            if stream.send_window + length > SEND_WINDOW_BYTES_MAX:
                self._violate(Violation.YAMUX_WINDOW)
                return
            if stream.send_window == 0 and not stream.abandoned:
                events.append(Writable(stream_id))
            stream.send_window += length
        if flags & (FIN | RST):
            self._take_end(events, flags, stream_id, stream)

    def _accept(self, events: list[Event], stream_id: int) -> None:
        theirs = stream_id & 1
        if self._open[theirs] >= INBOUND_STREAMS_MAX:
            self.counts.refused += 1
            self._queue(WINDOW_UPDATE, RST, stream_id, 0)
            return
        self._streams[stream_id] = _Stream()
        self._open[theirs] += 1
        self._queue(WINDOW_UPDATE, ACK, stream_id, 0)
        events.append(Opened(stream_id))

    def _take_end(self, events: list[Event], flags: int, stream_id: int, stream: _Stream) -> None:
        if stream.abandoned:
            self._forget(stream_id, stream)
        elif flags & RST:
            self._forget(stream_id, stream)
            events.append(Reset(stream_id))
        elif not stream.remote_finished:
            stream.remote_finished = True
            events.append(Finished(stream_id))
            if stream.local_finished:
                self._forget(stream_id, stream)

    def _violate(self, violation: Violation) -> None:
        self.violation = violation
        self._queue(GO_AWAY, 0, 0, PROTOCOL_ERROR)

    def _forget(self, stream_id: int, stream: _Stream) -> None:
        del self._streams[stream_id]
        self._open[stream_id & 1] -= 1
        self._abandoned.pop(stream_id, None)
        self._growth_bytes -= stream.window_bytes - WINDOW_BYTES

    # The application's side

    def open_stream(self) -> int | None:
        """Open a stream and return its id, or None when OUTBOUND_STREAMS_MAX are open or all ids are used."""
        if self._open[self._ours] >= OUTBOUND_STREAMS_MAX or self._next_id >= 2**32:
            return None
        stream_id = self._next_id
        self._next_id += 2
        self._streams[stream_id] = _Stream()
        self._open[self._ours] += 1
        self._queue(WINDOW_UPDATE, SYN, stream_id, 0)
        return stream_id

    def is_open(self, stream_id: int) -> bool:
        """Whether a stream has a direction that has not ended."""
        return stream_id in self._streams

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that :meth:`send` takes nothing."""
        return self.output_bytes >= OUTPUT_BYTES_FULL

    def send(self, stream_id: int, data: bytes | memoryview) -> int:
        """Send as much as window and output have room for; returns how many bytes, from the start, that was.

        :raises LocalError: the stream is gone, or we have finished it.
        """
        stream = self._streams.get(stream_id)
        if stream is None or stream.local_finished:
            raise LocalError("a stream that we cannot send on")
        accepted = min(len(data), stream.send_window, OUTPUT_BYTES_FULL - self.output_bytes)
        if accepted <= 0:
            return 0
        stream.send_window -= accepted
        if accepted <= FRAME_BODY_BYTES_MAX:
            self._queue_data(stream_id, bytes(data if accepted == len(data) else data[:accepted]))
            return accepted
        for start in range(0, accepted, FRAME_BODY_BYTES_MAX):
            self._queue_data(stream_id, bytes(data[start : min(start + FRAME_BODY_BYTES_MAX, accepted)]))
        return accepted

    def send_whole(self, stream_id: int, data: bytes) -> bool:
        """Send everything, or nothing if there is no room or the stream cannot be sent on; whether it was."""
        stream = self._streams.get(stream_id)
        size = len(data)
        if stream is None or stream.local_finished:
            return False
        if size > stream.send_window or size > OUTPUT_BYTES_FULL - self.output_bytes:
            return False
        if size > FRAME_BODY_BYTES_MAX:
            return self.send(stream_id, data) == size
        stream.send_window -= size
        self._queue_data(stream_id, data)
        return True

    def consume(self, stream_id: int, count: int) -> bool:
        """Note that the application has read so many bytes. Returns whether it is time to :meth:`grant`."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.remote_finished:
            return False
        stream.consumed += count
        return 2 * stream.consumed >= stream.window_bytes

    def grant(self, stream_id: int, now_ms: int) -> None:
        """Open a stream's window again for what was read. Does nothing for a stream that is gone."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        granted = stream.consumed
        stream.consumed = 0
        if now_ms - stream.granted_ms < 4 * self.round_trip_ms:
            growth = min(
                stream.window_bytes,
                WINDOW_BYTES_MAX - stream.window_bytes,
                WINDOWS_GROWTH_BYTES_MAX - self._growth_bytes,
            )
            stream.window_bytes += growth
            self._growth_bytes += growth
            granted += growth
        stream.granted_ms = now_ms
        stream.receive_window += granted
        if granted:
            self._queue(WINDOW_UPDATE, 0, stream_id, granted)

    def finish(self, stream_id: int) -> None:
        """Say that we will send no more on a stream. Does nothing the second time, or for a stream gone."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.local_finished:
            return
        stream.local_finished = True
        self._queue(WINDOW_UPDATE, FIN, stream_id, 0)
        if stream.remote_finished:
            self._forget(stream_id, stream)

    def abandon(self, stream_id: int) -> None:
        """Finish a stream and want nothing more of it, no events either: what still comes resets it."""
        self.finish(stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.abandoned = True
        self._abandoned[stream_id] = None
        if len(self._abandoned) > ABANDONED_STREAMS_MAX:
            self.counts.abandoned_reset += 1
            self.reset(next(iter(self._abandoned)))

    def reset(self, stream_id: int) -> None:
        """End both directions of a stream at once. Does nothing for a stream that is gone."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._forget(stream_id, stream)
            self._queue(WINDOW_UPDATE, RST, stream_id, 0)

    def ping(self, value: int) -> None:
        """Ask for a :class:`Pong` with a value of 32 bits."""
        self._queue(PING, SYN, 0, value)

    def go_away(self) -> None:
        """Say that the connection ends, in good order."""
        self._queue(GO_AWAY, 0, 0, NORMAL)

    # Output

    def take_output(self) -> bytes:
        """All that waits to be sent."""
        if self._tail_id:
            self._end_tail()
        output = b"".join(self._output)
        self._output.clear()
        self.output_bytes = 0
        return output

    def _queue(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        if self._tail_id:
            self._end_tail()
        self._output.append(HEADER.pack(0, kind, flags, stream_id, length))
        self.output_bytes += HEADER.size

    def _queue_data(self, stream_id: int, body: bytes) -> None:
        # Small writes in a row share one frame.
        if stream_id != self._tail_id or self._tail_bytes + len(body) > FRAME_BODY_BYTES_MAX:
            if self._tail_id:
                self._end_tail()
            self._tail_id, self._tail_place = stream_id, len(self._output)
            self._output.append(b"")
            self.output_bytes += HEADER.size
        self._output.append(body)
        self._tail_bytes += len(body)
        self.output_bytes += len(body)

    def _end_tail(self) -> None:
        self._output[self._tail_place] = HEADER.pack(0, DATA, 0, self._tail_id, self._tail_bytes)
        self._tail_id = self._tail_bytes = 0
