"""A miner's side of one task: it goes a slice further than it is paid, and no step more."""

import dataclasses

import pytest
import trio

from node.pay.earnings import open_earnings
from node.pay.meter import TaskMeter, Unpaid
from protocol.errors import InvalidMessage
from protocol.messages import RankedMiner
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from tests.node.builders import DOMAIN as STATEMENTS
from tests.node.builders import announcement, image_work
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, PRICE_WEI, signed

STEPS = 20
MESSAGE = dataclasses.replace(
    announcement(RankedMiner(MINER.address, 0)), work=image_work(STEPS), price_micro_cai=10_000
)
TASK = open_statement(
    STATEMENTS,
    seal(STATEMENTS, MESSAGE, lambda statement: sign_digest(COORDINATOR.secret, statement.digest)),
    type(MESSAGE),
)
STEP_WEI = PRICE_WEI // STEPS


@pytest.fixture
def earnings(tmp_path):
    with open_earnings(tmp_path / "earnings.sqlite", MINER.address, DOMAIN) as opened:
        yield opened


@pytest.fixture
def meter(earnings):
    return TaskMeter(earnings, TASK, timeout_ms=5_000)


def paid_for(step):
    return signed(step * STEP_WEI, step * STEP_WEI)


async def test_it_shows_a_slice_before_the_first_voucher_then_waits(meter, autojump_clock):
    assert await meter.next_units(1) == 1
    meter.shown = 1
    assert await meter.next_units(7) == 2
    meter.shown = 2
    started = trio.current_time()
    with pytest.raises(Unpaid) as caught:
        await meter.next_units(3)
    assert caught.value.unpaid_wei == 2 * STEP_WEI
    assert trio.current_time() - started == 5


async def test_each_voucher_lets_it_go_on(meter, autojump_clock):
    meter.shown = 2
    async with trio.open_nursery() as nursery:

        async def pay():
            await trio.sleep(1)
            meter.take(paid_for(2))

        nursery.start_soon(pay)
        assert await meter.next_units(20) == 4


async def test_the_last_part_waits_for_the_whole_price(meter, autojump_clock):
    meter.shown = STEPS
    meter.take(paid_for(STEPS - 1))
    with pytest.raises(Unpaid):
        await meter.all_paid()
    meter.take(paid_for(STEPS))
    await meter.all_paid()
    assert meter.unpaid_wei == 0


async def test_what_is_left_unpaid_is_remembered_of_the_coordinator(meter, earnings):
    meter.shown = 3
    meter.take(paid_for(2))
    meter.close()
    assert earnings.account(COORDINATOR.address).unpaid_wei == STEP_WEI


async def test_a_task_that_is_started_again_counts_on(meter, earnings):
    meter.take(paid_for(6))
    again = TaskMeter(earnings, TASK, timeout_ms=5_000)
    assert again.paid_wei == 6 * STEP_WEI
    again.take(paid_for(6))
    assert await again.next_units(20) == 8
    with pytest.raises(InvalidMessage):
        again.take(paid_for(5))


async def test_a_task_for_nothing_waits_for_nobody(earnings):
    free = open_statement(
        STATEMENTS,
        seal(
            STATEMENTS,
            dataclasses.replace(MESSAGE, price_micro_cai=0),
            lambda statement: sign_digest(COORDINATOR.secret, statement.digest),
        ),
        type(MESSAGE),
    )
    meter = TaskMeter(earnings, free, timeout_ms=5_000)
    assert await meter.next_units(STEPS) == STEPS
    await meter.all_paid()
