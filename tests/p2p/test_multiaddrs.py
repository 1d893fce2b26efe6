"""p2p/multiaddrs.py: strangers' bytes and text give an address that holds in all parts, or DecodeError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr

from p2p.dial_back import ports_of
from p2p.identity import peer_id_from_secret
from p2p.mdns import local_addresses
from p2p.multiaddrs import parse_multiaddr
from p2p.records import _diallable, names_of, without_peer
from p2p.relay.hole_punch import _public
from protocol.errors import DecodeError
from tests.p2p.nodes import secret

PEER = peer_id_from_secret(secret(0))
CONTENT_ID = bytes.fromhex("01551220") + bytes(32)
PARTS = [
    b"\x04\x01\x02\x03\x04",
    b"\x29" + bytes(15) + b"\x01",
    b"\x06\x0f\xa1",
    b"\x06\x00\x00",
    b"\xa5\x03" + bytes((len(PEER.to_bytes()),)) + PEER.to_bytes(),
    b"\xa5\x03" + bytes((len(CONTENT_ID),)) + CONTENT_ID,
    b"\xa5\x03\x02ab",
    b"\xa2\x02",
    b"\x36\x03abc",
    b"\x2a\x01\x00",
    b"\xff",
]
addresses = st.lists(st.sampled_from(PARTS), max_size=5).map(b"".join) | st.binary(max_size=60)


def test_attack_bytes_whose_text_is_an_address_and_whose_parts_are_not():
    with pytest.raises(DecodeError):
        parse_multiaddr(b"*\x01\x00")


@pytest.mark.parametrize(
    "text", ["/ip4/1.2.3.4/tcp/1", f"/ip6/::1/tcp/0/p2p/{PEER}", f"/p2p/{PEER}/p2p-circuit"]
)
def test_an_address__is_read_as_text_and_as_bytes(text):
    assert str(parse_multiaddr(text)) == text
    assert parse_multiaddr(Multiaddr(text).to_bytes()) == Multiaddr(text)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "an empty multiaddr"),
        ("/", "an empty multiaddr"),
        ("", "an empty multiaddr"),
        ("nonsense", "not a multiaddr"),
        (b"\xff\xff\xff", "not a multiaddr"),
        (PARTS[0] + PARTS[6], "not a multiaddr"),
        (b")", "a multiaddr that is cut short"),
    ],
)
def test_what_is_not_an_address__is_refused_at_once(raw, reason):
    with pytest.raises(DecodeError, match=reason):
        parse_multiaddr(raw)


@given(addresses)
def test_law_any_bytes__give_an_address_whose_parts_can_be_asked_for_or_decode_error(raw):
    try:
        address = parse_multiaddr(raw)
    except DecodeError:
        return
    assert names_of(address)
    assert names_of(without_peer(address)) is not None
    assert parse_multiaddr(str(address)).to_bytes() == address.to_bytes() == raw


@given(addresses, st.text(max_size=60))
def test_law_no_reader_of_strangers_addresses__raises_anything(raw, text):
    assert len(ports_of([raw])) <= 1
    assert _diallable(raw, PEER) is None or isinstance(_diallable(raw, PEER), Multiaddr)
    assert len(list(_public([raw]))) <= 1
    assert local_addresses({b"dnsaddr": text.encode(), b"dnsaddr2": raw}) == []
