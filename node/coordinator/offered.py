"""Models that live miners offer, as a coordinator lists them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from protocol.errors import ProtocolError
from protocol.pay import price_of

if TYPE_CHECKING:
    from node.coordinator.catalogue import Catalogue
    from node.inference.packages.model import Model
    from protocol.messages import ModelOffer, Offer, WorkOffer


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that live miners serve.

    :ivar name: what requests call it (`Catalogue.handles`).
    :ivar sizes: that it draws, in pixels, the default one first.
    :ivar default_steps: of a request that names no number.
    :ivar steps_max: most that a request may ask for.
    :ivar miners: how many.
    :ivar price_micro_cai: the lowest, for an image at the default size and steps; None where no offer has a
        price for a kind that is known here.
    :ivar work_kinds: what any of them does with it, ascending.
    """

    name: str
    model_id: bytes
    sizes: tuple[tuple[int, int], ...]
    default_steps: int
    steps_max: int
    miners: int
    price_micro_cai: int | None
    work_kinds: tuple[int, ...]


def offered_models(
    offers: Iterable[tuple[bytes, Offer]], catalogue: Catalogue, now_ms: int
) -> list[OfferedModel]:
    """Models of all live offers whose cards are known, by name."""
    by_id: dict[bytes, list[ModelOffer]] = {}
    for _, offer in offers:
        for model in offer.models if offer.valid_until_ms > now_ms else ():
            by_id.setdefault(model.model_id, []).append(model)
    handles = catalogue.handles()
    offered = []
    for model_id, models in by_id.items():
        known = catalogue.get(model_id)
        if known is None:
            continue
        works = [work for model in models for work in model.works]
        prices = [_default_price(known, work) for work in works]
        price = min((price for price in prices if price is not None), default=None)
        kinds = tuple(sorted({work.kind for work in works}))
        shape = (known.card.sizes, known.card.default_steps, known.card.steps_max)
        offered.append(OfferedModel(handles[model_id], model_id, *shape, len(models), price, kinds))
    return sorted(offered, key=lambda model: model.name)


def _default_price(model: Model, offer: WorkOffer) -> int | None:
    """Least price of the model's default work, in micro-CAI; None of a kind that is not known."""
    try:
        return price_of(replace(model.default_work, kind=offer.kind), offer.prices_wei).whole_micro_cai
    except ProtocolError:
        return None
