"""A miner's offers, said again and again while it works.

Is: what it offers, when, and under which number. Is not: prices and models (`terms`), or whether it pauses
(`throttle`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import trio

from node.miner.terms import ModelTerms
from node.miner.throttle import Throttle
from node.peer.peer import Peer
from node.system.clock import now_ms
from protocol.messages import Kind, Offer
from protocol.rules import offers


async def keep_offering(
    peer: Peer, terms: ModelTerms, throttle: Throttle, typical_ms: Mapping[bytes, int]
) -> NoReturn:
    """Offer every `offer_interval_ms` while this miner has stake and does not pause, until cancelled.

    :param typical_ms: time of each model's default work, by model id.
    """
    parameters = peer.network.parameters
    while True:
        latest = peer.view.latest
        if not throttle.pause_reason and latest is not None and latest.miners.weight_of(peer.key.address):
            now = now_ms()
            offer = Offer(
                # By time: a guard that is lost or old does not lead back to numbers that were used.
                sequence=max(peer.guard.next_sequence(Kind.OFFER), now),
                issued_at_ms=now,
                valid_until_ms=now + parameters.offer_life_ms,
                capacity=terms.capacity,
                models=terms.models(typical_ms),
            )
            await peer.publish(offers.TOPIC, peer.seal(offer).encoded)
        await trio.sleep(parameters.offer_interval_ms / 1000)
