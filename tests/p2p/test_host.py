"""p2p/host.py and p2p/swarm.py on real sockets: the faults of the library below that were mended."""

import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
import trio
from libp2p import new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from multiaddr import Multiaddr

from p2p import swarm
from p2p.host import DialFailed, NotConnected, StreamRefused, open_host
from p2p.identity import peer_id_from_secret
from p2p.streams import TRANSPORT_ERRORS
from protocol.errors import LocalError, ProtocolError
from tests.limits import HANG_S
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, secret, until


class Recorder:
    """An observer of peers that writes down what it is told."""

    def __init__(self):
        self.events = []

    def peer_connected(self, peer_id, *, outbound):
        self.events.append(("connected", peer_id, outbound))

    def peer_disconnected(self, peer_id):
        self.events.append(("disconnected", peer_id))


async def test_a_host__tells_its_real_port_and_its_peer_id():
    async with open_host(secret(0), LOOPBACK) as host:
        (address,) = host.listen_addresses()
        assert host.peer_id == peer_id_from_secret(secret(0))
        assert str(address).endswith(f"/p2p/{host.peer_id}")
        assert int(address.value_for_protocol("tcp")) > 0


async def test_connecting__tells_both_sides_once_and_again_costs_nothing():
    async with open_hosts(2) as (alice, bob):
        at_alice, at_bob = Recorder(), Recorder()
        alice.observe(at_alice)
        await connect(bob, alice)
        bob.observe(at_bob)
        await connect(bob, alice)
        assert at_alice.events == [("connected", bob.peer_id, False)]
        assert at_bob.events == [("connected", alice.peer_id, True)]
        assert bob.connected_peers() == (alice.peer_id,)
        assert alice.remote_ip(bob.peer_id) == "127.0.0.1"
        assert bob.statistics().dialled == 1
        await bob.disconnect(alice.peer_id)
        await until(lambda: not alice.connected_peers() and not bob.connected_peers())
        assert at_alice.events[1:] == [("disconnected", bob.peer_id)]
        assert at_bob.events[1:] == [("disconnected", alice.peer_id)]
        assert alice.remote_ip(bob.peer_id) is None


async def test_connecting_many_times_at_once__dials_once():
    async with open_hosts(2) as (alice, bob):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(bob.connect, alice.listen_addresses()[0])
        assert bob.statistics().dialled == 1


async def test_dials_that_cannot_work__say_why():
    async with open_hosts(2) as (alice, bob):
        ours, theirs = bob.listen_addresses()[0], alice.listen_addresses()[0]
        with pytest.raises(LocalError):
            await bob.connect(ours)
        with pytest.raises(ProtocolError):
            await bob.connect(Multiaddr("/ip4/127.0.0.1/tcp/1"))
        with pytest.raises(DialFailed):
            await bob.connect(Multiaddr(f"/ip4/127.0.0.1/tcp/1/p2p/{alice.peer_id}"))
        impostor = str(theirs).replace(str(alice.peer_id), str(peer_id_from_secret(secret(7))))
        with pytest.raises(DialFailed):
            await bob.connect(Multiaddr(impostor))
        await bob.connect(theirs)


async def test_a_dial_to_a_silent_port__ends_at_its_deadline():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        async with open_host(secret(0), LOOPBACK) as host:
            address = Multiaddr(f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_from_secret(secret(1))}")
            with trio.fail_after(HANG_S), pytest.raises(DialFailed):
                await host.connect(address, timeout_ms=100)


async def test_a_plaintext_peer__is_refused():
    key_pair = create_new_key_pair(secret(5))
    plain = new_host(
        key_pair=key_pair, sec_opt={PLAINTEXT_PROTOCOL_ID: InsecureTransport(key_pair)}, listen_addrs=LOOPBACK
    )
    async with open_host(secret(0), LOOPBACK) as host, plain.run(LOOPBACK):
        with pytest.raises(Exception, match="unable to connect"):
            await plain.connect(info_from_p2p_addr(host.listen_addresses()[0]))
        with pytest.raises(DialFailed):
            await host.connect(plain.get_addrs()[0])
        assert host.connected_peers() == ()
        await plain.close()


