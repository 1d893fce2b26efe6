"""Several endpoints of one chain: who answers when one does not, lags, forks or serves something else."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from contracts import endpoints
from contracts.contract import Contract
from contracts.endpoint_health import LAG_BLOCKS_MAX, REST_FIRST_S
from contracts.endpoints import ENDPOINTS_MAX, LOOK_S, PATIENCE_S, BadEndpoint
from contracts.epochs import EpochsClient
from contracts.errors import BadChainAnswer, ChainUnreachable, RpcError, WrongChain
from contracts.rpc import connect
from tests.contracts.fakes import FakeEndpoint, FakeEndpoints

CHAIN = 1337


@asynccontextmanager
async def opened(net, *, watched=True):
    async with (
        connect(net.urls, chain_id=CHAIN, transport=net) as rpc,
        trio.open_nursery() as nursery,
    ):
        if watched:
            nursery.start_soon(rpc.watch)
        yield rpc
        nursery.cancel_scope.cancel()


def passed_over(rpc):
    return {one.host: one.passed_over for one in rpc.status().endpoints if one.passed_over is not None}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("silent", f"no answer in {PATIENCE_S:g} s"),
        ("refuses", "ConnectError: refused"),
        (429, "HTTP 429"),
        (502, "HTTP 502"),
        (503, "HTTP 503"),
        (504, "HTTP 504"),
    ],
)
async def test_the_next_one_answers_for_one_that_does_not_and_it_comes_back(fault, reason, autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        assert (await rpc.request("echo", 1), rpc.status().in_use) == (1, "a.example")
        net.endpoints["a"].fault = fault
        began_s = trio.current_time()
        assert await rpc.request("echo", 2) == 2
        assert trio.current_time() - began_s <= PATIENCE_S
        status = rpc.status()
        assert (status.in_use, status.failovers) == ("b.example", 1)
        said = f"the chain's RPC at a.example cannot be reached: {reason}"
        assert passed_over(rpc) == {"a.example": said}
        # Nobody waits for it a second time.
        began_s = trio.current_time()
        assert await rpc.request("echo", 3) == 3
        assert trio.current_time() == began_s
        net.endpoints["a"].fault = None
        await trio.sleep(2 * LOOK_S)
        assert (passed_over(rpc), rpc.status().in_use) == ({}, "a.example")


async def test_when_all_fail_the_last_fault_is_told_and_each_may_answer_again(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net, watched=False) as rpc:
        net.endpoints["a"].fault, net.endpoints["b"].fault = 502, "refuses"
        with pytest.raises(ChainUnreachable, match=r"b\.example .* refused"):
            await rpc.request("echo", 1)
        net.endpoints["b"].fault = None
        assert await rpc.request("echo", 2) == 2


async def test_after_an_outage_of_all_the_one_that_answers_is_used_again(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net, watched=False) as rpc:
        net.endpoints["a"].fault = net.endpoints["b"].fault = "refuses"
        with pytest.raises(ChainUnreachable):
            await rpc.request("echo", 1)
        net.endpoints["a"].fault = None
        assert await rpc.request("echo", 2) == 2
        assert list(passed_over(rpc)) == ["b.example"]
        assert rpc.status().in_use == "a.example"


async def test_one_that_is_checked_first_has_no_more_time_for_both(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net, watched=False) as rpc:
        net.endpoints["a"].fault = net.endpoints["b"].fault = "refuses"
        with pytest.raises(ChainUnreachable):
            await rpc.request("echo", 1)
        net.endpoints["a"].fault = net.endpoints["b"].fault = None
        net.endpoints["a"].pause = partial(
            trio.sleep, 0.4
        )  # three requests: the chain's number, its first block, this one
        began_s = trio.current_time()
        assert await rpc.request("echo", 2) == 2
        assert trio.current_time() - began_s == pytest.approx(PATIENCE_S)


async def test_a_slow_one_that_alone_is_well_has_all_of_its_time(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    net.endpoints["b"].fault = "refuses"
    async with opened(net, watched=False) as rpc:
        net.endpoints["a"].pause = partial(trio.sleep, 2 * PATIENCE_S)
        assert await rpc.request("echo", 1) == 1
        assert list(passed_over(rpc)) == ["b.example"]


NO_USE = [
    (-32000, "missing trie node 1234 (path ) state 0x12 is not available"),
    (-32000, "header not found"),
    (-32601, "the method eth_call is not available in your plan"),
]


def refusing(code, message, *, method="echo", data=None):
    error = {"code": code, "message": message, "data": data}
    return lambda asked, _params: error if asked == method else None


@pytest.mark.parametrize(("code", "message"), NO_USE)
async def test_attack_a_refusal_that_is_no_contract_s_is_asked_again_elsewhere(code, message, autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["a"].refusal = refusing(code, message)
        assert await rpc.request("echo", 1) == 1
        assert passed_over(rpc) == {"a.example": f"echo was refused: {message} ({code})"}
        assert rpc.status().failovers == 1


async def test_what_all_refuse_is_the_first_one_s_refusal_and_no_failure(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint(), c=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["c"].fault = 502
        net.endpoints["a"].refusal = refusing(-32000, "insufficient funds")
        net.endpoints["b"].refusal = refusing(-32000, "not enough money")
        with pytest.raises(RpcError, match="insufficient funds"):
            await rpc.request("echo", 1)
        assert list(passed_over(rpc)) == ["c.example"]
        # One that rests is not waited for to gainsay it.
        net.endpoints["c"].fault = "silent"
        began_s = trio.current_time()
        with pytest.raises(RpcError, match="insufficient funds"):
            await rpc.request("echo", 1)
        assert trio.current_time() == began_s


async def test_a_contract_s_refusal_is_not_asked_again_elsewhere():
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["a"].refusal = refusing(3, "execution reverted", data="0x01020304")
        with pytest.raises(RpcError, match="execution reverted"):
            await rpc.request("echo", 1)
        assert ("echo" in net.endpoints["b"].asked, passed_over(rpc)) == (False, {})


async def test_a_refused_transaction_is_given_to_nobody_else():
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["a"].refusal = refusing(-32000, "nonce too low", method="eth_sendRawTransaction")
        with pytest.raises(RpcError, match="nonce too low"):
            await rpc.send_raw(b"\x02\x01")
        assert ("eth_sendRawTransaction" in net.endpoints["b"].asked, passed_over(rpc)) == (False, {})


async def test_a_refusal_says_that_another_endpoint_was_given_the_transaction_before():
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["b"].refusal = refusing(-32000, "nonce too low", method="eth_sendRawTransaction")
        net.endpoints["a"].fault = 502
        for is_second_hand in (True, False):
            with pytest.raises(RpcError) as caught:
                await rpc.send_raw(b"\x02\x01")
            assert caught.value.is_second_hand is is_second_hand


async def test_an_endpoint_without_a_pending_block_has_not_failed():
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["a"].answer = net.endpoints["b"].answer = lambda _method, _params: "0x5208"
        error = {"code": -32602, "message": "pending state is not supported"}
        net.endpoints["a"].refusal = lambda _method, params: error if "pending" in params else None
        assert await rpc.estimate_gas({"to": "0x" + "11" * 20}) == 21_000
        assert ("eth_estimateGas" in net.endpoints["b"].asked, passed_over(rpc)) == (False, {})


@pytest.mark.parametrize(("last", "is_asked_elsewhere"), [(9, False), (5, True)], ids=["range", "one block"])
async def test_a_refused_range_of_logs_is_no_failure_and_a_refused_block_is_one(
    last, is_asked_elsewhere, autojump_clock
):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    query = {"fromBlock": "0x5", "toBlock": hex(last)}
    async with opened(net) as rpc:
        net.endpoints["a"].refusal = refusing(-32005, "query returned more than 10000", method="eth_getLogs")
        net.endpoints["b"].answer = lambda _method, _params: []
        if is_asked_elsewhere:
            assert await rpc.logs(query, 1_000) == []
        else:
            with pytest.raises(RpcError):
                await rpc.logs(query, 1_000)
        assert ("eth_getLogs" in net.endpoints["b"].asked) is is_asked_elsewhere
        assert list(passed_over(rpc)) == (["a.example"] if is_asked_elsewhere else [])


async def test_attack_an_answer_without_an_end_is_asked_for_elsewhere(autojump_clock, monkeypatch):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        monkeypatch.setattr(endpoints, "ANSWER_BYTES_MAX", 1_000)
        net.endpoints["a"].answer = lambda _method, _params: "x" * 1_001
        assert await rpc.request("echo", 1) == 1
        assert passed_over(rpc) == {"a.example": "bad answer to echo: more than 1000 bytes"}


async def test_attack_an_answer_that_cannot_be_read_is_asked_for_elsewhere(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint(), c=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["a"].answer = lambda _method, _params: "nonsense"
        net.endpoints["b"].answer = lambda _method, _params: {}
        assert await rpc.block_number() == 100
        assert list(passed_over(rpc)) == ["a.example", "b.example"]
        assert rpc.status().in_use == "c.example"


async def test_attack_a_contract_s_answer_that_cannot_be_read_is_asked_for_elsewhere(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["a"].answer = lambda _method, _params: "0x"
        net.endpoints["b"].answer = lambda _method, _params: f"0x{7:064x}"
        assert await EpochsClient(rpc, bytes(20), bytes(20)).clock() == 7
        assert list(passed_over(rpc)) == ["a.example"]


async def test_attack_logs_that_are_none_are_asked_for_elsewhere(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["a"].answer = lambda _method, _params: [{"topics": []}]
        net.endpoints["b"].answer = lambda _method, _params: []
        staking = Contract(rpc, bytes(20), "Staking")
        assert await staking.events(["NodeRegistered"], 1, 9) == ()
        assert list(passed_over(rpc)) == ["a.example"]


async def test_what_nobody_s_answer_is_read_of_is_a_bad_answer_and_no_failure(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        for endpoint in net.endpoints.values():
            endpoint.answer = lambda _method, _params: "nonsense"
        with pytest.raises(BadChainAnswer):
            await rpc.block_number()
        assert passed_over(rpc) == {}


async def test_one_that_lags_is_passed_over_until_it_has_caught_up(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["b"].head = 101 + LAG_BLOCKS_MAX
        await trio.sleep(LOOK_S + 1)
        assert passed_over(rpc) == {"a.example": f"it is {LAG_BLOCKS_MAX + 1} blocks behind the others"}
        assert rpc.status().in_use == "b.example"
        net.endpoints["a"].head = 101 + LAG_BLOCKS_MAX
        await trio.sleep(LOOK_S + REST_FIRST_S)
        assert passed_over(rpc) == {}
        assert [one.head for one in rpc.status().endpoints] == [133, 133]


async def test_attack_the_second_of_two_does_not_take_over_by_claiming_newer_blocks(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint(head=10**9))
    async with opened(net) as rpc:
        for _ in range(3):
            net.endpoints["a"].head += 1  # it follows its chain
            await trio.sleep(LOOK_S)
            assert (passed_over(rpc), rpc.status().in_use) == ({}, "a.example")


async def test_all_of_another_chain_are_refused_at_the_start():
    net = FakeEndpoints(a=FakeEndpoint(chain_id=5), b=FakeEndpoint(chain_id=5))
    with pytest.raises(WrongChain) as caught:
        async with connect(net.urls, chain_id=CHAIN, transport=net):
            pass
    assert str(caught.value) == "the RPC serves chain 5, the configuration says 1337"


async def test_one_alone_of_another_chain_is_left_out_with_a_warning(caplog, autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(chain_id=5), b=FakeEndpoint())
    with caplog.at_level(logging.WARNING, "contracts"):
        async with opened(net) as rpc:
            assert rpc.chain_id == CHAIN
            said = "the RPC serves chain 5, the configuration says 1337"
            assert passed_over(rpc) == {"a.example": said}
            net.endpoints["b"].fault = "refuses"
            with pytest.raises(WrongChain):
                await rpc.request("echo", 1)
            assert "echo" not in net.endpoints["a"].asked
    assert caplog.messages[0] == f"RPC endpoint a.example is passed over: {said}"


async def test_one_that_begins_with_another_block_is_left_out(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint(genesis="0x" + "bb" * 32), c=FakeEndpoint())
    async with opened(net) as rpc:
        said = "its chain 1337 begins with another block than that of the others"
        assert passed_over(rpc) == {"b.example": said}


async def test_one_that_keeps_no_first_block_is_used():
    net = FakeEndpoints(a=FakeEndpoint(genesis=None), b=FakeEndpoint())
    async with opened(net) as rpc:
        assert passed_over(rpc) == {}


async def test_one_that_comes_back_as_another_chain_is_asked_nothing(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint())
    async with opened(net) as rpc:
        net.endpoints["a"].fault = "refuses"
        with pytest.raises(ChainUnreachable):
            await rpc.request("echo", 1)
        net.endpoints["a"].fault, net.endpoints["a"].chain_id = None, 5
        with pytest.raises(WrongChain):
            await rpc.request("echo", 2)
        net.endpoints["a"].chain_id = CHAIN
        assert await rpc.request("echo", 3) == 3
        assert passed_over(rpc) == {}
        assert net.endpoints["a"].asked.count("echo") == 2


async def test_one_that_is_down_at_the_start_is_passed_over_and_used_later(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    net.endpoints["a"].fault = "silent"
    async with opened(net) as rpc:
        assert rpc.status().in_use == "b.example"
        net.endpoints["a"].fault = None
        await trio.sleep(2 * LOOK_S)
        assert rpc.status().in_use == "a.example"


async def test_when_none_answers_at_the_start_it_says_so():
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint())
    net.endpoints["a"].fault = net.endpoints["b"].fault = "refuses"
    with pytest.raises(ChainUnreachable):
        async with connect(net.urls, chain_id=CHAIN, transport=net):
            pass


async def test_two_that_contradict_each_other_are_a_disagreement_until_they_agree(caplog, autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(), b=FakeEndpoint(fork=50))
    with caplog.at_level(logging.WARNING, "contracts"):
        async with opened(net) as rpc:
            said = rpc.disagreement()
            assert said == (
                "the chain's RPCs disagree about block 84: "
                "a.example says 0x0000000000000000, b.example says 0x8000000000000000"
            )
            assert passed_over(rpc) == {}
            await trio.sleep(2 * LOOK_S)
            net.endpoints["b"].fork = None
            await trio.sleep(LOOK_S)
            assert rpc.disagreement() is None
    assert caplog.messages == [said]


async def test_attack_one_of_three_that_tells_other_blocks_is_outvoted(autojump_clock):
    net = FakeEndpoints(a=FakeEndpoint(fork=50), b=FakeEndpoint(), c=FakeEndpoint())
    async with opened(net) as rpc:
        assert rpc.disagreement() is None
        assert passed_over(rpc) == {"a.example": "it has another block 84 than most others"}
        assert rpc.status().in_use == "b.example"


async def test_the_status_has_hosts_and_no_secrets():
    net = FakeEndpoints(a=FakeEndpoint())
    net.urls.append(net.urls[0] + "-other")
    async with opened(net) as rpc:
        status = rpc.status()
        assert [one.host for one in status.endpoints] == ["a.example", "a.example (2)"]
        assert "secret" not in repr(status)


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ([], "0 RPC endpoints, where 1 to 8 are allowed"),
        (
            [f"http://{n}.example" for n in range(ENDPOINTS_MAX + 1)],
            "9 RPC endpoints, where 1 to 8 are allowed",
        ),
        (["http://a.example", "a.example/key"], "RPC endpoint 2 is not an http:// or https:// URL"),
        (["ws://a.example"], "RPC endpoint 1 is not an http:// or https:// URL"),
        (["http://[::1"], "RPC endpoint 1 is not an http:// or https:// URL"),
        (["http://a.example:none"], "RPC endpoint 1 is not an http:// or https:// URL"),
    ],
)
async def test_what_are_no_endpoints_is_refused(urls, message):
    with pytest.raises(BadEndpoint) as caught:
        async with connect(urls):
            pass
    assert str(caught.value) == message


async def test_an_endpoint_that_is_named_twice_is_one():
    net = FakeEndpoints(a=FakeEndpoint())
    net.urls *= 2
    async with opened(net) as rpc:
        assert len(rpc.status().endpoints) == 1
