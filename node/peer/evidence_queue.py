"""Evidence that waits to be written or gossiped: bounded, slashable first, and slashable lost last.

Is: a queue of one piece for each fault of a signer, with a count of pieces that found no room. Slashable is
what the contract can judge.
Is not: a memory of what went through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import trio

from node.peer.evidence_store import OffenceKey
from protocol.draw import EpochView
from protocol.evidence import Evidence, Offence


@dataclass(frozen=True, slots=True)
class FoundEvidence:
    """A piece of evidence that verified.

    :ivar offence: what it proves. :ivar epochs: by number, that it was judged by.
    """

    evidence: Evidence
    offence: Offence
    epochs: Mapping[int, EpochView]


class EvidenceQueue:
    """For one task that takes.

    :ivar dropped: pieces that it had no room for.
    """

    def __init__(self, items_max: int) -> None:
        """:param items_max: most pieces that wait."""
        self._items_max = items_max
        self._slashable: dict[OffenceKey, FoundEvidence] = {}
        self._others: dict[OffenceKey, FoundEvidence] = {}
        self._arrived = trio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._slashable) + len(self._others)

    def put(self, found: FoundEvidence) -> bool:
        """Add a piece, unless one of this fault of this signer waits already; returns whether it waits now.

        Of a full queue, the oldest that the contract cannot judge makes room for one that it can.
        """
        key = found.offence.key
        lane = self._slashable if found.offence.slashable_by_contract else self._others
        if key in lane:
            return True
        if len(self) >= self._items_max:
            self.dropped += 1
            if lane is self._others or not self._others:
                return False
            del self._others[next(iter(self._others))]
        lane[key] = found
        self._arrived.set()
        return True

    async def first(self) -> FoundEvidence:
        """Wait for a piece; it stays until it is `done`, so that a cancelled task loses nothing."""
        while not len(self):
            self._arrived = trio.Event()
            await self._arrived.wait()
        return next(iter((self._slashable or self._others).values()))

    def done(self, found: FoundEvidence) -> None:
        """Forget a piece."""
        for lane in (self._slashable, self._others):
            if lane.get(found.offence.key) is found:
                del lane[found.offence.key]
