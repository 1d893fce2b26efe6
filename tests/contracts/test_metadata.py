"""What an owner says of its node, found when it is asked for."""

from __future__ import annotations

import pytest

from contracts import events, metadata
from contracts.contract import Contract
from contracts.errors import RpcError
from tests.contracts.world import NODE, OTHER_NODE

pytestmark = pytest.mark.process


async def test_the_newest_text_is_found(world):
    await world.register()
    assert await world.clients.metadata.read(NODE) == "{}"
    await world.staking.set_metadata(world.owner, NODE, "newer")
    assert await world.clients.metadata.read(NODE) == "newer"


async def test_a_node_that_is_not_there_says_nothing(world):
    assert await world.clients.metadata.read(OTHER_NODE) is None


async def test_it_is_looked_for_in_few_blocks_where_an_rpc_allows_few_but_not_for_ever(world, monkeypatch):
    await world.register()
    await world.chain.mine(20)
    real, asked = Contract.events, []

    async def bounded(self, names, first, last, **options):
        asked.append(last - first + 1)
        if asked[-1] > 3:
            raise RpcError("eth_getLogs", -32005, "limit", None)
        return await real(self, names, first, last, **options)

    monkeypatch.setattr(Contract, "events", bounded)
    monkeypatch.setattr(events, "LOG_BLOCKS_MAX", 16)
    assert await world.clients.metadata.read(NODE) == "{}"
    monkeypatch.setattr(metadata, "REQUESTS_MAX", 4)
    assert await world.clients.metadata.read(NODE) is None


async def test_one_block_that_is_refused_is_an_error(world, monkeypatch):
    async def refuse(*_arguments, **_options):
        raise RpcError("eth_getLogs", -32000, "no", None)

    monkeypatch.setattr(Contract, "events", refuse)
    with pytest.raises(RpcError):
        await world.clients.metadata.read(NODE)
