"""A miner's money on a real chain: credit, redeeming by itself, and no more at risk than it allows."""

import dataclasses

import pytest
import trio

from contracts.records import Role
from contracts.transactions import Sender
from node.pay import redeemer
from node.pay.earnings import open_earnings
from node.pay.meter import TaskAccount
from node.pay.payee import REFUSAL_AGE_MAX_S, CreditTerms, Payee
from node.pay.purse import Purse
from node.pay.vouchers import EscrowDomain
from node.signing.keys import Key
from protocol.errors import InvalidMessage
from protocol.messages import RankedMiner
from protocol.pay import SignedVoucher
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from tests.contracts.conftest import chain_process, deployment, world
from tests.contracts.world import COORDINATOR_STAKE_WEI, NODE, NODE_SECRET, OTHER_NODE, OTHER_NODE_SECRET
from tests.limits import HANG_S
from tests.node.builders import DOMAIN as STATEMENTS
from tests.node.builders import announcement
from tests.node.pay.builders import (
    PRICE_WEI,
    REVERTED_WITHOUT_DATA,
    UNREACHABLE,
    open_ledger,
    promise_more,
    signed,
)

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment", "world"]

COORDINATOR, MINER = Key.of(OTHER_NODE_SECRET), Key.of(NODE_SECRET)
CREDIT_TASKS = 10
NOTICE_PART = 3


