"""One contract through web3: arguments, results and events, with an RPC that answers as told."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.lowlevel
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

import contracts.contract
from contracts.contract import LOG_BLOCKS_MAX, LOGS_AT_ONCE, BadArguments, Contract, creation_data
from contracts.errors import AnswerTooLarge, BadChainAnswer, ContractReverted, RpcError
from contracts.libraries import Web3
from contracts.rpc import Receipt, connect
from protocol.hashing import keccak256
from tests.contracts.fakes import ENDPOINT, FakeChain, fake

NODE = bytes(range(20))
OWNER = bytes(range(20, 40))
ADDRESS = bytes(range(40, 60))
STAKED = keccak256(b"Staked(address,address,uint256,uint256)")


@contextlib.asynccontextmanager
async def contract_with(transport, name="Staking"):
    async with connect(ENDPOINT, transport=transport) as rpc:
        yield Contract(rpc, ADDRESS, name)


def word(data: bytes) -> str:
    return "0x" + data.rjust(32, b"\0").hex()


def log_of(topics, data, address=ADDRESS):
    return {
        "address": Web3.to_checksum_address(address),
        "topics": topics,
        "data": "0x" + data.hex(),
        "blockNumber": "0x7",
        "blockHash": word(b"b"),
        "transactionHash": word(b"t"),
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        "removed": False,
    }


STAKED_LOG = log_of(["0x" + STAKED.hex(), word(NODE), word(OWNER)], encode(["uint256", "uint256"], [7, 8]))


async def receipt_with(logs):
    found = {"blockNumber": "0x7", "gasUsed": "0x1", "status": "0x1", "logs": logs}
    async with connect(ENDPOINT, transport=fake(result=found)) as rpc:
        receipt = await rpc.receipt(bytes(32))
        assert isinstance(receipt, Receipt)
        return Contract(rpc, ADDRESS, "Staking"), receipt


async def test_a_call_is_selector_and_words():
    calls = []

    async def answer(chain, call):
        await trio.lowlevel.checkpoint()
        calls.append(call)
        return chain.json(call, result=word(b"\x05"))

    async with contract_with(FakeChain(answer), "CAI") as contract:
        assert await contract.read("balanceOf", NODE) == 5
    assert [call["method"] for call in calls] == ["eth_call"]
    fields, block = calls[0]["params"]
    assert block == "latest"
    assert bytes.fromhex(fields["to"][2:]) == ADDRESS
    assert fields["data"] == "0x70a08231" + "00" * 12 + NODE.hex()  # ERC-20's, as everybody knows it


@pytest.mark.parametrize(
    "arguments",
    [(), (NODE,), (NODE, 1, 2), (NODE, -1), (NODE, 2**256), (NODE[1:], 1), (NODE, "1"), (None, 1)],
)
async def test_arguments_that_do_not_fit_are_a_local_error(arguments):
    async with contract_with(fake(result=None)) as contract:
        with pytest.raises(BadArguments, match="vote"):
            await contract.transact(None, "vote", *arguments)
        with pytest.raises(BadArguments, match="sharesOf"):
            await contract.read("sharesOf", *arguments, 1)


async def test_a_creation_is_bytecode_and_arguments():
    async with connect(ENDPOINT, transport=fake()) as rpc:
        assert creation_data(rpc, "Slashing", [NODE, 7]).endswith(bytes(12) + NODE + (7).to_bytes(32, "big"))
        for arguments in ((), (1, 7), (NODE, NODE)):
            with pytest.raises(BadArguments, match="constructor"):
                creation_data(rpc, "Slashing", arguments)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=400))
async def test_any_result_decodes_or_is_a_bad_answer(data):
    async with contract_with(fake(result="0x" + data.hex())) as contract:
        for name, arguments in (("nodeInfo", (NODE,)), ("weightsAt", ([NODE], 2)), ("nodeCount", ())):
            with contextlib.suppress(BadChainAnswer):
                await contract.read(name, *arguments)


@pytest.mark.parametrize("result", [None, 1, [], {}, "0x", "0x1", "text", "0x" + "00" * 31])
async def test_what_is_no_result_is_a_bad_answer(result):
    async with contract_with(fake(result=result)) as contract:
        with pytest.raises(BadChainAnswer):
            await contract.read("nodeCount")


async def test_a_text_that_is_no_utf_8_is_read_with_replacements():
    data = encode(["bytes"], [b"\xff\xfe"])
    async with contract_with(fake(result="0x" + data.hex()), "EpochSeeds") as contract:
        assert await contract.read("CLOCK_MODE") == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (keccak256(b"NotRegistered(address)")[:4] + bytes(12) + NODE, "NotRegistered"),
        (keccak256(b"Panic(uint256)")[:4] + (0x99).to_bytes(32, "big"), "Panic"),
        (keccak256(b"OffchainLookup(address,string[],bytes,bytes4,bytes)")[:4], "unknown"),
        (b"", "unknown"),
    ],
)
async def test_a_refusal_of_the_contract_is_its_error(data, name):
    error = {"code": 3, "message": "execution reverted", "data": "0x" + data.hex()}
    async with contract_with(fake(error=error)) as contract:
        with pytest.raises(ContractReverted) as caught:
            await contract.read("nodeCount")
    assert (caught.value.name, caught.value.data) == (name, data)


async def test_a_refusal_of_the_rpc_is_the_rpc_s():
    async with contract_with(fake(error={"code": -32000, "message": "no"})) as contract:
        with pytest.raises(RpcError, match="no"):
            await contract.read("nodeCount")


async def test_an_event_has_its_indexed_and_other_parameters_by_name():
    contract, receipt = await receipt_with([log_of([], b""), STAKED_LOG])
    event = contract.event(receipt, "Staked")
    assert event.arguments == {"node": NODE, "account": OWNER, "amount": 7, "shares": 8}
    assert (event.name, event.block_number) == ("Staked", 7)


@pytest.mark.parametrize(
    "log",
    [
        {**STAKED_LOG, "address": Web3.to_checksum_address(NODE)},
        {**STAKED_LOG, "topics": STAKED_LOG["topics"][:2]},
        {**STAKED_LOG, "topics": []},
        {**STAKED_LOG, "data": "0x01"},
        log_of([word(b"else")], b""),
    ],
)
async def test_an_event_of_others_or_in_the_wrong_shape_is_a_bad_answer(log):
    contract, receipt = await receipt_with([log])
    with pytest.raises(BadChainAnswer):
        contract.event(receipt, "Staked")


async def test_events_of_a_range_are_decoded():
    async with contract_with(fake(result=[STAKED_LOG])) as contract:
        (event,) = await contract.events(["Staked"], 0, 9)
    assert event.arguments["amount"] == 7
    assert event.transaction_hash == b"t".rjust(32, b"\0")


@pytest.mark.parametrize(
    "result",
    [None, 1, [1], [{}], [{"address": "0x", "topics": {}}], [{**STAKED_LOG, "topics": [word(b"else")]}]],
)
async def test_logs_in_the_wrong_shape_are_a_bad_answer(result):
    async with contract_with(fake(result=result)) as contract:
        with pytest.raises(BadChainAnswer):
            await contract.events(["Staked"], 0, 1)


async def test_logs_are_asked_for_in_bounds():
    async with contract_with(fake(result=[])) as contract:
        assert await contract.events(["Staked"], 1, LOG_BLOCKS_MAX) == ()
        with pytest.raises(ValueError, match="blocks"):
            await contract.events(["Staked"], 0, LOG_BLOCKS_MAX)


async def test_many_logs_let_other_tasks_have_their_turns():
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    many = fake(result=[STAKED_LOG] * 5 * LOGS_AT_ONCE)
    async with contract_with(many) as contract, trio.open_nursery() as nursery:
        nursery.start_soon(others)
        real, before = contract._rpc.logs, []

        async def noted(*arguments):
            found = await real(*arguments)
            before.append(turns)
            return found

        contract._rpc.logs = noted
        assert len(await contract.events(["Staked"], 7, 7)) == 5 * LOGS_AT_ONCE
        assert turns - before[0] >= 4
        nursery.cancel_scope.cancel()


async def test_an_answer_of_several_blocks_is_bounded_lower_than_one_of_one(monkeypatch):
    monkeypatch.setattr(contracts.contract, "LOG_BYTES_MAX", 300)
    async with contract_with(fake(result=[STAKED_LOG])) as contract:
        assert len(await contract.events(["Staked"], 7, 7)) == 1
        with pytest.raises(AnswerTooLarge):
            await contract.events(["Staked"], 7, 8)


async def test_logs_of_one_node_are_asked_for_by_its_topic():
    queries = []

    async def answer(chain, call):
        await trio.lowlevel.checkpoint()
        queries.extend(call["params"])
        return chain.json(call, result=[])

    async with contract_with(FakeChain(answer)) as contract:
        await contract.events(["Staked"], 16, 17, node=NODE)
    assert queries == [
        {
            "address": Web3.to_checksum_address(ADDRESS),
            "topics": [["0x" + STAKED.hex()], word(NODE)],
            "fromBlock": "0x10",
            "toBlock": "0x11",
        }
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"blockNumber": "0x9"},
        {"blockNumber": None},
        {"blockNumber": "7"},
        {"logIndex": "-0x1"},
        {"removed": True},
        {"transactionHash": "0x00"},
        {"transactionHash": None},
        {"data": "0x"},
        {"data": "00"},
        {"topics": STAKED_LOG["topics"][:2]},
    ],
)
async def test_a_log_that_does_not_stand_in_these_blocks_is_a_bad_answer(changes):
    async with contract_with(fake(result=[STAKED_LOG | changes])) as contract:
        with pytest.raises(BadChainAnswer):
            await contract.events(["Staked"], 0, 8)
