"""node/miner/coordinator_dialing.py: dialled where it says, else looked for; on real sockets."""

import random
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from multiaddr import Multiaddr

from node.miner.coordinator_dialing import reach_coordinator
from p2p.connections import ConnectionKeeper
from p2p.host import open_host
from p2p.identity import peer_id_from_secret
from p2p.lookup import Lookup, LookupCounts
from p2p.record_store import PeerRecords
from p2p.records import seal_record, without_peer
from p2p.relay.client import RelayClient
from protocol.errors import Refusal
from protocol.messages import RankedMiner
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from tests.node.builders import COORDINATOR, DOMAIN, announcement
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, secret, until
from tests.p2p.relay.circuits import open_relay

NOWHERE = Multiaddr("/ip4/127.0.0.1/tcp/1")


def announced(*addresses):
    """The coordinator's announcement, signed, with these addresses."""
    message = replace(
        announcement(RankedMiner(bytes(20), 0)), multiaddrs=tuple(item.to_bytes() for item in addresses)
    )
    encoded = seal(DOMAIN, message, lambda statement: sign_digest(COORDINATOR.secret, statement.digest))
    return open_statement(DOMAIN, encoded, type(message))


@asynccontextmanager
async def open_lookup(host):
    records = PeerRecords(secret(3))
    yield Lookup(host, ConnectionKeeper(host, records, [], random.Random(1)))


async def test_a_coordinator__is_dialled_at_the_first_address_that_answers():
    async with open_hosts(1) as (miner,), open_host(COORDINATOR.secret, LOOPBACK) as coordinator:
        task = announced(NOWHERE, without_peer(coordinator.listen_addresses()[0]))
        async with open_lookup(miner) as lookup:
            assert await reach_coordinator(miner, lookup, task) == coordinator.peer_id
            assert await reach_coordinator(miner, lookup, task) == coordinator.peer_id
            assert miner.statistics().dials.begun == 2
            assert lookup.statistics() == LookupCounts()


async def test_a_coordinator_that_nobody_can_dial__is_called_through_the_relay_that_its_announcement_names():
    async with open_relay() as (relay, server):
        hidden = open_host(COORDINATOR.secret, [])
        async with hidden as coordinator, open_host(secret(9), []) as miner, trio.open_nursery() as nursery:
            client = RelayClient(coordinator, is_wanted=lambda: True)
            RelayClient(miner, is_wanted=lambda: False)
            await nursery.start(client.run)
            await connect(coordinator, relay)
            await until(client.addresses)
            async with open_lookup(miner) as lookup:
                found = await reach_coordinator(miner, lookup, announced(*client.addresses()))
                assert found == coordinator.peer_id
                assert miner.is_relayed(found)
                assert server.book.circuit_count == 1
                assert lookup.statistics() == LookupCounts()
            nursery.cancel_scope.cancel()


async def test_a_coordinator_that_has_moved__is_looked_for_by_its_on_chain_address():
    async with open_hosts(2) as (miner, friend), open_host(COORDINATOR.secret, LOOPBACK) as coordinator:
        record = seal_record(COORDINATOR.secret, 1, coordinator.listen_addresses())
        async with open_lookup(friend) as knowing, open_lookup(miner) as lookup:
            knowing._records.accept(record.envelope, heard_from_ip="127.0.0.1")
            await connect(miner, friend)
            assert await reach_coordinator(miner, lookup, announced(NOWHERE)) == coordinator.peer_id
            assert lookup.statistics().found == 1


async def test_a_coordinator_that_is_nowhere__is_given_up():
    async with open_hosts(1) as (miner,), open_lookup(miner) as lookup:
        for task in (announced(), announced(NOWHERE), announced(Multiaddr("/dns4/nowhere/tcp/1"))):
            with pytest.raises(Refusal, match="nor be found"):
                await reach_coordinator(miner, lookup, task)
        assert peer_id_from_secret(COORDINATOR.secret) not in miner.connected_peers()
