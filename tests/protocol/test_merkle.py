import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import merkle
from protocol.merkle import leaf_hash, merkle_proof, merkle_root, proves
from tests.protocol.strategies import lawful

leaf_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=40)


def rfc_6962_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1 word for word: split at the largest power of two below the number of leaves."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + rfc_6962_root(leaves[:split]) + rfc_6962_root(leaves[split:])).digest()


@lawful
@given(st.lists(st.binary(max_size=40), max_size=70))
def test_root_is_that_of_rfc_6962(leaves):
    assert merkle_root(leaves) == rfc_6962_root(leaves)


@lawful
@given(leaf_lists)
def test_every_leaf_is_proved(leaves):
    root = merkle_root(leaves)
    for index, leaf in enumerate(leaves):
        proof = merkle_proof(leaves, index)
        assert len(proof) <= 20
        assert proves(root, leaf, index, len(leaves), proof)


@lawful
@given(leaf_lists, st.data())
def test_what_is_proved_is_true(leaves, data):
    """Whatever is changed in a valid proof, it fails or still says something true."""
    draw = data.draw
    index = draw(st.integers(0, len(leaves) - 1))
    proof = list(merkle_proof(leaves, index))
    root, leaf, at = merkle_root(leaves), leaves[index], index
    match draw(st.sampled_from(["leaf", "index", "sibling", "cut", "longer", "order", "root"])):
        case "leaf":
            leaf = draw(st.binary(max_size=40) | st.sampled_from(leaves))
        case "index":
            at = draw(st.integers(-2, len(leaves) + 2))
        case "sibling" if proof:
            place = draw(st.integers(0, len(proof) - 1))
            proof[place] = draw(st.binary(max_size=64) | st.sampled_from([*proof, leaf_hash(leaf)]))
        case "cut" if proof:
            del proof[draw(st.integers(0, len(proof) - 1))]
        case "longer":
            proof.insert(draw(st.integers(0, len(proof))), draw(st.binary(min_size=32, max_size=32)))
            assert not proves(root, leaf, at, len(leaves), proof)
        case "order":
            proof.reverse()
        case _:
            root = bytes([root[0] ^ 1]) + root[1:]
            assert not proves(root, leaf, at, len(leaves), proof)
    if proves(root, leaf, at, len(leaves), proof):
        assert 0 <= at < len(leaves)
        assert leaves[at] == leaf


def test_every_single_bit_of_a_proof_matters():
    leaves = [bytes([number]) for number in range(7)]
    root, proof = merkle_root(leaves), merkle_proof(leaves, 4)
    for place, sibling in enumerate(proof):
        for bit in range(256):
            flipped = (int.from_bytes(sibling, "big") ^ 1 << bit).to_bytes(32, "big")
            assert not proves(root, leaves[4], 4, 7, [*proof[:place], flipped, *proof[place + 1 :]])


def test_an_inner_node_never_passes_for_a_leaf():
    leaves = [b"a", b"b", b"c", b"d"]
    root = merkle_root(leaves)
    inner = leaf_hash(b"a") + leaf_hash(b"b")
    beside = hashlib.sha256(b"\x01" + leaf_hash(b"c") + leaf_hash(b"d")).digest()
    assert not proves(root, inner, 0, 2, [beside])


def test_the_root_does_not_say_how_many_leaves_it_has():
    """Why `leaf_count` must come from a signed field or a fixed rule, never from whoever proves."""
    leaves = [b"a", b"b", b"c", b"d"]
    assert proves(merkle_root(leaves), b"a", 0, 3, merkle_proof(leaves, 0))


def test_an_index_beyond_the_leaves_is_never_proved():
    assert proves(merkle_root([b"a"]), b"a", 0, 1, [])
    assert not proves(merkle_root([b"a"]), b"a", 1, 1, [])
    assert not proves(merkle_root([b"a"]), b"a", -1, 1, [])


def test_the_limit_on_leaves(monkeypatch):
    monkeypatch.setattr(merkle, "LEAVES_MAX", 3)
    leaves = [b"a", b"b", b"c"]
    assert proves(merkle_root(leaves), b"c", 2, 3, merkle_proof(leaves, 2))
    with pytest.raises(ValueError, match="1 to 3 leaves, not 4"):
        merkle_root([*leaves, b"d"])


def test_bounds():
    too_many = [b""] * (merkle.LEAVES_MAX + 1)
    with pytest.raises(ValueError, match="1 to 1048576 leaves, not 1048577"):
        merkle_root(too_many)
    assert not proves(bytes(32), b"", 0, merkle.LEAVES_MAX + 1, [])
    assert not proves(merkle_root([]), b"", 0, 0, [])
    for index in (-1, 2):
        with pytest.raises(ValueError, match="no leaf"):
            merkle_proof([b"a", b"b"], index)
