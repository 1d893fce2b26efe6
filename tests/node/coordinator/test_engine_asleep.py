"""The coordinator's engine after its machine slept: nobody is blamed, and no paid work is dropped."""

import pytest

from node.coordinator.actions import Call, Publish
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FailureKind
from protocol.messages import ChunkKind, DeclineKind
from tests.node.coordinator.desk import PARAMETERS, TERMS, Desk

SLEPT_MS = 2 * PARAMETERS.progress_timeout_ms


@pytest.fixture
def desk():
    return Desk()


def sleep(desk, milliseconds=SLEPT_MS):
    """The machine sleeps; whatever came meanwhile comes after it."""
    desk.now_ms += milliseconds
    desk.engine.wake(desk.now_ms)
    desk.tick(0)


def working(desk):
    order_id, miner = desk.place(), desk.miner(0)
    miner.come()
    miner.chunk(ChunkKind.PROGRESS, 1)
    return order_id, miner


def test_a_miner_that_works_is_not_lost_by_a_sleep(desk):
    order_id, miner = working(desk)
    sleep(desk)
    for unit in range(2, 17):
        miner.chunk(ChunkKind.PROGRESS, unit)
    assert desk.engine.counts.turns_lost == 0
    miner.index, miner.show = 16, lambda _: None
    miner.deliver()
    assert isinstance(desk.finished(order_id), Delivered)
    assert len(desk.engine.experience) == 0


def test_a_turn_has_half_of_the_time_that_a_sleep_has_left(desk):
    _, miner = working(desk)
    task = desk.announced().message
    life_ms = task.deadline_ms - task.announced_at_ms
    sleep(desk, life_ms * 2 // 3)
    miner.chunk(ChunkKind.PROGRESS, 2)
    desk.tick(life_ms // 9)
    assert desk.engine.counts.turns_lost == 0
    miner.chunk(ChunkKind.PROGRESS, 3)
    desk.tick(life_ms // 9)
    assert desk.engine.counts.turns_lost == 1


def test_a_deadline_that_passes_in_a_sleep_blames_nobody(desk):
    order_id, miner = working(desk)
    sleep(desk, TERMS.life_ms_max)
    assert desk.finished(order_id).kind is FailureKind.EXPIRED
    assert desk.engine.experience.passed_until_ms(miner.key.address) == 0


def test_miners_whose_time_was_in_a_sleep_are_not_missed_and_called(desk):
    order_id = desk.place()
    second = desk.miner(1)
    sleep(desk, 4 * TERMS.head_start_ms)
    assert [action.miner for action in desk.of(Call)] == [desk.miner(0).key.address]
    second.come()
    second.deliver()
    assert isinstance(desk.finished(order_id), Delivered)
    assert len(desk.engine.experience) == 0


def test_a_task_whose_miners_were_all_called_before_a_sleep_waits_for_them_once_more(desk):
    order_id = desk.place()
    while len(desk.of(Call)) < 2:
        desk.tick()
    sleep(desk, 4 * TERMS.head_start_ms)
    assert desk.finished(order_id) is None
    assert len(desk.of(Publish)) == 1
    third = desk.miner(2)
    third.come()
    desk.tick(TERMS.head_start_ms)
    third.deliver()
    assert isinstance(desk.finished(order_id), Delivered)


def test_an_order_waits_after_a_sleep_for_the_offers_to_be_said_again(desk):
    order_id = desk.place()
    offered, desk.market.offered = desk.market.offered, {}
    for rank in range(3):
        desk.miner(rank).decline(DeclineKind.BUSY, "all slots are taken")
    sleep(desk)
    assert desk.finished(order_id) is None
    desk.market.offered = offered
    desk.tick()
    assert desk.announced().message.number == 1


def test_a_stream_that_a_sleep_has_broken_ends_no_turn_and_the_miner_comes_back(desk):
    order_id, miner = working(desk)
    for unit in range(2, 6):
        miner.chunk(ChunkKind.PROGRESS, unit)
    sleep(desk)
    desk.now_ms += PARAMETERS.progress_timeout_ms - 1
    miner.lose()
    assert len(desk.engine.experience) == 0
    assert [action.miner for action in desk.of(Call)] == [miner.key.address]
    back = desk.miner(0)
    back.come()
    assert back.replies[:2] == ["VOUCHER", "INPUT"]
    back.deliver()
    assert isinstance(desk.finished(order_id), Delivered)
    assert len([miner for miner, wei in desk.purse.promised_wei.items() if wei]) == 1


def test_a_stream_that_breaks_later_is_lost(desk):
    _, miner = working(desk)
    sleep(desk)
    desk.now_ms += PARAMETERS.progress_timeout_ms
    miner.lose()
    assert desk.engine.counts.turns_lost == 1
