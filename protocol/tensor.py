"""A tensor's hash: a Merkle tree over pieces of 64 numbers, so that one number can be proved alone.

Is: the hash, and the proof of a piece of it, over bytes.
Is not: the numbers' meaning, or how many a task's tensors have (`model_table`).

A tensor's bytes are its numbers as little-endian IEEE 754 binary16 in C order. A piece is 64 of them, the
last one what is left. The hash is ``SHA-256(u32(numbers) || root)``, with RFC 6962's root over the pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocol.hashing import sha256
from protocol.merkle import merkle_proof, merkle_root, root_proved_by

NUMBER_BYTES: Final = 2
PIECE_NUMBERS: Final = 64
PIECE_BYTES: Final = PIECE_NUMBERS * NUMBER_BYTES
NUMBERS_MAX: Final = 256 * 1024
"""Most numbers of a tensor: 16 channels of 128 x 128."""
TENSOR_BYTES_MAX: Final = NUMBERS_MAX * NUMBER_BYTES
"""Longest tensor; one is one payload of a direct stream."""
PIECE_HASHES_MAX: Final = (NUMBERS_MAX // PIECE_NUMBERS - 1).bit_length()
NO_TENSOR: Final = sha256(b"")
"""In the place of a tensor that a task does not have."""


def tensor_hash(data: bytes) -> bytes:
    """The hash of a tensor's bytes, 32 bytes; `NO_TENSOR` of none.

    :raises ValueError: half a number, or more than `NUMBERS_MAX`.
    """
    if not data:
        return NO_TENSOR
    return _hash(len(data) // NUMBER_BYTES, merkle_root(_pieces(data)))


def is_tensor(data: bytes, digest: bytes) -> bool:
    """Whether `data` is the tensor of this hash. Total: whatever comes from a peer gives an answer."""
    return len(data) % NUMBER_BYTES == 0 and len(data) <= TENSOR_BYTES_MAX and tensor_hash(data) == digest


def piece_proof(data: bytes, place: int) -> tuple[bytes, tuple[bytes, ...]]:
    """The piece with number `place` (from 0), and its siblings from its leaf up.

    :raises ValueError: there is no such number, or as `tensor_hash`.
    """
    if not 0 <= place < len(data) // NUMBER_BYTES:
        raise ValueError("no such number")
    pieces, at = _pieces(data), place // PIECE_NUMBERS
    return pieces[at], merkle_proof(pieces, at)


def proves_piece(digest: bytes, numbers: int, place: int, piece: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `piece` has number `place` of the tensor of `numbers` numbers whose hash is `digest`.

    Total, as `merkle.proves` is. The count is under the hash, so a piece is proved at one place only; but
    that `numbers` is the count that it should be is for the caller to know.
    """
    if not 0 <= place < numbers <= NUMBERS_MAX:
        return False
    at = place // PIECE_NUMBERS
    if len(piece) != min(PIECE_NUMBERS, numbers - at * PIECE_NUMBERS) * NUMBER_BYTES:
        return False
    root = root_proved_by(piece, at, -(-numbers // PIECE_NUMBERS), proof)
    return root is not None and _hash(numbers, root) == digest


def _hash(numbers: int, root: bytes) -> bytes:
    return sha256(numbers.to_bytes(4, "big") + root)


def _pieces(data: bytes) -> list[bytes]:
    """:raises ValueError: as `tensor_hash`."""
    if len(data) % NUMBER_BYTES or len(data) > TENSOR_BYTES_MAX:
        message = f"a tensor has at most {NUMBERS_MAX} whole numbers, not {len(data)} bytes"
        raise ValueError(message)
    return [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
