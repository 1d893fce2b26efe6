"""The miner's end of one task stream: a reader, and a writer with a bounded outbox.

Is: bytes between the engine and a direct stream, and how the stream came to its end.
Is not: what they mean (`conversation`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import trio

from p2p.stream_errors import ERROR_PROTOCOL, ERROR_REFUSED, RemoteAborted, StreamTimeout
from p2p.streams import DirectStream
from protocol.errors import CuckooError, Refusal

OUTBOX_BYTES_MAX: Final = 32 * 1024 * 1024
"""Payloads that wait for a slow coordinator: an output, and a slice's previews. One that reads still
slower is lost."""
RECEIVE_TIMEOUT_MS: Final = 60_000
"""Of one receive; the next begins at once. The engine, not the stream, has the patience."""


class Lost(NamedTuple):
    """The stream ended, and not by us. :ivar refused: the coordinator ended it on purpose."""

    reason: str
    refused: bool


class Closed(NamedTuple):
    """The engine has ended the stream. :ivar reason: for the coordinator; empty for a clean end."""

    reason: str


class TaskStream:
    """One stream, from its opening to its end."""

    def __init__(self, stream: DirectStream) -> None:
        self._stream = stream
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._changed = trio.Event()
        self._end: Lost | Closed | None = None

    def send(self, payload: bytes) -> None:
        """Put a payload behind those that wait; nothing after the end."""
        self._outbox.append(payload)
        self._outbox_bytes += len(payload)
        if self._outbox_bytes > OUTBOX_BYTES_MAX:
            self._outbox.clear()
            self._lose(Lost("the coordinator reads too slowly", refused=False))
        self._wake()

    def close(self, reason: str) -> None:
        """End the stream when all that waits has left."""
        self._end = self._end or Closed(reason)
        self._wake()

    async def run(self, hear: Callable[[bytes], None]) -> Lost | Closed:
        """Read and write until the stream has ended, and say how. :param hear: takes each payload."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, hear)
            await self._write()
            nursery.cancel_scope.cancel()
        assert self._end is not None
        return self._end

    async def _read(self, hear: Callable[[bytes], None]) -> None:
        while self._end is None:
            try:
                payload = await self._stream.receive(timeout_ms=RECEIVE_TIMEOUT_MS)
            except StreamTimeout:
                continue
            except CuckooError as error:
                self._lose(lost_by(error))
                return
            if payload is None:
                self._lose(Lost("the coordinator ended the stream", refused=False))
                return
            if self._end is None:
                hear(payload)

    async def _write(self) -> None:
        while True:
            if isinstance(self._end, Lost):
                return
            if self._outbox:
                payload = self._outbox.popleft()
                try:
                    await self._stream.send(payload)
                except CuckooError as error:
                    self._lose(lost_by(error))
                    return
                self._outbox_bytes -= len(payload)
            elif self._end is not None:
                return
            else:
                await self._changed.wait()

    def _lose(self, lost: Lost) -> None:
        self._end = self._end or lost
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def lost_by(error: CuckooError) -> Lost:
    """How a stream was lost that raised `error`."""
    refused = isinstance(error, RemoteAborted) and error.code in {ERROR_REFUSED, ERROR_PROTOCOL}
    return Lost(error.reason if isinstance(error, Refusal) else str(error), refused)
