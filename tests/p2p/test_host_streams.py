"""p2p/host_streams.py on real sockets."""

import pytest

from p2p.host_streams import NotConnected, StreamRefused
from tests.p2p.nodes import connect, open_hosts


async def test_streams__need_a_connection_and_a_common_protocol():
    async with open_hosts(2) as (alice, bob):
        with pytest.raises(NotConnected):
            await bob.open_stream(alice.peer_id, ["/any/1"])
        await connect(bob, alice)
        with pytest.raises(StreamRefused):
            await bob.open_stream(alice.peer_id, ["/unknown/1"])
