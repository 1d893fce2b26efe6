"""Merkle trees over byte strings, exactly the Merkle Tree Hash of RFC 6962 §2.1.

Is: root, inclusion proof and its check. Leaves and nodes are hashed under different prefixes, so that
an inner node can never pass for a leaf.
Is not: a store; callers keep their leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from protocol.hashing import sha256

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
# A copy of a hash that was begun costs half of a new one, and a tensor takes thousands.
_begin_leaf = hashlib.sha256(LEAF_PREFIX).copy
_begin_node = hashlib.sha256(NODE_PREFIX).copy
LEAVES_MAX = 1 << 20
"""Most leaves one tree may have; bounds a proof to 20 hashes."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one leaf, 32 bytes (RFC 6962 §2.1: ``SHA-256(0x00 || leaf)``)."""
    return sha256(LEAF_PREFIX + leaf)


def _node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(NODE_PREFIX + left + right)


def _hashes(begin: Callable[[], Any], items: Sequence[bytes]) -> list[bytes]:
    """The hash of each item after a prefix. :param begin: a new hash over the prefix alone."""
    hashes = []
    for item in items:
        begun = begin()
        begun.update(item)
        hashes.append(begun.digest())
    return hashes


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels from the leaves up to the root; a level's odd last node rises unchanged.

    That is the same tree as RFC 6962's split at the largest power of two.
    """
    if not 0 < len(leaves) <= LEAVES_MAX:
        message = f"a Merkle tree has 1 to {LEAVES_MAX} leaves, not {len(leaves)}"
        raise ValueError(message)
    levels = [_hashes(_begin_leaf, leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        level = _hashes(_begin_node, [below[i] + below[i + 1] for i in range(0, len(below) - 1, 2)])
        if len(below) % 2:
            level.append(below[-1])
        levels.append(level)
    return levels


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root of the tree over `leaves`, 32 bytes; of no leaves it is ``SHA-256("")``.

    :raises ValueError: more than `LEAVES_MAX` leaves.
    """
    return _levels(leaves)[-1][0] if leaves else sha256(b"")


def merkle_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Siblings from leaf `index` (from 0) up to the root, at most 20 hashes of 32 bytes.

    :raises ValueError: `index` names no leaf.
    """
    if not 0 <= index < len(leaves):
        message = f"no leaf {index} among {len(leaves)}"
        raise ValueError(message)
    proof = []
    for level in _levels(leaves)[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        index //= 2
    return tuple(proof)


def proves(root: bytes, leaf: bytes, index: int, leaf_count: int, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that `leaf` stands at `index` of the `leaf_count` leaves under `root`.

    Total: any wrong argument gives False, since all of them come from a peer; except that the root does
    not say how many leaves it has. So `leaf_count` must follow from what was signed, not from the proof.
    """
    return proves_leaf_hash(root, leaf_hash(leaf), index, leaf_count, proof)


def proves_leaf_hash(root: bytes, node: bytes, index: int, leaf_count: int, proof: Sequence[bytes]) -> bool:
    """As `proves`, of a leaf of which only the hash `node` is known."""
    return _root_above(node, index, leaf_count, proof) == root


def root_proved_by(leaf: bytes, index: int, leaf_count: int, proof: Sequence[bytes]) -> bytes | None:
    """The root under which `proof` shows `leaf` at `index` of `leaf_count` leaves; None without one.

    For a root that is only known by a hash over it.
    """
    return _root_above(leaf_hash(leaf), index, leaf_count, proof)


def _root_above(node: bytes, index: int, leaf_count: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that follows from a leaf's hash and its siblings; None if they are too many or too few."""
    if not 0 <= index < leaf_count <= LEAVES_MAX:
        return None
    width, siblings = leaf_count, iter(proof)
    while width > 1:
        if index ^ 1 < width:
            sibling = next(siblings, None)
            if sibling is None:
                return None
            node = _node_hash(sibling, node) if index & 1 else _node_hash(node, sibling)
        index, width = index // 2, (width + 1) // 2
    return node if next(siblings, None) is None else None
