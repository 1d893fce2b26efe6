"""One key, three names: node secret, libp2p PeerID and Ethereum address.

Is: the pure conversions between them. A secp256k1 PeerID carries its compressed public key inline, so
PeerID to address needs no lookup and no signature. The way back needs the key: a signature by the address
gives it (:func:`peer_id_from_public_key`), or a lookup on the network (:mod:`p2p.lookup`).
Is not: key storage, and no signing; `node/keys` and `protocol/statement` do those.

Layout of a secp256k1 PeerID, 39 bytes (libp2p peer-ids specification):

    00        identity multihash: the "digest" is the key itself
    25        its length, 37
    08 02     protobuf field 1, key type: Secp256k1
    12 21     protobuf field 2, key data: 33 bytes
    ..        compressed public key
"""

from __future__ import annotations

from typing import Final, TypeAlias

from coincurve import PrivateKey as _Secret
from coincurve import PublicKey as _Point
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.secp256k1 import Secp256k1PrivateKey
from libp2p.peer.id import ID

from protocol.errors import LocalError, ProtocolError
from protocol.signature import address_of

PeerId: TypeAlias = ID

NODE_SECRET_BYTES: Final = 32
PEER_ID_BYTES: Final = 39

_PEER_ID_PREFIX: Final = bytes.fromhex("002508021221")
_UNCOMPRESSED_KEY_BYTES: Final = 65
_COMPRESSED_KEY_BYTES: Final = 33
_PEER_ID_TEXT_LENGTH_MAX: Final = 128


class PeerIdentityError(ProtocolError):
    """A PeerID, public key or PeerID text that names no secp256k1 key."""


def key_pair_from_secret(node_secret: bytes) -> KeyPair:
    """The libp2p key pair of a node key.

    :param node_secret: 32 bytes, big-endian, between 1 and the group order less 1.
    :raises LocalError: the secret has another length or is out of range.
    """
    if len(node_secret) != NODE_SECRET_BYTES:
        raise LocalError("a node secret is 32 bytes")
    try:
        private = Secp256k1PrivateKey(_Secret(node_secret))
    except ValueError as error:
        raise LocalError("the node secret is not a secp256k1 secret") from error
    return KeyPair(private, private.get_public_key())


def peer_id_from_secret(node_secret: bytes) -> PeerId:
    """The PeerID of a node key. Errors as :func:`key_pair_from_secret`."""
    return peer_id_from_public_key(key_pair_from_secret(node_secret).public_key.to_bytes())


def peer_id_from_public_key(public_key: bytes) -> PeerId:
    """The PeerID of a public key, for instance one recovered from a signature.

    :param public_key: SEC1 point, 33 bytes compressed or 65 bytes uncompressed.
    :raises PeerIdentityError: the bytes are no point of the curve in either form.
    """
    return ID(_PEER_ID_PREFIX + _point(public_key).format(compressed=True))


def public_key_of_peer(peer_id: PeerId) -> bytes:
    """The 33-byte compressed public key inside a secp256k1 PeerID.

    :raises PeerIdentityError: the PeerID is of another key type, hashed, or no point of the curve.
    """
    raw = peer_id.to_bytes()
    if len(raw) != PEER_ID_BYTES or not raw.startswith(_PEER_ID_PREFIX):
        raise PeerIdentityError("the PeerID carries no secp256k1 key")
    return _point(raw[len(_PEER_ID_PREFIX) :]).format(compressed=True)


def address_of_peer(peer_id: PeerId) -> bytes:
    """The 20-byte Ethereum address of the key inside a PeerID; total for secp256k1 PeerIDs.

    :raises PeerIdentityError: as :func:`public_key_of_peer`.
    """
    return address_of_public_key(public_key_of_peer(peer_id))


def address_of_public_key(public_key: bytes) -> bytes:
    """The last 20 bytes of keccak-256 over the uncompressed point without its 0x04 tag (Yellow Paper §F).

    :raises PeerIdentityError: the bytes are no point of the curve.
    """
    return address_of(_point(public_key))


def peer_id_from_text(text: str) -> PeerId:
    """Parse the base58 or multibase text of a PeerID and require a secp256k1 key in it.

    :raises PeerIdentityError: not a PeerID, or not one of a secp256k1 key.
    """
    if len(text) > _PEER_ID_TEXT_LENGTH_MAX:
        raise PeerIdentityError("the PeerID text is too long")
    try:
        peer_id = ID.from_string(text)
    except Exception as error:  # multibase and base58 raise half a dozen unrelated types
        raise PeerIdentityError("the text is no PeerID") from error
    public_key_of_peer(peer_id)
    return peer_id


def verify_by_peer(peer_id: PeerId, signed: bytes, signature: bytes) -> bool:
    """Whether a peer signed these bytes, as libp2p signs: DER, over their SHA-256. Any signature may come.

    :raises PeerIdentityError: as :func:`public_key_of_peer`.
    """
    try:
        return _Point(public_key_of_peer(peer_id)).verify(signature, signed)
    except ValueError:
        return False


def _point(public_key: bytes) -> _Point:
    # Hybrid points (tags 6 and 7) are 65 bytes too and libsecp256k1 takes them: one key, one spelling.
    compressed = len(public_key) == _COMPRESSED_KEY_BYTES and public_key.startswith((b"\x02", b"\x03"))
    uncompressed = len(public_key) == _UNCOMPRESSED_KEY_BYTES and public_key.startswith(b"\x04")
    if not compressed and not uncompressed:
        raise PeerIdentityError("a public key is 33 bytes compressed or 65 bytes uncompressed")
    try:
        return _Point(public_key)
    except ValueError as error:
        raise PeerIdentityError("the public key is no point of secp256k1") from error
