"""Direct streams: requests, replies and long transfers between two peers.

Is: the I/O shell around :mod:`p2p.framing` with credit, deadlines, limits on bytes and a clean end: reading
here, writing in :mod:`p2p.sending`.
Is not: a protocol, which says what the payloads mean; nor a limit on streams (:mod:`p2p.stream_gate`).

Each direction carries payloads and then END (clean) or ERROR (aborted). Leaving the context sends END if
nothing else was; leaving it by an exception, or by cancellation, sends ERROR, which the remote's sends and
receives raise as :class:`~p2p.stream_errors.RemoteAborted`. A transfer that stops without either raises
:class:`~p2p.stream_errors.TruncatedStream` at the reader, whether the transport says reset or end of file.

Two tasks serve a stream while its context is open. One reads all the time, whether anybody receives or not:
so the muxer's window never closes, no other stream of the connection waits, and a receive that is cancelled
or out of time loses nothing and may be tried again. What it holds is bounded by the credit that the other
task gives to the remote as payloads are received. A remote without credit waits, as long as its own
``timeout_ms`` says.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import trio

from p2p.frames import CREDIT_BYTES, PAYLOAD_BYTES_MAX, STREAM_BYTES_MAX, Abort, Credit, Data, Frame
from p2p.framing import FrameReader
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.sending import LINGER_TIMEOUT_MS, OPERATION_TIMEOUT_MS, ByteStream, SendingHalf
from p2p.stream_errors import (
    ERROR_CANCELLED,
    ERROR_INTERNAL,
    ERROR_PROTOCOL,
    ERROR_REFUSED,
    RemoteAborted,
    StreamBroken,
    StreamTimeout,
)
from p2p.wakeups import Signal
from protocol.errors import ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from p2p.identity import PeerId

READ_PIECE_BYTES: Final = 64 * 1024
"""Bytes asked of the muxer at once."""
CREDIT_STEP_BYTES: Final = CREDIT_BYTES // 2
"""Bytes taken since the last CREDIT after which another is sent."""
RESET_TIMEOUT_MS: Final = 250
"""Time for a farewell of a cancelled stream to go out; a host must stop within a second with streams open."""

_log = logging.getLogger(__name__)


class DirectStream:
    """One stream of payloads both ways with one peer; see :func:`open_direct`. Any task may send or receive.

    :ivar peer_id: the authenticated remote.
    """

    def __init__(
        self,
        stream: ByteStream,
        peer_id: PeerId,
        *,
        stream_bytes_max: int = STREAM_BYTES_MAX,
        payload_bytes_max: int = PAYLOAD_BYTES_MAX,
    ) -> None:
        self.peer_id = peer_id
        self._stream = stream
        self._reader = FrameReader(stream_bytes_max, payload_bytes_max)
        self._inbox: deque[tuple[bytes, int]] = deque()
        self._taken_bytes = 0
        self._failure: ProtocolError | Refusal | None = None
        self._reading = True
        self._changed = Signal()
        self._serving = trio.CancelScope()
        self._ours = SendingHalf(
            stream, self._changed, self._require_remote, stream_bytes_max, payload_bytes_max
        )

    async def send(self, payload: bytes, *, timeout_ms: int = OPERATION_TIMEOUT_MS) -> None:
        """Send one payload, of 1 byte to the protocol's limit. Waits while the remote gives no credit.

        :raises LocalError: the payload is empty or too large, or this direction has ended.
        :raises RemoteAborted: the remote sent an ERROR frame: it wants no more.
        :raises StreamBroken: the transport failed, the remote broke the protocol, or an earlier send was
            cut off within its payload.
        :raises StreamTimeout: it did not go out in time; nothing more can be sent then.
        """
        await self._ours.send(payload, timeout_ms)

    async def receive(self, *, timeout_ms: int = OPERATION_TIMEOUT_MS) -> bytes | None:
        """The next payload, or None at the clean end; again None after that. Cut off, it loses nothing.

        :raises TruncatedStream: the stream stopped without its END.
        :raises RemoteAborted: the remote sent an ERROR frame.
        :raises ProtocolError: a frame is malformed, too large, over its credit, or disagrees with the END.
        :raises StreamTimeout: nothing came in time.
        """
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(timeout_ms / 1000):
            while not self._inbox and self._failure is None and not self._reader.ended:
                await self._changed.wait()
        if self._inbox:
            payload, self._taken_bytes = self._inbox.popleft()
            self._changed.notify()
            return payload
        if self._failure is not None:
            raise self._failure
        if self._reader.ended:
            return None
        raise StreamTimeout(timeout_ms)

    async def finish(self, *, timeout_ms: int = OPERATION_TIMEOUT_MS) -> None:
        """Say that nothing more will be sent. Receiving goes on. Does nothing after END or ERROR.

        :raises StreamBroken: the transport failed, or an earlier send was cut off within its payload.
        :raises StreamTimeout: it did not go out in time.
        """
        await self._ours.finish(timeout_ms)

    async def abort(self, reason: str, *, code: int = ERROR_REFUSED) -> None:
        """End our direction with an ERROR frame, if it can still be said; never raises for a dead stream."""
        await self._ours.abort(reason, code)

    # For open_direct alone

    async def serve(self) -> None:
        """Read until the stream ends, and grant credit meanwhile."""
        with self._serving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._grant)
                await self._pump()
                nursery.cancel_scope.cancel()

    async def leave(self) -> None:
        """End both directions, waiting shortly for the remote's end, and free the stream.

        Raises nothing but Cancelled, and then the stream is reset.
        """
        clean = False
        try:
            with trio.move_on_after(LINGER_TIMEOUT_MS / 1000):
                if self._ours.half_sent:
                    await self.abort("cancelled", code=ERROR_CANCELLED)
                else:
                    await self.finish()
                while self._reading and not self._reader.ended:
                    self._drop_inbox()
                    await self._changed.wait()
                await self._stream.close()
                while self._reading:
                    await self._changed.wait()
                clean = self._failure is None or isinstance(self._failure, RemoteAborted)
        except (Refusal, *TRANSPORT_ERRORS) as error:
            _log.debug("a stream of %s ended uncleanly: %r", self.peer_id, error)
        finally:
            self._ours.close()
            if not clean:
                await self.destroy()

    async def leave_cancelled(self) -> None:
        """Say that we go, in the little time there is, and free the stream. Raises nothing at all."""
        self._serving.cancel()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + RESET_TIMEOUT_MS / 1000):
            await self.abort("cancelled", code=ERROR_CANCELLED)
            while self._reading:
                await self._changed.wait()
            if self._ours.aborted:
                # A reset right behind it could overtake the ERROR in the remote's buffer: wait for its end.
                with suppress(*TRANSPORT_ERRORS):
                    await self._stream.close()
                while await self._read():
                    pass
        await self.destroy()

    async def destroy(self) -> None:
        """Reset the stream: the remote sees a truncated transfer. Raises nothing, not even Cancelled."""
        self._ours.close()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + RESET_TIMEOUT_MS / 1000):
            try:
                await self._stream.reset()
            except TRANSPORT_ERRORS as error:
                _log.debug("reset of a dead stream: %r", error)

    # Reading

    async def _pump(self) -> None:
        try:
            while data := await self._read():
                self._reader.feed(data)
                while (frame := self._reader.next_frame()) is not None:
                    self._take(frame)
                self._changed.notify()
            self._reader.end_of_file()
        except ProtocolError as error:
            self._failure = self._failure or error
        finally:
            self._reading = False
            self._changed.notify()

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Data):
            self._inbox.append((frame.payload, self._reader.data_bytes))
        elif isinstance(frame, Credit):
            self._ours.credit_bytes = frame.total_bytes
        elif isinstance(frame, Abort):
            self._failure = RemoteAborted(frame.code, frame.text)

    async def _read(self) -> bytes:
        try:
            return await self._stream.read(READ_PIECE_BYTES)
        except TRANSPORT_ERRORS:  # end of file and reset may look alike here; END tells them apart
            return b""

    async def _grant(self) -> None:
        """Give credit as payloads are received; a payload of which parts came gets what it needs."""
        while not self._reader.ended:
            changed = self._changed.next_event()
            if not self._inbox:
                self._taken_bytes = self._reader.data_bytes
            allowed = self._taken_bytes + CREDIT_BYTES
            if allowed < self._reader.allowed_bytes + CREDIT_STEP_BYTES:
                await changed.wait()
                continue
            # Before it is sent: the remote may use it before our write returns.
            self._reader.allowed_bytes = allowed
            try:
                await self._ours.grant(allowed)
            except StreamBroken:
                return

    def _drop_inbox(self) -> None:
        # Nobody will receive any more; what still comes may come, up to the limits, until the remote ends.
        if self._inbox:
            self._inbox.clear()
            self._changed.notify()

    def _require_remote(self) -> None:
        if isinstance(self._failure, RemoteAborted):
            raise self._failure
        if self._failure is not None or not self._reading:
            raise StreamBroken("the remote's direction has failed") from self._failure


@asynccontextmanager
async def open_direct(
    stream: ByteStream, peer_id: PeerId, *, payload_bytes_max: int = PAYLOAD_BYTES_MAX
) -> AsyncIterator[DirectStream]:
    """Run a body with a direct stream over a transport's, and end it as the body ended.

    Well: END. By an exception: ERROR, the remote hears why. By cancellation: ERROR in the little time there
    is, and a reset.

    :param payload_bytes_max: largest payload of the protocol, either way.
    """
    direct = DirectStream(stream, peer_id, payload_bytes_max=payload_bytes_max)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(direct.serve)
        try:
            yield direct
        except Exception as error:  # noqa: BLE001 - raised again below
            # The nursery would wrap it in a group; it leaves as the body raised it.
            failure = error
            code, reason = _abort_words(error)
            await direct.abort(reason, code=code)
            await direct.leave()
        except BaseException:
            await direct.leave_cancelled()
            raise
        else:
            await direct.leave()
        finally:
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _abort_words(error: Exception) -> tuple[int, str]:
    # Only a refusal is meant for the remote's eyes; an exception's text may hold what is ours.
    if isinstance(error, RemoteAborted):
        return ERROR_REFUSED, "aborted"
    if isinstance(error, Refusal):
        return ERROR_REFUSED, error.reason
    if isinstance(error, ProtocolError):
        return ERROR_PROTOCOL, "protocol error"
    return ERROR_INTERNAL, "internal error"
