"""Leaves that a lock has left behind: one coordinator pays for each, within a bound."""

from __future__ import annotations

import pytest
import trio

from contracts.leaves import Deferral
from node.peer.leaf_keeper import LEAVES_MAX, LEAVES_PER_EPOCH_MAX, LOOK_POLLS, LeafCounts, LeafKeeper
from node.peer.seed_turns import TURN_POLLS, leaf_turn
from protocol.rules.view import TaskTerms, View
from protocol.statement import Domain
from tests.node.peer.test_seed_turns import FakeSender, address, epoch_with

POLL_S = 1.0
DOMAIN = Domain(31337, bytes(20))
EPOCH = epoch_with(5)
NODE_BEHIND = b"\x77" * 20


class FakeLeaves:
    """A tree: who is behind, whether it is locked, and who has paid."""

    def __init__(self):
        self.told, self.behind, self.locked, self.paid = [], set(), False, []

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
        return node in self.behind

    async def bring_up(self, sender, node):
        await trio.lowlevel.checkpoint()
        self.paid.append((sender.address, node))
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
