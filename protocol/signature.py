"""Recoverable secp256k1 signatures in the form that the chain's ``ecrecover`` takes.

Is: 65 bytes ``r || s || v`` with v 27 or 28 and s in the lower half (EIP-2), on coincurve.
Is not: a decision to sign. Who holds a key asks the equivocation guard first, then calls `sign_digest`.
"""

from __future__ import annotations

from dataclasses import dataclass

from coincurve import PrivateKey, PublicKey

from protocol.errors import SignatureError
from protocol.hashing import keccak256

SIGNATURE_BYTES = 65
ADDRESS_BYTES = 20
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half of the order of secp256k1: a larger s would be a second signature of the same statement."""
_HALF_ORDER_BYTES = HALF_ORDER.to_bytes(32, "big")
_V_BASE = 27
_COMPRESSED_EVEN = 2


@dataclass(frozen=True, slots=True)
class Signer:
    """The signer, as `recover` finds it.

    :ivar address: 20 bytes, the last of Keccak-256 of the public key.
    :ivar public_key: 33 bytes, compressed; from it a PeerID is made.
    """

    address: bytes
    public_key: bytes


def address_of(public_key: PublicKey) -> bytes:
    """Ethereum address, 20 bytes, of a public key (Yellow Paper, appendix F)."""
    return keccak256(public_key.format(compressed=False)[1:])[-ADDRESS_BYTES:]


def sign_digest(secret: bytes, digest: bytes) -> bytes:
    """65-byte signature of a 32-byte digest by a 32-byte secret; deterministic (RFC 6979)."""
    raw = PrivateKey(secret).sign_recoverable(digest, hasher=None)
    return raw[:64] + bytes([_V_BASE + raw[64]])


def recover(digest: bytes, signature: bytes) -> Signer:
    """The signer of a 32-byte digest.

    :raises SignatureError: not 65 bytes, v not 27 or 28, s in the upper half, or no such point.
    """
    if len(signature) != SIGNATURE_BYTES:
        message = f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}"
        raise SignatureError(message)
    v = signature[64]
    if v not in {_V_BASE, _V_BASE + 1}:
        message = f"v is {v}, not 27 or 28"
        raise SignatureError(message)
    if signature[32:64] > _HALF_ORDER_BYTES:
        message = "s is in the upper half of the order"
        raise SignatureError(message)
    raw = signature[:64] + bytes([v - _V_BASE])
    try:
        public_key = PublicKey.from_signature_and_message(raw, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception or ValueError, by the step that fails
        message = "no public key fits this signature"
        raise SignatureError(message) from error
    # One serialisation gives both: the compressed form is x behind the parity of y (SEC 1, 2.3.3).
    point = public_key.format(compressed=False)
    compressed = bytes([_COMPRESSED_EVEN + (point[-1] & 1)]) + point[1:33]
    return Signer(keccak256(point[1:])[-ADDRESS_BYTES:], compressed)
