"""A dispute by the typed client, from the bond to the jurors' pay; and what it refuses."""

from __future__ import annotations

import pytest

from contracts.contract import Contract
from contracts.disputes import vote_data
from contracts.errors import BadChainAnswer, ContractReverted
from contracts.records import Accusation, Ballot, DisputedFault, DisputePhase
from protocol.hashing import keccak256
from tests.contracts.world import NODE

pytestmark = pytest.mark.process

EVIDENCE = b"what an auditor has seen"
JUROR_SECRETS = [bytes([number]) * 32 for number in range(1, 10)]


async def refused(name, call):
    with pytest.raises(ContractReverted) as caught:
        await call
    assert caught.value.name == name


async def jury(world):
    """The accused node and nine that may be drawn; secrets of those by their place in the tree."""
    await world.register()
    secrets = {}
    for secret in JUROR_SECRETS:
        node = await world.register(secret)
        secrets[(await world.staking.node_info(node)).leaf] = (node, secret)
    return secrets


async def accusation(world, **changes):
    fields = {
        "accused": NODE,
        "task_id": bytes(32),
        "fault": DisputedFault.FALSE_RESULT,
        "committed_at_s": await world.chain.time_s(),
        "evidence_hash": keccak256(EVIDENCE),
        "evidence": EVIDENCE,
    }
    return Accusation(**fields | changes)


async def drawn(world):
    opened = await world.disputes.open(world.reporter, await accusation(world))
    await refused("SeedNotReady", world.disputes.draw_jurors(world.ben, opened.dispute_id))
    await world.chain.mine(opened.seed_block - await world.epochs.clock() + 1)
    dispute = await world.disputes.draw_jurors(world.ben, opened.dispute_id)
    assert dispute.phase is DisputePhase.VOTING
    return opened.dispute_id, dispute


def ballot(world, dispute_id, secret, *, guilty):
    data = vote_data(
        dispute_id,
        guilty=guilty,
        chain_id=world.disputes.chain_id,
        disputes_address=world.disputes.address,
    )
    return Ballot(guilty=guilty, signature=data.sign(secret))


async def test_the_contracts_vote_digest_is_ours(world):
    contract = Contract(world.chain.rpc, world.disputes.address, "Disputes")
    for guilty in (True, False):
        data = vote_data(
            3, guilty=guilty, chain_id=world.disputes.chain_id, disputes_address=world.disputes.address
        )
        assert await contract.read("voteDigest", 3, guilty) == data.digest()


async def test_the_guilty_loses_its_stake_and_reporter_and_jurors_are_paid(world):
    secrets = await jury(world)
    bond = await world.disputes.bond()
    before = await world.token.balance(world.reporter.address)
    dispute_id, dispute = await drawn(world)
    assert await world.token.balance(world.reporter.address) == before - bond
    jurors = [secrets[leaf] for leaf in dispute.juror_leaves]
    assert len({node for node, _ in jurors} - {NODE}) == len(jurors) == 7

    votes = [ballot(world, dispute_id, secret, guilty=place != 0) for place, (_, secret) in enumerate(jurors)]
    await world.disputes.vote(world.ben, dispute_id, votes[:1])
    await refused("NotOver", world.disputes.close(world.ben, dispute_id))
    await world.disputes.vote(world.ben, dispute_id, votes[1:])
    closed = await world.disputes.close(world.ben, dispute_id)
    assert closed.phase is DisputePhase.GUILTY

    info = await world.staking.node_info(NODE)
    assert (info.total_stake_wei, info.jailed) == (0, True)
    await world.disputes.pay_credit(world.ben, world.reporter.address)
    assert await world.token.balance(world.reporter.address) > before
    paid_before = await world.token.balance(world.owner.address)
    await world.disputes.pay_jurors(world.ben, dispute_id, [node for node, _ in jurors[1:]])
    paid = await world.token.balance(world.owner.address) - paid_before
    assert paid == 6 * closed.juror_reward_wei > 0
    await refused("NoJurorReward", world.disputes.pay_jurors(world.ben, dispute_id, [jurors[0][0]]))
    again = world.disputes.open(world.reporter, await accusation(world))
    await refused("AlreadyDisputed", again)


async def test_who_accuses_the_innocent_loses_the_bond(world):
    secrets = await jury(world)
    before = await world.token.balance(world.reporter.address)
    dispute_id, dispute = await drawn(world)
    jurors = [secrets[leaf] for leaf in dispute.juror_leaves]
    votes = [ballot(world, dispute_id, secret, guilty=False) for _, secret in jurors]
    await world.disputes.vote(world.ben, dispute_id, votes)
    assert (await world.disputes.close(world.ben, dispute_id)).phase is DisputePhase.NOT_GUILTY
    await refused("NothingToPay", world.disputes.pay_credit(world.ben, world.reporter.address))
    assert await world.token.balance(world.reporter.address) == before - await world.disputes.bond()
    assert (await world.staking.node_info(NODE)).active


async def test_an_absent_jury_gives_no_verdict_costs_half_of_the_bond_and_is_not_punished(world):
    secrets = await jury(world)
    before = await world.token.balance(world.reporter.address)
    dispute_id, dispute = await drawn(world)
    await world.chain.pass_time(dispute.deadline_s - await world.chain.time_s() + 1)
    assert (await world.disputes.close(world.ben, dispute_id)).phase is DisputePhase.NO_VERDICT
    await world.disputes.pay_credit(world.ben, world.reporter.address)
    assert await world.token.balance(world.reporter.address) == before - await world.disputes.bond() // 2
    node, _ = secrets[dispute.juror_leaves[0]]
    await refused("WrongPhase", world.disputes.punish_absent(world.ben, dispute_id, [node]))


async def test_a_juror_who_is_absent_from_a_verdict_loses_a_little(world):
    secrets = await jury(world)
    dispute_id, dispute = await drawn(world)
    jurors = [secrets[leaf] for leaf in dispute.juror_leaves]
    votes = [ballot(world, dispute_id, secret, guilty=False) for _, secret in jurors[1:]]
    await world.disputes.vote(world.ben, dispute_id, votes)
    await world.chain.pass_time(dispute.deadline_s - await world.chain.time_s() + 1)
    assert (await world.disputes.close(world.ben, dispute_id)).phase is DisputePhase.NOT_GUILTY
    node, _ = jurors[0]
    stake = (await world.staking.node_info(node)).total_stake_wei
    await world.disputes.punish_absent(world.ben, dispute_id, [node])
    assert (await world.staking.node_info(node)).total_stake_wei == stake - stake // 1_000


async def test_a_vote_by_somebody_else_is_refused(world):
    await jury(world)
    dispute_id, _ = await drawn(world)
    stranger = ballot(world, dispute_id, b"\x77" * 32, guilty=True)
    with pytest.raises(ContractReverted):
        await world.disputes.vote(world.ben, dispute_id, [stranger])


async def test_what_cannot_be_tried(world):
    await jury(world)
    for name, changes in (
        ("NoSuchAccusation", {"accused": b"\x01" * 20}),
        ("AgeOutOfBounds", {"committed_at_s": 1}),
        ("WrongEvidenceHash", {"evidence_hash": bytes(32)}),
        ("EvidenceTooLong", {"evidence": bytes(8_193), "evidence_hash": keccak256(bytes(8_193))}),
    ):
        await refused(name, world.disputes.open(world.reporter, await accusation(world, **changes)))
    with pytest.raises(BadChainAnswer):
        await world.disputes.dispute(99)
