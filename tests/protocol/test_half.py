"""One number at a time, equal to numpy's arithmetic in every bit."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.half import HALF_BITS_MAX, half_bits, half_of, is_finite_half, same_half, single

singles = st.integers(0, 2**32 - 1).map(lambda bits: float(np.uint32(bits).view(np.float32)))
plain = st.floats(width=32, allow_nan=False, allow_infinity=False) | singles
thorough = settings(deadline=None, max_examples=200)


def bits_of(value) -> int:
    return int(np.float32(value).view(np.uint32))


def same_single(ours: float, theirs) -> bool:
    """Bit for bit, but for those of a NaN."""
    return (math.isnan(ours) and np.isnan(theirs)) or bits_of(ours) == bits_of(theirs)


@thorough
@given(plain, plain)
@example(3.4028234663852886e38, 3.4028234663852886e38)
@example(2.0**-149, 2.0**-1)
@example(1.0, -1.0)
def test_each_operation_rounds_as_numpy_does(one, other):
    with np.errstate(all="ignore"):
        a, b = np.float32(one), np.float32(other)
        for ours, theirs in [(one + other, a + b), (one - other, a - b), (one * other, a * b)]:
            assert same_single(single(ours), theirs)


def test_sums_and_products_of_random_bits_round_as_numpy_does():
    bits = np.random.default_rng(0).integers(0, 2**32, (2, 20_000), dtype=np.uint64).astype(np.uint32)
    one, other = bits.view(np.float32)
    with np.errstate(all="ignore"):
        theirs = ((one + other).tolist(), (one * other).tolist())
    pairs = list(zip(one.tolist(), other.tolist(), strict=True))
    ours = [single(a + b) for a, b in pairs], [single(a * b) for a, b in pairs]
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(found, expected)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_thousandths_are_divided_once(milli):
    ours = single(single(milli) / 1000)
    assert bits_of(ours) == bits_of(np.float32(milli) / np.float32(1000))


@thorough
@given(plain)
@example(65519.99609375)
@example(65520.0)
@example(-65520.0)
@example(2.0**-25)
@example(2.0**-25 + 2.0**-48)
@example(math.inf)
def test_a_number_becomes_the_half_that_numpy_makes_of_it(value):
    with np.errstate(all="ignore"):
        theirs = np.float32(value).astype(np.float16)
    if np.isnan(theirs):
        assert half_bits(value) & 0x7FFF == 0x7E00
    else:
        assert half_bits(value) == int(theirs.view(np.uint16))


def test_every_half_is_the_number_that_numpy_reads():
    halves = np.arange(HALF_BITS_MAX + 1, dtype=np.uint16).view(np.float16)
    for bits, theirs in enumerate(halves.astype(np.float64).tolist()):
        ours = half_of(bits)
        assert is_finite_half(bits) == math.isfinite(theirs)
        assert math.isnan(theirs) or (half_bits(ours) == bits and ours == theirs)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(0x0000, 0x8000, True), (0x8000, 0x8000, True), (0x0001, 0x8001, False), (0x3C00, 0x3C01, False)],
)
def test_zeros_of_either_sign_are_one_number(one, other, same):
    assert same_half(one, other) is same_half(other, one) is same
