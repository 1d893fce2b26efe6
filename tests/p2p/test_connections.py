"""p2p/connections.py: staying connected, and noticing who is not there any more."""

import os
import random
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import pytest
import trio
import trio.testing
from multiaddr import Multiaddr

from p2p.connection_params import ConnectionParams
from p2p.connections import ConnectionKeeper
from p2p.dialling import DialFailed
from p2p.host import open_host
from p2p.identity import PeerIdentityError, peer_id_from_secret
from p2p.ping import PING_BYTES, PING_PROTOCOL, ping
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
FOUND_S_MAX = 20
"""By its pings in a fraction of a second; by the system's own timers, in minutes."""
# Twice the time for two pings without an answer.
FROZEN_S_MAX = 2 * 2 * (IMPATIENT.ping_interval_ms + IMPATIENT.ping_timeout_ms) / 1000
PEERS = [peer_id_from_secret(secret(number)) for number in range(4)]


@asynccontextmanager
async def keeping(hosts, bootnodes, params=QUICK, **options):
    """Keepers for hosts, running."""
    keepers = [
        ConnectionKeeper(
            host, PeerRecords(secret(number)), bootnodes, random.Random(number), params=params, **options
        )
        for number, host in enumerate(hosts)
    ]
    async with trio.open_nursery() as nursery:
        for keeper in keepers:
            await nursery.start(keeper.run)
        yield keepers
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("changes", [{"tick_ms": 0}, {"backoff_ms": 10**6}, {"connections_low": 200}])
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
        assert all(keeper.statistics().connections.connected == 5 for keeper in keepers)


async def test_a_node_with_enough_connections__dials_no_strangers():
    params = replace(QUICK, connections_target=1, outbound_target=1, ask_interval_ms=50)
    async with open_hosts(3) as hosts, keeping(hosts, hosts[0].listen_addresses(), params) as keepers:
        await until(lambda: all(keeper.statistics().exchange.asked >= 3 for keeper in keepers))
        assert [len(host.connected_peers()) for host in hosts] == [2, 1, 1]


async def test_a_node_that_only_strangers_called__still_dials_somebody_itself():
    params = replace(QUICK, connections_target=1, outbound_target=1, ask_interval_ms=50)
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
            await until(lambda: keeper.statistics().connections.dial_failed >= 2)
            for _ in range(2):
                async with open_host(secret(7), [listen]):
                    await until(lambda: host.connected_peers() == (bootnode.peer_id,))
                await until(lambda: not host.connected_peers())


async def test_a_node_with_enough_connections__calls_on_its_bootnode_now_and_then_only():
    params = replace(QUICK, connections_target=1, outbound_target=1, bootnode_visit_ms=600)
    async with (
        open_hosts(3) as (bootnode, alice, bob),
        keeping([alice], bootnode.listen_addresses(), params) as (keeper,),
    ):
        await until(lambda: alice.is_connected(bootnode.peer_id))
        await connect(alice, bob)
        await bootnode.disconnect(alice.peer_id)
        await until(lambda: not alice.is_connected(bootnode.peer_id))
        lost = trio.current_time()
        await until(lambda: alice.is_connected(bootnode.peer_id))
        assert trio.current_time() - lost > 0.2
        assert keeper.statistics().connections.connected == 3


async def test_a_bootnode_that_hangs_up_at_once__is_not_called_in_a_tight_loop():
    async with open_hosts(2) as (bootnode, host):

        class Unfriendly:
            calls = 0

            def peer_connected(self, peer_id, *, outbound):
                self.calls += 1
                nursery.start_soon(bootnode.disconnect, peer_id)

            def peer_disconnected(self, peer_id):
                pass

        unfriendly = Unfriendly()
        params = replace(QUICK, backoff_ms=200, backoff_max_ms=10_000)
        async with trio.open_nursery() as nursery, keeping([host], bootnode.listen_addresses(), params):
            bootnode.observe(unfriendly)
            await until(lambda: unfriendly.calls >= 2)
            started = trio.current_time()
            await until(lambda: unfriendly.calls >= 4)
            assert trio.current_time() - started > 0.2


