"""Fetching the cards of models on offer that are not known yet, as the catalogue's queue says.

Is: the loop and its fetches, each in time. Is not: the choice of what to fetch from whom (`card_queue`), or
the stream (`node/exchange/model_cards`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from node.coordinator.card_queue import CardFetch
from node.coordinator.catalogue import Catalogue
from node.exchange.model_cards import fetch_card
from p2p.host import Host
from p2p.lookup import Lookup
from protocol.errors import ProtocolError, Refusal
from protocol.model_card import ModelCard

POLL_S: Final = 0.25
FETCH_TIMEOUT_S: Final = 30.0
"""For finding the miner, reaching it, and its answer."""

log = structlog.get_logger()


async def keep_fetching(
    catalogue: Catalogue, fetch: Callable[[CardFetch], Awaitable[ModelCard]], now_ms: Callable[[], int]
) -> None:
    """Fetch what is missing until cancelled.

    :param fetch: asks the miner; raises `Refusal` or `ProtocolError` when it does not give the card.
    """

    async def carry_out(item: CardFetch) -> None:
        words = {"model_id": item.model_id.hex(), "miner": "0x" + item.miner.hex()}
        try:
            with trio.fail_after(FETCH_TIMEOUT_S):
                card = await fetch(item)
        except (Refusal, ProtocolError, trio.TooSlowError) as error:
            catalogue.queue.failed(item, now_ms())
            log.info("model card not fetched", **words, error=str(error) or type(error).__name__)
        else:
            model = catalogue.learn(item, card, now_ms())
            log.info("model learned", **words, model=catalogue.handles()[model.model_id])

    async with trio.open_nursery() as nursery:
        while True:
            while (item := catalogue.queue.take(now_ms())) is not None:
                nursery.start_soon(carry_out, item)
            await trio.sleep(POLL_S)


def fetch_over(host: Host, lookup: Lookup) -> Callable[[CardFetch], Awaitable[ModelCard]]:
    """A fetch from the miner itself, wherever the network knows it to be."""

    async def fetch(item: CardFetch) -> ModelCard:
        return await fetch_card(host, await lookup.connect(item.miner), item.model_id)

    return fetch
