from __future__ import annotations

import pytest

from contracts import events
from contracts.contract import Contract
from contracts.errors import ChainUnreachable
from contracts.events import RegistrationFeed
from contracts.records import Role
from tests.contracts.world import COORDINATOR_STAKE_WEI, NODE, OTHER_NODE, OTHER_NODE_SECRET

pytestmark = pytest.mark.process


def feed_of(world, **options):
    first = world.deployment.deployed_at_block
    return RegistrationFeed(world.chain.rpc, world.staking.address, first_block=first, **options)


async def test_each_registration_is_read_once_in_order(world):
    feed = feed_of(world)
    assert await feed.read() == ()
    await world.register()
    await world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    one, other = await feed.read()
    assert (one.node, one.owner, one.role, one.metadata) == (NODE, world.owner.address, Role.MINER, "{}")
    assert (other.node, other.role) == (OTHER_NODE, Role.COORDINATOR)
    assert one.block_number < other.block_number
    assert await feed.read() == ()


async def test_a_cursor_goes_on_where_it_was(world):
    feed = feed_of(world)
    await world.register()
    assert len(await feed.read()) == 1
    later = RegistrationFeed(world.chain.rpc, world.staking.address, first_block=feed.next_block)
    await world.register(OTHER_NODE_SECRET)
    assert [found.node for found in await later.read()] == [OTHER_NODE]


async def test_confirmations_hold_a_registration_back(world):
    feed = feed_of(world, confirmations=2)
    await world.register()
    assert await feed.read() == ()
    await world.chain.mine(2)
    assert [found.node for found in await feed.read()] == [NODE]


async def test_a_long_past_is_read_in_pieces(world, monkeypatch):
    monkeypatch.setattr(events, "LOG_BLOCKS_MAX", 3)
    feed = feed_of(world)
    await world.register()
    await world.chain.mine(7)
    found = []
    while feed.next_block <= await world.chain.rpc.block_number():
        found += await feed.read()
    assert [registration.node for registration in found] == [NODE]


async def test_an_outage_does_not_move_the_cursor(world, monkeypatch):
    feed = feed_of(world)
    before = feed.next_block
    await world.register()

    async def fail(*_arguments):
        raise ChainUnreachable("here", "test")

    with monkeypatch.context() as patch:
        patch.setattr(Contract, "events", fail)
        with pytest.raises(ChainUnreachable):
            await feed.read()
    assert feed.next_block == before
    assert len(await feed.read()) == 1


@pytest.mark.parametrize("options", [{"first_block": -1}, {"first_block": 0, "confirmations": -1}])
def test_blocks_are_counted_from_zero(options):
    with pytest.raises(ValueError, match="zero"):
        RegistrationFeed(None, bytes(20), **options)
