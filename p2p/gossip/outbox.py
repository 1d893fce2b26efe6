"""The queue of framed RPCs towards one peer.

Is: bounded in frames and bytes, taken in batches in order of rank, with a place to wait for room.
Is not: a writer; :mod:`p2p.gossip.link` takes from it.

The frame that matters most goes first, and the one that matters least goes overboard: when there is no room,
the oldest frame of the lowest rank makes some, be it a queued one or the new one itself. So a peer that reads
slowly loses gossip before forwards, and forwards before our own word.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from p2p.gossip.actions import Rank
from p2p.wakeups import Signal

if TYPE_CHECKING:
    from collections import Counter

OUTBOX_FRAMES_MAX: Final = 4_096
"""RPCs that wait for one peer; then the least important ones are dropped."""
OUTBOX_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes that wait for one peer; likewise."""
OUTBOX_BUSY_PERCENT: Final = 25
"""Above this share of either limit our own publishing waits, so that there is room for what we forward."""


class Outbox:
    """RPCs for one peer."""

    def __init__(
        self,
        dropped: Counter[Rank],
        frames_max: int = OUTBOX_FRAMES_MAX,
        bytes_max: int = OUTBOX_BYTES_MAX,
    ) -> None:
        """Begin empty. :param dropped: counts the frames that go overboard, by rank, of all outboxes."""
        # By message id where there is one, else by a number.
        self._queues: tuple[OrderedDict[bytes | int, bytes], ...] = tuple(OrderedDict() for _ in Rank)
        self._dropped = dropped
        self._frames = 0
        self._bytes = 0
        self._number = 0
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._eased = Signal()

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

    def put(self, frame: bytes, rank: Rank = Rank.CONTROL, message_id: bytes | None = None) -> None:
        """Queue a frame. If there is no room, the least important make it, or it is dropped itself.

        :param message_id: of the message that it forwards, if :meth:`spare` may be asked for it. One that is
            queued already is not queued again.
        """
        if message_id is not None and message_id in self._queues[rank]:
            return
        while self._frames >= self._frames_max or self._bytes + len(frame) > self._bytes_max:
            lowest = next((queued for queued in reversed(Rank) if self._queues[queued]), None)
            if lowest is None or lowest < rank:
                self._dropped[rank] += 1
                return
            self._note_gone(self._queues[lowest].popitem(last=False)[1])
            self._dropped[lowest] += 1
        if message_id is None:
            self._number += 1
            self._queues[rank][self._number] = frame
        else:
            self._queues[rank][message_id] = frame
        self._frames += 1
        self._bytes += len(frame)

    def spare(self, message_id: bytes) -> bool:
        """Drop the forward of a message, uncounted; returns whether it was still here."""
        frame = self._queues[Rank.FORWARD].pop(message_id, None)
        if frame is None:
            return False
        self._note_gone(frame)
        return True

    def take(self, batch_bytes: int) -> bytes:
        """Take as many frames as fit into ``batch_bytes``, best rank first; at least one if there is any."""
        batch: list[bytes] = []
        size = 0
        for queue in self._queues:
            while queue:
                key, frame = queue.popitem(last=False)
                if batch and size + len(frame) > batch_bytes:
                    queue[key] = frame
                    queue.move_to_end(key, last=False)
                    break
                size += len(frame)
                batch.append(frame)
            if queue:
                break  # a smaller frame of a lower rank does not go first
        self._frames -= len(batch)
        self._bytes -= size
        if not self.is_busy:
            self._eased.notify()
        return b"".join(batch)

    async def wait_until_eased(self) -> None:
        """Return when our own publishing need not wait."""
        while self.is_busy:
            await self._eased.wait()

    def _note_gone(self, frame: bytes) -> None:
        self._frames -= 1
        self._bytes -= len(frame)
