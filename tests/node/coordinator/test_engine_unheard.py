"""The coordinator's engine when nobody comes: for what is wrong with this node, or with all miners."""

import pytest

from node.coordinator.actions import Failure, Publish
from node.coordinator.arrivals import ARRIVAL_MS, OCCUPIED_MAX
from node.coordinator.engine import ATTEMPTS_MAX, WAIT_MS_MAX
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FailureKind
from node.coordinator.resumption import RETRY_MS_MAX
from protocol.messages import DeclineKind
from tests.node.coordinator.desk import MINERS, PARAMETERS, TERMS, Desk


@pytest.mark.parametrize("reason", ["the chain has not answered for 3 s", "this clock is 3,000 ms fast"])
def test_a_task_that_nobody_hears_of_ends_with_what_is_wrong_with_this_node(reason):
    """When two have not come: the app hears of it within five seconds on a devnet."""
    desk = Desk()
    order_id = desk.place()
    desk.market.not_ready = reason
    desk.tick(TERMS.head_start_ms + ARRIVAL_MS - 1)
    assert desk.finished(order_id) is None
    desk.tick(1)
    assert desk.finished(order_id) == Failure(FailureKind.NO_MINER, reason)
    assert desk.purse.held_wei == 0


def test_attack_the_first_is_late_while_the_chain_is_silent_and_the_second_comes():
    desk = Desk()
    order_id = desk.place()
    desk.market.not_ready = "the chain has not answered for 3 s"
    desk.tick(TERMS.head_start_ms)
    second = desk.miner(1)
    second.come()
    second.deliver()
    assert isinstance(desk.finished(order_id), Delivered)


def test_miners_that_do_not_come_are_not_drawn_for_it_again():
    desk = Desk(miners=MINERS[:3])
    order_id = desk.place()
    for _ in range(100):
        desk.tick()
    reason = "none of the 3 drawn miners did it: none of them came by its time"
    assert desk.finished(order_id) == Failure(FailureKind.FAILED, reason)
    assert len(desk.of(Publish)) == 1


def desk_of_three(capacity):
    desk = Desk(miners=MINERS[:3])
    desk.market.offered = {key.address: desk.market.offer(capacity=capacity) for key in MINERS[:3]}
    return desk


def test_miners_that_come_for_another_task_instead_are_busy_and_fail_no_order():
    """A machine under load: all slots serve other orders, and nobody comes for this one by its time."""
    desk = desk_of_three(capacity=4)
    order_id = desk.place()
    desk.tick()
    other_id = desk.place(2)
    miners = [desk.miner(rank) for rank in range(3)]
    for miner in miners:
        miner.come()
    miners[0].deliver()
    assert isinstance(desk.finished(other_id), Delivered)
    while len(desk.of(Publish)) == 2:
        desk.tick()
        assert desk.finished(order_id) is None
    first = desk.miner(0)
    first.come()
    first.deliver()
    assert isinstance(desk.finished(order_id), Delivered)


def test_attack_miners_come_for_other_tasks_only():
    """An order that they never come for ends, and says so."""
    desk = desk_of_three(capacity=1_000)
    order_id = desk.place()
    others = 0
    while desk.finished(order_id) is None:
        desk.tick(4_000)
        others += 1
        other_id = desk.place(1 + others)
        for rank in range(3 * (desk.finished(other_id) is None)):
            desk.miner(rank).decline(DeclineKind.NOT_HERE, "it will not")
    said = "none of the 3 drawn miners did it: none of them came by its time"
    assert desk.finished(order_id) == Failure(FailureKind.FAILED, said)
    # Each of three miners has its time, then all wait for one that was silent, and a pause is left.
    turn_ms = 3 * (TERMS.head_start_ms + ARRIVAL_MS) + PARAMETERS.progress_timeout_ms + RETRY_MS_MAX
    assert desk.now_ms < 1_000_000 + (OCCUPIED_MAX + ATTEMPTS_MAX) * turn_ms < 1_000_000 + WAIT_MS_MAX // 4


def test_a_node_that_is_not_ready_lets_those_go_on_who_came():
    desk = Desk()
    order_id = desk.place()
    miner = desk.miner(0)
    miner.come()
    desk.market.not_ready = "the chain has not answered for 3 s"
    desk.tick(TERMS.head_start_ms)
    miner.deliver()
    assert isinstance(desk.finished(order_id), Delivered)
