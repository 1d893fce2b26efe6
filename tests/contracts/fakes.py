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