async def wait(_stream, _peer):
    await trio.sleep_forever()


async def test_a_node_with_too_many_connections__lets_strangers_go_and_keeps_whom_it_needs():
    params = replace(
        QUICK,
        connections_target=1,
        outbound_target=1,
        connections_high=5,
        connections_low=4,
        trim_grace_ms=1,
    )
    staked = {peer_id_from_secret(secret(number)) for number in (1, 2)}
    async with (
        open_hosts(9) as (host, *others),
        keeping([host], [], params, is_protected=staked.__contains__) as (keeper,),
    ):
        host.handle_direct_streams("/wait/1", wait)
        for other in others[:3]:
            await connect(other, host)
        async with others[2].open_direct_stream(host.peer_id, "/wait/1"):
            await until(lambda: host.has_direct_stream(others[2].peer_id))
            for other in others[3:]:
                await other.connect(host.listen_addresses()[0])
            await until(lambda: keeper.statistics().connections.trimmed >= 3)
            await until(lambda: len(host.connected_peers()) <= 5)
            assert {other.peer_id for other in others[:3]} <= set(host.connected_peers())


async def test_a_stranger_that_cannot_be_reached__is_forgotten():
    async with open_hosts(1) as (host,), keeping([host], []) as (keeper,):
        gone = seal_record(secret(3), 1, [Multiaddr("/ip4/127.0.0.1/tcp/1")])
        keeper.records.accept(gone.envelope, heard_from_ip="127.0.0.1")
        await until(lambda: len(keeper.records) == 0)
        assert keeper.statistics().connections.dial_failed == QUICK.candidate_failures_max


async def test_many_strangers__are_dialled_side_by_side_and_few_at_a_time(monkeypatch):
    """None of them answers: one after another, they would take as many time limits as there are."""
    async with open_hosts(1) as (host,):
        dialling, most = 0, 0

        async def in_vain(_address, *, timeout_ms):
            nonlocal dialling, most
            dialling += 1
            most = max(most, dialling)
            await trio.testing.wait_all_tasks_blocked()
            dialling -= 1
            raise DialFailed("nobody there")

        monkeypatch.setattr(host, "connect", in_vain)
        params = replace(QUICK, dials_parallel_max=4, dial_timeout_ms=50, candidate_failures_max=1)
        async with keeping([host], [], params) as (keeper,):
            for number in range(1, 13):
                record = seal_record(secret(number), 1, [Multiaddr(f"/ip4/127.0.0.1/tcp/{number}")])
                keeper.records.accept(record.envelope, heard_from_ip="127.0.0.1")
            await until(lambda: keeper.statistics().connections.dial_failed == 12)
        assert most == 4


async def test_peers_connected_before_the_keeper_runs__are_attended_too():
    async with open_hosts(2) as (alice, bob):
        await connect(bob, alice)
        async with keeping([alice, bob], []) as keepers:
            await until(lambda: keepers[1].records.addresses(alice.peer_id) == alice.listen_addresses())


@pytest.mark.process
async def test_a_peer_that_vanishes_without_a_farewell__is_dropped_within_its_pings():
    """Half-open: between the two a router stops carrying anything, and nobody sends FIN or RST."""
    async with open_hosts(2) as (alice, bob), trio.open_nursery() as nursery:
        router = Router(alice.listen_addresses()[0].value_for_protocol("tcp"))
        port = await nursery.start(router.run)
        async with keeping([alice, bob], [], IMPATIENT) as keepers:
            await bob.connect(Multiaddr(f"/ip4/127.0.0.1/tcp/{port}/p2p/{alice.peer_id}"))
            await trio.sleep(1)
            assert alice.connected_peers()
            assert bob.connected_peers()
            router.dead = True
            started = trio.current_time()
            # They know each other's addresses, and may be connected again by the time that both know.
            await until(lambda: all(keeper.statistics().pings.frozen for keeper in keepers))
            assert trio.current_time() - started < FOUND_S_MAX
        nursery.cancel_scope.cancel()


