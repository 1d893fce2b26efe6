"""Rules of the topic `offers`: which miners' offers are forwarded."""

from __future__ import annotations

from itertools import pairwise

from protocol.errors import GossipIgnore, GossipReject
from protocol.messages import ModelOffer, Offer
from protocol.rules.view import (
    CLOCK_DISPARITY_MS_MAX,
    Seen,
    View,
    check_slot_is_free,
    read_gossip,
    remember,
    verify_gossip,
)
from protocol.statement import Statement

TOPIC = "offers"
OFFER_LIFE_MS_MAX = 10 * 60 * 1000
"""Longest time that an offer may stay valid without being renewed."""


def _kinds(model: ModelOffer) -> list[int]:
    return [work.kind for work in model.works]


def validate_offer(seen: Seen, view: View, data: bytes, now_ms: int) -> Statement[Offer]:
    """The offer in `data`, to be accepted.

    :raises GossipIgnore: stale, seen, or by a miner that this peer's snapshot does not have (yet).
    :raises GossipReject: no honest peer forwards this.
    """
    envelope, offer = read_gossip(seen, data, Offer)
    # [REJECT] The offer's life is positive and not too long.
    if not offer.issued_at_ms < offer.valid_until_ms <= offer.issued_at_ms + OFFER_LIFE_MS_MAX:
        raise GossipReject("offer's life is out of bounds")
    # [REJECT] The miner takes a task at least, and names each model once, and each kind of work of a model.
    names_once = len({model.model_id for model in offer.models}) == len(offer.models)
    ascending = all(one < other for model in offer.models for one, other in pairwise(_kinds(model)))
    if not (offer.capacity and names_once and ascending):
        raise GossipReject("offer contradicts itself")
    # [IGNORE] The offer is not from the future.
    if offer.issued_at_ms > now_ms + CLOCK_DISPARITY_MS_MAX:
        raise GossipIgnore("offer is from the future")
    # [IGNORE] The offer has not lapsed.
    if offer.valid_until_ms <= now_ms:
        raise GossipIgnore("offer has lapsed")
    statement = verify_gossip(view.domain, envelope, offer, data)
    miner = statement.signer.address
    # [IGNORE] The signer is a miner of the latest snapshot. No penalty: another peer may have a newer one.
    if view.latest is None or not view.latest.miners.weight_of(miner):
        raise GossipIgnore("signer is not a miner of this epoch")
    check_slot_is_free(seen, statement)
    # [IGNORE] The offer is the miner's newest.
    newest = seen.offers.get(miner)
    if newest is not None and newest.message.sequence > offer.sequence:
        raise GossipIgnore("a newer offer is known")
    remember(seen, statement)
    seen.offers[miner] = statement
    return statement
