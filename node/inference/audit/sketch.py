"""Residual sketches: what only who ran the denoiser can say of it, and how two of them are compared.

Is: of each opened step some drawn numbers, and of each where the auditor's binary32 lies between two
roundings to binary16, as a bin. That position follows from nothing that was opened: it is what the rounding
threw away. Two auditors with different kernels agree within a bin; whoever guesses is right by chance. Is
not: the draw of the places, which is the protocol's, nor a judgement of the miner.

Of class A the position is that of the auditor's number around the miner's, `(a - m) / unit + 1/2`. Of class
B, where honest miners are off by more than a unit, it is that of the auditor's number around its own
rounding; there the last bin and the first are neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Final

import numpy as np

from node.inference.diffusion.checks import units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Half = NDArray[np.float16]
    Single = NDArray[np.float32]
    Draw = Callable[[int, int], Sequence[int]]
    """Step and number of candidates to places among them, each below it."""

PLACES: Final = 32
BINS: Final = 16
AGREEING_MIN: Final = 28
"""Of `PLACES`: room for numbers that another kernel has moved further."""
APART_MAX: Final = 2
"""Beyond so many bins of `BINS` a guess would be right too often; such a package cannot be audited so."""
_HALVES_SQUARED: Final = 4


@dataclass(frozen=True, slots=True)
class SketchRule:
    """How sketches of a package are held against each other.

    :ivar apart: bins by which honest auditors differ, 0 to `APART_MAX`; from its calibration.
    :ivar circular: whether the last bin is next to the first; so in class B.
    """

    apart: int
    circular: bool

    @property
    def guess(self) -> float:
        """Chance that one guessed sketch agrees: `AGREEING_MIN` hits within `apart` bins.

        Positions are as good as uniform, so a guess away from the ends hits 2 x apart + 1 bins of `BINS`.
        """
        hit = (2 * self.apart + 1) / BINS
        return sum(
            comb(PLACES, hits) * hit**hits * (1 - hit) ** (PLACES - hits)
            for hits in range(AGREEING_MIN, PLACES + 1)
        )


def candidates(tensors: Sequence[Half]) -> NDArray[np.int64]:
    """Indices, over all numbers of the tensors in order, of those of at least half the root mean square.

    Small numbers have small units, and kernels differ there by more of them. The sum of squares is rounded
    once (`math.fsum`), and everything else of the comparison is exact, so that all machines have the same
    candidates.
    """
    found, start = [], 0
    for tensor in tensors:
        squares = np.square(tensor.astype(np.float64).ravel())
        total = math.fsum(squares)
        found.append(start + np.flatnonzero(squares * (_HALVES_SQUARED * squares.size) >= total))
        start += squares.size
    return np.concatenate(found)


def positions(found: Sequence[Half], expected: Sequence[Single], *, own: bool) -> NDArray[np.int64]:
    """The bin of every number of the tensors, in order, 0 to `BINS` - 1.

    :param found: the miner's.
    :param expected: the auditor's.
    :param own: as in class B: around the auditor's own rounding, not around what was found.
    """
    numbers = np.concatenate([tensor.ravel() for tensor in expected]).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        around = numbers.astype(np.float16) if own else np.concatenate([tensor.ravel() for tensor in found])
        bins = np.floor(((numbers - around.astype(np.float64)) / units(around) + 0.5) * BINS)
    whole: NDArray[np.int64] = np.nan_to_num(np.clip(bins, 0, BINS - 1), nan=0.0).astype(np.int64)
    return whole


def sketch(
    step: int, found: Sequence[Half], expected: Sequence[Single], draw: Draw, *, own: bool
) -> tuple[int, ...]:
    """The sketch of one step: the bins of the drawn candidates; of none, no bins.

    :param found: the opened outputs, that without the prompt first, if there is one.
    :param draw: from step and number of candidates to places among them.
    """
    able = candidates(found)
    if not able.size:
        return ()
    chosen = able[np.asarray(draw(step, able.size), dtype=np.int64)]
    return tuple(int(bin_) for bin_ in positions(found, expected, own=own)[chosen])


def bins_apart(one: NDArray[np.int64], other: NDArray[np.int64], *, circular: bool) -> NDArray[np.int64]:
    """By how many bins each place differs."""
    apart: NDArray[np.int64] = np.abs(one - other)
    return np.minimum(apart, BINS - apart) if circular else apart


def sketches_agree(one: Sequence[int], other: Sequence[int], rule: SketchRule) -> bool:
    """Whether two auditors' sketches of one step can both be true.

    Sketches of other than `PLACES` places, or with bins that there are not, agree with nothing.
    """
    if len(one) != PLACES or len(other) != PLACES:
        return False
    if not all(0 <= place < BINS for place in (*one, *other)):
        return False
    apart = bins_apart(np.array(one), np.array(other), circular=rule.circular)
    return int((apart <= rule.apart).sum()) >= AGREEING_MIN
