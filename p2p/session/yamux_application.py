"""The application's side of yamux: streams opened, written, read, left and reset, as far as windows go.

Is: the half of :class:`p2p.session.yamux.Yamux` that we drive. Time is an argument.
Is not: the reading of frames; nothing here depends on what the remote sends but through windows and ends.

**Windows.** A sender may have as many bytes under way as it was granted: 256 KiB at first. What the
application has read is granted again once it is half a window; a window that is used up within four round
trips doubles, up to WINDOW_BYTES_MAX, while the connection's windows together have not grown by more than
WINDOWS_GROWTH_BYTES_MAX. So a peer fills at most INBOUND_STREAMS_MAX windows and that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2p.session.yamux_frames import (
    FIN,
    FRAME_BODY_BYTES_MAX,
    GO_AWAY,
    NORMAL,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    OutputFrames,
)
from p2p.session.yamux_streams import WINDOW_BYTES, StreamState
from protocol.errors import LocalError

if TYPE_CHECKING:
    from p2p.session.counts import StreamCounts

WINDOW_BYTES_MAX: Final = 1024 * 1024
"""Bytes of a window that has grown; also the longest frame."""
WINDOWS_GROWTH_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes by which the windows of a connection may have grown together."""
OUTBOUND_STREAMS_MAX: Final = 128
"""Streams that we may have open."""
ABANDONED_STREAMS_MAX: Final = 32
"""Streams that we have left and the remote has not; beyond that the oldest is reset."""
OUTPUT_BYTES_FULL: Final = 256 * 1024
"""Bytes that wait to be sent at which no more of the application's are taken."""


class ApplicationSide(OutputFrames):
    """The streams of a connection.

    :ivar counts: of streams, `reset_unseen` excepted.
    :ivar round_trip_ms: as measured by whoever sends the pings; 0 is not known.
    """

    def __init__(self, *, initiator: bool, counts: StreamCounts) -> None:
        super().__init__()
        self.counts = counts
        self.round_trip_ms = 0
        self._ours = 1 if initiator else 0  # the lowest bit of the streams that we open
        self._next_id = 1 if initiator else 2
        self._streams: dict[int, StreamState] = {}
        self._open = [0, 0]  # streams by their lowest bit
        self._abandoned: dict[int, None] = {}
        self._growth_bytes = 0

    def open_stream(self) -> int | None:
        """Open a stream and return its id, or None when OUTBOUND_STREAMS_MAX are open or all ids are used."""
        if self._open[self._ours] >= OUTBOUND_STREAMS_MAX or self._next_id >= 2**32:
            return None
        stream_id = self._next_id
        self._next_id += 2
        self._streams[stream_id] = StreamState()
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

    def _forget(self, stream_id: int, stream: StreamState) -> None:
        del self._streams[stream_id]
        self._open[stream_id & 1] -= 1
        self._abandoned.pop(stream_id, None)
        self._growth_bytes -= stream.window_bytes - WINDOW_BYTES
