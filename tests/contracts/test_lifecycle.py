"""A whole life on the chain, from the faucet to the last wei: nothing appears, and nothing gets lost."""

from __future__ import annotations

import pytest

from contracts.contract import Contract
from contracts.escrow import voucher_data
from contracts.records import Equivocation, Role, Voucher
from contracts.transactions import Sender
from protocol.amounts import WEI_PER_CAI
from tests.contracts.world import (
    COORDINATOR_STAKE_WEI,
    NODE,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    UNBONDING_DELAY_S,
)

pytestmark = pytest.mark.process

CAI = WEI_PER_CAI
STAKE_WEI = 30_000 * CAI
VOTE_WEI = 10_000 * CAI


async def held(world, *accounts):
    return sum([await world.token.balance(account) for account in accounts])


async def test_faucet_stake_register_vote_earn_claim_slash_unbond_withdraw(world):
    staking, rewards, token = world.staking, world.rewards, world.token
    newcomer = Sender(world.chain.rpc, world.chain.accounts()[6])
    people = (world.owner.address, world.ann.address, world.ben.address, world.reporter.address)
    people += (newcomer.address,)
    contracts = (staking.address, world.escrow.address)
    before = await held(world, *people)
    supply = await token.total_supply()

    # Faucet, stake, register, vote
    await token.faucet(newcomer, VOTE_WEI)
    await token.approve(newcomer, staking.address, VOTE_WEI)
    await world.register(amount_wei=STAKE_WEI)
    await world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    shares = await staking.vote(newcomer, NODE, VOTE_WEI)

    # Earn: from the stream by stake and time, and a share of the node's fees
    stream = await rewards.fund(world.reporter, 1_000 * CAI)
    await world.escrow.deposit(world.ben, OTHER_NODE, 500 * CAI)
    voucher = Voucher(coordinator=OTHER_NODE, miner=NODE, cumulative_amount_wei=400 * CAI)
    signature = voucher_data(voucher, world.escrow.chain_id, world.escrow.address).sign(OTHER_NODE_SECRET)
    await world.escrow.redeem(world.ann, voucher, signature)
    pay_wei = await world.escrow.collect(world.ann, NODE, [OTHER_NODE])
    assert pay_wei == 360 * CAI
    await world.chain.pass_time(stream.end_time_s - await world.chain.time_s() + 1)

    # Claim
    claimed = await rewards.claim(newcomer, NODE) + await rewards.claim(world.owner, NODE)
    claimed += await rewards.claim(world.owner, OTHER_NODE)
    assert 1_040 * CAI - CAI // 100 < claimed <= 1_040 * CAI

    # Unbond half, then be slashed in the middle of it
    request = await staking.unvote(newcomer, NODE, shares // 2)
    assert request.amount_wei == VOTE_WEI // 2
    one, other = (world.statement(text, slot=bytes(32)) for text in (b"one", b"other"))
    equivocation = Equivocation(
        kind=2,
        slot=bytes(32),
        body_a=one.body,
        signature_a=one.signature,
        body_b=other.body,
        signature_b=other.signature,
    )
    outcome = await world.slashing.submit_equivocation(world.reporter, equivocation)
    assert outcome.taken_wei == STAKE_WEI + VOTE_WEI
    assert outcome.unbonding_taken_wei == VOTE_WEI // 2
    slashing = Contract(world.chain.rpc, world.slashing.address, "Slashing")
    await world.chain.mine(await slashing.read("PRIORITY_BLOCKS") + 1)
    assert await world.slashing.claim_reward(world.ben, outcome.evidence_key) == outcome.reward_wei
    assert await staking.burn_slashed(world.ben) == outcome.burned_wei

    # Withdraw: nothing of what was slashed, all of what was not
    own = await staking.shares(OTHER_NODE, world.owner.address)
    leaving = await staking.unvote(world.owner, OTHER_NODE, own)
    await world.escrow.announce_withdrawal(world.owner, OTHER_NODE, 100 * CAI)
    deposit = await world.escrow.deposit_of(OTHER_NODE)
    await world.chain.pass_time(deposit.withdrawable_from_s - await world.chain.time_s() + 1)
    assert await world.escrow.withdraw(world.owner, OTHER_NODE) == 100 * CAI
    await world.chain.pass_time(UNBONDING_DELAY_S)
    assert await staking.withdraw(newcomer, NODE, request.request_id) == 0
    assert await staking.withdraw(world.owner, OTHER_NODE, leaving.request_id) == COORDINATOR_STAKE_WEI

    # To the last wei: what people have, what rounding has left behind, and what was burned
    rounded = await held(world, *contracts)
    assert rounded == 1_040 * CAI - claimed
    assert await held(world, *people) == before + VOTE_WEI - outcome.burned_wei - rounded
    assert await token.total_supply() == supply + VOTE_WEI - outcome.burned_wei
