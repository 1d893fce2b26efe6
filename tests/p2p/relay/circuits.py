"""A relay and peers that nobody can dial, for tests."""

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import trio

from p2p.host import Host, open_host
from p2p.identity import key_pair_from_secret
from p2p.relay.client import RelayClient
from p2p.relay.server import RelayServer
from tests.p2p.nodes import LOOPBACK, connect, secret, until

RELAY = secret(0)


@dataclass
class Hidden:
    """A peer without a listener."""

    host: Host
    client: RelayClient


@asynccontextmanager
async def open_relay(*, limits=None, loopback_exempt=True, **options):
    """A host that relays: (host, server)."""
    async with open_host(RELAY, LOOPBACK, loopback_exempt=True) as host:
        server = RelayServer(
            host, key_pair_from_secret(RELAY), limits=limits, loopback_exempt=loopback_exempt, **options
        )
        yield host, server


@asynccontextmanager
async def open_hidden(relay: Host, count: int, *, reserving: int = 1, first: int = 1):
    """Peers that are connected to a relay alone; the first few want to be reached, and can be."""
    async with AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(open_host(secret(first + number), [])) for number in range(count)
        ]
        nursery = await stack.enter_async_context(trio.open_nursery())
        peers = []
        for number, host in enumerate(hosts):
            wanted = number < reserving
            client = RelayClient(host, is_wanted=lambda wanted=wanted: wanted)
            await nursery.start(client.run)
            await connect(host, relay)
            peers.append(Hidden(host, client))
        await until(lambda: all(peer.client.addresses() for peer in peers[:reserving]))
        yield peers
        nursery.cancel_scope.cancel()


async def echo(stream, _peer):
    """A handler of direct streams that says what it hears."""
    while (payload := await stream.receive()) is not None:
        await stream.send(payload)
