"""The loop that fetches cards: what fails is tried elsewhere, what hangs is left, and cancelling ends it."""

import pytest
import trio

from node.coordinator.card_fetching import FETCH_TIMEOUT_S, keep_fetching
from node.coordinator.catalogue import Catalogue
from protocol.errors import InvalidMessage, Refusal
from tests.protocol.builders import model_card

MODEL_ID = b"\x02" * 32
GOOD, BAD = b"\x01" * 20, b"\x00" * 20


def now_ms() -> int:
    return round(trio.current_time() * 1000)


async def learned_after_s(bad_act) -> float:
    """Seconds until the card of a model is there that a bad miner offers first, and a good one too."""
    catalogue = Catalogue([])
    for miner in (BAD, GOOD):
        catalogue.note_offer(MODEL_ID, miner, now_ms())

    async def fetch(item):
        if item.miner == BAD:
            await bad_act()
        return model_card()

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_fetching, catalogue, fetch, now_ms)
        while catalogue.get(MODEL_ID) is None:
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert catalogue.find("small").model_id == MODEL_ID
    return trio.current_time() - started


async def raise_refusal():
    raise Refusal("no such model or file is here")


async def raise_protocol_error():
    raise InvalidMessage("card is not that of the model")


@pytest.mark.parametrize("act", [raise_refusal, raise_protocol_error])
async def test_the_next_miner_is_asked(act, autojump_clock):
    assert await learned_after_s(act) < 1


async def test_attack_a_miner_that_never_answers(autojump_clock):
    assert FETCH_TIMEOUT_S <= await learned_after_s(trio.sleep_forever) < FETCH_TIMEOUT_S + 1
