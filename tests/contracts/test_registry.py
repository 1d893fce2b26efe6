"""The list of nodes: it follows the chain, also backwards, and goes on from its file."""

from __future__ import annotations

import json

import pytest

from contracts import registry as registries
from contracts.anvil import anvil_process
from contracts.events import BadCursor, Cursor
from contracts.records import Role
from contracts.registry import Node, Registry, RegistryFull
from tests.contracts.world import (
    COORDINATOR_STAKE_WEI,
    NODE,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    deploy_for_tests,
    visit,
)

pytestmark = pytest.mark.process


def registry_of(world, **options):
    cursor = Cursor(world.deployment.deployed_at_block)
    return Registry(world.chain.rpc, world.staking.address, cursor, **options)


def restored(world, document):
    later = registry_of(world)
    later.restore(json.loads(json.dumps(document)))
    return later


async def test_registrations_and_their_latest_metadata(world):
    registry = registry_of(world)
    await world.register()
    await world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    await registry.sync()
    await world.staking.set_metadata(world.owner, NODE, "second")
    await registry.sync()
    owner = world.owner.address
    assert registry.nodes() == (
        Node(NODE, owner, Role.MINER, "second"),
        Node(OTHER_NODE, owner, Role.COORDINATOR, "{}"),
    )
    assert [node.address for node in registry.nodes(Role.COORDINATOR)] == [OTHER_NODE]
    assert len(registry) == 2


async def test_it_goes_on_from_its_document(world):
    registry = registry_of(world)
    await world.register()
    await registry.sync()
    later = restored(world, registry.to_document())
    assert later.nodes() == registry.nodes()
    await world.register(OTHER_NODE_SECRET)
    await later.sync()
    assert [node.address for node in later.nodes()] == [NODE, OTHER_NODE]


async def test_a_reorganisation_takes_back_what_it_undid():
    with anvil_process() as process:
        async with visit(process, await deploy_for_tests(process), put_back=False) as world:
            registry = registry_of(world)
            await world.register()
            await world.staking.set_metadata(world.owner, NODE, "stays")
            await registry.sync()
            before = registry.nodes()
            await world.staking.set_metadata(world.owner, NODE, "goes")
            await world.register(OTHER_NODE_SECRET)
            await registry.sync()
            assert len(registry) == 2
            await world.chain.rpc.request("anvil_reorg", 3, [])  # metadata, stake, registration
            later = restored(world, registry.to_document())
            for one in (registry, later):
                await one.sync()
                assert one.nodes() == before


async def test_the_limit(world, monkeypatch):
    monkeypatch.setattr(registries, "ENTRIES_MAX", 1)
    registry = registry_of(world)
    await world.register()
    await registry.sync()
    await world.register(OTHER_NODE_SECRET)
    with pytest.raises(RegistryFull):
        await registry.sync()


async def test_a_document_that_is_none_changes_nothing(world):
    registry = registry_of(world)
    await world.register()
    await registry.sync()
    good = registry.to_document()
    (entry,) = good["entries"]
    for document in (
        None,
        {},
        good | {"format": "cuckoo-registry/2"},
        good | {"staking": "00" * 20},
        good | {"cursor": {}},
        good | {"entries": [[*entry[:4], 9]]},
        good | {"entries": [[*entry[:4]]]},
        good | {"entries": [["1", *entry[1:]]]},
        good | {"entries": [[entry[0], "00", *entry[2:]]]},
        good | {"entries": [[entry[0], entry[1], "x" * 2_000, *entry[3:]]]},
        good | {"entries": [[10**9, *entry[1:]]]},
    ):
        fresh = registry_of(world)
        with pytest.raises(BadCursor):
            fresh.restore(document)
        await fresh.sync()
        assert fresh.nodes() == registry.nodes()
