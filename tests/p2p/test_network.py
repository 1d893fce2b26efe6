"""p2p/network.py on real sockets: that its parts know of each other what they need."""

import random
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from multiaddr import Multiaddr

from p2p.connection_params import ConnectionParams
from p2p.identity import PeerIdentityError, peer_id_from_secret
from p2p.mesh import Validation
from p2p.network import NetworkConfig, PeerPolicy, open_network
from protocol.errors import LocalError
from tests.p2p.nodes import LOOPBACK, connect, secret, until

TOPIC = "topic"
# Nobody dials here of its own accord.
PARAMS = {"connections_target": 1, "outbound_target": 1, "tick_ms": 20}


@asynccontextmanager
async def open_networks(count, *, policy=None, **changes):
    """Networks that run on this machine and do not know each other; the first has `policy` and `changes`."""
    async with AsyncExitStack() as stack:
        networks = []
        for number in range(count):
            config = NetworkConfig(
                listen=tuple(LOOPBACK),
                loopback_exempt=True,
                connections=ConnectionParams(**PARAMS, **({} if number else changes)),
            )
            opened = open_network(
                secret(number), config, rng=random.Random(number), policy=None if number else policy
            )
            networks.append(await stack.enter_async_context(opened))
        nursery = await stack.enter_async_context(trio.open_nursery())
        for network in networks:
            await nursery.start(network.run)
        yield networks
        nursery.cancel_scope.cancel()


async def test_a_full_node__lets_strangers_go_and_keeps_mesh_peers_and_staked_ones():
    staked = peer_id_from_secret(secret(1))
    limits = {"connections_high": 2, "connections_low": 1, "trim_grace_ms": 1}
    async with open_networks(6, policy=PeerPolicy(is_staked=staked.__eq__), **limits) as networks:
        full, one_with_stake, one_in_the_mesh, *strangers = networks
        for network in (full, one_in_the_mesh):
            network.gossip.join(TOPIC, lambda *_: Validation.ACCEPT)
        for network in (one_in_the_mesh, one_with_stake):
            await connect(network.host, full.host)
        await until(lambda: full.gossip.mesh_peers(TOPIC))
        for network in strangers:
            await network.host.connect(full.host.listen_addresses()[0])
        await until(lambda: full.keeper.statistics().connections.trimmed >= len(strangers))
        assert one_with_stake.keeper.statistics().connections.disconnected == 0
        assert one_in_the_mesh.keeper.statistics().connections.disconnected == 0


async def test_the_nodes_word_on_a_peer__is_in_its_gossip_score():
    async with open_networks(2, policy=PeerPolicy(score=lambda _peer: 7.0)) as (alice, bob):
        await connect(bob.host, alice.host)
        await until(lambda: alice.gossip.score(bob.host.peer_id) == pytest.approx(7))
        assert bob.gossip.score(alice.host.peer_id) == pytest.approx(0)


async def test_bootnodes_that_name_nobody_or_too_many__are_refused():
    nameless = Multiaddr("/ip4/1.2.3.4/tcp/1")
    for bootnodes, error in (((nameless,), PeerIdentityError), ((nameless,) * 65, LocalError)):
        with pytest.raises(error):
            async with open_network(secret(0), NetworkConfig(bootnodes=bootnodes), rng=random.Random(0)):
                pass


async def test_a_network__runs_once():
    async with open_networks(1) as (network,):
        with pytest.raises(ExceptionGroup) as caught:
            await network.run()
        assert caught.group_contains(LocalError, match="a gossip service runs once")
