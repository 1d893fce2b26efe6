from __future__ import annotations

import pytest
import rlp as reference
from hypothesis import given
from hypothesis import strategies as st

from contracts.rlp import encode, number
from tests.contracts.world import lawful

ITEMS = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=30)


@lawful
@given(ITEMS)
def test_every_item_is_encoded_as_by_the_reference(item):
    assert encode(item) == reference.encode(item)


@pytest.mark.parametrize("length", [0, 1, 55, 56, 255, 256, 65_535, 65_536])
def test_lengths_at_their_borders(length):
    assert encode(b"x" * length) == reference.encode(b"x" * length)
    assert encode([b"x"] * length) == reference.encode([b"x"] * length)


@lawful
@given(st.integers(0, 2**256))
def test_numbers_have_no_leading_zeros(value):
    encoded = number(value)
    assert int.from_bytes(encoded, "big") == value
    assert not encoded.startswith(b"\0")
