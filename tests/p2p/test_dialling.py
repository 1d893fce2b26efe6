"""p2p/dialling.py on real sockets: dials that work, and those that do not."""

import socket

import pytest
import trio
from multiaddr import Multiaddr

from p2p.dialling import DialFailed
from p2p.host import open_host
from p2p.identity import peer_id_from_secret
from protocol.errors import LocalError, ProtocolError
from tests.limits import HANG_S
from tests.p2p.nodes import LOOPBACK, open_hosts, secret


async def test_connecting_many_times_at_once__dials_once():
    async with open_hosts(2) as (alice, bob):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(bob.connect, alice.listen_addresses()[0])
        assert bob.statistics().dials.begun == 1


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
