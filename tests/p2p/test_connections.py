"""p2p/connections.py: staying connected, and noticing who is not there any more."""

import os
import random
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
import trio
from multiaddr import Multiaddr

from p2p import connections
from p2p.connections import Backoff, ConnectionKeeper, ConnectionParams
from p2p.host import open_host
from p2p.identity import PeerIdentityError, peer_id_from_secret
from p2p.record_store import PeerRecords
from p2p.records import seal_record
from protocol.errors import LocalError
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, secret, until

QUICK = ConnectionParams(
    tick_ms=20,
    backoff_ms=20,
    backoff_max_ms=200,
    ask_interval_ms=100,
)
IMPATIENT = replace(QUICK, ping_interval_ms=100, ping_timeout_ms=300)
PEERS = [peer_id_from_secret(secret(number)) for number in range(4)]


@asynccontextmanager
async def keeping(hosts, bootnodes, params=QUICK):
    """Keepers for hosts, running."""
    keepers = [
        ConnectionKeeper(host, PeerRecords(secret(number)), bootnodes, random.Random(number), params=params)
        for number, host in enumerate(hosts)
    ]
    async with trio.open_nursery() as nursery:
        for keeper in keepers:
            await nursery.start(keeper.run)
        yield keepers
        nursery.cancel_scope.cancel()


# The back-off


def test_backoff__doubles_up_to_its_cap_and_half_of_it_is_random():
    params = ConnectionParams(backoff_ms=1_000, backoff_max_ms=8_000)
    backoff = Backoff(params, random.Random(0))
    pauses = []
    for failures in range(1, 50):
        assert backoff.failed(PEERS[0], 0) == failures
        pauses.append(next(ms for ms in range(10_000) if backoff.is_due(PEERS[0], ms)))
    for pause, full in zip(pauses, [1_000, 2_000, 4_000, *[8_000] * 50], strict=False):
        assert full // 2 <= pause <= full
    assert len(set(pauses[3:])) > 10
    assert backoff.is_due(PEERS[1], 0)
    backoff.succeeded(PEERS[0])
    assert backoff.is_due(PEERS[0], 0)
    assert backoff.failed(PEERS[0], 0) == 1


def test_backoff__is_bounded(monkeypatch):
    monkeypatch.setattr(connections, "BACKOFFS_MAX", 2)
    backoff = Backoff(ConnectionParams(), random.Random(0))
    for peer in PEERS:
        backoff.failed(peer, 0)
    assert len(backoff) == 2
    assert backoff.is_due(PEERS[0], 0)
    assert not backoff.is_due(PEERS[3], 0)


@pytest.mark.parametrize("changes", [{"tick_ms": 0}, {"backoff_ms": 10**6}])
def test_parameters_that_make_no_sense__are_refused(changes):
    with pytest.raises(LocalError):
        ConnectionParams(**changes)


# The keeper


async def test_bootnodes_that_make_no_sense__are_refused():
    async with open_hosts(1) as (host,):
        with pytest.raises(LocalError):
            ConnectionKeeper(
                host, PeerRecords(secret(0)), [Multiaddr("/ip4/1.2.3.4/tcp/1")] * 65, random.Random(0)
            )
        with pytest.raises(PeerIdentityError):
            ConnectionKeeper(
                host, PeerRecords(secret(0)), [Multiaddr("/ip4/1.2.3.4/tcp/1")], random.Random(0)
            )


async def test_six_nodes_with_one_bootnode__find_each_other():
    async with open_hosts(6) as hosts:
        async with keeping(hosts, hosts[0].listen_addresses()) as keepers:
            await until(lambda: all(len(host.connected_peers()) == 5 for host in hosts))
            with pytest.raises(LocalError):
                await keepers[0].run()
        assert all(keeper.statistics()["connected"] == 5 for keeper in keepers)


async def test_a_node_with_enough_connections__dials_no_strangers():
    params = ConnectionParams(connections_target=1, outbound_target=1, tick_ms=20, ask_interval_ms=50)
    async with open_hosts(3) as hosts, keeping(hosts, hosts[0].listen_addresses(), params) as keepers:
        await until(lambda: all(keeper.statistics().get("exchange_asked", 0) >= 3 for keeper in keepers))
        assert [len(host.connected_peers()) for host in hosts] == [2, 1, 1]


async def test_a_node_that_only_strangers_called__still_dials_somebody_itself():
    params = ConnectionParams(connections_target=1, outbound_target=1, tick_ms=20, ask_interval_ms=50)
    async with open_hosts(3) as hosts, keeping(hosts, [], params):
        await connect(hosts[1], hosts[0])
        await connect(hosts[2], hosts[1])
        await until(lambda: hosts[0].is_connected(hosts[2].peer_id))
        assert hosts[0].is_outbound(hosts[2].peer_id)


async def test_a_bootnode_that_comes_late_or_back__is_found():
    async with open_hosts(1) as (host,):
        async with open_host(secret(7), LOOPBACK) as bootnode:
            address = bootnode.listen_addresses()[0]
        listen = address.decapsulate(Multiaddr(f"/p2p/{bootnode.peer_id}"))
        async with keeping([host], [address]) as (keeper,):
            await until(lambda: keeper.statistics().get("dial_failed", 0) >= 2)
            for _ in range(2):
                async with open_host(secret(7), [listen]):
                    await until(lambda: host.connected_peers() == (bootnode.peer_id,))
                await until(lambda: not host.connected_peers())


async def test_a_stranger_that_cannot_be_reached__is_forgotten():
    async with open_hosts(1) as (host,), keeping([host], []) as (keeper,):
        gone = seal_record(secret(3), 1, [Multiaddr("/ip4/127.0.0.1/tcp/1")])
        keeper.records.accept(gone.envelope, heard_from_ip="127.0.0.1")
        await until(lambda: len(keeper.records) == 0)
        assert keeper.statistics()["dial_failed"] == QUICK.candidate_failures_max


async def test_peers_connected_before_the_keeper_runs__are_attended_too():
    async with open_hosts(2) as (alice, bob):
        await connect(bob, alice)
        async with keeping([alice, bob], []) as keepers:
            await until(lambda: keepers[1].records.addresses(alice.peer_id) == alice.listen_addresses())


FROZEN_NODE = """
import trio
from tests.p2p.nodes import LOOPBACK, secret
from p2p.host import open_host

async def main():
    async with open_host(secret(8), LOOPBACK) as host:
        print(host.listen_addresses()[0], flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


@pytest.mark.process
async def test_a_frozen_process__is_dropped_within_its_pings():
    async with trio.open_nursery() as nursery:
        start = partial(
            trio.run_process, [sys.executable, "-c", FROZEN_NODE], stdout=subprocess.PIPE, check=False
        )
        process = await nursery.start(start)
        try:
            line = b""
            while not line.endswith(b"\n"):
                line += await process.stdout.receive_some()
            async with open_hosts(1) as (host,), keeping([host], [], IMPATIENT) as (keeper,):
                await host.connect(Multiaddr(line.decode().strip()))
                os.kill(process.pid, signal.SIGSTOP)
                started = trio.current_time()
                await until(lambda: not host.connected_peers())
                assert trio.current_time() - started < 2
                assert keeper.statistics()["frozen"] == 1
        finally:
            process.kill()
