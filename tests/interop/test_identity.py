"""Who the other implementation is to us, and we to it: keys, addresses, identify, ping, encryption."""

import os

import pytest
import trio
from libp2p.identity.identify.pb.identify_pb2 import Identify
from multiaddr import Multiaddr

from p2p.dialling import DialFailed
from p2p.gossip.service import PROTOCOLS
from p2p.host_streams import StreamRefused
from p2p.identity import address_of_peer, peer_id_from_secret
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.ping import PING_PROTOCOL
from tests.interop.peer import CommandFailed, js_peer, until_async
from tests.limits import HANG_S
from tests.p2p.nodes import open_gossip, open_hosts, secret, until

pytestmark = pytest.mark.process
IDENTIFY_PROTOCOL = "/ipfs/id/1.0.0"


async def test_a_key__is_the_same_peer_and_the_same_address_in_both():
    async with open_hosts(1) as (host,), js_peer(secret(7)) as js:
        assert js.peer_id == peer_id_from_secret(secret(7))
        assert js.address == address_of_peer(js.peer_id)
        met = await js.do("connect", multiaddr=str(host.listen_addresses()[0]))
        assert met == {"peer_id": str(host.peer_id), "address": address_of_peer(host.peer_id).hex()}
        await until(lambda: host.connected_peers() == (js.peer_id,))


async def test_identify__tells_both_what_the_other_speaks():
    async with open_gossip(1) as (hosts, _), js_peer(secret(7)) as js:
        await hosts[0].connect(Multiaddr(js.multiaddr))
        message = await identify_message(hosts[0], js.peer_id)
        told = Identify.FromString(message[2:])
        assert {*PROTOCOLS, PING_PROTOCOL} <= set(told.protocols)
        assert told.agent_version.startswith("js-libp2p")

        async def has_heard():
            heard = await js.do("identified", peer_id=str(hosts[0].peer_id))
            return {*PROTOCOLS, PING_PROTOCOL} <= set(heard["protocols"])

        await until_async(has_heard)


async def identify_message(host, peer_id):
    """The other implementation serves one at a time, and our library asks by itself on connecting.

    It refuses a second by a reset, after it has agreed to serve it.
    """
    with trio.fail_after(HANG_S):
        while True:
            try:
                stream = await host.open_stream(peer_id, [IDENTIFY_PROTOCOL])
                message = b""
                while not message or len(message) < message[0] % 128 + message[1] * 128 + 2:
                    message += await stream.read(4096)
            except (StreamRefused, *TRANSPORT_ERRORS):
                await trio.sleep(0.05)
            else:
                return message


async def test_pings__are_answered_both_ways():
    async with open_hosts(1) as (host,), js_peer(secret(7)) as js:
        assert await js.do("ping", multiaddr=str(host.listen_addresses()[0])) >= 0
        stream = await host.open_stream(js.peer_id, [PING_PROTOCOL])
        for _ in range(3):
            sent, answer = os.urandom(32), b""
            await stream.write(sent)
            with trio.fail_after(HANG_S):
                while len(answer) < len(sent):
                    answer += await stream.read(32)
            assert answer == sent


async def test_a_peer_that_offers_only_plain_text__is_refused_both_ways():
    async with open_hosts(1) as (host,), js_peer(secret(7), plain=True) as js:
        with pytest.raises(CommandFailed):
            await js.do("connect", multiaddr=str(host.listen_addresses()[0]))
        with pytest.raises(DialFailed):
            await host.connect(Multiaddr(js.multiaddr))
        assert host.connected_peers() == ()
