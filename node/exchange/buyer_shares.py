"""Bytes of openings that each buyer gets: enough to audit what it may, and no way to keep a line full.

Is: a count for each coordinator and window, bounded, without I/O.
Is not: a bound for drawn auditors, whom the dice bound; a miner must not be silent to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.bounded import Bounded

BUYER_WINDOW_MS: Final = 10 * 60 * 1000
BUYER_BYTES_MAX: Final = 512 * 1024**2
"""Bytes that one buyer gets in `BUYER_WINDOW_MS`. It may have one task in five audited: of 3,000 pictures an
hour of the size of SDXL, 100 in ten minutes; with three steps, last latent and picture they have 3.4 MB each.
The opening in which it is reached is still given whole."""
BUYERS_MAX: Final = 1_024
"""Buyers that are counted at a time; each has a coordinator's stake."""


@dataclass(frozen=True, slots=True)
class _Share:
    """:ivar window: number of the window. :ivar given_bytes: in it."""

    window: int
    given_bytes: int


@dataclass(slots=True)
class BuyerCounts:
    """Since the start. :ivar given_bytes: to all buyers together. :ivar refused: openings beyond a share."""

    given_bytes: int = 0
    refused: int = 0


class BuyerShares:
    """The bytes that the buyers of one miner's work have got. :ivar counts: of all of them."""

    def __init__(self) -> None:
        self.counts = BuyerCounts()
        self._shares: Bounded[bytes, _Share] = Bounded(BUYERS_MAX)

    def has_left(self, buyer: bytes, now_ms: int) -> bool:
        """Whether a buyer, by its address, may have another opening now; if not, it is counted."""
        if self._given(buyer, now_ms) < BUYER_BYTES_MAX:
            return True
        self.counts.refused += 1
        return False

    def note(self, buyer: bytes, sent_bytes: int, now_ms: int) -> None:
        """So many bytes went to a buyer."""
        self.counts.given_bytes += sent_bytes
        given_bytes = self._given(buyer, now_ms) + sent_bytes
        self._shares[buyer] = _Share(now_ms // BUYER_WINDOW_MS, given_bytes)

    def _given(self, buyer: bytes, now_ms: int) -> int:
        share = self._shares.get(buyer)
        return 0 if share is None or share.window != now_ms // BUYER_WINDOW_MS else share.given_bytes