@pytest.fixture
async def payee(world, tmp_path):
    """A miner that is paid by one coordinator, whose deposit is worth a hundred tasks."""
    await world.register()
    await world.register(COORDINATOR.secret, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    await world.escrow.deposit(world.ann, OTHER_NODE, 100 * PRICE_WEI)
    domain = EscrowDomain.of(world.deployment)
    with open_earnings(tmp_path / "earnings.sqlite", NODE, domain) as earnings:
        sender = Sender(world.chain.rpc, world.chain.accounts()[2])
        made = Payee(
            earnings, world.clients, sender, CreditTerms(CREDIT_TASKS * PRICE_WEI, least_wei=PRICE_WEI)
        )
        made.world, made.domain, made.earnings = world, domain, earnings
        yield made


def task(number=0, price_micro_cai=10_000):
    message = dataclasses.replace(
        announcement(RankedMiner(NODE, 0)),
        coordinator=OTHER_NODE,
        input_commitment=number.to_bytes(32, "big"),
        price_micro_cai=price_micro_cai,
    )
    encoded = seal(STATEMENTS, message, lambda unsigned: sign_digest(COORDINATOR.secret, unsigned.digest))
    return open_statement(STATEMENTS, encoded, type(message))


class NoCredit(Exception):
    """The miner does not do the task."""


def voucher(payee, task_wei, total_wei):
    return signed(
        task_wei, total_wei, key=COORDINATOR, coordinator=COORDINATOR, miner=MINER, domain=payee.domain
    )


async def begin(payee, announced):
    """Look at the credit, as the engine has it done, and begin; :raises NoCredit: with the reason."""
    reason = await payee.why_no_credit(announced.message) or payee.begin(announced)
    if reason is not None:
        raise NoCredit(reason)


def end(payee, announced, unpaid_wei=0, *, doubtful=False):
    payee.end(TaskAccount(announced, showed_anything=True, unpaid_wei=unpaid_wei, doubtful=doubtful))


async def work(payee, number, paid=True):
    """Do one task, from the look at the credit to the last voucher."""
    announced = task(number)
    await begin(payee, announced)
    if paid:
        total_wei = payee.earnings.account(OTHER_NODE).promised_wei + PRICE_WEI
        payee.take(OTHER_NODE, announced.digest, voucher(payee, PRICE_WEI, total_wei))
        assert payee.claimed_wei(announced.digest) == PRICE_WEI
    end(payee, announced, 0 if paid else PRICE_WEI)


async def paid_wei(payee):
    return (await payee.world.escrow.account(OTHER_NODE, NODE)).paid_wei


async def until_paid(payee, wei):
    with trio.fail_after(HANG_S):
        while await paid_wei(payee) != wei:
            await trio.sleep(0.02)


async def test_it_redeems_when_half_of_the_credit_is_used_and_goes_on(payee):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(payee.run, 1_000)
        for number in range(CREDIT_TASKS // 2):
            assert await paid_wei(payee) == 0
            await work(payee, number)
        await until_paid(payee, CREDIT_TASKS // 2 * PRICE_WEI)
        for number in range(CREDIT_TASKS // 2, CREDIT_TASKS):
            await work(payee, number)
        await until_paid(payee, CREDIT_TASKS * PRICE_WEI)
        nursery.cancel_scope.cancel()
    assert payee.status().tasks.tasks_paid == CREDIT_TASKS


async def test_without_redeeming_the_credit_ends(payee):
    for number in range(CREDIT_TASKS):
        await work(payee, number)
    with pytest.raises(NoCredit, match="used up"):
        await work(payee, CREDIT_TASKS)
    assert payee.counts.tasks_refused == 1


async def test_tasks_at_the_same_time_share_the_credit(payee):
    tasks = [task(number) for number in range(CREDIT_TASKS + 3)]
    looks = [await payee.why_no_credit(one.message) for one in tasks]
    assert set(looks) == {None}
    refused = [one for one in tasks if payee.begin(one) is not None]
    assert refused == tasks[CREDIT_TASKS:]
    end(payee, tasks[0])
    assert payee.begin(refused[0]) is None


async def test_a_coordinator_without_a_deposit_is_refused(payee):
    await payee.world.escrow.announce_withdrawal(payee.world.owner, OTHER_NODE, 100 * PRICE_WEI)
    with pytest.raises(NoCredit, match="does not cover"):
        await work(payee, 0)


async def test_a_deposit_that_has_just_grown_counts_at_once(payee):
    for number in range(2):
        await work(payee, number)
    escrow, owner = payee.world.escrow, payee.world.owner
    await escrow.announce_withdrawal(owner, OTHER_NODE, 100 * PRICE_WEI)
    await payee._standings.of(OTHER_NODE, 0.0)
    await trio.sleep(REFUSAL_AGE_MAX_S)
    await escrow.announce_withdrawal(owner, OTHER_NODE, 0)
    await work(payee, 2)


async def test_a_coordinator_that_never_pays_costs_one_task(payee):
    """By slices: what it was shown and did not pay for is never more than the price of one."""
    await work(payee, 0, paid=False)
    await work(payee, 1, paid=False)
    with pytest.raises(NoCredit, match="more unpaid"):
        await work(payee, 2, paid=False)
    assert payee.status().coordinators[OTHER_NODE].unpaid_micro_cai == 20_000


async def test_it_redeems_before_a_deposit_leaves(payee):
    await work(payee, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(payee.run, 10)
        await trio.sleep(0.3)
        assert await paid_wei(payee) == 0
        await payee.world.escrow.announce_withdrawal(payee.world.owner, OTHER_NODE, PRICE_WEI)
        await until_paid(payee, PRICE_WEI)
        nursery.cancel_scope.cancel()


async def test_it_redeems_when_the_coordinator_takes_its_stake_out(payee):
    await work(payee, 0)
    staking = payee.world.staking
    async with trio.open_nursery() as nursery:
        nursery.start_soon(payee.run, 10)
        await trio.sleep(0.3)
        assert await paid_wei(payee) == 0
        shares = await staking.shares(OTHER_NODE, payee.world.owner.address)
        await staking.unvote(payee.world.owner, OTHER_NODE, shares // NOTICE_PART)
        await until_paid(payee, PRICE_WEI)
        nursery.cancel_scope.cancel()


async def test_a_coordinator_that_lost_its_ledger_finds_back_in_the_contract_what_it_had_promised(
    payee, tmp_path
):
    await work(payee, 0)
    domain, escrow = payee.domain, payee.world.escrow
    with open_ledger(tmp_path / "new-ledger.sqlite", COORDINATOR, domain) as ledger:
        purse = Purse(ledger, escrow, OTHER_NODE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(payee.run, 60_000)
            await purse.load_account(NODE)
            forgetful = promise_more(ledger, NODE, PRICE_WEI // 2)
            voucher = SignedVoucher.of(PRICE_WEI // 2, forgetful.amount_wei, forgetful.signature)
            doubted = task(1)
            assert payee.begin(doubted) is None
            with pytest.raises(InvalidMessage):
                payee.take(OTHER_NODE, doubted.digest, voucher)
            end(payee, doubted, PRICE_WEI // 2, doubtful=True)
            await until_paid(payee, PRICE_WEI)
            await purse.refresh()
            healed = promise_more(ledger, NODE, PRICE_WEI)
            payee.take(
                OTHER_NODE,
                task(2).digest,
                SignedVoucher.of(PRICE_WEI, healed.amount_wei, healed.signature),
            )
            nursery.cancel_scope.cancel()


async def test_it_redeems_when_it_stops(payee):
    await work(payee, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(payee.run, 60_000)
        await trio.sleep(0.2)
        nursery.cancel_scope.cancel()
    assert await paid_wei(payee) == PRICE_WEI


async def test_it_redeems_now_and_then(payee, monkeypatch):
    monkeypatch.setattr(redeemer, "REDEEM_EVERY_S", 0.1)
    await work(payee, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(payee.run, 10)
        await until_paid(payee, PRICE_WEI)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("failure", [UNREACHABLE, REVERTED_WITHOUT_DATA])
async def test_attack_a_chain_that_fails_every_read_stops_new_tasks_and_nothing_else(
    payee, monkeypatch, failure
):
    async def away(*_):
        raise failure

    monkeypatch.setattr(payee.world.clients.escrow, "account", away)
    with pytest.raises(NoCredit, match="cannot be asked"):
        await work(payee, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(payee.run, 10)
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()


async def test_a_task_for_nothing_needs_no_credit(payee):
    assert await payee.why_no_credit(task(price_micro_cai=0).message) is None
    assert payee.begin(task(price_micro_cai=0)) is None
