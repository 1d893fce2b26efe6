"""p2p/relay/relay_book.py: every limit reached, and everything given back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.relay.circuit_v2.pb.circuit_pb2 import Status

from p2p.identity import peer_id_from_secret
from p2p.relay.relay_book import Bandwidth, RelayBook, RelayLimits
from protocol.errors import LocalError
from tests.p2p.nodes import secret

PEERS = [peer_id_from_secret(secret(number)) for number in range(8)]
LIMITS = RelayLimits(
    reservations_max=4,
    reservations_per_network_max=2,
    reservation_s=100,
    circuits_max=4,
    circuits_per_network_max=3,
    circuits_per_peer_max=2,
)
HERE, THERE, ELSEWHERE = "8.8.8.8", "9.9.9.9", "1.1.1.1"


def test_reservations__are_bounded_by_network_and_in_total_and_come_back():
    book = RelayBook(LIMITS)
    assert [book.reserve(peer, HERE, 0) for peer in PEERS[:3]] == [
        Status.OK,
        Status.OK,
        Status.RESERVATION_REFUSED,
    ]
    assert [book.reserve(peer, THERE, 0) for peer in PEERS[2:4]] == [Status.OK] * 2
    assert book.reserve(PEERS[4], ELSEWHERE, 0) == Status.RESERVATION_REFUSED
    assert book.counts.reservation_refused == 2
    book.release(PEERS[0])
    book.release(PEERS[0])
    assert book.reserve(PEERS[4], ELSEWHERE, 0) == Status.OK


def test_a_reservation__is_renewed_without_another_slot_and_ends_in_time():
    book = RelayBook(LIMITS)
    for now_s in range(5):
        assert book.reserve(PEERS[0], HERE, now_s) == Status.OK
    assert book.reservation_count == 1
    assert book.expires_at_s(PEERS[0]) == 104
    assert book.open_circuit(PEERS[0], THERE, 103) == Status.OK
    assert book.open_circuit(PEERS[0], THERE, 104) == Status.NO_RESERVATION
    assert book.reservation_count == 0


def test_reservations_that_have_ended__make_room_for_others():
    book = RelayBook(LIMITS)
    for peer, ip in zip(PEERS[:4], (HERE, HERE, THERE, THERE), strict=True):
        book.reserve(peer, ip, 0)
    assert book.reserve(PEERS[5], ELSEWHERE, 99) == Status.RESERVATION_REFUSED
    assert book.reserve(PEERS[5], ELSEWHERE, 100) == Status.OK
    assert book.reservation_count == 1


def test_circuits__are_bounded_by_peer_by_network_and_in_total():
    book = RelayBook(LIMITS)
    for peer, ip in zip(PEERS[:3], (HERE, HERE, THERE), strict=True):
        book.reserve(peer, ip, 0)
    assert book.open_circuit(PEERS[7], HERE, 0) == Status.NO_RESERVATION
    assert [book.open_circuit(PEERS[0], ELSEWHERE, 0) for _ in range(3)] == [
        Status.OK,
        Status.OK,
        Status.RESOURCE_LIMIT_EXCEEDED,
    ]
    assert book.open_circuit(PEERS[1], ELSEWHERE, 0) == Status.OK
    assert book.open_circuit(PEERS[1], ELSEWHERE, 0) == Status.RESOURCE_LIMIT_EXCEEDED
    assert book.open_circuit(PEERS[1], HERE, 0) == Status.OK
    assert book.open_circuit(PEERS[2], THERE, 0) == Status.RESOURCE_LIMIT_EXCEEDED
    assert book.counts.circuit_refused_peer_full == 1
    assert book.counts.circuit_refused == 2
    assert book.circuit_count == 4
    book.close_circuit(PEERS[0], ELSEWHERE)
    assert book.open_circuit(PEERS[2], THERE, 0) == Status.OK


def test_this_machine__counts_as_many_networks_where_everybody_is_here():
    book = RelayBook(LIMITS, loopback_exempt=True)
    assert [book.reserve(peer, "127.0.0.1", 0) for peer in PEERS[:4]] == [Status.OK] * 4
    assert book.reserve(PEERS[4], "127.0.0.1", 0) == Status.RESERVATION_REFUSED


def test_limits__are_positive():
    with pytest.raises(LocalError):
        RelayLimits(circuits_max=0)


@given(st.lists(st.tuples(st.integers(1, 3_000), st.floats(0, 2)), min_size=1, max_size=50))
def test_bandwidth__is_kept_over_any_time(pieces):
    """What has gone by the time a piece may go on is at most what the time allows, and one second's more."""
    bucket, now_s, sent = Bandwidth(1_000), 0.0, 0
    for count, pause_s in pieces:
        now_s += pause_s
        now_s += bucket.spend(count, now_s)
        sent += count
        assert sent <= 1_000 * (now_s + 1) + 1


def test_bandwidth_that_was_not_used__is_there_for_a_second_and_no_longer():
    bucket = Bandwidth(1_000)
    assert bucket.spend(1_000, 100.0) == 0
    assert bucket.spend(500, 100.0) == pytest.approx(0.5)
    assert bucket.spend(1_500, 200.0) == pytest.approx(0.5)
