"""p2p/records.py: any bytes give a checked record or a protocol error, and libp2p's own code agrees."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair as create_ed25519
from libp2p.peer.envelope import consume_envelope
from libp2p.peer.envelope import seal_record as seal_by_library
from libp2p.peer.pb import envelope_pb2, peer_record_pb2
from libp2p.peer.peer_record import PeerRecord as LibraryRecord
from multiaddr import Multiaddr

from p2p import records
from p2p.identity import PeerIdentityError, key_pair_from_secret, peer_id_from_secret
from p2p.records import INSTANCE_MAX, is_plausible, open_record, peer_of, seal_record, without_peer
from protocol.errors import DecodeError, InvalidMessage, LocalError, ProtocolError, SignatureError
from tests.p2p.nodes import secret

PEER = peer_id_from_secret(secret(1))
ADDRESS = Multiaddr("/ip4/8.8.8.8/tcp/4001")
RECORD = seal_record(secret(1), 7, [ADDRESS])


def forged(**changes) -> bytes:
    """Our record with parts replaced, its signature as it was."""
    envelope = envelope_pb2.Envelope.FromString(RECORD.envelope)
    for name, value in changes.items():
        setattr(envelope, name, value)
    return envelope.SerializeToString()


def payload(**changes) -> bytes:
    inner = peer_record_pb2.PeerRecord.FromString(envelope_pb2.Envelope.FromString(RECORD.envelope).payload)
    for name, value in changes.items():
        setattr(inner, name, value)
    return inner.SerializeToString()


def test_a_record__says_who_where_and_on_which_account():
    assert (RECORD.peer, RECORD.sequence) == (PEER, 7)
    assert RECORD.addresses == (Multiaddr(f"{ADDRESS}/p2p/{PEER}"),)
    assert open_record(RECORD.envelope) == RECORD
    assert len(RECORD.account) == 20
    assert seal_record(secret(1), 7, RECORD.addresses) == RECORD


@pytest.mark.parametrize("instance", [1, 7, (1 << 64) - 1])
def test_an_instance__is_read_and_others_pass_over_it(instance):
    record = seal_record(secret(1), 7, [ADDRESS], instance)
    assert open_record(record.envelope) == record
    assert (record.instance, RECORD.instance) == (instance, 0)
    _, theirs = consume_envelope(record.envelope, "libp2p-peer-record")
    assert (theirs.peer_id, theirs.seq, theirs.addrs) == (PEER, 7, [ADDRESS])


def test_py_libp2p__reads_our_records_and_we_read_its_own():
    _, record = consume_envelope(RECORD.envelope, "libp2p-peer-record")
    assert (record.peer_id, record.seq, record.addrs) == (PEER, 7, [ADDRESS])
    pair = key_pair_from_secret(secret(1))
    theirs = seal_by_library(LibraryRecord(PEER, [ADDRESS], 7), pair.private_key).marshal_envelope()
    found = open_record(theirs)
    assert (found.peer, found.sequence, found.addresses) == (PEER, 7, RECORD.addresses)


@given(st.binary(max_size=300))
def test_any_bytes__give_a_record_or_a_protocol_error(data):
    with suppress(ProtocolError):
        open_record(data)


@given(st.integers(0, len(RECORD.envelope) - 1), st.integers(0, 7))
def test_a_flipped_bit__is_never_another_record(index, bit):
    raw = bytearray(RECORD.envelope)
    raw[index] ^= 1 << bit
    try:
        found = open_record(bytes(raw))
    except ProtocolError:
        return
    assert (found.peer, found.sequence, found.addresses) == (RECORD.peer, RECORD.sequence, RECORD.addresses)


@pytest.mark.parametrize(
    ("envelope", "error"),
    [
        (b"", DecodeError),
        (bytes(records.RECORD_BYTES_MAX + 1), DecodeError),
        (b"\xff" * 40, DecodeError),
        (forged(payload_type=b"\x03\x02"), DecodeError),
        (forged(payload=b"\xff"), DecodeError),
        (forged(signature=b""), SignatureError),
        (forged(signature=b"\x30" * 70), SignatureError),
        (forged(payload=payload(seq=8)), SignatureError),
        (forged(payload=payload(peer_id=peer_id_from_secret(secret(2)).to_bytes())), InvalidMessage),
    ],
)
def test_a_forged_record__is_refused(envelope, error):
    with pytest.raises(error):
        open_record(envelope)


def test_a_record_of_another_kind_of_key__is_refused():
    pair = create_ed25519()
    record = LibraryRecord(peer_id_from_secret(secret(1)), [ADDRESS], 7)
    with pytest.raises(PeerIdentityError):
        open_record(seal_by_library(record, pair.private_key).marshal_envelope())


def test_a_signature_for_another_domain__is_refused(monkeypatch):
    monkeypatch.setattr(records, "RECORD_DOMAIN", b"libp2p-relay-rsvp")
    with pytest.raises(SignatureError):
        open_record(RECORD.envelope)


def by_library(*addresses: Multiaddr) -> bytes:
    pair = key_pair_from_secret(secret(1))
    return seal_by_library(LibraryRecord(PEER, list(addresses), 1), pair.private_key).marshal_envelope()


def test_addresses_that_cannot_be_dialled__are_left_out_and_the_rest_is_bounded():
    odd = [
        Multiaddr(text) for text in ("/dns4/a.b/tcp/1", "/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1/ws")
    ]
    assert open_record(by_library(*odd, ADDRESS)).addresses == RECORD.addresses
    many = [Multiaddr(f"/ip4/8.8.8.8/tcp/{port}") for port in range(1, 17)]
    assert len(open_record(by_library(*many)).addresses) == records.ADDRESSES_KEPT_MAX
    with pytest.raises(DecodeError):
        open_record(by_library(*many, ADDRESS))


@given(st.binary(max_size=60))
def test_any_bytes_as_an_address__are_one_or_left_out(raw):
    assert records._diallable(raw, PEER) is None or records._diallable(raw, PEER).get_peer_id() == str(PEER)


@pytest.mark.parametrize(
    ("sequence", "addresses"),
    [(-1, []), (1 << 64, []), (1, [ADDRESS] * 17), (1, [Multiaddr("/dns4/" + "a." * 100 + "b/tcp/1")] * 16)],
)
def test_what_is_no_record__is_not_sealed(sequence, addresses):
    with pytest.raises(LocalError):
        seal_record(secret(1), sequence, addresses)


def test_an_address_without_a_peer__names_none():
    with pytest.raises(PeerIdentityError):
        peer_of(ADDRESS)
    assert without_peer(ADDRESS) == without_peer(RECORD.addresses[0]) == ADDRESS
    with pytest.raises(ValueError, match="IP"):
        records.ip_of(Multiaddr("/dns4/a.b/tcp/1"))


@pytest.mark.parametrize(
    ("ip", "port", "teller", "plausible"),
    [
        ("8.8.8.8", 1, "9.9.9.9", True),
        ("8.8.8.8", 1, None, True),
        ("8.8.8.8", 0, "9.9.9.9", False),
        ("0.0.0.0", 1, "127.0.0.1", False),
        ("224.0.0.1", 1, "9.9.9.9", False),
        ("127.0.0.1", 1, "127.0.0.1", True),
        ("127.0.0.1", 1, "192.168.1.2", False),
        ("127.0.0.1", 1, "9.9.9.9", False),
        ("192.168.1.2", 1, "192.168.1.9", True),
        ("192.168.1.2", 1, "127.0.0.1", True),
        ("192.168.1.2", 1, "9.9.9.9", False),
        ("10.0.0.1", 1, None, False),
        ("::1", 1, "::1", True),
    ],
)
def test_a_private_address__counts_only_from_its_own_network(ip, port, teller, plausible):
    version = "ip6" if ":" in ip else "ip4"
    assert is_plausible(Multiaddr(f"/{version}/{ip}/tcp/{port}"), teller) is plausible


def test_an_address_through_a_relay__is_one_that_we_can_dial():
    relay = peer_id_from_secret(secret(7))
    where = Multiaddr(f"/ip4/8.8.8.8/tcp/4001/p2p/{relay}/p2p-circuit")
    record = seal_record(secret(0), 1, [where])
    (address,) = record.addresses
    assert address == Multiaddr(f"{where}/p2p/{record.peer}")
    assert records.without_peer(address) == where
    assert records.relay_of(address) == relay
    assert records.relay_address_of(address) == Multiaddr(f"/ip4/8.8.8.8/tcp/4001/p2p/{relay}")
    assert records.is_circuit(address)
    assert not records.is_circuit(records.relay_address_of(address))
    assert records.is_plausible(address, None)
    assert not records.is_plausible(Multiaddr(str(address).replace("8.8.8.8", "10.0.0.1")), "8.8.8.8")


@pytest.mark.parametrize(
    "where",
    [
        "/p2p/{relay}/p2p-circuit",  # a relay that is nowhere
        "/ip4/8.8.8.8/tcp/1/p2p-circuit",  # one that nobody knows
        "/ip4/8.8.8.8/tcp/1/p2p/{own}/p2p-circuit",  # oneself
        "/ip4/8.8.8.8/udp/1/p2p/{relay}/p2p-circuit",
        "/ip4/8.8.8.8/tcp/1/p2p/{relay}/p2p-circuit/p2p/{relay}/p2p-circuit",
    ],
)
def test_circuits_that_lead_nowhere__are_left_out(where):
    relay, own = peer_id_from_secret(secret(7)), peer_id_from_secret(secret(0))
    raw = Multiaddr(where.format(relay=relay, own=own)).to_bytes()
    assert records._diallable(raw, own) is None


@pytest.mark.parametrize(
    ("instance", "start", "may_sign"),
    [(0, 0, True), (6, 6, False), (7, 6, True), (INSTANCE_MAX, INSTANCE_MAX - 1, True)],
)
def test_an_instance__says_which_start_and_whether_its_node_may_sign(instance, start, may_sign):
    record = open_record(seal_record(secret(1), 1, (), instance).envelope)
    assert (record.start, record.may_sign) == (start, may_sign)
