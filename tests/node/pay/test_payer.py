"""A coordinator's side of one task: a voucher when a slice is due, once, to each miner that works."""

import dataclasses

import pytest

from contracts.errors import ChainUnreachable
from node.pay.ledger import open_ledger
from node.pay.payer import TaskPay
from node.pay.purse import DepositUsedUp, Purse
from protocol.messages import RankedMiner
from tests.node.builders import announcement, image_work
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, OTHER_MINER, PRICE_WEI, FakeEscrow

STEPS = 20
TASK = dataclasses.replace(
    announcement(RankedMiner(MINER.address, 0), RankedMiner(OTHER_MINER.address, 0)),
    work=image_work(STEPS),
    price_micro_cai=10_000,
)


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "ledger.sqlite", COORDINATOR, DOMAIN) as opened:
        yield opened


@pytest.fixture
def escrow():
    return FakeEscrow(2 * PRICE_WEI)


@pytest.fixture
async def purse(ledger, escrow):
    made = Purse(ledger, escrow, COORDINATOR.address)
    await made.refresh()
    return made


@pytest.fixture
def pay(purse):
    made = TaskPay(purse, TASK)
    with made.reservation.held():
        yield made


def shown(pay, miner, steps):
    return {step: voucher.task_wei for step in steps if (voucher := pay.show(miner.address, step))}


async def test_a_voucher_a_slice_up_to_the_price(pay, ledger):
    assert await pay.begin(MINER.address) is None
    vouchers = shown(pay, MINER, range(1, STEPS + 1))
    assert vouchers == {step: PRICE_WEI * step // STEPS for step in range(2, STEPS + 1, 2)}
    assert ledger.entry(MINER.address).promised_wei == pay.paid_wei == PRICE_WEI
    assert pay.reservation.left_wei == 0
    assert pay.settle(MINER.address) is None


async def test_an_app_that_goes_away_pays_for_the_steps_done(pay):
    await pay.begin(MINER.address)
    assert shown(pay, MINER, range(1, 6)) == {2: PRICE_WEI // 10, 4: PRICE_WEI // 5}
    settled = pay.settle(MINER.address)
    assert settled.task_wei == settled.cumulative_wei == PRICE_WEI // 4
    assert pay.settle(MINER.address) is None


async def test_who_has_shown_nothing_gets_nothing(pay):
    await pay.begin(MINER.address)
    assert pay.settle(MINER.address) is None
    assert pay.settle(OTHER_MINER.address) is None


async def test_the_next_miner_is_paid_for_its_own_steps_and_the_lost_one_keeps_its(pay, purse):
    await pay.begin(MINER.address)
    shown(pay, MINER, range(1, 11))
    await pay.begin(OTHER_MINER.address)
    assert pay.reservation.left_wei == PRICE_WEI
    shown(pay, OTHER_MINER, range(1, STEPS + 1))
    assert pay.paid_wei == PRICE_WEI * 3 // 2
    assert purse.free_wei == PRICE_WEI // 2


async def test_a_deposit_that_has_nothing_left_for_the_next_miner(pay, purse):
    await pay.begin(MINER.address)
    shown(pay, MINER, range(1, 11))
    with purse.reserve(PRICE_WEI).held(), pytest.raises(DepositUsedUp):
        await pay.begin(OTHER_MINER.address)
    await pay.begin(OTHER_MINER.address)


async def test_a_miner_that_begins_again_is_not_paid_twice(pay, ledger):
    await pay.begin(MINER.address)
    shown(pay, MINER, range(1, 11))
    again = await pay.begin(MINER.address)
    assert again.task_wei == again.cumulative_wei == PRICE_WEI // 2
    assert pay.unit_limit(MINER.address) == 12
    assert shown(pay, MINER, range(1, STEPS + 1)) == {
        step: PRICE_WEI * step // STEPS for step in range(12, STEPS + 1, 2)
    }
    assert ledger.entry(MINER.address).promised_wei == PRICE_WEI


async def test_two_tasks_with_one_miner_add_up(pay, purse, ledger):
    other = TaskPay(purse, TASK)
    with other.reservation.held():
        for task in (pay, other):
            await task.begin(MINER.address)
        for step in range(1, STEPS + 1):
            for task in (pay, other):
                task.show(MINER.address, step)
    assert ledger.entry(MINER.address).promised_wei == 2 * PRICE_WEI
    assert purse.free_wei == 0


async def test_no_task_is_announced_that_the_deposit_does_not_cover(pay, purse):
    TaskPay(purse, TASK)
    with pytest.raises(DepositUsedUp):
        TaskPay(purse, TASK)


async def test_a_new_miner_is_not_paid_while_the_chain_is_away(pay, escrow):
    escrow.reachable = False
    with pytest.raises(ChainUnreachable):
        await pay.begin(MINER.address)


async def test_a_task_for_nothing_needs_no_voucher(purse):
    free = TaskPay(purse, dataclasses.replace(TASK, price_micro_cai=0))
    with free.reservation.held():
        assert await free.begin(MINER.address) is None
        assert free.unit_limit(MINER.address) == STEPS
        assert shown(free, MINER, range(1, STEPS + 1)) == {}
