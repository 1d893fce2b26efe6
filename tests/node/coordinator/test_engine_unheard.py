"""The coordinator's engine when nobody comes: for what is wrong with this node, or with all miners."""

from node.coordinator.actions import Failure, Publish
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FailureKind
from tests.node.coordinator.desk import MINERS, TERMS, Desk


def test_a_task_that_nobody_hears_of_ends_with_what_is_wrong_with_this_node():
    desk = Desk()
    order_id = desk.place()
    desk.market.not_ready = "this clock is 3,000 ms fast"
    desk.tick(3 * TERMS.head_start_ms - 1)
    assert desk.finished(order_id) is None
    desk.tick(1)
    assert desk.finished(order_id) == Failure(FailureKind.NO_MINER, "this clock is 3,000 ms fast")
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


def test_a_node_that_is_not_ready_lets_those_go_on_who_came():
    desk = Desk()
    order_id = desk.place()
    miner = desk.miner(0)
    miner.come()
    desk.market.not_ready = "the chain has not answered for 3 s"
    desk.tick(TERMS.head_start_ms)
    miner.deliver()
    assert isinstance(desk.finished(order_id), Delivered)
