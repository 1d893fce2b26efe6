"""p2p/session/stream_wire.py: a session over a stream of another session, on real sockets."""

import pytest
import trio
from libp2p.connection_types import ConnectionType
from multiaddr import Multiaddr

from p2p.session.errors import ConnectionLost, StreamWasReset
from p2p.session.stream_wire import StreamConnection, StreamWire
from tests.p2p.nodes import connect, open_hosts, until

ADDRESS = Multiaddr("/ip4/127.0.0.1/tcp/1/p2p-circuit")
PIPE = "/pipe/1"


class Broken:
    """A stream that is gone."""

    async def read(self, n=None):
        raise StreamWasReset("gone")

    async def write(self, data):
        raise StreamWasReset("gone")


async def test_a_stream_that_is_gone__is_a_lost_connection():
    wire = StreamWire(Broken())
    with pytest.raises(ConnectionLost):
        await wire.receive()
    with pytest.raises(ConnectionLost):
        await wire.send(b"x")


async def test_bytes_go_both_ways__and_a_close_is_heard():
    ends = []

    async def keep(stream, _peer):
        ends.append(StreamConnection(stream, ADDRESS, initiator=False))
        await trio.sleep_forever()

    async with open_hosts(2) as (alice, bob):
        alice.handle_streams(PIPE, keep)
        await connect(bob, alice)
        stream = await bob.open_stream(alice.peer_id, [PIPE])
        near = StreamConnection(stream, ADDRESS, initiator=True)
        await until(lambda: ends)
        (far,) = ends
        await near.wire.send(b"there")
        assert await far.wire.receive() == b"there"
        far.wire.send_nowait(b"back")
        assert await near.read(2) == b"ba"
        assert await near.wire.receive() == b"ck"
        await far.write(b"raw")
        assert await near.wire.receive() == b"raw"
        assert near.get_remote_address() is None
        assert near.get_transport_addresses() == [ADDRESS]
        assert near.get_connection_type() is ConnectionType.RELAYED
        near.wire.close()
        near.wire.close()
        with pytest.raises(ConnectionLost):
            await far.wire.receive()
        far.wire.send_nowait(b"nobody hears this")
        await far.close()
