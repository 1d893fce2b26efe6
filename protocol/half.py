"""Numbers of IEEE 754 binary16 and binary32, one at a time, rounded as every processor rounds them.

Is: what judging one number of a trace needs, in Python's own floats. Is not: numpy, which a checker of
evidence need not have.

A sum, difference, product or quotient of two binary32 that is computed in binary64 and then rounded to
binary32 is the correctly rounded one, since 53 >= 2 * 24 + 2 (Figueroa, "When is double rounding innocuous?",
1995). Rounding is to the nearest, ties to even; a number too large becomes infinite, a subnormal one stays
what it is.
"""

from __future__ import annotations

import math
import struct
from typing import Final

HALF_BITS_MAX: Final = (1 << 16) - 1
_HALF: Final = struct.Struct("<e")
_BITS: Final = struct.Struct("<H")
_SINGLE: Final = struct.Struct("<f")
_MAGNITUDE: Final = 0x7FFF
_EXPONENT: Final = 0x7C00


def single(value: float) -> float:
    """The nearest binary32."""
    try:
        rounded: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def half_of(bits: int) -> float:
    """The number of 16 bits; exact."""
    number: float = _HALF.unpack(_BITS.pack(bits))[0]
    return number


def half_bits(value: float) -> int:
    """The 16 bits of the nearest binary16; a NaN gives those of a NaN."""
    try:
        data = _HALF.pack(value)
    except OverflowError:
        data = _HALF.pack(math.copysign(math.inf, value))
    bits: int = _BITS.unpack(data)[0]
    return bits


def is_finite_half(bits: int) -> bool:
    """Whether a binary16 is neither infinite nor a NaN."""
    return bits & _EXPONENT != _EXPONENT


def same_half(one: int, other: int) -> bool:
    """Whether two binary16 that are numbers are the same one: zeros of either sign are."""
    return one == other or not (one | other) & _MAGNITUDE
