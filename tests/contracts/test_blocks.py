"""Single blocks: what one endpoint tells of them, and several."""

from __future__ import annotations

import pytest

from contracts.blocks import Block, BlocksClient
from contracts.errors import BadChainAnswer
from contracts.rpc import connect
from tests.contracts.fakes import FakeEndpoint, FakeEndpoints

IT_IS_OTHERWISE = "it has another block 90 than most others"


def hash_of(number, name=0):
    return bytes([name]) + number.to_bytes(31, "big")


def block(number):
    return Block(number, hash_of(number), hash_of(number - 1), 2 * number)


def telling(name=0, head=100, **changes):
    """An endpoint with a block every two seconds up to `head`; 90 has a name, with None it is silent."""
    endpoint = FakeEndpoint()
    plain = endpoint.answer

    def answer(method, params):
        if method != "eth_getBlockByNumber" or params[0] == "0x0":
            return plain(method, params)
        number = head if params[0] == "latest" else int(params[0], 16)
        if number > head:
            return None
        found = {
            "number": hex(number),
            "hash": "0x" + hash_of(number, (name or 0) if number == 90 else 0).hex(),
            "parentHash": "0x" + hash_of(number - 1).hex(),
            "timestamp": hex(2 * number),
        }
        return found | changes

    endpoint.answer = answer
    if name is None:
        error = {"code": -32000, "message": "no"}
        endpoint.refusal = lambda method, params: error if params and params[0] == hex(90) else None
    return endpoint


async def ask(question, *endpoints):
    """The answer, and who is passed over and why."""
    net = FakeEndpoints(**dict(zip("abcde", endpoints, strict=False)))
    async with connect(net.urls, transport=net) as rpc:
        found = await question(BlocksClient(rpc))
        return found, {one.host[0]: one.passed_over for one in rpc.status().endpoints if one.passed_over}


async def test_a_block_is_told_by_its_number():
    assert await ask(lambda blocks: blocks.newest(), telling()) == (block(100), {})
    assert await ask(lambda blocks: blocks.block(7), telling()) == (block(7), {})
    assert await ask(lambda blocks: blocks.block(101), telling()) == (None, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"number": hex(8)},
        {"hash": "0x1234"},
        {"parentHash": "0x"},
        {"timestamp": "0x" + "f" * 17},
        {"timestamp": None},
        {"number": "seven"},
        {"hash": None},
    ],
    ids=str,
)
async def test_attack_an_answer_that_is_no_such_block(changes):
    with pytest.raises(BadChainAnswer):
        await ask(lambda blocks: blocks.block(7), telling(**changes))


def doubt(*names, **heads):
    endpoints = [telling(name, heads.get(place, 100)) for place, name in zip("abcde", names, strict=False)]
    return ask(lambda blocks: blocks.doubt_about(block(90)), *endpoints)


@pytest.mark.parametrize(
    ("names", "heads"),
    [((0,), {}), ((0, 0), {}), ((0, None), {}), ((0, 0, 0), {"b": 80}), ((None, 0, 0), {})],
    ids=["alone", "both", "one answers", "one lags", "one is silent"],
)
async def test_more_than_half_of_the_answers_decide(names, heads):
    assert await doubt(*names, **heads) == (None, {})


async def test_attack_a_block_that_one_of_two_tells_otherwise_decides_nothing():
    found, aside = await doubt(0, 1)
    assert found == (
        "the chain's RPCs disagree about block 90: "
        "a.example says 0x0000000000000000, b.example says 0x0100000000000000"
    )
    assert aside == {}


async def test_attack_a_block_that_one_of_three_tells_otherwise_puts_it_aside():
    found, aside = await doubt(1, 0, 0)
    assert (found, aside) == (None, {"a": IT_IS_OTHERWISE})
    found, aside = await doubt(0, 1, 1)
    assert found is not None
    assert aside == {"a": IT_IS_OTHERWISE}


async def test_attack_a_block_that_the_others_do_not_have_yet():
    found, aside = await doubt(0, 0, 0, b=80, c=80)
    assert found == (
        "the chain's RPCs disagree about block 90: a.example says 0x0000000000000000, "
        "b.example says that there is none, c.example says that there is none"
    )
    assert aside == {"a": IT_IS_OTHERWISE}


async def test_nobody_that_answers_is_a_doubt():
    found, _ = await doubt(None, None)
    assert found == "none of the chain's RPCs answers about block 90"
