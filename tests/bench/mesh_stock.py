"""The library's own pubsub under the benchmark's load: stock hosts, stock gossipsub, no signatures.

    python -m tests.bench.mesh_stock LOAD    # as tests.bench.mesh does

Its own limits that would only make it lose messages by rule (ten messages a second per peer, several networks
in each mesh) are off, and its heartbeat is as often as it can be, so that what is measured is its speed.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import combinations

import trio
from libp2p import new_host
from libp2p.abc import ISubscriptionAPI
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

from tests.bench.mesh_load import Deliveries, Load, load_of_command, run_phases
from tests.p2p.nodes import LOOPBACK, secret, until

TOPIC = "bench"
PROTOCOLS = [TProtocol("/meshsub/1.2.0"), TProtocol("/meshsub/1.1.0"), TProtocol("/meshsub/1.0.0")]


def pubsub_on(host: object, load: Load) -> tuple[Pubsub, GossipSub]:
    """The library's pubsub with the load's mesh, unsigned."""
    router = GossipSub(
        PROTOCOLS,
        degree=load.d,
        degree_low=load.d_low,
        degree_high=load.d_high,
        heartbeat_interval=1,
        spam_protection_enabled=False,
        eclipse_protection_enabled=False,
        adaptive_gossip_enabled=False,
    )
    return Pubsub(host, router, strict_signing=False), router


async def consume(subscription: ISubscriptionAPI, deliveries: Deliveries, own: bytes) -> None:
    """Take what a node delivers; the library delivers one's own messages too."""
    while True:
        message = await subscription.get()
        if message.from_id != own:
            deliveries.note(message.data)


async def main(load: Load) -> None:
    """Run the load."""
    messages = [number.to_bytes(4) * (load.message_bytes // 4) for number in range(load.messages)]
    deliveries = Deliveries()
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        hosts = [new_host(key_pair=create_new_key_pair(secret(number))) for number in range(load.nodes)]
        meshes = []
        for host in hosts:
            await stack.enter_async_context(host.run(LOOPBACK))
            pubsub, router = pubsub_on(host, load)
            await stack.enter_async_context(background_trio_service(pubsub))
            await stack.enter_async_context(background_trio_service(router))
            await pubsub.wait_until_ready()
            subscription = await pubsub.subscribe(TOPIC)
            nursery.start_soon(consume, subscription, deliveries, host.get_id().to_bytes())
            meshes.append(pubsub)
        async with trio.open_nursery() as dials:
            for left, right in combinations(hosts, 2):
                dials.start_soon(left.connect, info_from_p2p_addr(right.get_addrs()[0]))
        wanted = load.nodes - 1
        await until(lambda: all(len(mesh.peer_topics.get(TOPIC, ())) >= wanted for mesh in meshes), 60)
        await trio.sleep(load.settle_ms / 1000)
        await run_phases(load, messages, deliveries, lambda index, data: meshes[index].publish(TOPIC, data))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, load_of_command())
