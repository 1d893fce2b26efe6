"""Turns at recording a seed: a permutation that differs from epoch to epoch, and one transaction a seed."""

import pytest
import trio

from contracts.records import Epoch
from node.peer.chain_watcher import ChainWatcher
from node.peer.seed_turns import SEED_TURNS_MAX, TURN_POLLS, seed_turn
from protocol.draw import EpochView, Snapshot
from protocol.rules.view import View
from protocol.statement import Domain
from protocol.terms import TaskTerms

POLL_S = 1.0
DOMAIN = Domain(31337, bytes(20))
TERMS = TaskTerms(1_000, 60_000)


def address(number):
    return bytes([number]) * 20


def epoch_with(count, number=7):
    coordinators = Snapshot.of([(address(place + 1), 2_000_001 * 10**18) for place in range(count)])
    return EpochView(number, b"\x07" * 32, Snapshot.of([]), coordinators)


def test_turns_are_an_order_of_all_coordinators_and_another_one_each_time():
    epoch = epoch_with(5)
    orders = [
        tuple(seed_turn(epoch, due, address(number + 1)) for number in range(5)) for due in range(8, 28)
    ]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert {order.index(0) for order in orders} == {0, 1, 2, 3, 4}


def test_those_behind_the_last_place_and_strangers_share_the_turn_after_it():
    epoch = epoch_with(12)
    turns = sorted(seed_turn(epoch, 8, address(number + 1)) for number in range(12))
    assert turns == [*range(SEED_TURNS_MAX), *[SEED_TURNS_MAX] * 4]
    assert seed_turn(epoch, 8, address(99)) == SEED_TURNS_MAX


def test_before_the_first_epoch_nobody_waits():
    assert seed_turn(None, 1, address(1)) == 0


class FakeSeeds:
    """A chain on which one seed is due, and who has paid for what."""

    def __init__(self):
        self.due = 8
        self.senders = []

    async def recordable_epoch(self):
        await trio.lowlevel.checkpoint()
        return self.due

    async def record_seed(self, sender, number):
        await trio.lowlevel.checkpoint()
        self.senders.append(sender.address)
        self.due = None
        return Epoch(number, bytes(32), 0)


class FakeSender:
    def __init__(self, number):
        self.address = address(number)


@pytest.fixture
def seeds():
    return FakeSeeds()


def start(nursery, seeds, epoch, sender):
    watcher = ChainWatcher(seeds, None, DOMAIN, TERMS, 1_000 * POLL_S, 1)
    watcher.view = View(DOMAIN, {epoch.number: epoch}, TERMS)
    nursery.start_soon(watcher.record_seeds, sender)


async def test_each_seed_costs_one_coordinator_gas(seeds, nursery, autojump_clock):
    epoch, senders = epoch_with(5), [FakeSender(number + 1) for number in range(5)]
    for sender in senders:
        start(nursery, seeds, epoch, sender)
    first = {}
    for due in (8, 9, 10):
        seeds.due = due
        await trio.sleep(10 * TURN_POLLS * POLL_S)
        first[due] = next(one.address for one in senders if seed_turn(epoch, due, one.address) == 0)
    assert seeds.senders == list(first.values())
    nursery.cancel_scope.cancel()


async def test_when_the_first_is_away_the_next_records_after_a_turn(seeds, nursery, autojump_clock):
    epoch = epoch_with(5)
    order = sorted((seed_turn(epoch, 8, address(number + 1)), number + 1) for number in range(5))
    for _, number in order[1:]:
        start(nursery, seeds, epoch, FakeSender(number))
    await trio.sleep(TURN_POLLS * POLL_S - 0.5)
    assert seeds.senders == []
    await trio.sleep(2 * POLL_S)
    assert seeds.senders == [address(order[1][1])]
    nursery.cancel_scope.cancel()
