"""Never more than the deposit: what is promised and set aside never exceeds what is there."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import ChainUnreachable
from node.pay.purse import ACCOUNTS_PER_REFRESH, DepositUsedUp, Purse
from tests.node.pay.builders import (
    COORDINATOR,
    DOMAIN,
    MINER,
    OTHER_MINER,
    UNREACHABLE,
    FakeEscrow,
    account,
    open_ledger,
    promise_more,
)
from tests.protocol.strategies import lawful


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "ledger.sqlite", COORDINATOR, DOMAIN) as opened:
        yield opened


@pytest.fixture
def escrow():
    return FakeEscrow(100)


@pytest.fixture
async def purse(ledger, escrow):
    made = Purse(ledger, escrow, COORDINATOR.address)
    await made.refresh()
    return made


def promise(purse, amount_wei, miner=MINER.address):
    """Promise so much of what is held."""
    return purse.promise(miner, purse.total_after(miner, amount_wei), amount_wei, amount_wei)


async def test_before_it_has_asked_the_chain_nothing_is_free(ledger, escrow):
    with pytest.raises(DepositUsedUp):
        Purse(ledger, escrow, COORDINATOR.address).require(1)


async def test_what_tasks_may_come_to_is_set_aside(purse):
    purse.hold(60)
    assert purse.free_wei == 40
    with pytest.raises(DepositUsedUp) as caught:
        purse.require(41)
    assert (caught.value.needed_wei, caught.value.free_wei) == (41, 40)
    assert f"cuckoo-peer chain escrow deposit 0x{COORDINATOR.address.hex()}" in caught.value.reason
    purse.release(60)
    assert purse.free_wei == 100


async def test_a_promise_stays_outstanding_and_the_rest_is_free_again(purse):
    purse.hold(60)
    voucher = promise(purse, 25)
    assert (voucher.task_wei, voucher.cumulative_wei) == (25, 25)
    assert purse.free_wei == 40
    purse.release(35)
    assert purse.free_wei == 75


async def test_a_promise_that_is_made_twice_takes_nothing_the_second_time(purse):
    purse.hold(25)
    voucher = promise(purse, 25)
    assert purse.promise(MINER.address, 25, 0, 25) == voucher
    assert purse.free_wei == 75


async def test_a_redemption_changes_nothing_of_what_is_free(purse, escrow, ledger):
    purse.hold(30)
    promise(purse, 30)
    escrow.pay(MINER.address, 30)
    assert purse.free_wei == 70
    await purse.refresh()
    assert (purse.free_wei, ledger.outstanding_wei) == (70, 0)


async def test_what_is_announced_to_leave_is_gone(purse, escrow):
    escrow.leaving_wei = 90
    await purse.refresh()
    with pytest.raises(DepositUsedUp):
        purse.require(11)


async def test_a_new_miner_is_looked_up_first_and_a_known_one_also_without_a_chain(purse, escrow, ledger):
    escrow.accounts[MINER.address] = account(7, 7)
    await purse.load_account(MINER.address)
    assert promise_more(ledger, MINER.address, 1).amount_wei == 8
    escrow.failure = UNREACHABLE
    await purse.load_account(MINER.address)
    with pytest.raises(ChainUnreachable):
        await purse.load_account(OTHER_MINER.address)


async def test_many_miners_are_asked_for_in_turn(purse, escrow, ledger):
    miners = [number.to_bytes(20, "big") for number in range(ACCOUNTS_PER_REFRESH + 8)]
    for miner in miners:
        promise_more(ledger, miner, 1)
        escrow.pay(miner, 1)
    escrow.asked.clear()
    await purse.refresh()
    assert len(escrow.asked) == ACCOUNTS_PER_REFRESH + 1
    await purse.refresh()
    assert ledger.outstanding_wei == 0


async def test_an_outage_leaves_what_was_known_and_ends_by_itself(purse, escrow, autojump_clock):
    async with trio.open_nursery() as nursery:
        escrow.failure = UNREACHABLE
        nursery.start_soon(purse.run, 1.0)
        await trio.sleep(5)
        assert purse.free_wei == 100
        escrow.failure, escrow.balance_wei = None, 150
        await trio.sleep(2)
        assert purse.free_wei == 150
        nursery.cancel_scope.cancel()


@settings(lawful, max_examples=20)
@given(
    deposit=st.integers(0, 100),
    events=st.lists(st.tuples(st.sampled_from("rpcx"), st.integers(1, 60), st.integers(0, 60)), max_size=30),
)
def test_promised_never_exceeds_the_deposit_whatever_tasks_come(tmp_path_factory, deposit, events):
    """r: a task is set aside for, p: the last one promises, c: it ends, x: the miner redeems all."""

    async def play(ledger):
        escrow = FakeEscrow(deposit)
        purse = Purse(ledger, escrow, COORDINATOR.address)
        await purse.refresh()
        redeemed, open_tasks = 0, []
        for event, amount, part in events:
            match event:
                case "r":
                    try:
                        purse.require(amount)
                    except DepositUsedUp:
                        assert amount > purse.free_wei
                        continue
                    purse.hold(amount)
                    open_tasks.append(amount)
                case "p" if open_tasks:
                    promised = min(part, open_tasks[-1])
                    promise(purse, promised)
                    open_tasks[-1] -= promised
                case "c" if open_tasks:
                    purse.release(open_tasks.pop())
                case "x":
                    owed = promise_more(ledger, MINER.address, 0).amount_wei - redeemed
                    assert owed <= escrow.balance_wei, "a voucher would bounce"
                    escrow.pay(MINER.address, owed)
                    redeemed += owed
                    await purse.refresh()
            assert purse.free_wei >= 0
        for held in open_tasks:
            purse.release(held)
        assert ledger.outstanding_wei + redeemed + purse.free_wei == deposit

    path = tmp_path_factory.mktemp("purse") / "ledger.sqlite"
    with open_ledger(path, COORDINATOR, DOMAIN) as ledger:
        trio.run(play, ledger)
