"""The two hash functions of the network.

Keccak-256 is used wherever the chain must be able to re-compute a value (digests, slots, seeds);
SHA-256, twelve times cheaper here, wherever only peers do (message ids, Merkle trees, commitments).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sha3 import keccak_256  # type: ignore[import-not-found, import-untyped, unused-ignore]


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (the original padding, not SHA3-256). Returns 32 bytes."""
    digest: bytes = keccak_256(data).digest()
    return digest


def sha256(data: bytes) -> bytes:
    """SHA-256 (FIPS 180-4). Returns 32 bytes."""
    return hashlib.sha256(data).digest()


def sha256_of_parts(parts: Iterable[bytes]) -> bytes:
    """SHA-256 of what the parts are together, without joining them. Returns 32 bytes."""
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.digest()
