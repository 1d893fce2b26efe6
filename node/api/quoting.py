"""Prices before the work: what a request would cost as offers stand, and its ceiling held against them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from node.coordinator.coordinator import Coordinator
from node.coordinator.requests import BadRequest, ImageRequest


def quote_document(coordinator: Coordinator, requests: Sequence[ImageRequest]) -> dict[str, Any]:
    """The quote of like requests, for JSON; prices in micro-CAI, null where no miner is at hand."""
    quote, count = coordinator.quote(requests[0]), len(requests)
    most = quote.most_micro_cai
    return {
        "images": count,
        "miners": quote.miners,
        "cheapest_micro_cai": quote.cheapest_micro_cai,
        "most_micro_cai": most,
        "total_most_micro_cai": None if most is None else most * count,
        "ceiling_micro_cai": quote.ceiling_micro_cai,
    }


def require_affordable(coordinator: Coordinator, requests: Sequence[ImageRequest]) -> None:
    """Hold a request's own ceiling against the offers, before anything is placed.

    :raises BadRequest: the cheapest miner asks for more; the field is `price_max_micro_cai`.
    """
    price_max = requests[0].price_max_micro_cai
    if price_max is None:
        return
    cheapest = coordinator.quote(requests[0]).cheapest_micro_cai
    if cheapest is not None and cheapest > price_max:
        least = cheapest * len(requests)
        reason = f"price_max_micro_cai is below {least}, the least that these pictures cost now"
        raise BadRequest("price_max_micro_cai", reason)
