"""p2p/mdns.py on this machine's own multicast; what comes in is anybody's word."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2p import mdns
from p2p.identity import peer_id_from_secret
from p2p.mdns import LocalDiscovery, local_addresses
from protocol.errors import Refusal
from tests.p2p.nodes import open_hosts, secret, until

PEER = peer_id_from_secret(secret(1))


def record(text):
    return {b"dnsaddr": text.encode()}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (f"/ip4/192.168.1.2/tcp/4001/p2p/{PEER}", True),
        (f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}", True),
        (f"/ip6/fd00::2/tcp/4001/p2p/{PEER}", True),
        (f"/ip4/8.8.8.8/tcp/4001/p2p/{PEER}", False),
        (f"/ip4/0.0.0.0/tcp/4001/p2p/{PEER}", False),
        (f"/ip4/192.168.1.2/udp/4001/quic-v1/p2p/{PEER}", False),
        ("/ip4/192.168.1.2/tcp/4001", False),
        ("/ip4/192.168.1.2/tcp/4001/p2p/12D3KooWRBhwfeP2Y4TCx1SM6s9rUoHhR5STiGwxBhgFRcw3UERE", False),
        ("nonsense", False),
    ],
)
def test_only_private_addresses_of_our_kind_of_peers__are_taken(text, taken):
    assert bool(local_addresses(record(text))) is taken


@given(
    st.dictionaries(
        st.binary(max_size=10).map(lambda raw: b"dnsaddr" + raw), st.binary(max_size=60) | st.none()
    )
)
def test_any_records__give_few_addresses(properties):
    assert len(local_addresses(properties)) <= 4


def test_many_records__give_few_addresses():
    texts = [f"/ip4/10.0.0.{number}/tcp/1/p2p/{PEER}" for number in range(9)]
    assert (
        len(local_addresses({f"dnsaddr{index}".encode(): text.encode() for index, text in enumerate(texts)}))
        == 4
    )


@pytest.mark.process
async def test_two_peers_on_one_network__find_each_other_without_anybody():
    async with open_hosts(2) as hosts, trio.open_nursery() as nursery:
        services = [LocalDiscovery(host, interfaces=["127.0.0.1"]) for host in hosts]
        for service in services:
            await nursery.start(service.run)
        await until(lambda: hosts[0].is_connected(hosts[1].peer_id))
        assert sum(service.statistics().dialled for service in services) >= 1
        nursery.cancel_scope.cancel()


async def test_findings_beyond_the_limit__are_dropped_and_a_peer_is_dialled_once(monkeypatch):
    monkeypatch.setattr(mdns, "REMEMBERED_MAX", 2)
    monkeypatch.setattr(mdns, "DIAL_PAUSE_S", 0)
    async with open_hosts(1) as (host,):
        service = LocalDiscovery(host)
        send, _receive = trio.open_memory_channel(1)
        for _ in range(3):
            service._put(send, [])
        assert service.statistics().dropped == 2
        for number in (1, 1, 2, 3, 4):
            peer = peer_id_from_secret(secret(number))
            (address,) = local_addresses(record(f"/ip4/127.0.0.1/tcp/1/p2p/{peer}"))
            await service._dial(address)
        assert (service.statistics().dialled, service.statistics().dial_failed) == (4, 4)
        assert len(service._dialled_ms) == 2
        send.close()
        _receive.close()


async def test_a_peer_that_does_not_answer_at_once__is_dialled_again(monkeypatch):
    """Its announcement is heard once, so whoever gave up after one dial would never meet it."""
    monkeypatch.setattr(mdns, "DIAL_PAUSE_S", 0)
    async with open_hosts(1) as (host,):
        service, dials = LocalDiscovery(host), []

        async def connect(address, **_):
            dials.append(address)
            if len(dials) < mdns.DIAL_ATTEMPTS_MAX:
                raise Refusal("busy")

        monkeypatch.setattr(host, "connect", connect)
        (address,) = local_addresses(record(f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}"))
        await service._dial(address)
    assert dials == [address] * mdns.DIAL_ATTEMPTS_MAX
    assert (service.statistics().dialled, service.statistics().dial_failed) == (1, 0)
