from __future__ import annotations

import pytest

from contracts.contract import Contract
from contracts.errors import ContractReverted
from contracts.records import Equivocation, ReportedOffence, Role
from contracts.slashing import commitment_of
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


def evidence_of(one, other, *, kind=2, slot=SLOT):
    return Equivocation(
        kind=kind,
        slot=slot,
        body_a=one.body,
        signature_a=one.signature,
        body_b=other.body,
        signature_b=other.signature,
    )


async def report(world, one, other, **place):
    return await world.slashing.submit_equivocation(world.reporter, evidence_of(one, other, **place))


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
    # Twice as long for an owner who leaves its voters behind.
    await world.chain.pass_time(2 * UNBONDING_DELAY_S)
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


SALT = b"salt".rjust(32, b"\0")


async def committed(world):
    """Evidence that the reporter has committed to, some blocks ago."""
    await world.register()
    evidence = evidence_of(world.statement(b"one"), world.statement(b"other"))
    at = await world.slashing.commit(world.reporter, evidence, SALT)
    assert await world.slashing.committed_at(world.reporter.address, evidence, SALT) == at
    await world.chain.mine(3)
    return evidence, at


async def test_a_commitment_is_the_contract_s_and_tells_no_rpc_the_evidence(world):
    evidence, at = await committed(world)
    slashing = Contract(world.chain.rpc, world.slashing.address, "Slashing")
    evidence_hash = await slashing.read("evidenceHashOf", *evidence.arguments())
    expected = await slashing.read("commitmentOf", world.reporter.address, evidence_hash, SALT)
    assert commitment_of(world.reporter.address, evidence, SALT) == expected
    assert await slashing.read("committedAt", expected) == at
    assert await world.slashing.committed_at(world.ann.address, evidence, SALT) is None


@pytest.mark.parametrize("copied", [b"other", b"a third"])
async def test_who_copies_a_report_or_shows_the_offence_otherwise_loses_the_reward(world, copied):
    evidence, at = await committed(world)
    copy = evidence_of(world.statement(b"one"), world.statement(copied))
    outcome = await world.slashing.submit_equivocation(world.ben, copy)
    assert (await world.slashing.reported(outcome.evidence_key)).reporter == world.ben.address
    await refused("PriorityOpen", world.slashing.take_priority(world.reporter, evidence, SALT))
    await world.chain.mine(await world.slashing.priority_blocks() // 4)
    await world.slashing.take_priority(world.reporter, evidence, SALT)
    assert await world.slashing.reported(outcome.evidence_key) == ReportedOffence(
        reporter=world.reporter.address, since_block=at, reward_wei=outcome.reward_wei
    )
    before = [await world.token.balance(who.address) for who in (world.reporter, world.ben)]
    await world.chain.mine(await world.slashing.priority_blocks() + 1)
    await world.slashing.claim_reward(world.ann, outcome.evidence_key)
    after = [await world.token.balance(who.address) for who in (world.reporter, world.ben)]
    assert after == [before[0] + outcome.reward_wei, before[1]]


async def test_attack_a_cheat_that_committed_to_its_own_offence_takes_nothing_from_who_reported_it(world):
    await world.register()
    evidence = evidence_of(world.statement(b"one"), world.statement(b"other"))
    await world.slashing.commit(world.ben, evidence, SALT)
    await world.slashing.commit(world.reporter, evidence, SALT)
    await world.chain.mine(8)
    outcome = await world.slashing.submit_equivocation(world.reporter, evidence)
    await world.slashing.take_priority(world.reporter, evidence, SALT)
    assert (await world.slashing.reported(outcome.evidence_key)).is_settled
    await world.chain.mine(100)
    await refused("NoPriority", world.slashing.take_priority(world.ben, evidence, SALT))
    before_wei = await world.token.balance(world.reporter.address)
    await world.slashing.claim_reward(world.ann, outcome.evidence_key)
    assert await world.token.balance(world.reporter.address) == before_wei + outcome.reward_wei > before_wei


async def test_there_is_no_priority_without_a_commitment_or_after_its_time(world):
    evidence, _ = await committed(world)
    key = await world.slashing.evidence_key(NODE, evidence.kind, evidence.slot)
    assert await world.slashing.reported(key) is None
    await refused("NothingToClaim", world.slashing.take_priority(world.reporter, evidence, SALT))
    await world.slashing.submit_equivocation(world.ben, evidence)
    await refused("NoPriority", world.slashing.take_priority(world.ann, evidence, SALT))
    await refused("NoPriority", world.slashing.take_priority(world.reporter, evidence, bytes(32)))
    await world.chain.mine(await world.slashing.priority_blocks())
    await refused("NoPriority", world.slashing.take_priority(world.reporter, evidence, SALT))
