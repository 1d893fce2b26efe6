"""The view of the chain: which epochs it holds, that it outlives an outage, and the list of nodes on disk."""

import pytest
import structlog.testing
import trio

from contracts.endpoints import PATIENCE_S
from contracts.errors import ChainUnreachable, ContractReverted
from contracts.records import Epoch, Role
from contracts.registry_store import Entry
from node.coordinator.shell import CHAIN_TIMEOUT_S
from node.peer import chain_watcher
from node.peer.beacon_watcher import Beacons
from node.peer.chain_watcher import (
    BEHIND_S_MAX,
    EPOCHS_KEPT,
    FIRST_LOOK_S,
    SILENCE_S_MAX,
    ChainStatus,
    ChainWatcher,
)
from node.system.events import ChainReorganised, EventBus
from protocol.audit_draw import BeaconBlock
from protocol.registrations import Registrations
from protocol.statement import Domain
from protocol.terms import TaskTerms

POLL_MS = 1000
CONFIRMATIONS = 3
TERMS = TaskTerms(1_000, 60_000)
MINER, COORDINATOR, OWNER = b"\x01" * 20, b"\x02" * 20, b"\x0f" * 20


class FakeEpochs:
    """A chain with one epoch, which the test sets, and an outage, which the test switches."""

    def __init__(self):
        self.newest = None
        self.earlier = {}
        self.reachable = True
        self.refusal = None
        self.silent_s = self.request_s = 0
        self.doubt = None
        self.answered_at_s = float("-inf")

    async def epoch(self, number):
        await trio.lowlevel.checkpoint()
        return self.newest if self.newest.number == number else self.earlier.get(number)

    async def settled_epoch(self, confirmations):
        assert confirmations == CONFIRMATIONS
        await trio.sleep(self.silent_s)
        for _ in range(5 if self.request_s else 0):
            await trio.sleep(self.request_s)
            self.answered_at_s = trio.current_time()
        if not self.reachable:
            raise ChainUnreachable("127.0.0.1:1", "gone")
        return self.newest

    async def doubt_about(self, epoch):
        await trio.lowlevel.checkpoint()
        return self.doubt

    async def weights_at(self, nodes, epoch):
        await trio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise ContractReverted(self.refusal, {}, b"")
        return [20 * epoch for _ in nodes]


class FakeRegistry:
    """A list of one miner and one coordinator."""

    def __init__(self):
        self.syncs = 0
        self.is_complete = True
        self.fault = None
        self.sync_s = 0

    def progress(self):
        return "half of it"

    async def sync(self):
        await trio.sleep(self.sync_s)
        self.syncs += 1

    def nodes(self, role=None):
        found = [(5, MINER, Role.MINER), (6, COORDINATOR, Role.COORDINATOR)]
        return tuple(
            Entry(block, 0, address, OWNER, one) for block, address, one in found if role in (None, one)
        )


@pytest.fixture(autouse=True)
def no_threads(monkeypatch):
    """The clock of a test runs on while a thread works."""

    async def at_once(function, *arguments, **_options):
        await trio.lowlevel.checkpoint()
        return function(*arguments)

    monkeypatch.setattr("trio.to_thread.run_sync", at_once)


@pytest.fixture
def epochs():
    return FakeEpochs()


@pytest.fixture
def registry():
    return FakeRegistry()


@pytest.fixture
def watcher(epochs, registry):
    return ChainWatcher(epochs, registry, Domain(31337, bytes(20)), TERMS, POLL_MS, CONFIRMATIONS)


async def test_an_epoch_that_gets_another_seed__is_an_event_and_a_new_one_is_not(epochs, registry):
    bus = EventBus()
    watcher = ChainWatcher(epochs, registry, Domain(31337, bytes(20)), TERMS, POLL_MS, CONFIRMATIONS, bus)
    with bus.subscribe() as subscription:
        for number, seed in ((1, b"\x01"), (1, b"\x01"), (2, b"\x02"), (2, b"\x03")):
            epochs.newest = Epoch(number, seed * 32, 0)
            await watcher.refresh()
        assert (await subscription.receive()).event == ChainReorganised(2)
        assert bus.counts.published == 1


