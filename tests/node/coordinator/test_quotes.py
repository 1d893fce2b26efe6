"""What a request would cost, before it is placed."""

from node.coordinator.quotes import Quote, quote
from node.coordinator.requests import ImageRequest
from protocol.draw import Snapshot
from protocol.messages import ModelOffer, Offer, WorkOffer
from protocol.pay import unit_price_wei
from protocol.work import WorkKind
from tests.node.builders import PACKAGE

CHEAP, DEAR, DEAREST, UNSTAKED = (bytes([number]) * 20 for number in range(4))
PRICES = {CHEAP: 8_000, DEAR: 10_000, DEAREST: 50_000, UNSTAKED: 1}
MINERS = Snapshot.of([(miner, 10**18) for miner in (CHEAP, DEAR, DEAREST)])
CEILING = 20_000


def offers(valid_until_ms=1 << 60):
    for miner, price in PRICES.items():
        work = WorkOffer(WorkKind.TEXT_TO_IMAGE, (unit_price_wei(price, PACKAGE.default_work),))
        yield miner, Offer(0, 0, valid_until_ms, 1, (ModelOffer(PACKAGE.model_id, (work,)),))


def order(steps=20, price_max=None):
    request = ImageRequest(PACKAGE, "a cat", "", 32, 32, steps, 0, 4000, 0, price_max_micro_cai=price_max)
    return request.order(CEILING)


def test_a_quote_is_of_miners_that_can_be_drawn_and_are_not_too_dear():
    assert quote(offers(), order(), MINERS, 0) == Quote(2, 8_000, 10_000, CEILING)


def test_a_request_of_half_the_steps_costs_half():
    assert quote(offers(), order(steps=10), MINERS, 0) == Quote(2, 4_000, 5_000, CEILING // 2)


def test_the_requests_own_ceiling_holds_if_it_is_lower():
    assert quote(offers(), order(price_max=9_999), MINERS, 0) == Quote(1, 8_000, 8_000, 9_999)
    assert quote(offers(), order(price_max=7_999), MINERS, 0) == Quote(0, 8_000, None, 7_999)
    assert quote(offers(), order(price_max=CEILING + 1), MINERS, 0).ceiling_micro_cai == CEILING


def test_without_an_offer_or_an_epoch_there_is_no_price():
    nothing = Quote(0, None, None, CEILING)
    assert quote(offers(valid_until_ms=5), order(), MINERS, 5) == nothing
    assert quote(offers(), order(), None, 0) == nothing
