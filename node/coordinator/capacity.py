"""How many tasks live miners take at a time. Is: pure. Is not: whether they are free."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.messages import Offer


def capacity_of(offers: Iterable[tuple[bytes, Offer]], model_id: bytes, now_ms: int) -> int:
    """Tasks of a model that its live miners take at a time, in all."""
    live = (offer for _, offer in offers if offer.valid_until_ms > now_ms)
    return sum(offer.capacity for offer in live if any(model.model_id == model_id for model in offer.models))
