"""p2p/record_store.py: the newest word of each peer, within bounds, whoever brings it."""

import random

import pytest
from multiaddr import Multiaddr

from p2p import record_store
from p2p.identity import address_of_peer, peer_id_from_secret
from p2p.record_store import RECORDS_TOLD_MAX, PeerRecords
from p2p.records import seal_record
from protocol.errors import InvalidMessage, ProtocolError
from tests.p2p.nodes import secret

PEERS = [peer_id_from_secret(secret(number)) for number in range(30)]
RNG = random.Random(0)


def record(number: int, sequence: int = 1, *ips: str):
    ips = ips or ("8.8.8.8",)
    return seal_record(secret(number), sequence, [Multiaddr(f"/ip4/{ip}/tcp/4001") for ip in ips])


@pytest.fixture
def store():
    return PeerRecords(secret(0))


def confirm(store, number, sequence=1, *ips):
    store.confirm(PEERS[number], record(number, sequence, *ips).envelope, heard_from_ip="8.8.8.8")


def test_our_own_record__is_signed_anew_only_for_other_addresses(store):
    addresses = record(0, 1, "1.1.1.1").addresses
    first = store.renew_own(addresses, 1_000)
    assert (first.sequence, first.addresses) == (1_000, addresses)
    assert store.renew_own(addresses, 2_000) is first
    # The clock has gone back; the sequence has not.
    assert store.renew_own((), 500).sequence == 1_001
    assert store.renew_own((), 3_000).sequence == 1_001
    assert store.renew_own((), 3_000, anew=True).sequence == 3_000
    assert store.record_of(PEERS[0]) == store.own.envelope
    assert store.peer_of_account(address_of_peer(PEERS[0])) == PEERS[0]


def test_the_newest_record_of_a_peer__stays_whoever_brings_it(store):
    assert store.accept(record(1, 5).envelope) == PEERS[1]
    store.accept(record(1, 4, "1.1.1.1").envelope)
    assert store.addresses(PEERS[1]) == record(1, 5).addresses
    store.accept(record(1, 5, "1.1.1.1").envelope)
    assert store.addresses(PEERS[1]) == record(1, 5).addresses
    store.accept(record(1, 6, "2.2.2.2").envelope)
    assert store.record_of(PEERS[1]) == record(1, 6, "2.2.2.2").envelope
    assert (store.counts.accepted, store.counts.older, store.counts.sequence_reused) == (2, 1, 1)


def test_our_own_record_from_others__is_passed_over(store):
    assert store.accept(record(0, 99).envelope) == PEERS[0]
    assert store.own.sequence == 0
    assert len(store) == 0


def test_a_peer_that_gives_anothers_record_as_its_own__is_refused(store):
    with pytest.raises(InvalidMessage):
        store.confirm(PEERS[1], record(2).envelope, heard_from_ip=None)
    with pytest.raises(ProtocolError):
        store.accept(b"garbage")
    assert len(store) == 0


def test_only_met_peers_that_are_connected__are_told(store):
    store.accept(record(1).envelope)
    confirm(store, 2)
    assert store.to_tell(PEERS[5], PEERS, RNG) == [record(2)]
    assert store.to_tell(PEERS[2], PEERS, RNG) == []
    assert store.to_tell(PEERS[5], [], RNG) == []
    store.note_met(PEERS[1])
    store.note_met(PEERS[9])
    assert {item.peer for item in store.to_tell(PEERS[5], PEERS, RNG)} == {PEERS[1], PEERS[2]}
    assert store.candidates([PEERS[2]]) == [PEERS[1]]
    for number in range(3, 25):
        store.confirm(PEERS[number], record(number).envelope, heard_from_ip=f"8.8.4.{number}")
    assert len(store.to_tell(PEERS[5], PEERS, RNG)) == RECORDS_TOLD_MAX


def test_peers_of_one_public_network__are_told_of_in_part_only(store):
    for number in range(1, 12):
        confirm(store, number)
    for number in range(12, 15):
        store.confirm(PEERS[number], record(number).envelope, heard_from_ip=f"9.9.9.{number}")
    told = {item.peer for item in store.to_tell(PEERS[20], PEERS, RNG)}
    assert len(told & set(PEERS[1:12])) == record_store.RECORDS_TOLD_PER_NETWORK_MAX
    assert set(PEERS[12:15]) <= told
    near = PeerRecords(secret(0))
    for number in range(1, 12):
        near.confirm(PEERS[number], record(number).envelope, heard_from_ip="192.168.1.7")
    assert len(near.to_tell(PEERS[20], PEERS, RNG)) == 11


