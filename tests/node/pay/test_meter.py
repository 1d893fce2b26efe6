"""A miner's side of one task: it goes a slice further than it is paid, and no unit more."""

import dataclasses

import pytest

from node.pay.meter import TaskAccount, TaskMeter, Unpaid
from protocol.messages import RankedMiner
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from tests.node.builders import DOMAIN as STATEMENTS
from tests.node.builders import announcement, image_work
from tests.node.pay.builders import COORDINATOR, MINER, PRICE_WEI

UNITS = 20
SLICE = 2
MESSAGE = dataclasses.replace(
    announcement(RankedMiner(MINER.address, 0)), work=image_work(UNITS), price_micro_cai=10_000
)
UNIT_WEI = PRICE_WEI // UNITS
PATIENCE_MS = 5_000


def task_of(message):
    encoded = seal(STATEMENTS, message, lambda unsigned: sign_digest(COORDINATOR.secret, unsigned.digest))
    return open_statement(STATEMENTS, encoded, type(message))


TASK = task_of(MESSAGE)


@pytest.fixture
def meter():
    return TaskMeter(TASK, 0, PATIENCE_MS)


def test_a_slice_may_be_shown_before_the_first_voucher(meter):
    assert meter.unit_limit == SLICE
    meter.show(SLICE)
    assert meter.unit_limit == SLICE
    assert meter.unpaid_wei == SLICE * UNIT_WEI


def test_each_voucher_lets_it_go_on(meter):
    meter.show(SLICE)
    meter.pay(SLICE * UNIT_WEI)
    assert meter.unit_limit == 2 * SLICE
    assert meter.unpaid_wei == 0


def test_what_was_paid_before_a_restart_counts():
    assert TaskMeter(TASK, 6 * UNIT_WEI, PATIENCE_MS).unit_limit == 6 + SLICE


def test_all_units_are_covered_by_the_whole_price_alone(meter):
    meter.pay(PRICE_WEI - 1)
    assert not meter.covers(UNITS)
    meter.pay(PRICE_WEI)
    assert meter.covers(UNITS)


def test_the_patience_begins_once_and_anew_with_every_step_on(meter):
    assert meter.due_at_ms is None
    meter.wait(100)
    meter.wait(200)
    assert meter.due_at_ms == 100 + PATIENCE_MS
    meter.pay(UNIT_WEI)
    assert meter.due_at_ms is None
    meter.wait(300)
    meter.show(1)
    assert meter.due_at_ms is None
    meter.wait(400)
    assert meter.due_at_ms == 400 + PATIENCE_MS


def test_a_new_stream_is_shown_all_again_and_what_is_owed_stays(meter):
    meter.show(SLICE)
    meter.wait(1)
    meter.begin_stream()
    assert (meter.shown, meter.due_at_ms) == (0, None)
    assert meter.unpaid_wei == SLICE * UNIT_WEI


def test_the_account_says_what_was_left_unpaid(meter):
    assert meter.account() == TaskAccount(TASK, showed_anything=False, unpaid_wei=0, doubtful=False)
    meter.show(SLICE)
    meter.pay(UNIT_WEI)
    meter.doubtful = True
    assert meter.account() == TaskAccount(TASK, showed_anything=True, unpaid_wei=UNIT_WEI, doubtful=True)


def test_a_task_for_nothing_waits_for_nobody():
    meter = TaskMeter(task_of(dataclasses.replace(MESSAGE, price_micro_cai=0)), 0, PATIENCE_MS)
    assert meter.unit_limit == UNITS
    assert meter.covers(UNITS)


def test_unpaid_says_so_to_the_coordinator():
    error = Unpaid(5)
    assert (error.reason, error.unpaid_wei) == ("you have not paid for what you were shown", 5)
