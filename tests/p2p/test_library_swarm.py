"""p2p/library/swarm.py on real sockets: faults of the library that were mended."""

import socket
from contextlib import ExitStack, contextmanager

import pytest
import trio
from libp2p import new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport

from p2p.dialling import DialFailed
from p2p.host import open_host
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, port_of, secret, until


@contextmanager
def open_connections(host, count):
    """Raw connections that say nothing."""
    with ExitStack() as stack:
        address = ("127.0.0.1", port_of(host))
        yield [stack.enter_context(socket.create_connection(address)) for _ in range(count)]


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
