"""Public RPCs as they are, before a real anvil: limits and texts, what they lack, and backends that lag."""

from __future__ import annotations

import contextlib

import pytest

from contracts.clients import Clients
from contracts.events import OVERLAP_BLOCKS
from contracts.rpc import connect
from contracts.transactions import Sender
from tests.contracts.shim import Shim
from tests.contracts.world import NODE, OTHER_NODE, OTHER_NODE_SECRET

pytestmark = pytest.mark.process


@contextlib.asynccontextmanager
async def through(chain_process, hook):
    async with connect(chain_process.endpoint, transport=Shim(hook)) as rpc:
        yield rpc


def addresses(registry):
    return [node.address for node in registry.nodes()]


# Logs


RANGE_LIMITS = (
    (10, -32600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range."),
    (500, -32000, "exceed maximum block range: 500"),
    (1_000, -32602, "query exceeds max block range 1000"),
    (1_000, -32005, "query returned more than 10000 results. Try with this block range [0x1, 0x100]."),
)


async def test_fewer_blocks_are_asked_for_where_an_rpc_allows_fewer(world, chain_process):
    await world.register()
    await world.chain.mine(1_200)
    await world.register(OTHER_NODE_SECRET)
    for blocks_max, code, text in RANGE_LIMITS:
        asked = []

        async def hook(method, params, _forward, blocks_max=blocks_max, code=code, text=text, asked=asked):
            if method != "eth_getLogs":
                return None
            asked.append(int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1)
            return {"error": {"code": code, "message": text}} if asked[-1] > blocks_max else None

        async with through(chain_process, hook) as rpc:
            registry = Clients(rpc, world.deployment).registry()
            await registry.sync()
            assert addresses(registry) == [NODE, OTHER_NODE]
        assert len([blocks for blocks in asked if blocks > blocks_max]) < 25


async def test_no_more_than_10_000_logs_at_once(world, chain_process):
    """The limit counts logs, wherever they are: those of other blocks do not come back either."""
    refused = []

    async def hook(method, params, forward):
        if method != "eth_getLogs":
            return None
        answer = await forward()
        if len(answer["result"]) * 10_000 > 10_000:  # as if each registration were ten thousand
            refused.append(params)
            return {"error": {"code": -32005, "message": "query returned more than 10000 results"}}
        return answer

    await world.register()
    await world.register(OTHER_NODE_SECRET)
    async with through(chain_process, hook) as rpc:
        registry = Clients(rpc, world.deployment).registry()
        await registry.sync()
        assert addresses(registry) == [NODE, OTHER_NODE]
    assert refused


async def test_a_backend_that_is_blocks_behind_loses_no_registration(world, chain_process, tmp_path):
    lag = 1

    async def hook(method, params, forward):
        if method != "eth_getLogs":
            return None
        query = params[0]
        last = int(query["toBlock"], 16) - lag
        if last < int(query["fromBlock"], 16):
            return {"result": []}
        return await forward([{**query, "toBlock": hex(last)}])

    async with through(chain_process, hook) as rpc:
        clients = Clients(rpc, world.deployment)
        registry = clients.registry(tmp_path / "registry.sqlite")
        await world.register()
        await registry.sync()
        assert (addresses(registry), registry.is_complete) == ([], False)
        lag = 0
        await registry.sync()
        assert (addresses(registry), registry.is_complete) == ([NODE], True)
        await world.chain.mine(OVERLAP_BLOCKS)
        await registry.sync()
        later = clients.registry(tmp_path / "registry.sqlite")
        await later.sync()
        assert addresses(later) == [NODE]


# Transactions


async def sent_through(world, chain_process, hook):
    accounts = world.chain.accounts()
    async with through(chain_process, hook) as rpc:
        sender = Sender(rpc, accounts[2])
        before = await rpc.next_nonce(sender.address, pending=False)
        receipt = await sender.send(accounts[5].address, b"", value_wei=1)
        assert receipt.succeeded
        return await rpc.next_nonce(sender.address, pending=False) - before


@pytest.mark.parametrize(
    "text",
    [
        "already known",
        "AlreadyKnown",
        "Known transaction",
        "known transaction: 0xabc",
        "Transaction with the same hash was already imported.",
        "ALREADY_EXISTS: already known",
        "transaction already in mempool",
        "nonce too low",
        "OldNonce",
    ],
)
async def test_a_transaction_that_had_arrived_is_waited_for_and_not_sent_twice(world, chain_process, text):
    asked = []

    async def hook(method, _params, forward):
        if method == "eth_getTransactionReceipt" and not asked:
            asked.append(method)
            return {"result": None}  # it is in no block yet
        if method != "eth_sendRawTransaction":
            return None
        await forward()  # it has arrived, and the gateway asks a second time
        return {"error": {"code": -32000, "message": text}}

    assert await sent_through(world, chain_process, hook) == 1


@pytest.mark.parametrize(
    "text",
    [
        "nonce too low",
        "Nonce too low",
        "OldNonce, Current nonce: 1, nonce of rejected tx: 0",
        "wrong transaction nonce",
        "Transaction nonce is too low. Try incrementing the nonce.",
        "NONCE_EXPIRED",
        "invalid nonce; got 0, expected 1",
        "nonce is too low: next nonce 5, tx nonce 4",
        "ReplacementNotAllowed",
        "could not replace existing tx",
        "replacement transaction underpriced",
    ],
)
async def test_a_taken_number_is_replaced_by_the_next(world, chain_process, text):
    refused = []

    async def hook(method, _params, _forward):
        if method != "eth_sendRawTransaction" or refused:
            return None
        refused.append(method)
        return {"error": {"code": -32000, "message": text}}

    assert await sent_through(world, chain_process, hook) == 1
    assert refused


@pytest.mark.parametrize(
    ("method", "code", "text"),
    [
        ("eth_estimateGas", -32602, "pending state is not supported"),
        ("eth_estimateGas", -39001, "unknown block"),
        ("eth_estimateGas", -32000, "header not found"),
        ("eth_getTransactionCount", -32602, "pending block is not available"),
    ],
)
async def test_an_rpc_without_a_pending_block_is_asked_of_the_latest(
    world, chain_process, method, code, text
):
    async def hook(called, params, _forward):
        if called == method and "pending" in params:
            return {"error": {"code": code, "message": text}}
        return None

    assert await sent_through(world, chain_process, hook) == 1


@pytest.mark.parametrize(
    ("method", "changed", "absent"),
    [
        ("eth_getBlockByNumber", {"baseFeePerGas": None}, ()),
        ("eth_getBlockByNumber", {}, ("baseFeePerGas",)),
        ("eth_getTransactionReceipt", {"contractAddress": None}, ()),
        ("eth_getTransactionReceipt", {}, ("contractAddress",)),
    ],
)
async def test_a_field_that_is_null_is_absent(world, chain_process, method, changed, absent):
    async def hook(called, _params, forward):
        if called != method:
            return None
        answer = await forward()
        if answer["result"] is not None:
            answer["result"] |= changed
            for name in absent:
                answer["result"].pop(name, None)
        return answer

    assert await sent_through(world, chain_process, hook) == 1


async def test_a_receipt_of_a_transaction_without_a_block_is_waited_for(world, chain_process):
    asked = []

    async def hook(method, _params, forward):
        if method != "eth_getTransactionReceipt":
            return None
        answer = await forward()
        # Until the transaction is in a block, the chain itself answers null.
        if answer["result"] is not None:
            asked.append(method)
            if len(asked) == 1:
                answer["result"] |= {"blockNumber": None, "blockHash": None}
        return answer

    assert await sent_through(world, chain_process, hook) == 1
    assert len(asked) > 1


async def test_what_a_contract_refuses_is_not_asked_twice(world, chain_process):
    asked = []

    async def hook(method, _params, _forward):
        asked.append(method)

    async with through(chain_process, hook) as rpc:
        clients = Clients(rpc, world.deployment)
        with pytest.raises(Exception, match="NotRegistered"):
            await clients.staking.set_metadata(Sender(rpc, world.chain.accounts()[2]), NODE, "")
    assert asked.count("eth_estimateGas") == 1
