"""Leaves that a real lock has left behind: found, brought up by a node or by a claim, and not twice."""

from __future__ import annotations

import pytest

from contracts.errors import ContractReverted
from contracts.leaves import LeavesClient
from contracts.records import Accusation, DisputedFault
from node.peer.leaf_keeper import LeafCounts, LeafKeeper
from protocol.amounts import WEI_PER_CAI
from protocol.hashing import keccak256
from protocol.rules.view import View
from protocol.statement import Domain
from protocol.terms import TaskTerms
from tests.contracts.world import NODE

pytestmark = pytest.mark.process
LOCK_BLOCKS = 256
EVIDENCE = b"seen"
NO_EPOCH = View(Domain(31337, bytes(20)), {}, TaskTerms(1, 2))


async def left_behind(world):
    """A node whose voter has come while a draw was under way."""
    await world.register()
    accusation = Accusation(
        accused=NODE,
        task_id=bytes(32),
        fault=DisputedFault.FALSE_RESULT,
        committed_at_s=await world.chain.time_s(),
        evidence_hash=keccak256(EVIDENCE),
        evidence=EVIDENCE,
    )
    opened = await world.disputes.open(world.reporter, accusation)
    await world.chain.mine(opened.seed_block - await world.epochs.clock() + 1)
    await world.staking.vote(world.ann, NODE, 5_000 * WEI_PER_CAI)
    assert await world.clients.leaves.is_behind(NODE)


async def test_a_node_brings_up_a_leaf_when_the_lock_is_over(world):
    keeper = LeafKeeper(world.clients.leaves, lambda: NO_EPOCH, 100)
    await left_behind(world)
    await keeper.look(world.ben)
    assert keeper.status() == LeafCounts(waiting=1)
    with pytest.raises(ContractReverted, match="WeightsAreLocked"):
        await world.clients.leaves.bring_up(world.ben, NODE)
    await world.chain.mine(LOCK_BLOCKS + 1)
    await keeper.look(world.ben)
    assert not await world.clients.leaves.is_behind(NODE)
    await keeper.look(world.ben)
    assert keeper.status() == LeafCounts(brought_up=1)


async def test_a_claim_brings_it_up_and_no_node_pays_then(world):
    await world.rewards.fund(world.reporter, 90_000 * WEI_PER_CAI)
    await left_behind(world)
    await world.chain.mine(LOCK_BLOCKS + 1)
    assert await world.rewards.claim(world.owner, NODE) > 0
    keeper = LeafKeeper(world.clients.leaves, lambda: NO_EPOCH, 100)
    await keeper.look(world.ben)
    assert keeper.status() == LeafCounts(spared=1)


async def test_another_run_finds_what_was_left_behind_before(world):
    await left_behind(world)
    await world.chain.mine(LOCK_BLOCKS + 1)
    later = LeavesClient(world.chain.rpc, world.staking.address, world.deployment.deployed_at_block)
    assert {deferral.node for deferral in await later.deferrals()} == {NODE}
