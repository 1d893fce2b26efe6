"""The miners that a coordinator passes over, and why: live offers, prices, what works for it already, and
its own experience.

Is: the judgement behind `RankedMiner.passed_over`, pure.
Is not: the draw (`protocol/draw`), which it cannot change: a miner is passed over where the draw has put it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocol.bounded import Bounded
from protocol.errors import ProtocolError
from protocol.messages import PassedOver
from protocol.pay import Price, price_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from node.coordinator.records import OrderRequest
    from protocol.draw import Snapshot
    from protocol.messages import Offer

EXPERIENCE_MINERS_MAX: Final = 4_096
"""Miners that are remembered for having failed this coordinator; the oldest is forgotten first."""
FIRST_PASS_MS: Final = 30_000
"""How long a miner is passed over for its first failure; each further one doubles it."""
PASS_MS_MAX: Final = 60 * 60 * 1000
"""Longest time that a miner is passed over for having failed."""
FALSE_PASS_MS: Final = 24 * 60 * 60 * 1000
"""How long one is passed over whose work this coordinator has found false, whoever else is left."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A miner with a live offer for an order. :ivar price: of this work. :ivar capacity: tasks at a time.

    :ivar typical_ms: of the model's default work, as it says; 0 if it does not.
    """

    price: Price
    capacity: int
    typical_ms: int


class Experience:
    """Miners that took pay from this coordinator and gave nothing, or nothing usable."""

    def __init__(self) -> None:
        self._failures: Bounded[bytes, tuple[int, int]] = Bounded(EXPERIENCE_MINERS_MAX)
        self._false_until_ms: Bounded[bytes, int] = Bounded(EXPERIENCE_MINERS_MAX)

    def __len__(self) -> int:
        """Miners that are remembered."""
        return len(self._failures)

    def note_failure(self, miner: bytes, now_ms: int) -> None:
        """It was given a turn, and made nothing of it."""
        count = self._failures.get(miner, (0, 0))[0] + 1
        self._failures[miner] = (count, now_ms + min(PASS_MS_MAX, FIRST_PASS_MS << min(count - 1, 16)))

    def note_absence(self, miner: bytes, absent_ms: int, now_ms: int) -> None:
        """It did not come. One outage, of the miner or of this node, is one failure for all orders together:
        an absence adds nothing to a time for which the miner is passed over already.

        :param absent_ms: when it had not come.
        """
        if absent_ms >= self.passed_until_ms(miner):
            self.note_failure(miner, now_ms)

    def note_success(self, miner: bytes) -> None:
        """It delivered: what was is forgotten."""
        self._failures.pop(miner, None)

    def note_false(self, miner: bytes, now_ms: int) -> None:
        """Work that it delivered is false. No delivery makes up for that."""
        self._false_until_ms[miner] = now_ms + FALSE_PASS_MS

    def is_false(self, miner: bytes, now_ms: int) -> bool:
        """Whether it is passed over for false work, even if nobody else is left."""
        return now_ms < self._false_until_ms.get(miner, 0)

    def failures(self, miner: bytes) -> int:
        """How often it has failed since it last delivered."""
        return self._failures.get(miner, (0, 0))[0]

    def passed_until_ms(self, miner: bytes) -> int:
        """Until when it is passed over for what it did; 0 if it is not."""
        return max(self._failures.get(miner, (0, 0))[1], self._false_until_ms.get(miner, 0))


def candidates(
    offers: Iterable[tuple[bytes, Offer]], request: OrderRequest, now_ms: int
) -> dict[bytes, Candidate]:
    """Miners with a live offer for the work, by address, whatever they ask. :param now_ms: time of day."""
    found: dict[bytes, Candidate] = {}
    for miner, offer in offers:
        if offer.valid_until_ms <= now_ms:
            continue
        for model in offer.models:
            work_offer = model.work_offer(request.work.kind) if model.model_id == request.model_id else None
            if work_offer is None:
                continue
            try:
                price = price_of(request.work, work_offer.prices_wei)
            except ProtocolError:
                continue  # an offer that no announcement can meet
            found[miner] = Candidate(price, offer.capacity, work_offer.typical_ms)
    return found


class Choice:
    """One order's judgement of all miners, at one moment."""

    def __init__(
        self,
        found: Mapping[bytes, Candidate],
        request: OrderRequest,
        *,
        miners: Snapshot,
        busy: Counter[bytes],
        experience: Experience,
        wanted: int,
        now_ms: int,
        tried: frozenset[bytes] = frozenset(),
    ) -> None:
        """:param busy: tasks that each miner works on, or is awaited for, for this coordinator.

        :param wanted: miners to assign: experience never leaves fewer than so many.
        :param tried: miners whose turn for the same order has ended; they have it again if nobody else is
            free.
        """
        self._found = {miner: item for miner, item in found.items() if miners.weight_of(miner)}
        self._price_max = request.price_max_micro_cai
        self._busy = busy
        affordable = [miner for miner in self._found if self._is_affordable(miner)]
        self.is_offered = bool(self._found)
        self.is_affordable = bool(affordable)
        honest = [miner for miner in affordable if not experience.is_false(miner, now_ms)]
        self.is_honest = bool(honest)
        self._false = set(affordable) - set(honest)
        free = [miner for miner in honest if not self._is_busy(miner)]
        bad = [miner for miner in free if experience.passed_until_ms(miner) > now_ms]
        spared = max(0, wanted - (len(free) - len(bad)))
        bad.sort(key=experience.passed_until_ms)
        self._bad = set(bad[spared:])
        if set(free) - self._bad - tried:
            self._bad |= tried
        self.free = set(free) - self._bad

    def __call__(self, miner: bytes) -> PassedOver:
        """Why the miner is passed over, or that it is not."""
        if miner not in self._found:
            return PassedOver.NO_OFFER
        if not self._is_affordable(miner):
            return PassedOver.TOO_EXPENSIVE
        if miner in self._false:
            return PassedOver.EXPERIENCE
        if self._is_busy(miner):
            return PassedOver.BUSY
        return PassedOver.EXPERIENCE if miner in self._bad else PassedOver.ASSIGNED

    def _is_affordable(self, miner: bytes) -> bool:
        return self._found[miner].price.whole_micro_cai <= self._price_max

    def _is_busy(self, miner: bytes) -> bool:
        return self._busy[miner] >= self._found[miner].capacity

    def price(self, assigned: Iterable[bytes]) -> Price:
        """The least price that covers the offers of all assigned."""
        price = Price(0, 0)
        for miner in assigned:
            price = price.raised_to(self._found[miner].price)
        return price

    def typical_ms(self, assigned: Iterable[bytes]) -> int:
        """The longest typical time of the assigned; 0 if one of them does not say."""
        times = [self._found[miner].typical_ms for miner in assigned]
        return 0 if 0 in times else max(times, default=0)
