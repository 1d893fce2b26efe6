"""The view of the chain: which epochs it holds, and that it outlives an outage."""

import pytest
import trio

from contracts.errors import ChainUnreachable
from contracts.records import Epoch, NodeWeight, Role
from node.chain_watcher import EPOCHS_KEPT, ChainWatcher
from protocol.draw import WEI_PER_MICRO_CAI
from protocol.statement import Domain

POLL_MS = 1000


class FakeStaking:
    """A chain with one epoch, which the test sets, and an outage, which the test switches."""

    def __init__(self):
        self.epoch = None
        self.reachable = True
        self.snapshots = 0

    async def latest_epoch(self):
        await trio.lowlevel.checkpoint()
        if not self.reachable:
            raise ChainUnreachable("127.0.0.1:1", "gone")
        return self.epoch

    async def snapshot(self, role, block):
        await trio.lowlevel.checkpoint()
        self.snapshots += 1
        return (NodeWeight(bytes([role] * 20), block * WEI_PER_MICRO_CAI),)


@pytest.fixture
def staking():
    return FakeStaking()


@pytest.fixture
def watcher(staking):
    return ChainWatcher(staking, Domain(31337, bytes(20)), POLL_MS)


async def test_before_the_first_seed_there_is_no_epoch(watcher):
    await watcher.refresh()
    assert watcher.view.latest is None


async def test_epoch_has_weights_of_its_snapshot(watcher, staking):
    staking.epoch = Epoch(3, b"\x09" * 32, 60)
    await watcher.refresh()
    latest = watcher.view.latest
    assert (latest.number, latest.seed) == (3, b"\x09" * 32)
    assert latest.miners.weight_of(bytes([Role.MINER] * 20)) == 60
    assert latest.coordinators.weight_of(bytes([Role.COORDINATOR] * 20)) == 60


async def test_latest_epochs_are_kept_and_read_once(watcher, staking):
    for number in range(1, 6):
        staking.epoch = Epoch(number, bytes(32), number)
        await watcher.refresh()
        await watcher.refresh()
    assert sorted(watcher.view.epochs) == [4, 5][-EPOCHS_KEPT:]
    assert staking.snapshots == 2 * 5


async def test_outage_keeps_the_view_and_passes(watcher, staking, autojump_clock):
    staking.epoch = Epoch(1, bytes(32), 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        await trio.sleep(1.5)
        staking.reachable = False
        await trio.sleep(10)
        assert watcher.view.latest.number == 1
        staking.reachable, staking.epoch = True, Epoch(2, bytes(32), 2)
        await trio.sleep(1.5)
        assert watcher.view.latest.number == 2
        nursery.cancel_scope.cancel()


async def test_refresh_says_when_the_chain_is_gone(watcher, staking):
    staking.reachable = False
    with pytest.raises(ChainUnreachable):
        await watcher.refresh()
