"""The trace: what its root binds, and each lie that an opening can tell."""

import dataclasses
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audit import CHECKED_STEPS_MAX
from protocol.errors import DecodeError, InvalidMessage
from protocol.merkle import merkle_proof
from protocol.tensor import tensor_hash
from protocol.trace import (
    LEAVES_MAX,
    PROOF_HASHES_MAX,
    STEPS_MAX,
    Opening,
    OpeningRequest,
    ProvedLeaf,
    TraceBinding,
    TraceLeaf,
    leaf_indices,
    open_leaves,
    steps_root,
    tensors_of,
    verify_opening,
)
from tests.protocol.strategies import lawful, mutations, structs

STEPS = 7
BINDING = TraceBinding(b"\x01" * 32, b"\x02" * 20, b"\x03" * 32, STEPS, b"\x04" * 32)
LEAVES = [TraceLeaf.of(bytes([i]) * 2, bytes([i + 50]) * 2, bytes([i + 100]) * 2) for i in range(STEPS)]
FINAL, SOURCE = tensor_hash(b"finals"), tensor_hash(b"source")
ROOT = BINDING.root(steps_root(LEAVES), FINAL, SOURCE)


def request(*steps):
    return OpeningRequest(BINDING.task_id, steps, 0, 0)


def opening(*steps):
    return open_leaves(BINDING.task_id, LEAVES, FINAL, steps, SOURCE)


@lawful
@given(st.sets(st.integers(0, STEPS - 1), min_size=1))
def test_an_honest_opening_holds_and_gives_the_leaves(steps):
    asked = tuple(sorted(steps))
    found = verify_opening(BINDING, ROOT, request(*asked), opening(*asked))
    assert found == {index: LEAVES[index] for index in leaf_indices(STEPS, asked)}
    assert set(asked) <= set(found)


def test_the_first_leaf_and_the_next_ones_come_too():
    assert leaf_indices(7, (0, 3, 4, 6)) == (0, 1, 3, 4, 5, 6)
    assert leaf_indices(7, (3,)) == (0, 3, 4)
    assert leaf_indices(1, (0,)) == (0,)


def test_a_request_of_as_many_steps_as_there_may_be_is_answered_by_what_may_be_sent():
    steps = tuple(range(1, 2 * CHECKED_STEPS_MAX, 2))
    leaves = [LEAVES[0]] * STEPS_MAX
    assert len(open_leaves(BINDING.task_id, leaves, FINAL, steps, SOURCE).encode()) > 0
    assert len(leaf_indices(STEPS_MAX, steps)) == LEAVES_MAX


@pytest.mark.parametrize("field", ["task_id", "miner", "model_id", "image_hash"])
def test_the_root_binds_everything_that_the_trace_is_of(field):
    value = getattr(BINDING, field)
    other = dataclasses.replace(BINDING, **{field: bytes([value[0] ^ 1]) + value[1:]})
    assert other.root(steps_root(LEAVES), FINAL, SOURCE) != ROOT
    assert BINDING.root(steps_root(LEAVES), tensor_hash(b"others"), SOURCE) != ROOT
    assert BINDING.root(steps_root(LEAVES[:-1]), FINAL, SOURCE) != ROOT
    assert BINDING.root(steps_root(LEAVES), FINAL) != ROOT


def lies():
    honest = opening(2)
    first = honest.leaves[0]
    yield "committed trace", dataclasses.replace(honest, source_latent=bytes(32))
    yield "of another task", dataclasses.replace(honest, task_id=bytes(32))
    yield "not of the committed trace", dataclasses.replace(honest, steps_root=bytes(32))
    yield "not of the committed trace", dataclasses.replace(honest, final_latent=bytes(32))
    yield "not of the steps", opening(3)
    yield "not of the steps", dataclasses.replace(honest, leaves=honest.leaves[:1])
    yield "not of the steps", dataclasses.replace(honest, leaves=honest.leaves[::-1])
    yield "not proved", with_leaf(honest, dataclasses.replace(first, leaf=LEAVES[4]))
    yield "not proved", with_leaf(honest, dataclasses.replace(first, proof=first.proof[:-1]))
    yield "not proved", with_leaf(honest, dataclasses.replace(first, proof=(*first.proof, bytes(32))))
    yield "not proved", with_leaf(honest, dataclasses.replace(first, proof=honest.leaves[1].proof))


def with_leaf(honest, leaf):
    return dataclasses.replace(honest, leaves=(leaf, *honest.leaves[1:]))


@pytest.mark.parametrize(("reason", "lie"), list(lies()))
def test_attack_opening_that_lies(reason, lie):
    with pytest.raises(InvalidMessage, match=reason):
        verify_opening(BINDING, ROOT, request(2), lie)


def test_attack_a_trace_of_fewer_steps_under_the_same_root():
    """The number of steps is the announcement's, never the miner's."""
    short = dataclasses.replace(BINDING, steps=STEPS - 1)
    with pytest.raises(InvalidMessage):
        verify_opening(short, ROOT, request(STEPS - 2), opening(STEPS - 2))


def test_a_step_that_is_not_there_cannot_be_opened():
    for step in (-1, STEPS):
        with pytest.raises(ValueError, match="no such step"):
            opening(step)


def test_without_guidance_there_are_two_tensors():
    assert tensors_of(TraceLeaf.of(b"aa", b"", b"cc")) == (tensor_hash(b"aa"), tensor_hash(b"cc"))
    assert len(tensors_of(LEAVES[0])) == 3


def test_the_longest_trace_has_proofs_that_fit():
    leaves = [TraceLeaf.of(number.to_bytes(2, "big"), b"", b"") for number in range(STEPS_MAX)]
    longest = open_leaves(bytes(32), leaves, FINAL, (0, STEPS_MAX - 1))
    assert max(len(place.proof) for place in longest.leaves) == PROOF_HASHES_MAX
    assert Opening.decode(longest.encode()) == longest
    assert len(merkle_proof([leaf.joined for leaf in leaves], 0)) == PROOF_HASHES_MAX


@pytest.mark.parametrize("struct", [TraceLeaf, OpeningRequest, Opening, ProvedLeaf])
@lawful
@given(data=st.data())
def test_round_trip_and_total_decoding(struct, data):
    value = data.draw(structs(struct))
    assert struct.decode(value.encode()) == value
    mutated = data.draw(mutations(st.just(value.encode())))
    with suppress(DecodeError):
        assert struct.decode(mutated).encode() == mutated
