"""What an owner says of its node, found when it is asked for."""

from __future__ import annotations

import pytest

from contracts import metadata
from contracts.contract import Contract
from contracts.errors import ContractReverted, RpcError
from tests.contracts.world import EPOCH_BLOCKS, NODE, OTHER_NODE

pytestmark = pytest.mark.process


async def test_the_newest_text_is_found(world):
    await world.register()
    assert await world.clients.metadata.read(NODE) == "{}"
    await world.chain.mine(EPOCH_BLOCKS)
    await world.staking.set_metadata(world.owner, NODE, "newer")
    assert await world.clients.metadata.read(NODE) == "newer"
    with pytest.raises(ContractReverted, match="MetadataSet"):
        await world.staking.set_metadata(world.owner, NODE, "newest")


async def test_a_node_that_is_not_there_says_nothing(world):
    with pytest.raises(ContractReverted, match="NotRegistered"):
        await world.clients.metadata.read(OTHER_NODE)


async def test_it_is_looked_for_in_its_epoch(world, monkeypatch):
    await world.register()
    await world.chain.mine(10 * EPOCH_BLOCKS)
    real, asked = Contract.events, []

    async def watched(self, names, first, last, **options):
        asked.append(last)
        return await real(self, names, first, last, **options)

    monkeypatch.setattr(Contract, "events", watched)
    assert await world.clients.metadata.read(NODE) == "{}"
    assert len(asked) == 1
    assert asked[0] < await world.chain.rpc.block_number() - 8 * EPOCH_BLOCKS


async def test_where_the_contract_counts_other_blocks_it_is_looked_for_everywhere(world, monkeypatch):
    await world.register()
    await world.chain.mine(3 * EPOCH_BLOCKS)
    real = Contract.read

    async def elsewhere(self, name, *arguments):
        return 10**6 if name == "currentEpoch" else await real(self, name, *arguments)

    monkeypatch.setattr(Contract, "read", elsewhere)
    assert await world.clients.metadata.read(NODE) == "{}"


async def test_it_is_looked_for_in_few_blocks_where_an_rpc_allows_few_but_not_for_ever(world, monkeypatch):
    await world.chain.mine(-await world.chain.rpc.block_number() % EPOCH_BLOCKS)
    await world.register()
    await world.chain.mine(20)
    real, asked = Contract.events, []

    async def bounded(self, names, first, last, **options):
        asked.append(last - first + 1)
        if asked[-1] > 3:
            raise RpcError("eth_getLogs", -32005, "limit", None)
        return await real(self, names, first, last, **options)

    monkeypatch.setattr(Contract, "events", bounded)
    assert await world.clients.metadata.read(NODE) == "{}"
    assert asked.count(3) + asked.count(2) > 3
    monkeypatch.setattr(metadata, "REQUESTS_MAX", 4)
    assert await world.clients.metadata.read(NODE) is None


async def test_one_block_that_is_refused_is_an_error(world, monkeypatch):
    async def refuse(*_arguments, **_options):
        raise RpcError("eth_getLogs", -32000, "no", None)

    await world.register()
    monkeypatch.setattr(Contract, "events", refuse)
    with pytest.raises(RpcError):
        await world.clients.metadata.read(NODE)
