"""tests/simulation/market.py: its laws, and that they can be broken."""

import pytest

from node.coordinator.outcomes import Delivered
from tests.simulation.market import Market
from tests.simulation.memo import shared_results
from tests.simulation.network import build
from tests.simulation.outcome import Outcome


@pytest.fixture
def market():
    """Four orders in a small market, delivered."""
    with shared_results():
        network = build(1, 12, coordinators=2)
        market = Market(network)
        network.start()
        network.warm_up(6)
        market.ask_every(500, 4)
        network.run_for(1_500)
        market.run_until_over(30_000)
        yield market


def broken(market):
    outcome = Outcome("laws", 1)
    market.check_laws(outcome)
    return [sentence for sentence, holds in outcome.checks if not holds]


def test_orders_are_delivered_with_pictures_and_paid_to_the_winner_alone(market):
    assert broken(market) == []
    for coordinator in market.coordinators.values():
        for order in coordinator.orders.values():
            (outcome,) = order.outcomes
            assert isinstance(outcome, Delivered)
            assert outcome.receipt.matches(outcome.output)
            task_id, winner = order.winner
            price_wei = coordinator.announced[task_id].message.price_micro_cai * 10**12
            paid = {address: miner.pay.claimed_wei(task_id) for address, miner in market.miners.items()}
            assert {address: wei for address, wei in paid.items() if wei} == {winner: price_wei}


def test_an_order_that_ends_twice_is_found(market):
    order = market.orders[0]
    order.outcomes.append(order.outcomes[0])
    assert broken(market) == ["every order ends exactly once"]


def test_a_number_with_two_bodies_is_found(market):
    coordinator = next(iter(market.coordinators.values()))
    next(iter(coordinator.bodies.values())).add(b"another")
    assert broken(market) == ["no number has two bodies"]


def test_a_wei_too_much_is_found(market):
    coordinator = next(iter(market.coordinators.values()))
    miner = next(iter(coordinator.purse.promised_wei))
    coordinator.purse.promised_wei[miner] += 1
    assert broken(market) == ["nobody is paid for more than it made, or twice for the same"]


def test_a_forgotten_reservation_is_found(market):
    next(iter(market.coordinators.values())).purse.hold(1)
    assert broken(market) == ["nothing stays reserved when all is over"]
