"""Sketches: places that nobody chooses, in both outputs, and sixteen bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audit import SKETCH_BYTES, TraceTensor
from protocol.draw import drawn_numbers
from protocol.hashing import keccak256
from protocol.sketch import BINS, PLACES, drawn_places, pack_bins, places_of, unpack_bins
from tests.protocol.strategies import lawful

DICE, AUDITOR = keccak256(b"dice"), b"a" * 20
bins = st.lists(st.integers(0, BINS - 1), min_size=PLACES, max_size=PLACES)
UNCONDITIONAL, CONDITIONAL = TraceTensor.UNCONDITIONAL, TraceTensor.CONDITIONAL


def test_the_places_are_drawn_by_dice_auditor_step_and_tensor():
    seed = keccak256(DICE + AUDITOR + b"\x01\x02" + b"\x02")
    places = drawn_places(DICE, AUDITOR, 258, CONDITIONAL, 1_000, 32)
    assert list(places) == drawn_numbers(seed, 1_000, 32)
    cases = [
        (DICE, AUDITOR, 0, CONDITIONAL),
        (keccak256(b"other dice"), AUDITOR, 0, CONDITIONAL),
        (DICE, b"b" * 20, 0, CONDITIONAL),
        (DICE, AUDITOR, 1, CONDITIONAL),
        (DICE, AUDITOR, 0, UNCONDITIONAL),
    ]
    assert len({drawn_places(*case, 4_096, 16) for case in cases}) == len(cases)


@lawful
@given(st.integers(1, 70_000), st.integers(0, 32))
def test_no_place_comes_twice_before_all_have_come(count, wanted):
    places = drawn_places(DICE, AUDITOR, 3, CONDITIONAL, count, wanted)
    assert len(places) == wanted
    assert all(0 <= place < count for place in places)
    assert len(set(places)) == min(count, wanted)


def test_both_outputs_of_a_guided_step_are_asked_about():
    """Whoever computes one of the two only has done half of the work, and has half of the places to guess."""
    assert places_of(guided=True) == ((UNCONDITIONAL, 16), (CONDITIONAL, 16))
    assert places_of(guided=False) == ((CONDITIONAL, 32),)


@lawful
@given(bins)
def test_bins_come_back(values):
    sketch = pack_bins(values)
    assert len(sketch) == SKETCH_BYTES
    assert unpack_bins(sketch) == tuple(values)


def test_the_first_bin_is_the_high_half_of_the_first_byte():
    assert pack_bins([1, 2, *[0] * 29, 15]) == b"\x12" + bytes(14) + b"\x0f"


@pytest.mark.parametrize("values", [[0] * 31, [0] * 33, [*[0] * 31, 16], [*[0] * 31, -1]])
def test_other_bins_are_refused(values):
    with pytest.raises(ValueError, match="32 places of 16 bins"):
        pack_bins(values)


def test_another_length_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        unpack_bins(bytes(15))
