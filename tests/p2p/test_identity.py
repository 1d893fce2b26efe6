"""p2p/identity.py: node secret, PeerID and Ethereum address name one key."""

import contextlib

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair as create_ed25519
from libp2p.peer.id import ID

from p2p.identity import (
    PeerIdentityError,
    address_of_peer,
    address_of_public_key,
    key_pair_from_secret,
    peer_id_from_public_key,
    peer_id_from_secret,
    peer_id_from_text,
    public_key_of_peer,
)
from protocol.errors import LocalError

# Anvil's first account: a key whose address everybody knows.
KNOWN_SECRET = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
KNOWN_ADDRESS = bytes.fromhex("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")

secrets = st.integers(min_value=1, max_value=2**255).map(lambda number: number.to_bytes(32))


def test_address_of_peer__is_the_ethereum_address_of_the_node_key():
    assert address_of_peer(peer_id_from_secret(KNOWN_SECRET)) == KNOWN_ADDRESS


@given(secrets)
def test_conversions_agree_for_every_key(secret):
    peer_id = peer_id_from_secret(secret)
    public_key = PrivateKey(secret).public_key
    assert peer_id == ID.from_pubkey(key_pair_from_secret(secret).public_key)
    assert peer_id == peer_id_from_public_key(public_key.format(compressed=False))
    assert public_key_of_peer(peer_id) == public_key.format()
    assert address_of_peer(peer_id) == address_of_public_key(public_key.format(compressed=False))
    assert peer_id_from_text(str(peer_id)) == peer_id


@given(st.binary(max_size=80))
def test_any_bytes_as_peer_id__give_an_address_or_a_protocol_error(data):
    with contextlib.suppress(PeerIdentityError):
        assert len(address_of_peer(ID(data))) == 20


@given(st.text(max_size=200))
def test_any_text_as_peer_id__gives_a_peer_or_a_protocol_error(text):
    with contextlib.suppress(PeerIdentityError):
        peer_id_from_text(text)


def test_address_of_peer__refuses_an_ed25519_peer():
    with pytest.raises(PeerIdentityError):
        address_of_peer(ID.from_pubkey(create_ed25519().public_key))


def test_peer_id_from_public_key__refuses_the_hybrid_spelling_of_a_point():
    point = PrivateKey(KNOWN_SECRET).public_key.format(compressed=False)
    hybrid = bytes((6 + (point[-1] & 1),)) + point[1:]
    with pytest.raises(PeerIdentityError):
        peer_id_from_public_key(hybrid)


def test_peer_id_from_public_key__refuses_a_point_off_the_curve():
    with pytest.raises(PeerIdentityError):
        peer_id_from_public_key(b"\x02" + b"\xff" * 32)


@pytest.mark.parametrize("secret", [b"", b"\x01" * 31, bytes(32), b"\xff" * 32])
def test_key_pair_from_secret__refuses_what_is_no_secret(secret):
    with pytest.raises(LocalError):
        key_pair_from_secret(secret)
