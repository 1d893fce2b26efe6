"""p2p/session/payload.py: whose noise key it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair as create_ed25519
from libp2p.crypto.rsa import create_new_key_pair as create_rsa
from libp2p.crypto.secp256k1 import create_new_key_pair as create_secp256k1
from libp2p.peer.id import ID
from libp2p.security.noise.pb.noise_pb2 import NoiseExtensions, NoiseHandshakePayload

from p2p.session.errors import HandshakeRefused
from p2p.session.payload import IDENTITY_KEY_BYTES_MAX, make_payload, open_payload

NOISE_KEY = bytes(range(32))


@pytest.mark.parametrize("create", [create_secp256k1, create_ed25519, create_rsa])
def test_an_identity_of_any_kind_that_others_use__vouches_for_its_noise_key(create):
    pair = create()
    peer_id, public_key = open_payload(make_payload(pair.private_key, NOISE_KEY), NOISE_KEY)
    assert peer_id == ID.from_pubkey(pair.public_key)
    assert public_key.to_bytes() == pair.public_key.to_bytes()


def test_extensions_and_fields_that_we_do_not_know__are_passed_over():
    pair = create_ed25519()
    message = NoiseHandshakePayload.FromString(make_payload(pair.private_key, NOISE_KEY))
    message.extensions.CopyFrom(
        NoiseExtensions(stream_muxers=["/yamux/1.0.0", "/mplex/6.7.0"], webtransport_certhashes=[b"hash"])
    )
    unknown = b"\xca\x3e\x04data"
    peer_id, _ = open_payload(message.SerializeToString() + unknown, NOISE_KEY)
    assert peer_id == ID.from_pubkey(pair.public_key)


def test_attack_payload_of_another_session__is_refused():
    payload = make_payload(create_secp256k1().private_key, NOISE_KEY)
    with pytest.raises(HandshakeRefused, match="payload_signature"):
        open_payload(payload, bytes(32))


def test_attack_identity_of_somebody_else__is_refused():
    message = NoiseHandshakePayload.FromString(make_payload(create_secp256k1().private_key, NOISE_KEY))
    for create in (create_secp256k1, create_ed25519, create_rsa):
        message.identity_key = create().public_key.serialize()
        with pytest.raises(HandshakeRefused, match="payload_signature"):
            open_payload(message.SerializeToString(), NOISE_KEY)


@pytest.mark.parametrize(
    "identity_key", [b"", b"\x08\x63\x12\x01x", b"\x08\x02\x12\x01x", b"x", bytes(IDENTITY_KEY_BYTES_MAX + 1)]
)
def test_attack_key_that_is_none__is_refused(identity_key):
    message = NoiseHandshakePayload(identity_key=identity_key, identity_sig=b"signature")
    with pytest.raises(HandshakeRefused, match="payload_key"):
        open_payload(message.SerializeToString(), NOISE_KEY)


@given(st.binary(max_size=200))
def test_any_bytes__are_refused_and_nothing_else_is_raised(data):
    with pytest.raises(HandshakeRefused):
        open_payload(data, NOISE_KEY)
