"""p2p/session/secure.py on real sockets: handshakes with the wrong, the hostile and the half-hearted."""

import pytest
import trio
from multiaddr import Multiaddr

from p2p.dialling import DialFailed
from p2p.identity import peer_id_from_secret
from p2p.session.counts import Violation
from tests.limits import HANG_S
from tests.p2p.nodes import open_hosts, secret, until
from tests.p2p.session.peers import raw_peer_of

MULTISTREAM = b"\x13/multistream/1.0.0\n\x07/noise\n"


async def test_another_peer_than_the_address_says__is_refused_and_counted():
    async with open_hosts(2) as (one, other):
        impostor = str(other.listen_addresses()[0]).replace(
            str(other.peer_id), str(peer_id_from_secret(secret(9)))
        )
        with pytest.raises(DialFailed):
            await one.connect(Multiaddr(impostor))
        assert one.statistics().sessions.violations == {Violation.ANOTHER_PEER: 1}


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (b"\x00\x05short", "noise_message"),
        (b"\x00\x20" + bytes(32), "noise_key"),
        (b"\x00\x20" + bytes(31) + b"\x09" + b"\x00\x40" + bytes(64), "noise_tag"),
    ],
)
async def test_attack_in_the_handshake__is_refused_and_counted(attack, name):
    async with open_hosts(1) as (host,):
        port = int(host.listen_addresses()[0].value_for_protocol("tcp"))
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(MULTISTREAM + attack)
        with trio.fail_after(HANG_S):
            while await receive(stream):
                pass
        await until(lambda: host.statistics().sessions.violations == {name: 1})
        await stream.aclose()


async def receive(stream):
    try:
        return await stream.receive_some()
    except trio.BrokenResourceError:  # closed with our bytes unread
        return b""


async def test_a_caller_that_leaves_in_the_handshake__costs_nothing():
    async with open_hosts(1) as (host,):
        port = int(host.listen_addresses()[0].value_for_protocol("tcp"))
        for part in (b"", MULTISTREAM, MULTISTREAM + b"\x00\x20" + bytes(31) + b"\x09"):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(part)
            await stream.aclose()
        async with raw_peer_of(host):
            assert host.connected_peers()
