"""p2p/library/streams.py on real sockets: faults of the library that were mended."""

import pytest
import trio

from p2p.host_streams import StreamRefused
from p2p.identity import peer_id_from_secret
from p2p.library import streams
from p2p.library.streams import TRANSPORT_ERRORS
from tests.p2p.nodes import connect, open_hosts, secret, until


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


async def test_inbound_streams__are_bounded_per_peer(monkeypatch):
    monkeypatch.setattr(streams, "INBOUND_STREAMS_PER_PEER_MAX", 3)

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
        monkeypatch.setattr(streams, "INBOUND_STREAMS_MAX", 3)
        monkeypatch.setattr(streams, "INBOUND_STREAMS_PER_PEER_MAX", 10)
        with pytest.raises(StreamRefused):
            await bob.open_stream(alice.peer_id, ["/wait/1"])
        assert alice.statistics().streams.refused_host_full == 1


async def test_inbound_streams_of_strangers__leave_room_for_peers_with_stake(monkeypatch):
    monkeypatch.setattr(streams, "INBOUND_STREAMS_OF_STRANGERS_MAX", 2)

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
