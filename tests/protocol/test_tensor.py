"""A tensor's hash: every number can be proved alone, at one place, and of one count."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.tensor import (
    NO_TENSOR,
    NUMBERS_MAX,
    PIECE_BYTES,
    PIECE_HASHES_MAX,
    PIECE_NUMBERS,
    TENSOR_BYTES_MAX,
    is_tensor,
    piece_proof,
    proves_piece,
    tensor_hash,
)
from tests.protocol.strategies import lawful

NUMBERS = st.integers(1, 400)


def tensor(numbers, first=0):
    """Numbers that all differ, so that no two pieces are alike."""
    return b"".join((first + number).to_bytes(2, "little") for number in range(numbers))


def by_the_letter(data):
    """The definition, written down a second time: splitting at the largest power of two (RFC 6962)."""

    def root(pieces):
        if len(pieces) == 1:
            return hashlib.sha256(b"\x00" + pieces[0]).digest()
        split = 1 << (len(pieces) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + root(pieces[:split]) + root(pieces[split:])).digest()

    pieces = [data[at : at + 128] for at in range(0, len(data), 128)]
    return hashlib.sha256((len(data) // 2).to_bytes(4, "big") + root(pieces)).digest()


@pytest.mark.parametrize("numbers", [1, 63, 64, 65, 128, 129, 256, 1000, NUMBERS_MAX])
def test_the_hash_is_the_count_and_the_root_over_the_pieces(numbers):
    data = bytes(2 * numbers)
    assert tensor_hash(data) == by_the_letter(data)
    assert is_tensor(data, tensor_hash(data))


def test_no_tensor_has_the_hash_of_no_bytes():
    assert tensor_hash(b"") == NO_TENSOR == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size_bytes", [3, 127, 129, TENSOR_BYTES_MAX + 2])
def test_half_a_number_and_too_many_are_no_tensor(size_bytes):
    data = bytes(size_bytes)
    for fails in (tensor_hash, lambda data: piece_proof(data, 0)):
        with pytest.raises(ValueError, match="a tensor has at most 262144 whole numbers"):
            fails(data)
    assert not is_tensor(data, bytes(32))


@lawful
@given(NUMBERS, st.data())
def test_every_number_is_proved_alone(numbers, data):
    whole = tensor(numbers)
    place = data.draw(st.integers(0, numbers - 1))
    piece, proof = piece_proof(whole, place)
    assert len(proof) <= PIECE_HASHES_MAX
    assert proves_piece(tensor_hash(whole), numbers, place, piece, proof)
    at = 2 * (place % PIECE_NUMBERS)
    assert int.from_bytes(piece[at : at + 2], "little") == place


@lawful
@given(NUMBERS, NUMBERS, st.data())
def test_attack_a_number_proved_at_another_place_or_of_another_count(numbers, claimed, data):
    """Else an honest miner's number would be held against the value of another place."""
    whole = tensor(numbers)
    place, other = (data.draw(st.integers(0, numbers - 1)) for _ in range(2))
    piece, proof = piece_proof(whole, place)
    assert proves_piece(tensor_hash(whole), claimed, other, piece, proof) == (
        claimed == numbers and place // PIECE_NUMBERS == other // PIECE_NUMBERS
    )


def test_attack_proofs_that_are_bent():
    whole = tensor(300)
    digest = tensor_hash(whole)
    piece, proof = piece_proof(whole, 130)
    for bent in (
        (piece, proof[:-1]),
        (piece, (*proof, bytes(32))),
        (piece, proof[::-1]),
        (piece[:-2], proof),
        (piece + bytes(2), proof),
        (bytes(PIECE_BYTES), proof),
        # A node of the tree in the place of a piece.
        (proof[0] + proof[1], proof[2:]),
    ):
        assert not proves_piece(digest, 300, 130, *bent)
    for place in (-1, 300, NUMBERS_MAX):
        assert not proves_piece(digest, 300, place, piece, proof)
        with pytest.raises(ValueError, match="no such number"):
            piece_proof(whole, place)
    assert not proves_piece(digest, NUMBERS_MAX + 1, 130, piece, proof)


def test_the_longest_proof_is_of_the_largest_tensor():
    assert len(piece_proof(bytes(TENSOR_BYTES_MAX), 0)[1]) == PIECE_HASHES_MAX
