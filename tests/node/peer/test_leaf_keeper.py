"""Leaves that a lock has left behind: one coordinator pays for each, within a bound."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from contracts.errors import ChainUnreachable, ContractReverted
from contracts.leaves import Deferral
from node.peer.leaf_keeper import (
    LEAVES_MAX,
    LEAVES_PER_EPOCH_MAX,
    LEAVES_PER_LOOK_MAX,
    LOOK_POLLS,
    LeafCounts,
    LeafKeeper,
)
from node.peer.seed_turns import TURN_POLLS, leaf_turn
from protocol.rules.view import View
from protocol.statement import Domain
from protocol.terms import TaskTerms
from tests.node.peer.test_seed_turns import FakeSender, address, epoch_with

POLL_S = 1.0
DOMAIN = Domain(31337, bytes(20))
EPOCH = epoch_with(5)
NODE_BEHIND, OTHER_BEHIND = b"\x77" * 20, b"\x78" * 20


class FakeLeaves:
    """A tree: who is behind, whether it is locked, and who has paid."""

    def __init__(self):
        self.told, self.behind, self.locked, self.paid = [], set(), False, []
        self.failing, self.unreadable = {}, set()

    def defer(self, node, block=1):
        self.told.append(Deferral(block, 0, node))
        self.behind.add(node)

    async def deferrals(self):
        await trio.lowlevel.checkpoint()
        return list(self.told)

    async def is_locked(self):
        await trio.lowlevel.checkpoint()
        return self.locked

    async def is_behind(self, node):
        await trio.lowlevel.checkpoint()
        if node in self.unreadable:
            raise ContractReverted("unknown", {}, b"")
        return node in self.behind

    async def bring_up(self, sender, node):
        await trio.lowlevel.checkpoint()
        self.paid.append((sender.address, node))
        if node in self.failing:
            raise self.failing[node]
        self.behind.discard(node)


@pytest.fixture
def leaves():
    return FakeLeaves()


def keeper_of(leaves, epoch=EPOCH):
    view = View(DOMAIN, {epoch.number: epoch}, TaskTerms(1_000, 60_000))
    return LeafKeeper(leaves, lambda: view, 1_000 * POLL_S)


def first_of(node):
    return next(address(n + 1) for n in range(5) if leaf_turn(EPOCH, node, address(n + 1)) == 0)


async def test_each_leaf_costs_one_coordinator_gas(leaves, nursery, autojump_clock):
    nodes = [bytes([number]) * 20 for number in range(100, 110)]
    for node in nodes:
        leaves.defer(node)
    for number in range(5):
        nursery.start_soon(keeper_of(leaves).run, FakeSender(number + 1))
    await trio.sleep(10 * TURN_POLLS * POLL_S)
    assert sorted(leaves.paid) == sorted((first_of(node), node) for node in nodes)
    assert len({payer for payer, _ in leaves.paid}) > 1
    nursery.cancel_scope.cancel()


async def test_when_the_first_is_away_the_next_pays_after_a_turn(leaves, nursery, autojump_clock):
    leaves.defer(NODE_BEHIND)
    order = sorted((leaf_turn(EPOCH, NODE_BEHIND, address(n + 1)), n + 1) for n in range(5))
    for _, number in order[1:]:
        nursery.start_soon(keeper_of(leaves).run, FakeSender(number))
    await trio.sleep(TURN_POLLS * POLL_S - 0.5)
    assert leaves.paid == []
    await trio.sleep(LOOK_POLLS * POLL_S + 1)
    assert leaves.paid == [(address(order[1][1]), NODE_BEHIND)]
    nursery.cancel_scope.cancel()


async def test_turns_begin_when_the_lock_is_over(leaves, autojump_clock):
    keeper, sender = keeper_of(leaves, epoch_with(1)), FakeSender(1)
    leaves.defer(NODE_BEHIND)
    leaves.locked = True
    await keeper.look(sender)
    assert (leaves.paid, keeper.status()) == ([], LeafCounts(waiting=1))
    leaves.locked = False
    await keeper.look(sender)
    await keeper.look(sender)
    assert (len(leaves.paid), keeper.status()) == (1, LeafCounts(brought_up=1))
    # The same node, left behind once more.
    leaves.defer(NODE_BEHIND, block=2)
    await keeper.look(sender)
    assert len(leaves.paid) == 2


async def test_a_leaf_that_somebody_has_brought_up_costs_nothing(leaves, autojump_clock):
    keeper = keeper_of(leaves, epoch_with(1))
    leaves.defer(NODE_BEHIND)
    leaves.behind.clear()
    await keeper.look(FakeSender(1))
    assert (leaves.paid, keeper.status()) == ([], LeafCounts(spared=1))


async def test_attack_many_leaves_cost_a_coordinator_no_more_than_its_bound(leaves, autojump_clock):
    epochs = [epoch_with(1)]
    keeper = LeafKeeper(leaves, lambda: View(DOMAIN, {e.number: e for e in epochs}, TaskTerms(1, 2)), 1_000)
    for number in range(LEAVES_MAX + 5):
        leaves.defer(number.to_bytes(20, "big"), block=number)
    for _ in range(3):
        await keeper.look(FakeSender(1))
    assert len(leaves.paid) == LEAVES_PER_EPOCH_MAX
    counts = keeper.status()
    assert (counts.crowded_out, counts.left_for_next_epoch) == (5, 3)
    assert counts.waiting == LEAVES_MAX - LEAVES_PER_EPOCH_MAX
    epochs[0] = epoch_with(1, number=8)
    await keeper.look(FakeSender(1))
    assert len(leaves.paid) == 2 * LEAVES_PER_EPOCH_MAX


async def test_attack_a_node_whose_leaf_cannot_be_brought_up_stands_in_nobodys_way(leaves, autojump_clock):
    """The chain refuses for one node, every time: those behind it have their turn all the same."""
    keeper, nodes = keeper_of(leaves, epoch_with(1)), [bytes([number]) * 20 for number in range(100, 105)]
    for number, node in enumerate(nodes):
        leaves.defer(node, block=number)
    leaves.unreadable = {nodes[0]}
    leaves.failing = {nodes[1]: ContractReverted("Panic", {}, b"")}
    await keeper.look(FakeSender(1))
    assert [node for _, node in leaves.paid] == nodes[1:]
    assert keeper.status() == LeafCounts(waiting=2, brought_up=3, refused=2)
    leaves.unreadable, leaves.failing = set(), {}
    await keeper.look(FakeSender(1))
    assert keeper.status() == LeafCounts(brought_up=5, refused=2)


async def test_attack_nodes_whose_leaves_cannot_be_brought_up_fill_no_look(leaves, autojump_clock):
    """They are behind those that have not had their turn, however many they are."""
    keeper = keeper_of(leaves, epoch_with(1))
    for number in range(LEAVES_PER_LOOK_MAX):
        leaves.defer(number.to_bytes(20, "big"), block=number)
    leaves.unreadable = {deferral.node for deferral in leaves.told}
    leaves.defer(NODE_BEHIND, block=LEAVES_PER_LOOK_MAX)
    await keeper.look(FakeSender(1))
    await keeper.look(FakeSender(1))
    assert [node for _, node in leaves.paid] == [NODE_BEHIND]


async def test_a_node_that_has_left_is_forgotten(leaves, autojump_clock):
    keeper = keeper_of(leaves, epoch_with(1))
    leaves.defer(NODE_BEHIND)
    leaves.failing = {NODE_BEHIND: ContractReverted("NotRegistered", {}, b"")}
    await keeper.look(FakeSender(1))
    await keeper.look(FakeSender(1))
    assert (len(leaves.paid), keeper.status()) == (1, LeafCounts(refused=1))


@pytest.mark.parametrize("failure", [ContractReverted("Panic", {}, b""), ChainUnreachable("nowhere", "gone")])
async def test_attack_transactions_that_fail_cost_a_coordinator_no_more_than_its_bound(
    leaves, autojump_clock, failure
):
    """One that is refused in a block costs its gas; of one without an answer nobody knows."""
    keeper = keeper_of(leaves, epoch_with(1))
    leaves.defer(NODE_BEHIND)
    leaves.failing = {NODE_BEHIND: failure}
    for _ in range(2 * LEAVES_PER_EPOCH_MAX):
        with suppress(ChainUnreachable):
            await keeper.look(FakeSender(1))
    assert len(leaves.paid) == LEAVES_PER_EPOCH_MAX
    assert keeper.status().left_for_next_epoch == LEAVES_PER_EPOCH_MAX


@pytest.mark.parametrize(
    "failure", [ContractReverted("WeightsAreLocked", {}, b""), ChainUnreachable("a", "b")]
)
async def test_a_failure_that_concerns_all_ends_the_look_and_the_next_begins_with_another(
    leaves, autojump_clock, failure
):
    keeper = keeper_of(leaves, epoch_with(1))
    leaves.defer(NODE_BEHIND, block=1)
    leaves.defer(OTHER_BEHIND, block=2)
    leaves.failing = {NODE_BEHIND: failure}
    with suppress(ChainUnreachable):
        await keeper.look(FakeSender(1))
    assert [node for _, node in leaves.paid] == [NODE_BEHIND]
    leaves.failing = {}
    await keeper.look(FakeSender(1))
    assert [node for _, node in leaves.paid] == [NODE_BEHIND, OTHER_BEHIND, NODE_BEHIND]
