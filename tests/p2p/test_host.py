"""p2p/host.py on real sockets: it listens, comes and goes."""

import pytest
import trio
from multiaddr import Multiaddr

from p2p.dialling import DialFailed
from p2p.host import open_host
from p2p.identity import peer_id_from_secret
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, port_of, secret, until


async def test_a_host__tells_its_real_port_and_its_peer_id():
    async with open_host(secret(0), LOOPBACK) as host:
        (address,) = host.listen_addresses()
        assert host.peer_id == peer_id_from_secret(secret(0))
        assert str(address).endswith(f"/p2p/{host.peer_id}")
        assert int(address.value_for_protocol("tcp")) > 0


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
