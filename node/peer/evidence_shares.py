"""Shares of the neighbours in the judging of evidence: who brings what proves nothing is read less.

Is: a count of fruitless pieces for each forwarder and minute, bounded, without I/O.
Is not: a penalty, which the rules and the mesh's scores are; nor a bound on pieces that are true.

An honest neighbour brings only what it has accepted itself, so hardly anything that is fruitless here. A
stranger can make pieces about keys of its own without end, and each would cost a signature's recovery.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from p2p.identity import PeerId
from p2p.mesh import Validation, Validator
from protocol.bounded import Bounded
from protocol.errors import GossipIgnore, GossipReject

WINDOW_MS: Final = 60_000
FRUITLESS_MAX: Final = 64
"""Pieces in `WINDOW_MS` that one forwarder may bring for nothing; the next are not read until it is over."""
FRUITLESS_STAKED_MAX: Final = 512
"""The same of a forwarder that has stake: a peer that hears of an epoch late finds much of it fruitless."""
FORWARDERS_MAX: Final = 4_096
"""Forwarders that are counted at a time; beyond it the one is forgotten that was counted longest ago."""


@dataclass(slots=True)
class ShareCounts:
    """Since the start. :ivar fruitless: pieces that were ignored or rejected. :ivar unread: not even read."""

    fruitless: int = 0
    unread: int = 0


class EvidenceShares:
    """The shares of one peer's neighbours. :ivar counts: of pieces."""

    def __init__(self, is_staked: Callable[[PeerId], bool]) -> None:
        """:param is_staked: whether a peer has stake in the latest epoch."""
        self.counts = ShareCounts()
        self._is_staked = is_staked
        self._fruitless: Bounded[PeerId, tuple[int, int]] = Bounded(FORWARDERS_MAX)

    def guarded(self, validator: Validator, clock: Callable[[], int]) -> Validator:
        """The validator of evidence, within the shares. :param clock: Unix milliseconds."""

        def validate(data: bytes, forwarder: PeerId) -> Validation:
            if not self.may_bring(forwarder, clock()):
                return Validation.UNREAD
            try:
                return validator(data, forwarder)
            except (GossipIgnore, GossipReject):
                self.note_fruitless(forwarder, clock())
                raise

        return validate

    def may_bring(self, forwarder: PeerId, now_ms: int) -> bool:
        """Whether the next piece that a peer brings is read."""
        fruitless = self._count(forwarder, now_ms)
        if fruitless < FRUITLESS_MAX:
            return True
        if fruitless < FRUITLESS_STAKED_MAX and self._is_staked(forwarder):
            return True
        self.counts.unread += 1
        return False

    def note_fruitless(self, forwarder: PeerId, now_ms: int) -> None:
        """A piece that a peer has brought was ignored or rejected."""
        self.counts.fruitless += 1
        self._fruitless[forwarder] = now_ms // WINDOW_MS, self._count(forwarder, now_ms) + 1

    def _count(self, forwarder: PeerId, now_ms: int) -> int:
        window, count = self._fruitless.get(forwarder, (0, 0))
        return count if window == now_ms // WINDOW_MS else 0
