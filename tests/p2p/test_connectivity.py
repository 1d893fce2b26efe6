"""p2p/connectivity.py on real sockets: who cannot be dialled is found and reached all the same."""

import random
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import trio

from p2p.connection_params import ConnectionParams
from p2p.identity import address_of_peer
from p2p.network import NetworkConfig, open_network
from tests.p2p.nodes import LOOPBACK, secret, until

PARAMS = ConnectionParams(tick_ms=20, backoff_ms=20, backoff_max_ms=200, ask_interval_ms=100)


@asynccontextmanager
async def open_nodes(hidden, *, params=PARAMS):
    """A bootstrap peer that relays, and nodes that know it alone; `hidden` says which do not listen."""
    async with AsyncExitStack() as stack:
        nodes, bootnodes = [], ()
        for number, is_hidden in enumerate((False, *hidden)):
            config = NetworkConfig(
                listen=() if is_hidden else tuple(LOOPBACK),
                bootnodes=bootnodes,
                relaying=not number,
                loopback_exempt=True,
                connections=params,
                publishes_record=False,
            )
            opened = open_network(secret(number), config, rng=random.Random(number))
            nodes.append(await stack.enter_async_context(opened))
            bootnodes = nodes[0].host.listen_addresses()
        nursery = await stack.enter_async_context(trio.open_nursery())
        for node in nodes:
            await nursery.start(node.run)
        yield nodes
        nursery.cancel_scope.cancel()


async def test_nodes_that_nobody_can_dial__find_and_reach_each_other_through_their_bootstrap_peer():
    async with open_nodes((True, True, True)) as (bootstrap, *nodes):
        everybody = {node.host.peer_id for node in (bootstrap, *nodes)}
        for node in nodes:
            others = everybody - {node.host.peer_id}
            await until(lambda node=node, others=others: set(node.host.connected_peers()) == others, 20)
        assert bootstrap.connectivity.reachability.reachable is None
        assert all(node.connectivity.reachability.describe() == "no" for node in nodes)
        assert all(bootstrap.connectivity.is_protected(node.host.peer_id) for node in nodes)
        assert all(node.connectivity.is_protected(bootstrap.host.peer_id) for node in nodes)
        assert not nodes[0].connectivity.is_protected(nodes[1].host.peer_id)
        assert bootstrap.connectivity.statistics().relaying.reservations == 3


async def test_a_hidden_node__is_found_by_its_on_chain_address_and_reached():
    # Nobody dials strangers here but the lookup.
    params = replace(PARAMS, connections_target=1, outbound_target=1)
    async with open_nodes((True, True), params=params) as (bootstrap, alice, bob):
        await until(lambda: bootstrap.records.is_hidden(alice.host.peer_id))
        found = await bob.lookup.connect(address_of_peer(alice.host.peer_id))
        assert found == alice.host.peer_id
        assert bob.host.is_relayed(found)
        assert bob.records.is_hidden(found)


async def test_a_listener__learns_that_it_is_one_and_asks_for_no_relay():
    async with open_nodes((False,)) as (bootstrap, node):
        await until(lambda: node.connectivity.reachability.reachable)
        assert node.connectivity.relays.addresses() == ()
        assert bootstrap.connectivity.statistics().dial_back.reached == 1
        assert node.connectivity.statistics().relays == 0
