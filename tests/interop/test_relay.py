"""Circuit relay v2 with an implementation that we did not write, as relay and at both ends."""

import pytest
import trio
from multiaddr import Multiaddr

from p2p.host import open_host
from p2p.relay.client import RelayClient, RelayClientCounts
from tests.interop.peer import ECHO, js_peer, until_async
from tests.p2p.nodes import secret, until
from tests.p2p.relay.circuits import echo, open_hidden, open_relay

pytestmark = pytest.mark.process
OURS = "/cuckoo/test/1"
PAYLOAD = bytes(range(256)) * 64


async def test_our_relay__leads_us_to_a_peer_of_theirs_and_it_to_us():
    async with open_relay() as (relay, server), open_hidden(relay, 1) as (hidden,):
        at_relay = str(relay.listen_addresses()[0])
        async with js_peer(secret(7), listen=[f"{at_relay}/p2p-circuit"]) as js:
            await until(lambda: server.book.has_reservation(js.peer_id))

            async def announced() -> bool:
                return await js.do("addresses") == [f"{at_relay}/p2p-circuit/p2p/{js.peer_id}"]

            await until_async(announced)

            # We call it.
            (address,) = await js.do("addresses")
            assert await hidden.host.connect(Multiaddr(address)) == js.peer_id
            assert hidden.host.is_relayed(js.peer_id)
            async with hidden.host.open_direct_stream(js.peer_id, ECHO) as stream:
                await stream.send(PAYLOAD)
                assert await stream.receive() == PAYLOAD
            connections = await js.do("connections")
            assert {"peer_id": str(hidden.host.peer_id), "limited": True} in connections
            await hidden.host.disconnect(js.peer_id)
            await until(lambda: server.book.circuit_count == 0)

            # It calls us.
            hidden.host.handle_direct_streams(OURS, echo)
            (address,) = hidden.host.addresses()
            answer = await js.do("call", multiaddr=str(address), protocol=OURS, payloads=[PAYLOAD.hex()])
            assert answer == {"payloads": [PAYLOAD.hex()], "ending": "end"}
            assert hidden.host.is_relayed(js.peer_id)


async def test_their_relay__takes_our_reservation_and_leads_our_peers_to_each_other():
    async with (
        js_peer(secret(7), relay=True) as js,
        open_host(secret(1), []) as alice,
        open_host(secret(2), []) as bob,
        trio.open_nursery() as nursery,
    ):
        client = RelayClient(alice, is_wanted=lambda: True)
        RelayClient(bob, is_wanted=lambda: False)
        await alice.connect(Multiaddr(js.multiaddr))
        await nursery.start(client.run)
        await until(client.addresses)
        assert client.counts == RelayClientCounts(reserved=1)
        (address,) = alice.addresses()
        assert str(address) == f"{js.multiaddr}/p2p-circuit/p2p/{alice.peer_id}"
        alice.handle_direct_streams(OURS, echo)
        assert await bob.connect(address) == alice.peer_id
        async with bob.open_direct_stream(alice.peer_id, OURS) as stream:
            await stream.send(PAYLOAD)
            assert await stream.receive() == PAYLOAD
        assert bob.is_relayed(alice.peer_id)
        nursery.cancel_scope.cancel()