async def test_status_says_what_the_chain_said_last_and_that_it_is_silent(
    watcher, epochs, autojump_clock, nursery
):
    assert watcher.status() == ChainStatus(
        epoch=None, miners=0, coordinators=0, unreachable=None, behind=None, disagreement=None
    )
    epochs.newest = Epoch(1, b"\x01" * 32, 0)
    nursery.start_soon(watcher.run)
    await trio.sleep(0.5)
    assert watcher.status() == ChainStatus(
        epoch=1, miners=1, coordinators=1, unreachable=None, behind=None, disagreement=None
    )
    epochs.reachable = False
    await trio.sleep(1)
    assert watcher.status().epoch == 1
    assert watcher.status().unreachable == str(ChainUnreachable("127.0.0.1:1", "gone"))
    epochs.reachable = True
    await trio.sleep(1)
    assert watcher.status().unreachable is None
    nursery.cancel_scope.cancel()


async def test_before_the_first_seed_there_is_no_epoch(watcher):
    await watcher.refresh()
    assert watcher.view.latest is None


async def test_epoch_has_weights_of_its_snapshot(watcher, epochs):
    epochs.newest = Epoch(3, b"\x09" * 32, 60)
    await watcher.refresh()
    latest = watcher.view.latest
    assert (latest.number, latest.seed) == (3, b"\x09" * 32)
    assert latest.miners.weight_of(MINER) == latest.coordinators.weight_of(COORDINATOR) == 60
    assert latest.miners.weight_of(COORDINATOR) == 0


async def test_an_epoch_whose_weights_are_forgotten_is_waited_out(watcher, epochs):
    epochs.newest, epochs.refusal = Epoch(3, bytes(32), 60), "WeightForgotten"
    await watcher.refresh()
    assert watcher.view.latest is None
    epochs.newest, epochs.refusal = Epoch(9, bytes(32), 180), None
    await watcher.refresh()
    assert watcher.view.latest.number == 9


async def test_any_other_refusal_is_a_fault_of_ours(watcher, epochs):
    epochs.newest, epochs.refusal = Epoch(3, bytes(32), 60), "EpochNotStarted"
    with pytest.raises(ContractReverted):
        await watcher.refresh()


async def test_latest_epochs_are_kept_and_read_once(watcher, epochs, registry):
    for number in range(1, 6):
        epochs.newest = Epoch(number, bytes(32), number)
        await watcher.refresh()
        await watcher.refresh()
    assert sorted(watcher.view.epochs) == [4, 5][-EPOCHS_KEPT:]
    assert registry.syncs == 5


async def test_an_epoch_knows_the_owners_of_nodes_and_shares_them_while_they_are_the_same(watcher, epochs):
    for number in (1, 2):
        epochs.newest = Epoch(number, bytes(32), number)
        await watcher.refresh()
    first, second = (watcher.view.epochs[number].registrations for number in (1, 2))
    assert first is second
    assert (second.owner_of(MINER), second.block_of(MINER)) == (OWNER, 5)
    assert (second.owner_of(COORDINATOR), second.block_of(COORDINATOR)) == (OWNER, 6)


async def test_more_nodes_than_a_table_holds_leave_their_owners_unknown(watcher, epochs, monkeypatch):
    monkeypatch.setattr(chain_watcher, "REGISTRATIONS_MAX", 1)
    epochs.newest = Epoch(1, bytes(32), 1)
    await watcher.refresh()
    assert watcher.view.latest.registrations == Registrations()
    assert len(watcher.view.latest.miners) == 1


async def test_past_epochs_serve_audits_and_no_new_task(watcher, epochs):
    for number in range(1, 5):
        epochs.newest = Epoch(number, bytes(32), number)
        await watcher.refresh()
    assert sorted(watcher.view.past_epochs) == [1, 2]
    assert sorted(watcher.view.epochs) == [3, 4]


async def test_blocks_that_decide_are_put_into_the_view(watcher, epochs):
    beacons = Beacons({5_000: BeaconBlock(7, bytes(32), 6_000)}, 8_000, 9_000)
    watcher.take_beacons(beacons)
    epochs.newest = Epoch(1, bytes(32), 1)
    await watcher.refresh()
    view = watcher.view
    assert Beacons(view.beacons, view.beacons_settling_until_ms, view.newest_block_ms) == beacons
    assert view.latest.number == 1


