"""The view of the chain: which epochs it holds, that it outlives an outage, and the list of nodes on disk."""

import pytest
import structlog.testing
import trio

from contracts.errors import ChainUnreachable, ContractReverted
from contracts.records import Epoch, Role
from contracts.registry_store import Entry
from node.peer.chain_watcher import EPOCHS_KEPT, SILENCE_S_MAX, ChainStatus, ChainWatcher
from node.system.events import ChainReorganised, EventBus
from protocol.rules.view import TaskTerms
from protocol.statement import Domain

POLL_MS = 1000
TERMS = TaskTerms(1_000, 60_000)
MINER, COORDINATOR = b"\x01" * 20, b"\x02" * 20


class FakeEpochs:
    """A chain with one epoch, which the test sets, and an outage, which the test switches."""

    def __init__(self):
        self.epoch = None
        self.reachable = True
        self.refusal = None
        self.silent_s = 0

    async def latest_epoch(self):
        await trio.sleep(self.silent_s)
        if not self.reachable:
            raise ChainUnreachable("127.0.0.1:1", "gone")
        return self.epoch

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

    async def sync(self):
        await trio.lowlevel.checkpoint()
        self.syncs += 1

    def nodes(self, role):
        address = MINER if role is Role.MINER else COORDINATOR
        return (Entry(1, 0, address, bytes(20), role),)


@pytest.fixture
def epochs():
    return FakeEpochs()


@pytest.fixture
def registry():
    return FakeRegistry()


@pytest.fixture
def watcher(epochs, registry):
    return ChainWatcher(epochs, registry, Domain(31337, bytes(20)), TERMS, POLL_MS)


async def test_an_epoch_that_gets_another_seed__is_an_event_and_a_new_one_is_not(epochs, registry):
    bus = EventBus()
    watcher = ChainWatcher(epochs, registry, Domain(31337, bytes(20)), TERMS, POLL_MS, bus)
    with bus.subscribe() as subscription:
        for number, seed in ((1, b"\x01"), (1, b"\x01"), (2, b"\x02"), (2, b"\x03")):
            epochs.epoch = Epoch(number, seed * 32, 0)
            await watcher.refresh()
        assert (await subscription.receive()).event == ChainReorganised(2)
        assert bus.counts.published == 1


async def test_status_says_what_the_chain_said_last_and_that_it_is_silent(
    watcher, epochs, autojump_clock, nursery
):
    assert watcher.status() == ChainStatus(epoch=None, miners=0, coordinators=0, unreachable=None)
    epochs.epoch = Epoch(1, b"\x01" * 32, 0)
    nursery.start_soon(watcher.run)
    await trio.sleep(0.5)
    assert watcher.status() == ChainStatus(epoch=1, miners=1, coordinators=1, unreachable=None)
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
    epochs.epoch = Epoch(3, b"\x09" * 32, 60)
    await watcher.refresh()
    latest = watcher.view.latest
    assert (latest.number, latest.seed) == (3, b"\x09" * 32)
    assert latest.miners.weight_of(MINER) == latest.coordinators.weight_of(COORDINATOR) == 60
    assert latest.miners.weight_of(COORDINATOR) == 0


async def test_an_epoch_whose_weights_are_forgotten_is_waited_out(watcher, epochs):
    epochs.epoch, epochs.refusal = Epoch(3, bytes(32), 60), "WeightForgotten"
    await watcher.refresh()
    assert watcher.view.latest is None
    epochs.epoch, epochs.refusal = Epoch(9, bytes(32), 180), None
    await watcher.refresh()
    assert watcher.view.latest.number == 9


async def test_any_other_refusal_is_a_fault_of_ours(watcher, epochs):
    epochs.epoch, epochs.refusal = Epoch(3, bytes(32), 60), "EpochNotStarted"
    with pytest.raises(ContractReverted):
        await watcher.refresh()


async def test_latest_epochs_are_kept_and_read_once(watcher, epochs, registry):
    for number in range(1, 6):
        epochs.epoch = Epoch(number, bytes(32), number)
        await watcher.refresh()
        await watcher.refresh()
    assert sorted(watcher.view.epochs) == [4, 5][-EPOCHS_KEPT:]
    assert registry.syncs == 5


async def test_an_epoch_with_another_seed_after_a_reorganisation_is_read_again(watcher, epochs):
    for seed in (b"\x01" * 32, b"\x02" * 32):
        epochs.epoch = Epoch(4, seed, 80)
        await watcher.refresh()
        assert watcher.view.latest.seed == seed
    assert list(watcher.view.epochs) == [4]


async def test_a_list_that_is_too_short_is_not_drawn_from(watcher, epochs, registry):
    epochs.epoch, registry.is_complete = Epoch(4, bytes(32), 80), False
    await watcher.refresh()
    assert watcher.view.latest is None
    registry.is_complete = True
    await watcher.refresh()
    assert watcher.view.latest.number == 4


async def test_a_list_that_cannot_be_kept_stops_nothing_and_is_told_once(watcher, epochs, registry):
    registry.fault = "disk full"
    with structlog.testing.capture_logs() as told:
        for number in (4, 5):
            epochs.epoch = Epoch(number, bytes(32), 80)
            await watcher.refresh()
    assert watcher.view.latest.number == 5
    assert [entry["error"] for entry in told if "error" in entry] == ["disk full"]


async def test_a_node_behind_the_others_that_refuses_does_not_end_the_watcher(
    watcher, epochs, autojump_clock
):
    epochs.epoch, epochs.refusal = Epoch(3, bytes(32), 60), "EpochNotStarted"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        await trio.sleep(2.5)
        epochs.refusal = None
        await trio.sleep(2)
        assert watcher.view.latest.number == 3
        nursery.cancel_scope.cancel()


async def test_outage_keeps_the_view_and_passes(watcher, epochs, autojump_clock):
    epochs.epoch = Epoch(1, bytes(32), 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        await trio.sleep(1.5)
        epochs.reachable = False
        await trio.sleep(10)
        assert watcher.view.latest.number == 1
        epochs.reachable, epochs.epoch = True, Epoch(2, bytes(32), 2)
        await trio.sleep(1.5)
        assert watcher.view.latest.number == 2
        nursery.cancel_scope.cancel()


async def test_refresh_says_when_the_chain_is_gone(watcher, epochs):
    epochs.reachable = False
    with pytest.raises(ChainUnreachable):
        await watcher.refresh()


async def test_a_chain_that_is_silent_is_out_of_reach_before_its_time_limit(watcher, epochs, autojump_clock):
    epochs.epoch, epochs.silent_s = Epoch(1, b"\x01" * 32, 0), 15
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.refresh)
        await trio.sleep(SILENCE_S_MAX - 0.1)
        assert watcher.unreachable is None
        await trio.sleep(0.2)
        assert watcher.unreachable == "the chain has not answered for 3 s"
        await trio.sleep(15)
        assert watcher.unreachable is None
