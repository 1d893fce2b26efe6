"""Direct streams: requests, replies and long transfers between two peers.

Is: the I/O shell around :mod:`p2p.frames` with deadlines, limits and a clean end.
Is not: a protocol; whoever opens a stream says what its payloads mean.

Each direction carries payloads and then END (clean) or ERROR (aborted). Leaving the context sends END if
nothing else was; leaving it by an exception aborts. A transfer that stops without END raises
:class:`~p2p.frames.TruncatedStream` at the reader, whatever the transport made of it.

**A slow reader.** The muxer below grants 256 KiB of window and fails a writer whose window stays shut for
5 s (its constant, not ours). So a writer never waits longer than that: bytes go out in pieces of at most
64 KiB, and a reader that takes nothing for 5 s costs the writer its stream (:class:`StreamBroken`). A reader
that needs longer must read on into its own buffer, or the application must ask for parts one at a time.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import trio
from libp2p.exceptions import BaseLibp2pError

from p2p.frames import (
    STREAM_BYTES_MAX,
    Abort,
    Data,
    End,
    Frame,
    FrameReader,
    FrameWriter,
    RemoteAborted,
)
from protocol.errors import LocalError, ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from p2p.identity import PeerId

WRITE_PIECE_BYTES: Final = 64 * 1024
"""Bytes handed to the muxer at once."""
READ_PIECE_BYTES: Final = 64 * 1024
"""Bytes asked of the muxer at once."""
OPERATION_TIMEOUT_MS: Final = 30_000
"""Default time for one send or receive."""
LINGER_TIMEOUT_MS: Final = 2_000
"""Time for the remote's END after our own, on leaving."""
RESET_TIMEOUT_MS: Final = 250
"""Time for the reset of a stream to go out; a host must stop within a second with streams open."""
DIRECT_STREAMS_PER_PEER_MAX: Final = 16
"""Direct streams that one peer may have open towards us."""
DIRECT_STREAMS_MAX: Final = 256
"""Direct streams open towards us, all peers together."""

ERROR_BUSY: Final = 1
"""ERROR code: too many streams; try again later."""
ERROR_PROTOCOL: Final = 2
"""ERROR code: the receiver of this frame broke the protocol."""
ERROR_INTERNAL: Final = 3
"""ERROR code: the sender of this frame failed; no detail is given."""
ERROR_REFUSED: Final = 4
"""ERROR code: an expected "no"; the text says why."""

TRANSPORT_ERRORS: Final = (
    BaseLibp2pError,
    OSError,
    EOFError,
    ValueError,
    trio.ClosedResourceError,
    trio.BrokenResourceError,
)
"""What a dead stream raises from py-libp2p, by the layer in which it died."""

_log = logging.getLogger(__name__)


class StreamBroken(Refusal):
    """The transport under the stream failed: reset, closed, or its writer stalled."""


class StreamTimeout(Refusal):
    """The remote did not act in time. :ivar timeout_ms: the time it had."""

    def __init__(self, timeout_ms: int) -> None:
        super().__init__("the remote did not act in time")
        self.timeout_ms = timeout_ms


class ByteStream(Protocol):
    """What a direct stream needs of a transport; py-libp2p's NetStream is one, tests have another."""

    async def read(self, n: int | None = None) -> bytes:
        """At most ``n`` bytes; raises at the end of file or returns nothing."""

    async def write(self, data: bytes) -> None:
        """All of ``data``."""

    async def close(self) -> None:
        """End our direction."""

    async def reset(self) -> None:
        """Destroy both directions."""


