from __future__ import annotations

import pytest

from contracts.contract import Contract
from contracts.errors import ContractReverted
from contracts.records import Role
from tests.contracts.world import (
    COORDINATOR_STAKE_WEI,
    MINER_STAKE_WEI,
    NODE,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    SLOT,
    UNBONDING_DELAY_S,
)

pytestmark = pytest.mark.process
MICRO_CAI_WEI = 10**12


async def report(world, one, other, *, kind=2, slot=SLOT):
    return await world.slashing.submit_equivocation(
        world.reporter,
        kind=kind,
        slot=slot,
        body_a=one.body,
        signature_a=one.signature,
        body_b=other.body,
        signature_b=other.signature,
    )


async def refused(name, call):
    with pytest.raises(ContractReverted) as caught:
        await call
    assert caught.value.name == name


async def test_equivocation_takes_own_voters_and_unbonding_stake_to_the_last_wei(world):
    await world.register()
    await world.staking.vote(world.ann, NODE, 333)
    ben_shares = await world.staking.vote(world.ben, NODE, 4444)
    request = await world.staking.unvote(world.ben, NODE, ben_shares)
    own_shares = await world.staking.shares(NODE, world.owner.address)
    own_request = await world.staking.unvote(world.owner, NODE, own_shares // 4)
    supply = await world.token.total_supply()

    outcome = await report(world, world.statement(b"one"), world.statement(b"other"))
    everything = MINER_STAKE_WEI + 333 + 4444
    assert outcome.signer == NODE
    assert outcome.taken_wei == everything
    assert outcome.unbonding_taken_wei == 4444 + MINER_STAKE_WEI // 4
    assert outcome.reward_wei == everything // 10 // MICRO_CAI_WEI * MICRO_CAI_WEI
    assert outcome.burned_wei == everything - everything // 10

    info = await world.staking.node_info(NODE)
    assert info.jailed
    assert not info.active
    assert (info.own_stake_wei, info.total_stake_wei, info.unbonding_stake_wei) == (0, 0, 0)
    assert await world.staking.stake_of(NODE, world.ann.address) == 0
    await world.chain.pass_time(UNBONDING_DELAY_S)
    assert await world.staking.withdraw(world.ben, NODE, request.request_id) == 0
    assert await world.staking.withdraw(world.owner, NODE, own_request.request_id) == 0

    before = await world.token.balance(world.reporter.address)
    await refused("PriorityOpen", world.slashing.claim_reward(world.ann, outcome.evidence_key))
    slashing = Contract(world.chain.rpc, world.slashing.address, "Slashing")
    await world.chain.mine(await slashing.read("PRIORITY_BLOCKS") + 1)
    assert await world.slashing.claim_reward(world.ann, outcome.evidence_key) == outcome.reward_wei
    assert await world.token.balance(world.reporter.address) == before + outcome.reward_wei
    await refused("NothingToClaim", world.slashing.claim_reward(world.ann, outcome.evidence_key))
    assert await world.staking.burn_slashed(world.ann) == outcome.burned_wei
    assert await world.token.total_supply() == supply - outcome.burned_wei
    assert await world.token.balance(world.staking.address) < MICRO_CAI_WEI


async def test_one_statement_slashes_nobody(world):
    await world.register()
    one, other = world.statement(b"one"), world.statement(b"other")
    await refused("SameStatement", report(world, one, one))
    forged = type(one)(other.body, one.signature)
    await refused("DifferentSigners", report(world, one, forged))
    assert (await world.staking.node_info(NODE)).active


async def test_each_evidence_pays_once(world):
    await world.register()
    one, other = world.statement(b"one"), world.statement(b"other")
    assert not await world.slashing.is_evidence_spent(NODE, 2, SLOT)
    await report(world, one, other)
    assert await world.slashing.is_evidence_spent(NODE, 2, SLOT)
    await refused("EvidenceSpent", report(world, one, other))
    await refused("EvidenceSpent", report(world, other, one))
    await refused("EvidenceSpent", report(world, one, world.statement(b"a third")))


async def test_two_signers_are_no_evidence(world):
    await world.register()
    await world.register(OTHER_NODE_SECRET)
    other = world.statement(b"other", secret=OTHER_NODE_SECRET)
    await refused("DifferentSigners", report(world, world.statement(b"one"), other))


async def test_statements_for_two_slots_are_no_evidence(world):
    await world.register()
    elsewhere = world.statement(b"other", slot=bytes(32))
    await refused("DifferentSigners", report(world, world.statement(b"one"), elsewhere))


async def test_chunks_may_be_streamed_twice(world):
    await world.register()
    one, other = world.statement(b"one", kind=64), world.statement(b"other", kind=64)
    await refused("KindNotSlashable", report(world, one, other, kind=64))


async def test_a_coordinator_loses_its_stake_alike(world):
    await world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    one = world.statement(b"one", secret=OTHER_NODE_SECRET)
    other = world.statement(b"other", secret=OTHER_NODE_SECRET)
    assert (await report(world, one, other)).taken_wei == COORDINATOR_STAKE_WEI
    assert (await world.staking.node_info(OTHER_NODE)).jailed


async def test_who_is_not_registered_has_nothing_to_lose(world):
    await refused("NotRegistered", report(world, world.statement(b"one"), world.statement(b"other")))
