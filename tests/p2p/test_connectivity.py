"""p2p/connectivity.py on real sockets: who cannot be dialled is found and reached all the same."""

import random
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import trio

from p2p.connections import ConnectionKeeper, ConnectionParams
from p2p.connectivity import Connectivity
from p2p.host import Host, open_host
from p2p.identity import address_of_peer
from p2p.lookup import Lookup
from p2p.record_store import PeerRecords
from tests.p2p.nodes import LOOPBACK, secret, until

PARAMS = ConnectionParams(tick_ms=20, backoff_ms=20, backoff_max_ms=200, ask_interval_ms=100)


@dataclass
class Node:
    host: Host
    keeper: ConnectionKeeper
    connectivity: Connectivity
    lookup: Lookup


@asynccontextmanager
async def open_nodes(hidden, *, params=PARAMS, **options):
    """A bootstrap peer that relays, and nodes that know it alone; `hidden` says which do not listen."""
    async with AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(
                open_host(secret(number), [] if is_hidden else LOOPBACK, loopback_exempt=True)
            )
            for number, is_hidden in enumerate((False, *hidden))
        ]
        nursery = await stack.enter_async_context(trio.open_nursery())
        nodes = []
        for number, host in enumerate(hosts):
            bootnodes = [hosts[0].listen_addresses()[0]] if number else []
            records = PeerRecords(secret(number))
            keeper = ConnectionKeeper(host, records, bootnodes, random.Random(number), params=params)
            connectivity = Connectivity(
                host, keeper, secret(number), relaying=not number, loopback_exempt=True, **options
            )
            keeper.is_protected = connectivity.is_protected
            nodes.append(Node(host, keeper, connectivity, Lookup(host, keeper)))
            await nursery.start(keeper.run)
            await nursery.start(connectivity.run)
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
        assert bootstrap.connectivity.statistics()["relaying_reservations"] == 3


async def test_a_hidden_node__is_found_by_its_on_chain_address_and_reached():
    # Nobody dials strangers here but the lookup.
    params = replace(PARAMS, connections_target=1, outbound_target=1)
    async with open_nodes((True, True), params=params) as (bootstrap, alice, bob):
        await until(lambda: bootstrap.keeper.records.is_hidden(alice.host.peer_id))
        found = await bob.lookup.connect(address_of_peer(alice.host.peer_id))
        assert found == alice.host.peer_id
        assert bob.host.is_relayed(found)
        assert bob.keeper.records.is_hidden(found)


async def test_a_listener__learns_that_it_is_one_and_asks_for_no_relay():
    async with open_nodes((False,)) as (bootstrap, node):
        await until(lambda: node.connectivity.reachability.reachable)
        assert node.connectivity.relays.addresses() == ()
        assert bootstrap.connectivity.statistics()["dial_back_reached"] == 1
        assert node.connectivity.statistics()["relays"] == 0
