"""Shares of the neighbours in the judging of evidence: who brings what proves nothing is read less.

Is: a count of fruitless pieces for each forwarder and minute, bounded, without I/O.
Is not: a penalty, which the rules and the mesh's scores are; nor a bound on pieces that are true.

An honest neighbour brings only what it has accepted itself, so hardly anything that is fruitless here. What
is rejected cost a proof. What is ignored cost a signature at most, but a stranger can make pieces about keys
of its own without end. A forwarder with stake is bounded by what is rejected alone: it may bring one true
piece among many that others know already.
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
REJECTED_MAX: Final = 64
"""Pieces in `WINDOW_MS` that prove nothing and that one forwarder may bring; the next are not read."""
FRUITLESS_MAX: Final = 512
"""Pieces in `WINDOW_MS` that a forwarder without stake may bring for nothing, with those ignored."""
FORWARDERS_MAX: Final = 4_096
"""Forwarders that are counted at a time; beyond it the one is forgotten that was counted longest ago."""


@dataclass(slots=True)
class ShareCounts:
    """Since the start. :ivar fruitless: pieces that were ignored or rejected. :ivar unread: not even read."""

    fruitless: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class _Share:
    """:ivar window: by number. :ivar fruitless: pieces in it. :ivar rejected: of these."""

    window: int
    fruitless: int = 0
    rejected: int = 0


class EvidenceShares:
    """The shares of one peer's neighbours. :ivar counts: of pieces."""

    def __init__(self, is_staked: Callable[[PeerId], bool]) -> None:
        """:param is_staked: whether a peer has stake in the latest epoch."""
        self.counts = ShareCounts()
        self._is_staked = is_staked
        self._shares: Bounded[PeerId, _Share] = Bounded(FORWARDERS_MAX)

    def guarded(self, validator: Validator, clock: Callable[[], int]) -> Validator:
        """The validator of evidence, within the shares. :param clock: Unix milliseconds."""

        def validate(data: bytes, forwarder: PeerId) -> Validation:
            if not self.may_bring(forwarder, clock()):
                return Validation.UNREAD
            try:
                return validator(data, forwarder)
            except (GossipIgnore, GossipReject) as refusal:
                is_rejected = isinstance(refusal, GossipReject)
                self.note_fruitless(forwarder, clock(), is_rejected=is_rejected)
                raise

        return validate

    def may_bring(self, forwarder: PeerId, now_ms: int) -> bool:
        """Whether the next piece that a peer brings is read."""
        share = self._share(forwarder, now_ms)
        is_within = share.rejected < REJECTED_MAX
        if is_within and (share.fruitless < FRUITLESS_MAX or self._is_staked(forwarder)):
            return True
        self.counts.unread += 1
        return False

    def note_fruitless(self, forwarder: PeerId, now_ms: int, *, is_rejected: bool) -> None:
        """A piece that a peer has brought was ignored or rejected."""
        self.counts.fruitless += 1
        share = self._share(forwarder, now_ms)
        rejected = share.rejected + is_rejected
        self._shares[forwarder] = _Share(share.window, share.fruitless + 1, rejected)

    def _share(self, forwarder: PeerId, now_ms: int) -> _Share:
        window = now_ms // WINDOW_MS
        share = self._shares.get(forwarder)
        return share if share is not None and share.window == window else _Share(window)
