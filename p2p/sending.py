"""Our direction of a direct stream: payloads in frames, as far as the remote's credit goes, and their end.

Is: the half of :class:`p2p.streams.DirectStream` that writes. Any task may send; payloads do not mix.
Is not: the reading half, which knows what the remote said.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

import trio

from p2p.frames import CREDIT_BYTES
from p2p.framing import FrameWriter
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.stream_errors import StreamBroken, StreamTimeout
from protocol.errors import LocalError, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p.wakeups import Signal

OPERATION_TIMEOUT_MS: Final = 30_000
"""Default time for one send or receive."""
LINGER_TIMEOUT_MS: Final = 2_000
"""Time for the remote's END after our own, on leaving."""

_log = logging.getLogger(__name__)


class ByteStream(Protocol):
    """A transport, as a direct stream needs it; py-libp2p's NetStream is one, tests have another."""

    async def read(self, n: int | None = None) -> bytes:
        """At most ``n`` bytes; raises at the end of file or returns nothing."""

    async def write(self, data: bytes) -> None:
        """All of ``data``."""

    async def close(self) -> None:
        """End our direction."""

    async def reset(self) -> None:
        """Destroy both directions."""


class SendingHalf:
    """Sends on one stream.

    :ivar credit_bytes: that the remote has allowed so far; the reading half raises it.
    :ivar half_sent: whether a payload was begun and not finished: nothing but ERROR may follow.
    :ivar aborted: whether ERROR was sent.
    """

    def __init__(
        self,
        stream: ByteStream,
        changed: Signal,
        require_remote: Callable[[], None],
        stream_bytes_max: int,
        payload_bytes_max: int,
    ) -> None:
        """Begin.

        :param changed: of the whole stream: notified when the remote has said something.
        :param require_remote: raises when the remote's direction is dead: then nobody listens either.
        """
        self.credit_bytes = CREDIT_BYTES
        self.half_sent = False
        self.aborted = False
        self._stream = stream
        self._changed = changed
        self._require_remote = require_remote
        self._payload_bytes_max = payload_bytes_max
        self._writer = FrameWriter(stream_bytes_max)
        self._dead = False
        self._sending = trio.Lock()
        self._writing = trio.Lock()

    async def send(self, payload: bytes, timeout_ms: int) -> None:
        """See :meth:`p2p.streams.DirectStream.send`."""
        if len(payload) > self._payload_bytes_max:
            raise LocalError(f"a payload of this protocol has at most {self._payload_bytes_max} bytes")
        try:
            with trio.fail_after(timeout_ms / 1000):
                async with self._sending:
                    await self._send(payload)
        except trio.TooSlowError:
            raise StreamTimeout(timeout_ms) from None

    async def finish(self, timeout_ms: int) -> None:
        """See :meth:`p2p.streams.DirectStream.finish`."""
        try:
            with trio.fail_after(timeout_ms / 1000):
                async with self._sending:
                    if self._writer.ended:
                        return
                    if self.half_sent:
                        raise StreamBroken("an earlier send was cut off")
                    await self._write(self._writer.end())
        except trio.TooSlowError:
            raise StreamTimeout(timeout_ms) from None

    async def abort(self, reason: str, code: int) -> None:
        """See :meth:`p2p.streams.DirectStream.abort`."""
        if self._writer.ended:
            return
        try:
            with trio.move_on_after(LINGER_TIMEOUT_MS / 1000):
                # Between two frames, be it within a payload: whoever is sending finds the direction ended.
                await self._write(self._writer.error(code, reason), last=True)
        except Refusal as error:
            _log.debug("abort of a dead stream: %r", error)

    async def grant(self, total_bytes: int) -> None:
        """Tell the remote how many bytes it may send in all. :raises StreamBroken: it cannot be told."""
        await self._write(self._writer.credit(total_bytes))

    def close(self) -> None:
        """Send nothing more."""
        self._dead = True

    async def _send(self, payload: bytes) -> None:
        self._require_remote()
        if self.half_sent:
            raise StreamBroken("an earlier send was cut off")
        frames = self._writer.payload(payload)
        self.half_sent = True
        for frame in frames:
            while self.credit_bytes < self._writer.sent_bytes:
                self._require_remote()
                if self.aborted:
                    raise StreamBroken("the stream was aborted")
                await self._changed.wait()
            await self._write(frame)
        self.half_sent = False

    async def _write(self, frame: bytes, *, last: bool = False) -> None:
        async with self._writing:
            if self._dead or self.aborted:
                raise StreamBroken("the stream is closed, or was aborted")
            self.aborted = last
            self._changed.notify()
            # Dead until all is out: a frame cut in the middle must not be followed by another.
            self._dead = True
            try:
                await self._stream.write(frame)
            except TRANSPORT_ERRORS as error:
                raise StreamBroken("the stream broke while sending") from error
            self._dead = False