async def test_a_port_in_use__is_refused_and_not_shared():
    async with open_host(secret(0), LOOPBACK) as host:
        taken = Multiaddr(f"/ip4/127.0.0.1/tcp/{host.listen_addresses()[0].value_for_protocol('tcp')}")
        with pytest.raises(LocalError):
            async with open_host(secret(1), [taken]):
                pass


async def test_an_address_that_is_none_to_listen_at__is_refused():
    with pytest.raises(LocalError):
        async with open_host(secret(0), [Multiaddr("/ip4/127.0.0.1/udp/1")]):
            pass


async def test_inbound_slots__come_back_when_connections_close():
    async with open_hosts(1, connections_max=8) as (server,):
        for number in range(9):
            async with open_host(secret(number + 1), []) as client:
                await connect(client, server)
        async with open_host(secret(50), []) as client:
            await connect(client, server)


@pytest.mark.process
async def test_a_host__does_not_go_deaf_after_300_inbound_connections():
    async with open_hosts(7) as (server, *clients):

        async def call(client):
            for _ in range(55):
                await connect(client, server)
                await client.disconnect(server.peer_id)
                await until(lambda: not client.connected_peers() and not server.is_connected(client.peer_id))

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(call, client)
        for _ in range(330):
            # And as many that never shake hands.
            stream = await trio.open_tcp_stream("127.0.0.1", port_of(server))
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            await stream.aclose()
        await connect(clients[0], server)


async def test_strangers__cannot_take_the_slots_of_our_own_dials():
    async with open_hosts(1, connections_max=4) as (server,), open_hosts(5) as clients:
        refused = 0
        for client in clients[1:]:
            try:
                await client.connect(server.listen_addresses()[0], timeout_ms=500)
            except DialFailed:
                refused += 1
        assert refused == 1
        assert len(server.connected_peers()) == 3
    async with open_hosts(1, connections_max=4) as (server,):
        with open_connections(server, 3):
            async with open_host(secret(9), LOOPBACK) as friend:
                await server.connect(friend.listen_addresses()[0])