async def test_an_epoch_with_another_seed_after_a_reorganisation_is_read_again(watcher, epochs):
    for seed in (b"\x01" * 32, b"\x02" * 32):
        epochs.newest = Epoch(4, seed, 80)
        await watcher.refresh()
        assert watcher.view.latest.seed == seed
    assert list(watcher.view.epochs) == [4]


async def test_a_list_that_is_too_short_is_not_drawn_from(watcher, epochs, registry):
    epochs.newest, registry.is_complete = Epoch(4, bytes(32), 80), False
    await watcher.refresh()
    assert watcher.view.latest is None
    registry.is_complete = True
    await watcher.refresh()
    assert watcher.view.latest.number == 4


async def test_a_list_that_takes_long_is_said_and_the_last_epoch_serves_meanwhile(
    watcher, epochs, registry, autojump_clock, nursery
):
    epochs.newest = Epoch(4, bytes(32), 80)
    await watcher.refresh()
    epochs.newest, registry.sync_s = Epoch(5, bytes(32), 80), 100
    nursery.start_soon(watcher.refresh)
    await trio.sleep(BEHIND_S_MAX - 0.1)
    assert watcher.behind is None
    await trio.sleep(0.2)
    said = "a new epoch waits for its list of nodes: half of it"
    assert watcher.status() == ChainStatus(4, 1, 1, None, said, None)
    await trio.sleep(100)
    assert watcher.status() == ChainStatus(5, 1, 1, None, None, None)


async def test_a_node_starts_while_a_long_list_is_read_and_says_how_far_it_is(
    watcher, epochs, registry, autojump_clock, nursery
):
    epochs.newest, registry.sync_s = Epoch(5, bytes(32), 80), 40
    began_s = trio.current_time()
    await watcher.look_first()
    assert trio.current_time() - began_s == FIRST_LOOK_S
    nursery.start_soon(watcher.run)
    await trio.sleep(1)
    assert watcher.behind == "a new epoch waits for its list of nodes: half of it"
    await trio.sleep(40)
    assert (watcher.behind, watcher.view.latest.number) == (None, 5)
    nursery.cancel_scope.cancel()


async def test_a_chain_that_fails_at_the_first_look_ends_no_node(watcher, epochs, autojump_clock):
    epochs.reachable = False
    await watcher.look_first()
    assert watcher.view.latest is None


async def test_a_list_that_stays_too_short_is_said(watcher, epochs, registry, autojump_clock):
    epochs.newest, registry.is_complete = Epoch(4, bytes(32), 80), False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        await trio.sleep(BEHIND_S_MAX + 0.5)
        assert watcher.behind == "a new epoch waits for its list of nodes: half of it"
        assert watcher.unreachable is None
        registry.is_complete = True
        await trio.sleep(1)
        assert (watcher.behind, watcher.view.latest.number) == (None, 4)
        nursery.cancel_scope.cancel()


async def test_a_list_that_cannot_be_kept_stops_nothing_and_is_told_once(watcher, epochs, registry):
    registry.fault = "disk full"
    with structlog.testing.capture_logs() as told:
        for number in (4, 5):
            epochs.newest = Epoch(number, bytes(32), 80)
            await watcher.refresh()
    assert watcher.view.latest.number == 5
    assert [entry["error"] for entry in told if "error" in entry] == ["disk full"]


async def test_a_node_behind_the_others_that_refuses_does_not_end_the_watcher(
    watcher, epochs, autojump_clock
):
    epochs.newest, epochs.refusal = Epoch(3, bytes(32), 60), "EpochNotStarted"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        await trio.sleep(2.5)
        epochs.refusal = None
        await trio.sleep(2)
        assert watcher.view.latest.number == 3
        nursery.cancel_scope.cancel()


