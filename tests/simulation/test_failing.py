"""Single misfortunes of orders: each ends once, nobody is paid twice."""

from tests.simulation.failing import busy_miners, dead_miners, killed_coordinators


def test_a_dead_miner_that_is_drawn_costs_an_order_time_alone():
    outcome = dead_miners(seed=1, nodes=40, minutes=0.4)
    assert outcome.holds, outcome.text()


def test_a_coordinator_that_is_killed_while_a_miner_works__resumes_and_delivers():
    outcome = killed_coordinators(seed=1, nodes=40, minutes=0.4)
    assert outcome.holds, outcome.text()


def test_miners_that_others_keep_busy__orders_wait_for_a_slot_and_are_delivered():
    outcome = busy_miners(seed=1, minutes=0.25)
    assert outcome.holds, outcome.text()
