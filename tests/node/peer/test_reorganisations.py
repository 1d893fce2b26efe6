"""A reorganisation across an epoch's seed block: real watchers on a real chain, and nobody is accused."""

import dataclasses

import pytest
import trio

from contracts.anvil import anvil_process
from node.peer.chain_watcher import ChainWatcher
from node.peer.doubted_rankings import DoubtedRankings
from node.peer.evidence_queue import FoundEvidence
from protocol.draw import rank_for_task, task_seed
from protocol.errors import GossipIgnore
from protocol.evidence import verify_evidence
from protocol.rules.tasks import validate_task
from protocol.rules.view import SEED_SETTLING_MS, Misranked, Seen
from protocol.statement import Domain
from protocol.terms import TaskTerms
from tests.contracts.world import (
    COORDINATOR_STAKE_WEI,
    EPOCH_BLOCKS,
    MINER_STAKE_WEI,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    SEED_DELAY_BLOCKS,
    Role,
    deploy_for_tests,
    visit,
)
from tests.limits import HANG_S
from tests.protocol import builders
from tests.protocol.builders import Key, everybody, sealed

pytestmark = pytest.mark.process
TERMS = TaskTerms(1_000, 600_000)
CONFIRMATIONS = 3
MINERS = 6
COORDINATOR = Key("coordinator", OTHER_NODE_SECRET, OTHER_NODE)


class Clock:
    now_ms = builders.NOW_MS

    def __call__(self):
        return self.now_ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def market():
    """A chain of its own, with miners enough for another seed to draw others, and a coordinator."""
    with anvil_process() as process:
        async with visit(process, await deploy_for_tests(process), put_back=False) as world:
            await world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
            for number in range(MINERS):
                await world.register(
                    builders.key(f"miner {number}").secret, amount_wei=MINER_STAKE_WEI + number
                )
            yield world


class Peer:
    """An honest peer: its own look at the chain, its rules, and the evidence that it makes."""

    def __init__(self, world, clock):
        self.domain = Domain(world.staking.chain_id, world.slashing.address)
        self.clock = clock
        registry = world.clients.registry()
        self.watcher = ChainWatcher(
            world.epochs, registry, self.domain, TERMS, 100, CONFIRMATIONS, now_ms=clock
        )
        self.seen = Seen()
        self.confirmed = []
        self.doubted = DoubtedRankings(self.watcher.seed_of, self.confirmed.append)

    async def hear(self, data):
        """The outcome of an announcement; what this peer takes for a wrong ranking is doubted first."""
        try:
            validate_task(self.seen, self.watcher.view, data, self.clock.now_ms)
        except Misranked as caught:
            epochs = self.watcher.view.epochs
            offence = verify_evidence(self.domain, caught.evidence, epochs)
            self.doubted.put(FoundEvidence(caught.evidence, offence, epochs), caught.evidence)
            return "misranked"
        except GossipIgnore as ignored:
            return ignored.reason
        return "accepted"


def announced(peer, number, epoch=None):
    """What the coordinator announces by a peer's view: an honest draw, all miners ranked."""
    latest = epoch or peer.watcher.view.latest
    seed = task_seed(latest.seed, COORDINATOR.address, number)
    task = dataclasses.replace(
        builders.announcement(number),
        coordinator=COORDINATOR.address,
        epoch=latest.number,
        ranking=rank_for_task(latest.miners, seed, everybody, MINERS),
        announced_at_ms=peer.clock.now_ms,
        deadline_ms=peer.clock.now_ms + TERMS.life_ms_max,
        previous=bytes(32) if number == 0 else b"\x09" * 32,
    )
    return sealed(COORDINATOR, task, peer.domain)


async def go_to(world, block):
    blocks = block - await world.epochs.clock()
    if blocks > 0:
        await world.chain.mine(blocks)


async def seeded(world):
    """Go on to the next epoch and record its seed; the number, and the block of the seed."""
    number = await world.epochs.current_epoch() + 1
    seed_block = number * EPOCH_BLOCKS + SEED_DELAY_BLOCKS
    await go_to(world, seed_block + 1)
    await world.epochs.record_seed(world.ann, number)
    return number, seed_block


async def reorganise(world, number, back_to):
    """Other blocks, as many, in the place of those from `back_to` on; and the seed is recorded anew."""
    depth = await world.epochs.clock() - back_to + 1
    await world.chain.rpc.request("anvil_reorg", depth, [])
    assert await world.epochs.epoch(number) is None
    await world.epochs.record_seed(world.ben, number)


async def test_a_seed_that_is_not_deep_is_not_used_so_a_reorganisation_takes_nothing_back(market, clock):
    peer = Peer(market, clock)
    number, seed_block = await seeded(market)
    await peer.watcher.refresh()
    assert peer.watcher.view.latest is None
    before = await market.epochs.epoch(number)
    await reorganise(market, number, seed_block)
    after = await market.epochs.epoch(number)
    assert before.seed != after.seed
    await go_to(market, seed_block + CONFIRMATIONS)
    await peer.watcher.refresh()
    view = peer.watcher.view
    assert (view.latest.number, view.latest.seed) == (number, after.seed)
    assert view.settling_until_ms == {}


async def test_attack_a_reorganisation_across_a_seed_block_makes_no_honest_coordinator_an_offender(
    market, clock, monkeypatch
):
    monkeypatch.setattr("node.peer.doubted_rankings.DOUBT_S", 0.5)
    early, late = Peer(market, clock), Peer(market, clock)
    number, seed_block = await seeded(market)
    await go_to(market, seed_block + CONFIRMATIONS)
    for peer in (early, late):
        await peer.watcher.refresh()
    by_old_seed = [announced(early, task) for task in (0, 2)]
    assert [await peer.hear(by_old_seed[0]) for peer in (early, late)] == ["accepted", "accepted"]

    await reorganise(market, number, seed_block)
    await go_to(market, seed_block + CONFIRMATIONS + 1)
    await early.watcher.refresh()
    assert early.watcher.view.latest.seed != late.watcher.view.latest.seed
    # A coordinator that has not heard of it goes on by the old seed, and one that has is not understood.
    assert await early.hear(by_old_seed[1]) == "epoch's seed has just changed"
    by_new_seed = announced(early, 4)
    assert await early.hear(by_new_seed) == "accepted"
    assert await late.hear(by_new_seed) == "misranked"
    assert (len(early.doubted), len(late.doubted)) == (0, 1)
    await late.watcher.refresh()
    assert await late.hear(by_new_seed) == "accepted"

    # When all has settled nobody is accused, and a wrong ranking is one again.
    clock.now_ms += SEED_SETTLING_MS
    async with trio.open_nursery() as nursery:
        nursery.start_soon(late.doubted.run)
        with trio.fail_after(HANG_S):
            while len(late.doubted):
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert early.confirmed == late.confirmed == []
    old_epoch = dataclasses.replace(late.watcher.view.latest, seed=b"\x01" * 32)
    assert await late.hear(announced(late, 6, old_epoch)) == "misranked"
