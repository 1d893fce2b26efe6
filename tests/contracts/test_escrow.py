"""Deposits and vouchers by the typed client: pay, debt, penalty, and what each refuses."""

from __future__ import annotations

import dataclasses

import pytest

from contracts.contract import Contract
from contracts.errors import ContractReverted
from contracts.escrow import voucher_data
from contracts.records import Role, Voucher
from protocol.amounts import WEI_PER_CAI
from tests.contracts.world import (
    COORDINATOR_STAKE_WEI,
    NODE,
    NODE_SECRET,
    OTHER_NODE,
    OTHER_NODE_SECRET,
)

pytestmark = pytest.mark.process

COORDINATOR, COORDINATOR_SECRET = OTHER_NODE, OTHER_NODE_SECRET
CAI = WEI_PER_CAI
FEE_SHARE = 10
"""One part in so many of a miner's pay is for those who stake behind it."""


async def founded(world, deposit_cai=100):
    await world.register()
    await world.register(COORDINATOR_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    if deposit_cai:
        await world.escrow.deposit(world.ann, COORDINATOR, deposit_cai * CAI)


def signed(world, amount_wei, secret=COORDINATOR_SECRET):
    voucher = Voucher(coordinator=COORDINATOR, miner=NODE, cumulative_amount_wei=amount_wei)
    return voucher, voucher_data(voucher, world.escrow.chain_id, world.escrow.address).sign(secret)


async def redeem(world, amount_cai):
    return await world.escrow.redeem(world.ben, *signed(world, amount_cai * CAI))


async def refused(name, call):
    with pytest.raises(ContractReverted) as caught:
        await call
    assert caught.value.name == name


async def test_the_contracts_voucher_digest_is_ours(world):
    voucher, _ = signed(world, 5)
    contract = Contract(world.chain.rpc, world.escrow.address, "Escrow")
    theirs = await contract.read("voucherDigest", (COORDINATOR, NODE, 5))
    assert theirs == voucher_data(voucher, world.escrow.chain_id, world.escrow.address).digest()


async def test_the_newest_voucher_pays_for_all_to_the_last_wei(world):
    await founded(world)
    before = await world.token.balance(world.owner.address)
    await redeem(world, 30)
    await redeem(world, 50)
    assert (await world.escrow.deposit_of(COORDINATOR)).balance_wei == 50 * CAI
    account = await world.escrow.account(COORDINATOR, NODE)
    assert (account.promised_wei, account.paid_wei, account.debt_wei) == (50 * CAI, 50 * CAI, 0)
    pay_wei = await world.escrow.collect(world.ben, NODE, [COORDINATOR])
    assert pay_wei == 50 * CAI - 50 * CAI // FEE_SHARE
    assert await world.token.balance(world.owner.address) == before + pay_wei
    assert await world.rewards.flowing_fees(NODE) == 5 * CAI
    await world.chain.pass_time(7 * 24 * 3600)
    assert await world.rewards.claimable(NODE, world.owner.address) in range(5 * CAI - 10**6, 5 * CAI + 1)


async def test_an_old_voucher_is_worth_nothing(world):
    await founded(world)
    await redeem(world, 30)
    await refused("NothingToMove", redeem(world, 30))
    await refused("NothingToMove", redeem(world, 20))


async def test_a_voucher_is_its_coordinators_alone(world):
    await founded(world)
    await refused("VoucherNotByCoordinator", world.escrow.redeem(world.ben, *signed(world, CAI, NODE_SECRET)))
    voucher, signature = signed(world, CAI)
    dearer = dataclasses.replace(voucher, cumulative_amount_wei=2 * CAI)
    await refused("VoucherNotByCoordinator", world.escrow.redeem(world.ben, dearer, signature))


async def test_redeeming_costs_the_same_however_many_tasks_were_paid(world):
    await founded(world)
    gas = [(await redeem(world, amount)).gas_used for amount in (1, 2, 40, 99)]
    assert max(gas[1:]) - min(gas[1:]) <= 50  # a byte of the amount that is not zero
    assert max(gas[1:]) <= 75_000


async def test_many_vouchers_at_once_pass_over_those_that_are_old(world):
    await founded(world)
    await redeem(world, 10)
    pairs = [signed(world, amount * CAI) for amount in (5, 20, 30)]
    await world.escrow.redeem_many(world.ben, *zip(*pairs, strict=True))
    assert (await world.escrow.account(COORDINATOR, NODE)).paid_wei == 30 * CAI


async def test_a_bounced_voucher_is_a_debt_that_costs_stake_after_its_grace(world):
    await founded(world, deposit_cai=10)
    await redeem(world, 25)
    account = await world.escrow.account(COORDINATOR, NODE)
    assert (account.paid_wei, account.debt_wei) == (10 * CAI, 15 * CAI)
    await refused("InGrace", world.escrow.report_bounced(world.ben, COORDINATOR, NODE))
    grace_s = await Contract(world.chain.rpc, world.escrow.address, "Escrow").read("GRACE")
    await world.chain.pass_time(grace_s + 1)
    before = (await world.staking.node_info(COORDINATOR)).total_stake_wei
    await world.escrow.report_bounced(world.ben, COORDINATOR, NODE)
    account = await world.escrow.account(COORDINATOR, NODE)
    assert account.defaulted
    # Penalties are whole parts of ten thousand, rounded in favour of nobody who gains by them.
    assert 149 * CAI // 10 < account.compensation_wei <= 15 * CAI
    lost = before - (await world.staking.node_info(COORDINATOR)).total_stake_wei
    assert 30 * CAI <= lost < 231 * CAI
    await refused("NoDebt", world.escrow.report_bounced(world.ben, COORDINATOR, NODE))


async def test_anybody_tops_up_and_the_debt_is_settled(world):
    await founded(world, deposit_cai=0)
    await redeem(world, 25)
    await world.escrow.deposit(world.ben, COORDINATOR, 5 * CAI)
    await world.escrow.settle_debt(world.ben, COORDINATOR, NODE)
    assert (await world.escrow.account(COORDINATOR, NODE)).debt_wei == 20 * CAI
    await world.escrow.pay_debt(world.ann, COORDINATOR, NODE)
    account = await world.escrow.account(COORDINATOR, NODE)
    assert (account.debt_wei, account.bounced_at_s) == (0, 0)


async def test_a_deposit_leaves_after_its_notice_and_pays_until_then(world):
    await founded(world)
    await refused("NotTheOwner", world.escrow.announce_withdrawal(world.ann, COORDINATOR, CAI))
    announced = await world.escrow.announce_withdrawal(world.owner, COORDINATOR, 100 * CAI)
    await refused("NotWithdrawable", world.escrow.withdraw(world.owner, COORDINATOR))
    await redeem(world, 40)
    await world.chain.pass_time(announced.withdrawable_from_s - await world.chain.time_s() + 1)
    assert await world.escrow.withdraw(world.owner, COORDINATOR) == 60 * CAI
    assert (await world.escrow.deposit_of(COORDINATOR)).balance_wei == 0