async def test_a_stream_handler_that_fails__ends_its_stream_and_nothing_else():
    async def fail(_stream, _peer):
        raise RuntimeError("fault")

    async def fail_in_a_nursery(_stream, _peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise RuntimeError("fault")

    async with open_hosts(2) as (alice, bob):
        alice.handle_streams("/fail/1", fail)
        alice.handle_streams("/nursery/1", fail_in_a_nursery)
        await connect(bob, alice)
        for protocol in ("/fail/1", "/nursery/1"):
            with pytest.raises((StreamRefused, *TRANSPORT_ERRORS)):  # noqa: PT012 - by how soon the reset comes
                stream = await bob.open_stream(alice.peer_id, [protocol])
                await stream.read(1)
        await until(lambda: alice.statistics().streams.handler_failed == 2)
        assert bob.is_connected(alice.peer_id)


async def test_streams__need_a_connection_and_a_common_protocol():
    async with open_hosts(2) as (alice, bob):
        with pytest.raises(NotConnected):
            await bob.open_stream(alice.peer_id, ["/any/1"])
        await connect(bob, alice)
        with pytest.raises(StreamRefused):
            await bob.open_stream(alice.peer_id, ["/unknown/1"])


OPENS_A_STREAM_THAT_IS_REFUSED = """
import logging, trio
logging.basicConfig(level=logging.INFO)  # before the library's import, as a node does
from p2p.host import StreamRefused
from tests.p2p.nodes import connect, open_hosts

async def main():
    async with open_hosts(2) as (alice, bob):
        await connect(bob, alice)
        try:
            await bob.open_stream(alice.peer_id, ["/unknown/1"])
        except StreamRefused:
            print("refused")

trio.run(main)
"""


@pytest.mark.process
def test_the_librarys_own_lines__are_not_printed():
    done = subprocess.run(
        [sys.executable, "-c", OPENS_A_STREAM_THAT_IS_REFUSED], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")


async def test_inbound_streams__are_bounded_per_peer(monkeypatch):
    monkeypatch.setattr(swarm, "INBOUND_STREAMS_PER_PEER_MAX", 3)

    async def wait(_stream, _peer):
        await trio.sleep_forever()

    async with open_hosts(2) as (alice, bob):
        alice.handle_streams("/wait/1", wait)
        await connect(bob, alice)
        await until(lambda: not alice._guard._open)  # identify has come and gone
        for _ in range(3):
            await bob.open_stream(alice.peer_id, ["/wait/1"])
        with pytest.raises(StreamRefused):
            await bob.open_stream(alice.peer_id, ["/wait/1"])
        assert alice.statistics().streams.refused_peer_full == 1
        monkeypatch.setattr(swarm, "INBOUND_STREAMS_MAX", 3)
        monkeypatch.setattr(swarm, "INBOUND_STREAMS_PER_PEER_MAX", 10)
        with pytest.raises(StreamRefused):
            await bob.open_stream(alice.peer_id, ["/wait/1"])
        assert alice.statistics().streams.refused_host_full == 1


async def test_inbound_streams_of_strangers__leave_room_for_peers_with_stake(monkeypatch):
    monkeypatch.setattr(swarm, "INBOUND_STREAMS_OF_STRANGERS_MAX", 2)

    async def wait(_stream, _peer):
        await trio.sleep_forever()

    carol_id = peer_id_from_secret(secret(2))
    async with open_hosts(3, is_staked=carol_id.__eq__) as (alice, bob, carol):
        alice.handle_streams("/wait/1", wait)
        for host in (bob, carol):
            await connect(host, alice)
        await until(lambda: not alice._guard._open)  # identify has come and gone
        for _ in range(2):
            await bob.open_stream(alice.peer_id, ["/wait/1"])
        with pytest.raises(StreamRefused):
            await bob.open_stream(alice.peer_id, ["/wait/1"])
        assert alice.statistics().streams.refused_strangers_full == 1
        await carol.open_stream(alice.peer_id, ["/wait/1"])


async def test_a_host_with_open_streams__closes_within_a_second():
    async def wait(_stream, _peer):
        await trio.sleep_forever()

    async with open_hosts(4) as (alice, *others):
        alice.handle_streams("/wait/1", wait)
        for other in others:
            await connect(other, alice)
            await other.open_stream(alice.peer_id, ["/wait/1"])
        started = trio.current_time()
        await alice.close()
        await alice.close()
        assert trio.current_time() - started < 4
        await until(lambda: not any(other.connected_peers() for other in others))
        with pytest.raises(DialFailed):
            await alice.connect(others[0].listen_addresses()[0])


async def test_a_node__comes_back_with_the_same_key_at_the_same_port():
    async with open_hosts(1) as (bob,):
        port = 0
        for _ in range(3):
            async with open_host(secret(5), [Multiaddr(f"/ip4/127.0.0.1/tcp/{port}")]) as alice:
                port = port_of(alice)
                await connect(bob, alice)
            await until(lambda: not bob.connected_peers())


async def test_an_exception_in_the_body__leaves_as_it_came():
    with pytest.raises(KeyError):
        async with open_host(secret(0), LOOPBACK):
            raise KeyError


async def test_a_cancelled_host__closes():
    with trio.move_on_after(0.05) as scope:
        async with open_hosts(2) as (alice, bob):
            await connect(bob, alice)
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_an_observer_that_fails__is_counted_and_the_others_hear():
    class Broken(Recorder):
        def peer_connected(self, *_arguments, **_options):
            raise RuntimeError("fault")

        def peer_disconnected(self, *_arguments):
            raise RuntimeError("fault")

    async with open_hosts(2) as (alice, bob):
        recorder = Recorder()
        bob.observe(Broken())
        bob.observe(recorder)
        await connect(bob, alice)
        await bob.disconnect(alice.peer_id)
        await until(lambda: len(recorder.events) == 2)
        assert bob.statistics().observer_failed == 2


def port_of(host) -> int:
    return int(host.listen_addresses()[0].value_for_protocol("tcp"))


@contextmanager
def open_connections(host, count):
    """Raw connections that say nothing."""
    with ExitStack() as stack:
        address = ("127.0.0.1", port_of(host))
        yield [stack.enter_context(socket.create_connection(address)) for _ in range(count)]