async def test_outage_keeps_the_view_and_passes(watcher, epochs, autojump_clock):
    epochs.newest = Epoch(1, bytes(32), 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        await trio.sleep(1.5)
        epochs.reachable = False
        await trio.sleep(10)
        assert watcher.view.latest.number == 1
        epochs.reachable, epochs.newest = True, Epoch(2, bytes(32), 2)
        await trio.sleep(1.5)
        assert watcher.view.latest.number == 2
        nursery.cancel_scope.cancel()


async def test_a_seed_that_the_rpcs_tell_differently_is_not_drawn_from(watcher, epochs):
    epochs.newest = Epoch(3, b"\x03" * 32, 0)
    await watcher.refresh()
    epochs.newest, epochs.doubt = Epoch(4, b"\x04" * 32, 0), "one says this, another one that"
    with structlog.testing.capture_logs() as told:
        await watcher.refresh()
        await watcher.refresh()
    assert [entry["reason"] for entry in told] == [epochs.doubt]
    assert (watcher.view.latest.number, watcher.status().disagreement) == (3, epochs.doubt)
    epochs.doubt = None
    await watcher.refresh()
    assert (watcher.view.latest.number, watcher.status().disagreement) == (4, None)


async def test_refresh_says_when_the_chain_is_gone(watcher, epochs):
    epochs.reachable = False
    with pytest.raises(ChainUnreachable):
        await watcher.refresh()


async def test_a_chain_that_is_silent_is_out_of_reach_before_its_time_limit(watcher, epochs, autojump_clock):
    epochs.newest, epochs.silent_s = Epoch(1, b"\x01" * 32, 0), 15
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.refresh)
        await trio.sleep(SILENCE_S_MAX - 0.1)
        assert watcher.unreachable is None
        await trio.sleep(0.2)
        assert watcher.unreachable == "the chain has not answered for 3 s"
        await trio.sleep(15)
        assert watcher.unreachable is None


async def test_an_endpoint_that_takes_long_and_answers_each_time_makes_no_node_unready(
    watcher, epochs, autojump_clock
):
    """A look at the epochs is some five requests."""
    epochs.newest, epochs.request_s = Epoch(1, b"\x01" * 32, 0), 0.7
    told = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.refresh)
        for _ in range(34):
            await trio.sleep(0.1)
            told.append(watcher.unreachable)
    assert set(told) == {None}
    assert watcher.view.latest.number == 1


def test_the_next_endpoint_is_asked_before_a_coordinator_gives_up_or_the_chain_counts_as_silent():
    assert 2 * PATIENCE_S < CHAIN_TIMEOUT_S
    assert 2 * PATIENCE_S < SILENCE_S_MAX


async def test_a_seed_that_changes_is_settling_for_a_while_and_so_is_the_one_before_it(epochs, registry):
    """Each seed depends on the one before it, so a deep reorganisation changes two."""
    watcher = ChainWatcher(
        epochs, registry, Domain(31337, bytes(20)), TERMS, POLL_MS, CONFIRMATIONS, now_ms=lambda: 1_000
    )
    for number in (3, 4):
        epochs.newest = Epoch(number, bytes([number]) * 32, 0)
        await watcher.refresh()
    assert watcher.view.settling_until_ms == {}
    epochs.earlier[3], epochs.newest = Epoch(3, b"\x33" * 32, 0), Epoch(4, b"\x44" * 32, 0)
    await watcher.refresh()
    assert {number: epoch.seed[0] for number, epoch in watcher.view.epochs.items()} == {3: 0x33, 4: 0x44}
    assert watcher.view.settling_until_ms == {3: 301_000, 4: 301_000}
    assert [watcher.view.is_settling(4, at_ms) for at_ms in (300_999, 301_000)] == [True, False]
    epochs.earlier[4] = epochs.newest
    epochs.newest = Epoch(5, b"\x55" * 32, 0)
    await watcher.refresh()
    assert (sorted(watcher.view.epochs), sorted(watcher.view.settling_until_ms)) == ([4, 5], [4])


async def test_an_older_epoch_than_the_known_ones_changes_nothing(watcher, epochs):
    for number in (3, 4):
        epochs.newest = Epoch(number, bytes([number]) * 32, 0)
        await watcher.refresh()
    epochs.newest = Epoch(2, b"\x02" * 32, 0)
    await watcher.refresh()
    assert sorted(watcher.view.epochs) == [3, 4]


async def test_the_seed_of_an_epoch_is_asked_for(watcher, epochs):
    epochs.newest = Epoch(3, b"\x03" * 32, 0)
    assert await watcher.seed_of(3) == b"\x03" * 32
    assert await watcher.seed_of(2) is None
