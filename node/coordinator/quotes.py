"""Prices of requests, before they are placed. Is: pure. Is not: a promise; offers change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.coordinator.choice import candidates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.coordinator.records import OrderRequest
    from protocol.draw import Snapshot
    from protocol.messages import Offer


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of one order, in micro-CAI.

    :ivar miners: with a live offer that is not above the ceiling.
    :ivar cheapest_micro_cai: least that any miner asks, also above the ceiling; None without an offer.
    :ivar most_micro_cai: most that the order can cost now, as the dearest of `miners` asks; None without
        them.
    :ivar ceiling_micro_cai: the most that is paid: this coordinator's own, or the request's if that is less.
    """

    miners: int
    cheapest_micro_cai: int | None
    most_micro_cai: int | None
    ceiling_micro_cai: int


def quote(
    offers: Iterable[tuple[bytes, Offer]], request: OrderRequest, miners: Snapshot | None, now_ms: int
) -> Quote:
    """The quote of an order at this moment. :param miners: of the epoch, who alone can be drawn."""
    found = candidates(offers, request, now_ms)
    prices = [
        candidate.price.whole_micro_cai
        for miner, candidate in found.items()
        if miners is not None and miners.weight_of(miner)
    ]
    ceiling = request.price_max_micro_cai
    payable = [price for price in prices if price <= ceiling]
    return Quote(len(payable), min(prices, default=None), max(payable, default=None), ceiling)
