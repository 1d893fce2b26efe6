"""Yamux, sans I/O: many streams in one byte stream. Bytes in, events and bytes out, never an exception.

Is: what the remote sends, taken frame by frame, and its faults (hashicorp/yamux ``spec.md``; libp2p yamux
specification). What the application does is in :mod:`p2p.session.yamux_application`, the format of frames in
:mod:`p2p.session.yamux_frames`.
Is not: a buffer of what was received, nor anything that waits; :mod:`p2p.session.connection` does both.

Any bytes, whole or one at a time, give the same events. What breaks the protocol is not raised but named in
``violation``; every event before it has come out then, no more do, and a GO AWAY waits to be sent.
"""

from __future__ import annotations

from typing import Final

from p2p.session.counts import StreamCounts, Violation
from p2p.session.yamux_application import WINDOW_BYTES_MAX, ApplicationSide
from p2p.session.yamux_frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    HEADER,
    PING,
    PLAIN_HEADER,
    PROTOCOL_ERROR,
    RST,
    SYN,
    WINDOW_UPDATE,
)
from p2p.session.yamux_streams import (
    WINDOW_BYTES,
    Data,
    Event,
    Finished,
    GoneAway,
    Opened,
    Pong,
    Reset,
    StreamState,
    Writable,
)

SEND_WINDOW_BYTES_MAX: Final = 2**32 - 1
"""Bytes that a remote may have granted and not yet got; more is a fault of its."""
INBOUND_STREAMS_MAX: Final = 128
"""Streams that the remote may have open; a further one is refused with RST."""
OUTPUT_BYTES_MAX: Final = 1024 * 1024
"""Bytes that wait to be sent at which the remote is asking for answers that it does not fetch."""


class Yamux(ApplicationSide):
    """One side of a connection.

    :ivar violation: what the remote did wrong, one of those that begin with YAMUX, or None.
    """

    def __init__(self, *, initiator: bool, counts: StreamCounts | None = None) -> None:
        """:param initiator: whether we dialled. :param counts: to count in, with other connections."""
        super().__init__(initiator=initiator, counts=StreamCounts() if counts is None else counts)
        self.violation: Violation | None = None
        self._buffer = bytearray()
        self._needed = HEADER.size

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
        plain, stream_id, length = PLAIN_HEADER.unpack_from(data, offset)
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
        self._streams[stream_id] = StreamState()
        self._open[theirs] += 1
        self._queue(WINDOW_UPDATE, ACK, stream_id, 0)
        events.append(Opened(stream_id))

    def _take_end(self, events: list[Event], flags: int, stream_id: int, stream: StreamState) -> None:
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