class DirectStream:
    """One bidirectional stream of payloads with one peer. One task may send while another receives.

    :ivar peer_id: the authenticated remote.
    """

    def __init__(
        self, stream: ByteStream, peer_id: PeerId, *, stream_bytes_max: int = STREAM_BYTES_MAX
    ) -> None:
        self.peer_id = peer_id
        self._stream = stream
        self._reader = FrameReader(stream_bytes_max)
        self._writer = FrameWriter(stream_bytes_max)
        self._dead = False
        self._deaf = False
        self._sending = trio.Lock()

    async def send(self, payload: bytes, *, timeout_ms: int = OPERATION_TIMEOUT_MS) -> None:
        """Send one payload, of 1 byte to FRAME_PAYLOAD_BYTES_MAX.

        :raises LocalError: the payload is empty or too large, or this direction has ended.
        :raises StreamBroken: the transport failed, also when the reader took nothing for 5 s.
        :raises StreamTimeout: it did not go out in time; the stream is useless then.
        """
        async with self._sending:
            await self._write(self._writer.data(payload), timeout_ms)

    async def receive(self, *, timeout_ms: int = OPERATION_TIMEOUT_MS) -> bytes | None:
        """The next payload, or None at the clean end; again None after that.

        :raises TruncatedStream: the stream stopped without its END.
        :raises RemoteAborted: the remote sent an ERROR frame.
        :raises ProtocolError: a frame is malformed, too large, or disagrees with the END.
        :raises StreamTimeout: nothing came in time; nothing can be received any more.
        :raises StreamBroken: an earlier receive was cut off, by its timeout or by cancellation.
        """
        if self._deaf:
            raise StreamBroken("an earlier receive was cut off")
        # The muxer takes bytes out of its buffer and then waits, to grant the sender new window. Cut off
        # there it loses them, so a receive that was cut off must be the last.
        self._deaf = True
        try:
            with trio.fail_after(timeout_ms / 1000):
                frame = await self._next_frame()
        except trio.TooSlowError:
            raise StreamTimeout(timeout_ms) from None
        self._deaf = False
        if isinstance(frame, Data):
            return frame.payload
        if isinstance(frame, Abort):
            raise RemoteAborted(frame.code, frame.text)
        return None

    async def finish(self, *, timeout_ms: int = OPERATION_TIMEOUT_MS) -> None:
        """Say that nothing more will be sent. Receiving goes on. Does nothing after END or ERROR."""
        async with self._sending:
            if not self._writer.ended:
                await self._write(self._writer.end(), timeout_ms)

    async def abort(self, reason: str, *, code: int = ERROR_REFUSED) -> None:
        """End our direction with an ERROR frame, if it can still be said; never raises for a dead stream."""
        if self._writer.ended or self._dead or self._sending.locked():
            return  # a half-sent frame cannot be followed by another; the reset on leaving says it all
        try:
            async with self._sending:
                await self._write(self._writer.error(code, reason), LINGER_TIMEOUT_MS)
        except (Refusal, LocalError) as error:
            _log.debug("abort of a dead stream: %r", error)

    async def leave(self) -> None:
        """End both directions, waiting shortly for the remote's end, and free the stream.

        Raises nothing but Cancelled, and then the stream is reset.
        """
        clean = False
        try:
            with trio.move_on_after(LINGER_TIMEOUT_MS / 1000):
                await self.finish()
                while not self._reader.ended:
                    await self._next_frame()
                await self._stream.close()
                clean = not await self._read()
        except (ProtocolError, Refusal, *TRANSPORT_ERRORS) as error:
            _log.debug("stream of %s left uncleanly: %r", self.peer_id, error)
        finally:
            if not clean:
                await self.destroy()

    async def destroy(self) -> None:
        """Reset the stream: the remote sees a truncated transfer. Raises nothing, not even Cancelled."""
        self._dead = True
        with trio.CancelScope(shield=True, deadline=trio.current_time() + RESET_TIMEOUT_MS / 1000):
            try:
                await self._stream.reset()
            except TRANSPORT_ERRORS as error:
                _log.debug("reset of a dead stream: %r", error)

    async def _write(self, data: bytes, timeout_ms: int) -> None:
        if self._dead:
            raise StreamBroken("the stream is closed")
        # Dead until all is out: a frame cut in the middle must not be followed by another.
        self._dead = True
        try:
            with trio.fail_after(timeout_ms / 1000):
                for start in range(0, len(data), WRITE_PIECE_BYTES):
                    await self._stream.write(data[start : start + WRITE_PIECE_BYTES])
        except trio.TooSlowError:
            raise StreamTimeout(timeout_ms) from None
        except TRANSPORT_ERRORS as error:
            raise StreamBroken("the stream broke while sending") from error
        self._dead = False

    async def _next_frame(self) -> Frame:
        while True:
            frame = self._reader.next_frame()
            if frame is not None:
                return frame
            if self._reader.ended:
                return End()
            data = await self._read()
            if not data:
                self._reader.end_of_file()
            self._reader.feed(data)

    async def _read(self) -> bytes:
        try:
            return await self._stream.read(READ_PIECE_BYTES)
        except TRANSPORT_ERRORS:  # end of file and reset look alike here; END tells them apart
            return b""


@asynccontextmanager
async def leaving(stream: DirectStream) -> AsyncIterator[DirectStream]:
    """Run a body with a stream, and end the stream as the body ended.

    Well: END. By an exception: ERROR, the remote hears why. By cancellation: reset, since there is no time.
    """
    try:
        yield stream
    except Exception as error:
        code, reason = _abort_words(error)
        await stream.abort(reason, code=code)
        await stream.leave()
        raise
    except BaseException:
        await stream.destroy()
        raise
    else:
        await stream.leave()


def _abort_words(error: Exception) -> tuple[int, str]:
    # Only a refusal is meant for the remote's eyes; an exception's text may hold what is ours.
    if isinstance(error, RemoteAborted):
        return ERROR_REFUSED, "aborted"
    if isinstance(error, Refusal):
        return ERROR_REFUSED, error.reason
    if isinstance(error, ProtocolError):
        return ERROR_PROTOCOL, "protocol error"
    return ERROR_INTERNAL, "internal error"


class DirectStreamGate:
    """Counts the direct streams open towards us and refuses those beyond the limits.

    :ivar counts: ``accepted``, ``refused_peer_full``, ``refused_host_full``, ``failed``.
    """

    def __init__(self) -> None:
        self._open: Counter[PeerId] = Counter()
        self.counts: Counter[str] = Counter()

    async def serve(
        self, stream: ByteStream, peer_id: PeerId, handler: Callable[[DirectStream, PeerId], Awaitable[None]]
    ) -> None:
        """Run a handler on one inbound stream. Its exception is its stream's end and nobody else's."""
        direct = DirectStream(stream, peer_id)
        if self._open[peer_id] >= DIRECT_STREAMS_PER_PEER_MAX:
            await self._refuse(direct, "refused_peer_full")
            return
        if self._open.total() >= DIRECT_STREAMS_MAX:
            await self._refuse(direct, "refused_host_full")
            return
        self._open[peer_id] += 1
        self.counts["accepted"] += 1
        try:
            async with leaving(direct):
                await handler(direct, peer_id)
        except* (ProtocolError, Refusal) as failures:
            self.counts["failed"] += 1
            _log.info("direct stream of %s ended: %r", peer_id, failures.exceptions)
        except* Exception as failures:  # noqa: BLE001 - a handler's fault is its stream's end
            self.counts["failed"] += 1
            _log.exception("direct stream handler failed, peer %s", peer_id, exc_info=failures)
        finally:
            self._open[peer_id] -= 1
            if not self._open[peer_id]:
                del self._open[peer_id]

    async def _refuse(self, direct: DirectStream, count: str) -> None:
        self.counts[count] += 1
        await direct.abort("too many streams", code=ERROR_BUSY)
        await direct.leave()
