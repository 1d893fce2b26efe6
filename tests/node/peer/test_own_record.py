"""Our record is signed anew, given away, and asked for: a second node with the key is heard of."""

import random

from node.peer.doppelganger import Look
from node.peer.own_record import PublishedRecord
from p2p.network import NetworkConfig, open_network
from p2p.records import seal_record
from tests.p2p.nodes import LOOPBACK, connect, secret


async def test_each_renewal_is_newer_and_hears_of_another_instance():
    async with (
        open_network(secret(0), NetworkConfig(listen=LOOPBACK), rng=random.Random(0)) as hub,
        open_network(secret(1), NetworkConfig(listen=LOOPBACK, instance=6), rng=random.Random(1)) as network,
    ):
        now_ms = iter(range(100, 200))
        noted = []
        record = PublishedRecord(network, lambda *what: noted.append(what), lambda: next(now_ms))
        await connect(network.host, hub.host)
        hub.records.renew_own(hub.host.addresses(), 1)
        network.records.confirm(hub.host.peer_id, hub.records.own.envelope, heard_from_ip="127.0.0.1")
        for sequence in (100, 101):
            assert await record.look() == Look(None, 1)
            await record.give()
            assert noted[-1] == (6, sequence)
            known = hub.records.record_of(network.host.peer_id)
            assert known == network.records.own.envelope
            assert (network.records.own.sequence, network.records.own.instance) == (sequence, 6)
        record.tell_of_signing()
        await record.give()
        assert noted[-1] == (6, 102)
        assert (network.records.own.instance, network.records.own.may_sign) == (7, True)
        # A record of before is not another node's.
        assert await record.look() == Look(None, 1)
        other = seal_record(secret(1), 1_000, network.host.addresses(), 8)
        hub.records.accept(other.envelope, heard_from_ip="127.0.0.1")
        assert await record.look() == Look(other, 1)


async def test_without_a_peer_nobody_answers():
    async with open_network(secret(1), NetworkConfig(listen=LOOPBACK), rng=random.Random(1)) as network:
        assert await PublishedRecord(network, lambda *_: None, lambda: 1).look() == Look(None, 0)
