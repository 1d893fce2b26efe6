"""Prices before the work: what a request would cost as offers stand; and ceilings that are below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from node.api.currency import Currency
from node.coordinator.coordinator import Coordinator
from node.coordinator.requests import BadRequest, ImageRequest


def quote_document(
    coordinator: Coordinator, requests: Sequence[ImageRequest], currency: Currency | None = None
) -> dict[str, Any]:
    """The quote of like requests, for JSON; prices in micro-CAI, null where no miner is at hand.

    :param currency: in which the whole price is said, too.
    """
    quote, count = coordinator.quote(requests[0]), len(requests)
    most = quote.most_micro_cai
    total = None if most is None else most * count
    return {
        "images": count,
        "miners": quote.miners,
        "cheapest_micro_cai": quote.cheapest_micro_cai,
        "most_micro_cai": most,
        "total_most_micro_cai": total,
        "total_most": None if currency is None else currency.price(total),
        "ceiling_micro_cai": quote.ceiling_micro_cai,
    }


def require_affordable(coordinator: Coordinator, request: ImageRequest) -> None:
    """Hold the ceiling of a request that found no miner against the offers.

    Not before it is placed: an order that is known by its name is found again, whatever it would cost now.

    :raises BadRequest: the cheapest miner asks for more; the field is `price_max_micro_cai`.
    """
    price_max = request.price_max_micro_cai
    cheapest = coordinator.quote(request).cheapest_micro_cai
    if price_max is not None and cheapest is not None and cheapest > price_max:
        reason = (
            f"price_max_micro_cai leaves {price_max} for a picture, and the cheapest costs {cheapest} now"
        )
        raise BadRequest("price_max_micro_cai", reason)
