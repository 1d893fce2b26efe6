"""The handshake's payload: which libp2p identity stands behind a noise key.

Is: the signature over the noise key, made and checked (libp2p noise specification, "libp2p Data in Handshake
Messages"). Extensions that others send, early data among them, are passed over.
Is not: the handshake (:mod:`p2p.session.noise`), nor a list of who is welcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libp2p.crypto.serialization import deserialize_public_key
from libp2p.peer.id import ID
from libp2p.security.noise.pb.noise_pb2 import NoiseHandshakePayload

from p2p.session.counts import Violation
from p2p.session.errors import HandshakeRefused

if TYPE_CHECKING:
    from libp2p.crypto.keys import PrivateKey, PublicKey

SIGNED_PREFIX: Final = b"noise-libp2p-static-key:"
IDENTITY_KEY_BYTES_MAX: Final = 1_152
"""An RSA key of 8192 bits, the largest that other implementations take; a larger one is work for long."""


def make_payload(identity: PrivateKey, noise_key: bytes) -> bytes:
    """The payload of a node whose X25519 public key is `noise_key`, 32 bytes."""
    payload = NoiseHandshakePayload(
        identity_key=identity.get_public_key().serialize(),
        identity_sig=identity.sign(SIGNED_PREFIX + noise_key),
    )
    return bytes(payload.SerializeToString())


def open_payload(payload: bytes, noise_key: bytes) -> tuple[ID, PublicKey]:
    """The PeerID and public key of the identity that vouches for a remote's noise key.

    :raises HandshakeRefused: PAYLOAD_MALFORMED, PAYLOAD_KEY or PAYLOAD_SIGNATURE.
    """
    try:
        message = NoiseHandshakePayload.FromString(payload)
    except Exception as error:  # the protobuf library raises what it likes
        raise HandshakeRefused(Violation.PAYLOAD_MALFORMED) from error
    if not 0 < len(message.identity_key) <= IDENTITY_KEY_BYTES_MAX:
        raise HandshakeRefused(Violation.PAYLOAD_KEY)
    try:
        public_key = deserialize_public_key(message.identity_key)
        peer_id = ID.from_pubkey(public_key)
    except Exception as error:  # so do four libraries of cryptography
        raise HandshakeRefused(Violation.PAYLOAD_KEY) from error
    try:
        valid = public_key.verify(SIGNED_PREFIX + noise_key, message.identity_sig)
    except Exception as error:  # likewise
        raise HandshakeRefused(Violation.PAYLOAD_SIGNATURE) from error
    if not valid:
        raise HandshakeRefused(Violation.PAYLOAD_SIGNATURE)
    return peer_id, public_key
