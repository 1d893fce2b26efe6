"""p2p/relay/circuit_messages.py: vouchers that nobody else can use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from p2p.identity import key_pair_from_secret, peer_id_from_secret
from p2p.relay.circuit_messages import open_voucher, seal_voucher
from protocol.errors import DecodeError, ProtocolError, SignatureError
from tests.p2p.nodes import secret

RELAY, PEER, OTHER = (peer_id_from_secret(secret(number)) for number in range(3))
VOUCHER = seal_voucher(key_pair_from_secret(secret(0)), PEER, 1_000)


def test_a_voucher__counts_for_its_relay_and_peer_alone():
    assert open_voucher(VOUCHER, RELAY, PEER) == 1_000
    for relay, peer in ((RELAY, OTHER), (OTHER, PEER), (PEER, RELAY)):
        with pytest.raises(DecodeError):
            open_voucher(VOUCHER, relay, peer)


def test_a_voucher_of_another_kind_of_key__counts_too():
    pair = create_new_key_pair()
    assert open_voucher(seal_voucher(pair, PEER, 7), ID.from_pubkey(pair.public_key), PEER) == 7


def test_a_voucher_that_somebody_else_signed__is_refused():
    forged = bytearray(VOUCHER)
    forged[-1] ^= 1
    with pytest.raises(SignatureError):
        open_voucher(bytes(forged), RELAY, PEER)


@given(st.binary(max_size=300))
def test_any_bytes__are_a_voucher_or_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        open_voucher(data, RELAY, PEER)
