"""The queue of framed RPCs towards one peer.

Is: bounded in frames and bytes, taken in batches, with a place to wait for room.
Is not: a writer; :mod:`p2p.gossip.service` takes from it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import trio

OUTBOX_FRAMES_MAX: Final = 4_096
"""RPCs that wait for one peer; further ones are dropped."""
OUTBOX_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes that wait for one peer; an RPC that would exceed them is dropped."""
OUTBOX_BUSY_PERCENT: Final = 25
"""Above this share of either limit our own publishing waits, so that there is room for what we forward."""


class Outbox:
    """RPCs for one peer. One task takes, any may put."""

    def __init__(self, frames_max: int = OUTBOX_FRAMES_MAX, bytes_max: int = OUTBOX_BYTES_MAX) -> None:
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._filled = trio.Event()
        self._eased = trio.Event()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def is_busy(self) -> bool:
        """Whether our own publishing should wait."""
        return (
            len(self._frames) * 100 > self._frames_max * OUTBOX_BUSY_PERCENT
            or self._bytes * 100 > self._bytes_max * OUTBOX_BUSY_PERCENT
        )

    def put(self, frame: bytes) -> bool:
        """Queue a frame. False: it was dropped, there is no room."""
        if len(self._frames) >= self._frames_max or self._bytes + len(frame) > self._bytes_max:
            return False
        self._frames.append(frame)
        self._bytes += len(frame)
        self._filled.set()
        return True

    async def take(self, batch_bytes: int) -> bytes:
        """Wait for frames and take as many as fit into ``batch_bytes``, at least one."""
        while not self._frames:
            self._filled = trio.Event()
            await self._filled.wait()
        batch = [self._frames.popleft()]
        size = len(batch[0])
        while self._frames and size + len(self._frames[0]) <= batch_bytes:
            size += len(self._frames[0])
            batch.append(self._frames.popleft())
        self._bytes -= size
        if not self.is_busy:
            self._eased.set()
        return b"".join(batch)

    async def wait_until_eased(self) -> None:
        """Return when our own publishing need not wait."""
        while self.is_busy:
            self._eased = trio.Event()
            await self._eased.wait()
