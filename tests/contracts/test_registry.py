"""The list of nodes: it follows the chain, also backwards, and goes on from its file."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing

import pytest

from contracts import registry as registries
from contracts.anvil import anvil_process
from contracts.contract import Contract
from contracts.errors import BadChainAnswer
from contracts.events import OVERLAP_BLOCKS
from contracts.records import Role
from contracts.registry import INCOMPLETE_MAX, Registry
from contracts.registry_store import Entry
from tests.contracts.world import (
    COORDINATOR_STAKE_WEI,
    NODE,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    deploy_for_tests,
    visit,
)

pytestmark = pytest.mark.process


def registry_of(world, file=None):
    return Registry(world.chain.rpc, world.staking.address, world.deployment.deployed_at_block, file)


def addresses(registry, role=None):
    return [node.address for node in registry.nodes(role)]


def lying(events):
    """A chain whose logs are these."""

    async def answer(_contract, _names, _first, _last):
        return events

    return answer


@pytest.fixture
def file(tmp_path):
    return tmp_path / "node" / "registry.sqlite"


async def test_registrations_by_role(world):
    registry = registry_of(world)
    await world.register()
    await world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
    await world.staking.set_metadata(world.owner, NODE, "is not followed")
    await registry.sync()
    owner = world.owner.address
    assert [(node.address, node.owner, node.role) for node in registry.nodes()] == [
        (NODE, owner, Role.MINER),
        (OTHER_NODE, owner, Role.COORDINATOR),
    ]
    assert addresses(registry, Role.COORDINATOR) == [OTHER_NODE]
    assert (len(registry), registry.is_complete) == (2, True)


async def test_it_goes_on_from_its_file_where_it_was(world, file, monkeypatch):
    registry = registry_of(world, file)
    await world.register()
    await world.chain.mine(OVERLAP_BLOCKS)
    await registry.sync()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await world.register(OTHER_NODE_SECRET)
    later = registry_of(world, file)
    real, asked = Contract.events, []

    async def watched(self, names, first, last):
        asked.append(first)
        return await real(self, names, first, last)

    monkeypatch.setattr(Contract, "events", watched)
    await later.sync()
    assert addresses(later) == [NODE, OTHER_NODE]
    assert min(asked) > later.nodes()[0].block_number


@pytest.mark.parametrize("depth", [3, OVERLAP_BLOCKS + 5])
async def test_a_reorganisation_takes_back_what_it_undid(file, depth):
    with anvil_process() as process:
        async with visit(process, await deploy_for_tests(process), put_back=False) as world:
            registry = registry_of(world, file)
            await world.register()
            await world.chain.mine(2 * OVERLAP_BLOCKS)
            await registry.sync()
            before = registry.nodes()
            await world.register(OTHER_NODE_SECRET)
            await world.chain.mine(depth - 2)
            await registry.sync()
            assert len(registry) == 2
            await world.chain.rpc.request("anvil_reorg", depth, [])
            for one in (registry, registry_of(world, file)):
                await one.sync()
                assert one.nodes() == before


async def test_a_list_shorter_than_the_contract_s_count_says_so_and_is_read_anew(world, file, monkeypatch):
    """Even where settled blocks were read from a node without them, nothing is lost for good."""
    registry = registry_of(world, file)
    await world.register()
    await world.chain.mine(OVERLAP_BLOCKS)
    with monkeypatch.context() as patch:
        patch.setattr(Contract, "events", lying(()))
        await registry.sync()
    for _ in range(INCOMPLETE_MAX - 1):
        assert (len(registry), registry.is_complete) == (0, False)
        await registry.sync()
    assert not file.exists()
    await registry.sync()
    assert (addresses(registry), registry.is_complete) == ([NODE], True)
    assert addresses(registry_of(world, file)) == []
    later = registry_of(world, file)
    await later.sync()
    assert addresses(later) == [NODE]


async def test_more_nodes_than_there_can_be_are_a_bad_answer_and_change_nothing(world, monkeypatch):
    registry = registry_of(world)
    await world.register()
    await registry.sync()
    await world.register(OTHER_NODE_SECRET)
    with monkeypatch.context() as patch:
        patch.setattr(registries, "NODES_MAX", 1)
        with pytest.raises(BadChainAnswer):
            await registry.sync()
    assert addresses(registry) == [NODE]
    await registry.sync()
    assert addresses(registry) == [NODE, OTHER_NODE]


async def test_a_role_that_is_none_is_a_bad_answer_and_loses_nothing(world, monkeypatch):
    registry = registry_of(world)
    await world.register()
    await world.chain.mine(OVERLAP_BLOCKS)
    with monkeypatch.context() as patch:
        patch.setattr(registries, "Role", lambda _role: Role(9))
        with pytest.raises(BadChainAnswer):
            await registry.sync()
    await registry.sync()
    assert addresses(registry) == [NODE]


def damaged(file, statement):
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE about SET format = 'cuckoo-registry/3'",
        "UPDATE about SET staking = zeroblob(20)",
        "UPDATE about SET first_block = 1",
        "DELETE FROM about",
        "UPDATE marks SET hash = x'00'",
        "DELETE FROM marks",
        "UPDATE nodes SET role = 9",
        "UPDATE nodes SET address = x'00'",
        "UPDATE nodes SET block_number = 1000000000",
    ],
)
async def test_a_file_of_something_else_is_read_anew(world, file, statement):
    registry = registry_of(world, file)
    await world.register()
    await world.chain.mine(OVERLAP_BLOCKS)
    await registry.sync()
    damaged(file, statement)
    for _ in range(2):
        later = registry_of(world, file)
        await later.sync()
        assert (addresses(later), later.fault) == ([NODE], None)


async def test_bytes_that_are_no_database_are_read_anew(world, file):
    file.parent.mkdir()
    file.write_bytes(b"{" * 10_000)
    await world.register()
    registry = registry_of(world, file)
    await registry.sync()
    assert (addresses(registry), registry.fault) == ([NODE], None)


async def test_a_file_that_cannot_be_written_stops_nothing(world, file):
    file.parent.write_bytes(b"in the way")
    await world.register()
    await world.chain.mine(OVERLAP_BLOCKS)
    registry = registry_of(world, file)
    await registry.sync()
    assert addresses(registry) == [NODE]
    assert registry.fault is not None


@pytest.mark.parametrize("fields", [(b"", bytes(20)), (bytes(20), bytes(21))])
def test_an_entry_has_addresses(fields):
    with pytest.raises(ValueError, match="address"):
        Entry(1, 0, *fields, Role.MINER)
