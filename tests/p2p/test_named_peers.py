"""p2p/named_peers.py: who is named to others, and what is made of peers that others name."""

import random

import pytest
from multiaddr import Multiaddr

from p2p.gossip.params import WITHOUT_MESH
from p2p.gossip.router import Router
from p2p.gossip.wire import PxPeer, encode_control, encode_subscriptions
from p2p.identity import peer_id_from_secret
from p2p.named_peers import name_peer, take_named_peers
from p2p.record_store import PeerRecords
from p2p.records import seal_record
from tests.p2p.nodes import secret

ALICE, BOB = (peer_id_from_secret(secret(number)) for number in (1, 2))
ENVELOPE = seal_record(secret(1), 1, [Multiaddr("/ip4/127.0.0.1/tcp/4001")]).envelope


@pytest.fixture
def records():
    return PeerRecords(secret(0))


def test_peers_named__with_rubbish_are_passed_over(records):
    take = take_named_peers(records, lambda _peer: "127.0.0.1")
    take((PxPeer(b"", b""), PxPeer(b"x", b"rubbish"), PxPeer(b"", ENVELOPE)), BOB)
    assert records.candidates(()) == [ALICE]


def test_a_private_address__counts_only_when_a_peer_nearby_names_it(records):
    take = take_named_peers(records, {ALICE: "8.8.8.8", BOB: "127.0.0.1"}.get)
    take((PxPeer(b"", ENVELOPE),), ALICE)
    assert records.candidates(()) == []
    take((PxPeer(b"", ENVELOPE),), BOB)
    assert records.candidates(()) == [ALICE]


def test_a_peer_without_a_record__is_not_named(records):
    name = name_peer(records)
    assert name(ALICE) is None
    records.accept(ENVELOPE, heard_from_ip="127.0.0.1")
    assert name(ALICE) == PxPeer(ALICE.to_bytes(), ENVELOPE)


def test_a_bootstrap_peer__names_others_to_whoever_grafts_it(records):
    records.accept(ENVELOPE, heard_from_ip="127.0.0.1")
    router = Router(WITHOUT_MESH, random.Random(1), records=name_peer(records))
    router.subscribe("topic", 0)
    for peer in (ALICE, BOB):
        router.peer_connected(peer, outbound=False, now_ms=0)
        router.rpc_received(peer, encode_subscriptions([("topic", True)]), 0)
    (answer,) = router.rpc_received(BOB, encode_control(graft=["topic"]), 0)
    assert ENVELOPE in answer.rpc