async def test_a_peer_that_is_back_before_its_old_connection_is_known_to_be_dead__is_spoken_to():
    """Its machine lost power: the same key calls anew, while the old connection is still half open."""
    async with open_hosts(1) as (alice,), trio.open_nursery() as nursery:
        router = Router(alice.listen_addresses()[0].value_for_protocol("tcp"))
        port = await nursery.start(router.run)
        async with open_host(secret(5), []) as before:
            await before.connect(Multiaddr(f"/ip4/127.0.0.1/tcp/{port}/p2p/{alice.peer_id}"))
            await until(lambda: alice.is_connected(before.peer_id))
            # Something was going on between them.
            await alice.open_stream(before.peer_id, [PING_PROTOCOL])
            router.dead = True
            async with open_host(secret(5), []) as after:
                await after.connect(alice.listen_addresses()[0])
                await until(lambda: len(alice._peers.connections(after.peer_id)) == 2)
                for _ in range(3):
                    assert await ping(alice, after.peer_id, bytes(PING_BYTES), timeout_ms=2_000)
        nursery.cancel_scope.cancel()


class Router:
    """Carries bytes between a port of its own and another one, until it is dead."""

    def __init__(self, port):
        self.dead = False
        self._port = int(port)

    async def run(self, task_status):
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(listener.socket.getsockname()[1])
        await trio.serve_listeners(self._carry, [listener])

    async def _carry(self, near):
        far = await trio.open_tcp_stream("127.0.0.1", self._port)
        async with near, far, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, near, far)
            nursery.start_soon(self._pass_on, far, near)

    async def _pass_on(self, source, sink):
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in source:
                if self.dead:
                    await trio.sleep_forever()
                await sink.send_all(data)
            if self.dead:
                await trio.sleep_forever()


FROZEN_NODE = """
import trio
from tests.p2p.nodes import LOOPBACK, secret
from p2p.dialling import DialFailed
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
                assert trio.current_time() - started < FOUND_S_MAX
                assert keeper.statistics().pings.frozen == 1
        finally:
            process.kill()


async def test_peers_behind_relays__are_dialled_last_and_few():
    async with open_hosts(1) as (host,):
        records = PeerRecords(secret(0))
        keeper = ConnectionKeeper(
            host, records, [], random.Random(1), params=replace(QUICK, relayed_target=2)
        )
        relay = peer_id_from_secret(secret(50))
        hidden, listeners = [], []
        for number in range(1, 9):
            where = f"/p2p/{relay}/p2p-circuit" if number % 2 else ""
            record = seal_record(secret(number), 1, [Multiaddr(f"/ip4/127.0.0.1/tcp/{number}{where}")])
            records.accept(record.envelope, heard_from_ip="127.0.0.1")
            (hidden if number % 2 else listeners).append(record.peer)
        assert set(keeper._choose([*hidden, *listeners], 3)) < set(listeners)
        chosen = keeper._choose([*hidden, *listeners], 8)
        assert set(chosen[:4]) == set(listeners)
        assert len(chosen) == 6
        keeper._dialling.add(hidden[0])
        assert len(keeper._choose([*hidden[1:], *listeners], 8)) == 5
        assert keeper._choose(hidden, 0) == []


async def test_addresses_that_have_changed__are_told_to_those_who_are_connected():
    async with (
        open_hosts(2) as (alice, bob),
        keeping([alice, bob], [], replace(QUICK, ask_interval_ms=60_000)) as keepers,
    ):
        await connect(bob, alice)
        await until(lambda: keepers[0].records.addresses(bob.peer_id) == bob.listen_addresses())
        relay = f"/ip4/127.0.0.1/tcp/1/p2p/{peer_id_from_secret(secret(9))}/p2p-circuit"
        bob.own_addresses.relayed = (Multiaddr(relay),)
        keepers[1].renew()
        told = (Multiaddr(f"{relay}/p2p/{bob.peer_id}"),)
        await until(lambda: keepers[0].records.addresses(bob.peer_id) == told)
        assert keepers[0].records.is_hidden(bob.peer_id)
        asked = keepers[1].exchange.counts.asked
        keepers[1].renew()
        assert keepers[1].exchange.counts.asked == asked
