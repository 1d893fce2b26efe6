"""Questions to the chain of a running market."""

from __future__ import annotations

import trio

from contracts.clients import Clients
from contracts.rpc import connect


def on_chain(market, deployment, question):
    """The answer of an async function of the chain's clients."""

    async def work():
        async with connect(market.description["rpc_url"]) as rpc:
            return await question(Clients(rpc, deployment))

    return trio.run(work)
