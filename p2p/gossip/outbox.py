"""The queue of framed RPCs towards one peer.

Is: bounded in frames and bytes, taken in batches in order of rank, with a place to wait for room.
Is not: a writer; :mod:`p2p.gossip.service` takes from it.

What matters most goes first, and what matters least goes overboard: when there is no room, the oldest frame
of the lowest rank makes some, be it a queued one or the new one itself. So a peer that reads slowly loses
gossip before forwards, and forwards before our own word.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import trio

from p2p.gossip.actions import Rank

if TYPE_CHECKING:
    from collections import Counter

OUTBOX_FRAMES_MAX: Final = 4_096
"""RPCs that wait for one peer; then the least important ones are dropped."""
OUTBOX_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes that wait for one peer; likewise."""
OUTBOX_BUSY_PERCENT: Final = 25
"""Above this share of either limit our own publishing waits, so that there is room for what we forward."""


class Outbox:
    """RPCs for one peer. One task takes, any may put."""

    def __init__(
        self,
        dropped: Counter[Rank],
        frames_max: int = OUTBOX_FRAMES_MAX,
        bytes_max: int = OUTBOX_BYTES_MAX,
    ) -> None:
        """Begin empty. :param dropped: counts the frames that go overboard, by rank, of all outboxes."""
        self._queues: tuple[deque[bytes], ...] = tuple(deque() for _ in Rank)
        self._dropped = dropped
        self._frames = 0
        self._bytes = 0
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._filled = trio.Event()
        self._eased = trio.Event()

    def __len__(self) -> int:
        return self._frames

    @property
    def held_bytes(self) -> int:
        """Bytes that wait."""
        return self._bytes

    @property
    def is_busy(self) -> bool:
        """Whether our own publishing should wait."""
        return (
            self._frames * 100 > self._frames_max * OUTBOX_BUSY_PERCENT
            or self._bytes * 100 > self._bytes_max * OUTBOX_BUSY_PERCENT
        )

    def put(self, frame: bytes, rank: Rank = Rank.CONTROL) -> None:
        """Queue a frame. If there is no room, the least important make it, or it is dropped itself."""
        while self._frames >= self._frames_max or self._bytes + len(frame) > self._bytes_max:
            lowest = next((queued for queued in reversed(Rank) if self._queues[queued]), None)
            if lowest is None or lowest < rank:
                self._dropped[rank] += 1
                return
            self._remove(lowest)
            self._dropped[lowest] += 1
        self._queues[rank].append(frame)
        self._frames += 1
        self._bytes += len(frame)
        self._filled.set()

    async def take(self, batch_bytes: int) -> bytes:
        """Wait for frames and take as many as fit into ``batch_bytes``, at least one, best rank first."""
        while not self._frames:
            self._filled = trio.Event()
            await self._filled.wait()
        batch: list[bytes] = []
        size = 0
        for rank in Rank:
            queue = self._queues[rank]
            while queue and (not batch or size + len(queue[0]) <= batch_bytes):
                size += len(queue[0])
                batch.append(self._remove(rank))
            if queue:
                break  # a smaller frame of a lower rank does not go first
        if not self.is_busy:
            self._eased.set()
        return b"".join(batch)

    async def wait_until_eased(self) -> None:
        """Return when our own publishing need not wait."""
        while self.is_busy:
            self._eased = trio.Event()
            await self._eased.wait()

    def _remove(self, rank: Rank) -> bytes:
        frame = self._queues[rank].popleft()
        self._frames -= 1
        self._bytes -= len(frame)
        return frame
