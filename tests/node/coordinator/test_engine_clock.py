"""The coordinator's engine when the machine's clock is set by an hour, in one life or between two."""

from dataclasses import replace

import pytest

from node.coordinator.actions import Call, Failure
from node.coordinator.engine import WAIT_MS_MAX
from node.coordinator.journal import open_journal
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FailureKind, OrderPlaced
from node.coordinator.resumption import RETRY_MS_MAX
from protocol.messages import DeclineKind
from tests.node.coordinator import desk as desks
from tests.node.coordinator.desk import DOMAIN, MINERS, REQUEST, TERMS, Desk
from tests.node.coordinator.test_engine_restart import restarted
from tests.node.coordinator.test_journal import failed, write

HOUR_MS = 60 * 60 * 1000
STEPS_OF_CLOCK = (-HOUR_MS, HOUR_MS)


@pytest.fixture(params=STEPS_OF_CLOCK, ids=("back", "forth"))
def desk(request):
    """A desk whose clock can be set."""
    desk = Desk()
    desk.now_ms = 10 * HOUR_MS
    desk.step_ms = request.param
    return desk


def set_clock(desk):
    """The clock is set; the miners have offered again by the time that they know, which is right."""
    desk.market.ahead += desk.step_ms


def test_attack_a_clock_that_is_set_moves_no_deadline(desk):
    order_id = desk.place()
    task = desk.announced().message
    miner = desk.miner(0)
    miner.come()
    set_clock(desk)
    life_ms = task.deadline_ms - task.announced_at_ms
    desk.engine.book.tasks[miner.task.digest].live_task.turns[0].heard_at_ms = desk.now_ms + life_ms
    desk.engine.book.tasks[miner.task.digest].live_task.turns[0].ends_at_ms = desk.now_ms + life_ms
    desk.tick(life_ms - 1)
    assert desk.finished(order_id) is None
    desk.tick(1)
    assert desk.finished(order_id).kind is FailureKind.EXPIRED


def test_attack_a_clock_that_is_set_moves_no_head_start_and_no_silence(desk):
    desk.place()
    first, second = desk.miner(0), desk.miner(1)
    second.come()
    set_clock(desk)
    desk.tick(TERMS.head_start_ms - 100)
    assert second.replies == []
    desk.tick(100)
    assert second.replies == ["INPUT"]
    desk.tick(desks.PARAMETERS.progress_timeout_ms - 100)
    assert second.replies == ["INPUT"]
    desk.tick(100)
    assert second.replies[-1] == "CLOSE it was silent for 5 s"
    assert desk.of(Call)
    first.come()
    first.deliver()


def test_attack_a_clock_that_is_set_moves_no_retry_and_no_wait(desk):
    order_id = desk.place()
    for rank in range(3):
        desk.miner(rank).decline(DeclineKind.BUSY, "all slots are taken")
    set_clock(desk)
    desk.tick(RETRY_MS_MAX)
    assert desk.announced().message.number == 1
    desk.market.offered = dict.fromkeys(desk.market.offered, desk.market.offer(capacity=0))
    for rank in range(3):
        desk.miner(rank).decline(DeclineKind.BUSY, "all slots are taken")
    desk.tick(WAIT_MS_MAX - RETRY_MS_MAX - 1)
    assert desk.finished(order_id) is None
    desk.tick(1)
    reason = "no miner was free for it in 10 minutes"
    assert desk.finished(order_id) == Failure(FailureKind.EXPIRED, reason)


def test_statements_and_offers_are_about_the_time_of_day(desk):
    set_clock(desk)
    unix_ms = desk.now_ms + desk.step_ms
    live = replace(desk.market.offer(), valid_until_ms=unix_ms + 1)
    over = replace(desk.market.offer(), valid_until_ms=unix_ms)
    desk.market.offered = {key.address: over for key in MINERS} | {MINERS[2].address: live}
    order_id = desk.place()
    task = desk.announced().message
    assert (task.announced_at_ms, task.assigned) == (unix_ms, (MINERS[2].address,))
    miner = desk.miner(0)
    miner.come()
    miner.deliver()
    assert isinstance(desk.finished(order_id), Delivered)
    assert desk.journal.records[-1].delivered_at_ms == unix_ms


def test_attack_a_clock_that_was_set_back_between_two_lives_stretches_no_wait():
    desk = Desk()
    desk.now_ms = 10 * HOUR_MS
    order_id = desk.place()
    life_ms = desk.announced().message.deadline_ms - desk.announced().message.announced_at_ms
    waiting = OrderPlaced(bytes(32), "another", b"", REQUEST, (), desk.now_ms)
    desk.market.offered = dict.fromkeys(desk.market.offered, desk.market.offer(capacity=0))
    desk.did(desk.engine.place(waiting, {}, desk.now_ms))
    desk.now_ms -= HOUR_MS
    again = restarted(desk)
    again.tick(WAIT_MS_MAX)
    assert again.finished(order_id) is not None
    assert life_ms < WAIT_MS_MAX
    reason = "no miner was free for it in 10 minutes"
    assert again.finished(bytes(32)) == Failure(FailureKind.EXPIRED, reason)


def test_attack_a_clock_that_was_set_back_does_not_bring_an_older_outcome_of_a_name_to_light(tmp_path):
    """Else the app that asks again would be told of the failure, and pay for the picture twice."""
    with open_journal(tmp_path / "j", DOMAIN, desks.COORDINATOR.address) as (journal, _):
        for number, at_ms in ((1, 2 * HOUR_MS), (2, HOUR_MS)):
            write(journal, OrderPlaced(number.to_bytes(32, "big"), "a", b"body", REQUEST, (), at_ms))
            write(journal, failed(number, at_ms))
        assert journal.ended.find_key("a").order_id == (2).to_bytes(32, "big")
