from __future__ import annotations

import httpx2
import pytest
import trio
import trio.lowlevel

from contracts import endpoints
from contracts.errors import BadChainAnswer, ChainUnreachable, RpcError, WrongChain
from contracts.rpc import connect
from tests.contracts.fakes import ENDPOINT, FakeChain, fake, raw


async def ask(transport, timeout_s=5.0):
    async with connect(ENDPOINT, transport=transport, timeout_s=timeout_s) as rpc:
        return await rpc.block_number()


async def test_a_quantity_is_an_integer():
    assert await ask(fake(result="0x10")) == 16


@pytest.mark.parametrize("result", [None, True, "0x", "0xzz", "-0x1", -1, [], {}, "0x" + "1" * 65])
async def test_anything_else_is_a_bad_answer(result):
    with pytest.raises(BadChainAnswer) as caught:
        await ask(fake(result=result))
    assert caught.value.method == "eth_blockNumber"


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b"1", b'{"id":99,"result":"0x1"}', b'{"id":2}', b"[" * 10**5]
)
async def test_what_is_no_json_rpc_is_a_bad_answer(content):
    with pytest.raises(BadChainAnswer):
        await ask(raw(200, content))


async def test_a_gateway_s_error_page_means_unreachable():
    with pytest.raises(ChainUnreachable, match="HTTP 502"):
        await ask(raw(502, b"<html>Bad Gateway</html>"))


async def test_an_answer_has_a_limit(monkeypatch):
    monkeypatch.setattr(endpoints, "ANSWER_BYTES_MAX", 1000)
    with pytest.raises(BadChainAnswer, match="more than 1000 bytes"):
        await ask(raw(200, b" " * 1001))


async def test_a_refused_connection_means_unreachable():
    async def refuse(_chain, _call):
        await trio.lowlevel.checkpoint()
        raise httpx2.ConnectError("refused")

    with pytest.raises(ChainUnreachable, match="refused"):
        await ask(FakeChain(refuse))


async def test_silence_means_unreachable():
    async def sleep(_chain, _call):
        await trio.sleep_forever()

    with pytest.raises(ChainUnreachable, match=r"no answer in 0\.05 s"):
        await ask(FakeChain(sleep), timeout_s=0.05)


async def test_errors_do_not_tell_the_secrets_of_an_endpoint():
    with pytest.raises(ChainUnreachable) as caught:
        await ask(raw(502, b""))
    assert caught.value.endpoint == "chain.example:8545"
    assert "secret" not in str(caught.value)


def failing(status, error):
    """An endpoint that answers with a status and an error of JSON-RPC."""

    async def answer(_chain, call):
        await trio.lowlevel.checkpoint()
        return httpx2.Response(status, json={"jsonrpc": "2.0", "id": call["id"], "error": error})

    return FakeChain(answer)


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (429, -32005, "whatever"),
        (503, -32000, "upstream unavailable"),
        (500, -32603, "internal error"),
        (200, 429, "Your app has exceeded its compute units per second capacity."),
        (200, -32005, "daily request count exceeded, request rate limited"),
        (200, -32007, "50/second request limit reached - reduce calls per second or upgrade your account"),
        (200, -32090, "Too many requests, reason: call rate limit exhausted, retry in 10s"),
        (200, -32016, "over rate limit"),
    ],
)
async def test_too_many_requests_and_a_server_s_error_mean_unreachable(status, code, text):
    with pytest.raises(ChainUnreachable, match=f"HTTP {status}"):
        await ask(failing(status, {"code": code, "message": text}))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, {"code": -32005, "message": "query returned more than 10000 results"}),
        (400, {"code": -32602, "message": "query exceeds max block range 1000"}),
        (500, {"code": 3, "message": "execution reverted"}),
        (500, {"code": -32603, "message": "execution reverted", "data": "0x0102"}),
    ],
)
async def test_a_refusal_of_this_request_is_none_of_the_endpoint(status, error):
    with pytest.raises(RpcError):
        await ask(failing(status, error))


@pytest.mark.parametrize("data", ["0x0102", {"data": "0x0102"}])
async def test_an_rpc_s_refusal_has_code_and_revert_data(data):
    with pytest.raises(RpcError) as caught:
        await ask(fake(error={"code": 3, "message": "execution reverted", "data": data}))
    assert (caught.value.code, caught.value.data) == (3, b"\x01\x02")


@pytest.mark.parametrize("data", [None, "text", 5, [], "0x0"])
async def test_a_refusal_without_revert_data_has_none(data):
    with pytest.raises(RpcError) as caught:
        await ask(fake(error={"code": -32000, "message": "no", "data": data}))
    assert caught.value.data is None


async def test_an_error_that_is_no_object_is_a_bad_answer():
    with pytest.raises(BadChainAnswer):
        await ask(fake(error="no"))


async def test_the_wrong_chain_is_refused_at_once():
    with pytest.raises(WrongChain) as caught:
        async with connect(ENDPOINT, chain_id=1, transport=fake()):
            pass
    assert (caught.value.expected, caught.value.actual) == (1, 0x539)


@pytest.mark.parametrize(
    "result",
    [
        {},
        [],
        1,
        "text",
        {"blockNumber": "0x1", "gasUsed": "0x1", "status": "0x1"},
        {"blockNumber": "0x1", "gasUsed": "0x1", "status": "0x1", "logs": 1},
        {"blockNumber": "0x1", "gasUsed": "0x1", "status": "0x1", "logs": [], "contractAddress": "0x1"},
    ],
)
async def test_a_receipt_in_the_wrong_shape_is_a_bad_answer(result):
    async with connect(ENDPOINT, transport=fake(result=result)) as rpc:
        with pytest.raises(BadChainAnswer):
            await rpc.receipt(bytes(32))


async def test_many_tasks_share_a_connection():
    async def answer(chain, call):
        await trio.lowlevel.checkpoint()
        return chain.json(call, result=hex(call["params"][0]))

    found = []
    async with connect(ENDPOINT, transport=FakeChain(answer)) as rpc, trio.open_nursery() as nursery:

        async def one(number):
            found.append(int(await rpc.request("echo", number), 16))

        for number in range(50):
            nursery.start_soon(one, number)
    assert sorted(found) == list(range(50))