def test_private_addresses__count_only_from_nearby_and_can_be_learned_later(store):
    both = record(1, 1, "192.168.1.2", "8.8.8.8")
    store.accept(record(2, 1, "192.168.1.2").envelope, heard_from_ip="9.9.9.9")
    assert store.counts.implausible == 1
    store.accept(both.envelope, heard_from_ip="9.9.9.9")
    assert store.addresses(PEERS[1]) == both.addresses[1:]
    store.accept(both.envelope, heard_from_ip="192.168.1.7")
    assert set(store.addresses(PEERS[1])) == set(both.addresses)
    # A newer one whose addresses lead nowhere from here does not take away those that do.
    store.accept(record(1, 2, "10.0.0.1").envelope, heard_from_ip="9.9.9.9")
    assert set(store.addresses(PEERS[1])) == set(both.addresses)


def test_a_peer_that_says_it_cannot_be_dialled__is_forgotten_on_its_own_word_alone(store):
    confirm(store, 1)
    empty = seal_record(secret(1), 2, [])
    store.accept(empty.envelope)
    assert store.addresses(PEERS[1])
    store.confirm(PEERS[1], empty.envelope, heard_from_ip=None)
    assert store.record_of(PEERS[1]) is None
    confirm(store, 2)
    store.forget(PEERS[2])
    store.forget(PEERS[2])
    assert store.counts.forgotten == 1
    assert store.peer_of_account(address_of_peer(PEERS[2])) is None
    assert store.addresses(PEERS[2]) == ()


def test_the_nearest_by_xor__are_found(store):
    for number in range(1, 20):
        store.accept(record(number).envelope)
    target = address_of_peer(PEERS[7])
    found = store.nearest(target, 5)
    assert found[0] == record(7)
    distances = [int.from_bytes(item.account) ^ int.from_bytes(target) for item in found]
    everyone = sorted(int.from_bytes(address_of_peer(peer)) ^ int.from_bytes(target) for peer in PEERS[1:20])
    assert distances == everyone[:5]
    assert store.peer_of_account(target) == PEERS[7]


def test_strangers_with_ever_new_keys__push_out_hearsay_and_each_other_but_not_whom_we_keep():
    kept = {PEERS[1]}
    store = PeerRecords(secret(0), records_max=3, is_kept=lambda peer: peer in kept)
    confirm(store, 1)
    store.accept(record(2).envelope)
    for number in range(3, 20):
        confirm(store, number)
    assert len(store) == 3
    assert set(store.candidates([])) == {PEERS[1], PEERS[18], PEERS[19]}
    assert store.counts.evicted == 16
    for number in range(20, 25):
        store.accept(record(number).envelope)
    assert store.addresses(PEERS[1])
    kept.update(PEERS)
    confirm(store, 25)
    assert len(store) == 3


def test_the_same_record_again__is_not_checked_again(store, monkeypatch):
    confirm(store, 1)
    store.accept(record(2).envelope)
    monkeypatch.setattr(record_store, "open_record", None)
    confirm(store, 1)
    assert store.accept(record(2).envelope) == PEERS[2]
    store.forget(PEERS[2])
    assert set(store._peer_of_envelope.values()) == {PEERS[1]}
    with pytest.raises(TypeError):
        store.accept(record(2).envelope)


def test_a_saved_book__is_restored_and_what_is_broken_in_it_passed_over(store):
    confirm(store, 1)
    store.accept(record(2).envelope, heard_from_ip="1.1.1.1")
    saved = [(entry.record.envelope, entry.heard_from_ip, entry.met) for entry in store.entries()]
    again = PeerRecords(secret(0))
    again.restore([*saved, (b"garbage", None, True), (record(0).envelope, None, True)])
    assert again.entries() == store.entries()
    assert again.counts.restore_failed == 1


def test_a_record_in_our_name__is_kept_if_another_instance_made_it_and_the_newest_counts():
    store = PeerRecords(secret(0), instance=7)
    where = [Multiaddr("/ip4/8.8.8.8/tcp/4001")]
    store.renew_own(where, 5)
    store.accept(store.own.envelope)
    store.accept(seal_record(secret(0), 9, where, 7).envelope)
    assert store.double is None
    for sequence in (10, 12, 11):
        store.accept(seal_record(secret(0), sequence, where, 8).envelope)
    assert (store.double.sequence, store.double.instance) == (12, 8)
    assert len(store) == 0
