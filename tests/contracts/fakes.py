"""A chain's RPC without a network, which answers as told."""

from __future__ import annotations

import json

import httpx2
import trio
import trio.lowlevel

ENDPOINT = "http://user:secret@chain.example:8545/v3/secret-key"


class FakeChain(httpx2.AsyncBaseTransport):
    """Answers the chain id properly and everything else as told."""

    def __init__(self, answer, chain_id="0x539"):
        self.answer = answer
        self.chain_id = chain_id

    async def handle_async_request(self, request):
        call = json.loads(await request.aread())
        if call["method"] == "eth_chainId":
            return self.json(call, result=self.chain_id)
        return await self.answer(self, call)

    def json(self, call, **fields):
        return httpx2.Response(200, json={"jsonrpc": "2.0", "id": call["id"], **fields})


def fake(**fields):
    async def answer(chain, call):
        await trio.lowlevel.checkpoint()
        return chain.json(call, **fields)

    return FakeChain(answer)


def raw(status, content):
    async def answer(_chain, _call):
        await trio.lowlevel.checkpoint()
        return httpx2.Response(status, content=content)

    return FakeChain(answer)


class FakeEndpoint:
    """One endpoint of several: a chain of numbered blocks, and what is wrong with it as the test sets it.

    :ivar fault: ``silent``, ``refuses``, an HTTP status, or ``None``.
    :ivar pause: what it does before each answer.
    :ivar refusal: the error of JSON-RPC that it answers a method and its parameters with, or ``None``.
    :ivar fork: the blocks from this number on are others than elsewhere.
    """

    def __init__(self, *, chain_id=1337, head=100, genesis="0x" + "aa" * 32, fork=None):
        self.chain_id, self.head, self.genesis, self.fork = chain_id, head, genesis, fork
        self.fault = None
        self.pause = trio.lowlevel.checkpoint
        self.refusal = lambda _method, _params: None
        self.asked = []

    def answer(self, method, params):
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_blockNumber":
            return hex(self.head)
        if method == "eth_getBlockByNumber":
            number = int(params[0], 16)
            if number == 0:
                return None if self.genesis is None else {"hash": self.genesis}
            is_forked = self.fork is not None and number >= self.fork
            return {"hash": f"0x{number + (2**255 if is_forked else 0):064x}"}
        return params[0]


class FakeEndpoints(httpx2.AsyncBaseTransport):
    """A network of them, by host."""

    def __init__(self, **endpoints):
        self.endpoints = endpoints
        self.urls = [f"https://user:secret@{name}.example/v3/secret-key" for name in endpoints]

    async def handle_async_request(self, request):
        endpoint = self.endpoints[request.url.host.partition(".")[0]]
        call = json.loads(await request.aread())
        endpoint.asked.append(call["method"])
        await endpoint.pause()
        if endpoint.fault == "silent":
            await trio.sleep_forever()
        if endpoint.fault == "refuses":
            raise httpx2.ConnectError("refused")
        error = endpoint.refusal(call["method"], call["params"])
        told = (
            {"result": endpoint.answer(call["method"], call["params"])} if error is None else {"error": error}
        )
        return httpx2.Response(endpoint.fault or 200, json={"jsonrpc": "2.0", "id": call["id"], **told})
