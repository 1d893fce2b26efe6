"""Residual sketches: where rounding threw something away, which only who ran the denoiser can say.

Is: of each opened step some drawn numbers, and of each where the auditor's binary32 lies between two
roundings to binary16, as a bin; and the comparison of two sketches. That position follows from nothing that
was opened: it is what the rounding threw away. Two auditors with different kernels agree within a bin;
whoever guesses is right by chance. Is not: the draw of the places and the bytes of a sketch
(`protocol.sketch`), nor a judgement of the miner.

Of class A the position is that of the auditor's number around the miner's, `(a - m) / unit + 1/2`. Of class
B, where honest miners are off by more than a unit, it is that of the auditor's number around its own
rounding; there the last bin and the first are neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, fsum
from typing import TYPE_CHECKING, Final

import numpy as np

from node.inference.diffusion.checks import units
from protocol.audit import TraceTensor
from protocol.sketch import BINS, PLACES, places_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Half = NDArray[np.float16]
    Single = NDArray[np.float32]
    Draw = Callable[[int, TraceTensor, int, int], Sequence[int]]
    """Step, output, count of numbers asked about and how many are wanted to indices among them."""

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


def asked_about(tensor: Half) -> NDArray[np.int64]:
    """Indices, in C order, of the numbers of at least half of the root mean square of all.

    Small numbers have small units, and kernels differ there by more of them. The sum of squares is rounded
    once (`math.fsum`), and everything else of the comparison is exact, so that all machines ask about the
    same.
    """
    squares = np.square(tensor.astype(np.float64).ravel())
    return np.flatnonzero(squares * (_HALVES_SQUARED * squares.size) >= fsum(squares))


def positions(found: Half, expected: Single, *, own: bool) -> NDArray[np.int64]:
    """The bin of every number of an output, in C order, 0 to `BINS` - 1.

    :param found: the miner's.
    :param expected: the auditor's.
    :param own: as in class B: around the auditor's own rounding, not around what was found.
    """
    numbers = expected.astype(np.float64).ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        around = numbers.astype(np.float16) if own else found.ravel()
        bins = np.floor(((numbers - around.astype(np.float64)) / units(around) + 0.5) * BINS)
    whole: NDArray[np.int64] = np.nan_to_num(np.clip(bins, 0, BINS - 1), nan=0.0).astype(np.int64)
    return whole


def sketch(
    step: int, outputs: Mapping[TraceTensor, tuple[Half, Single]], draw: Draw, *, own: bool
) -> tuple[int, ...]:
    """The bins of one step's sketch. Of numbers that are not finite they say nothing.

    :param outputs: found and expected; that without the prompt is not there without guidance.
    """
    bins: list[int] = []
    for tensor, wanted in places_of(guided=TraceTensor.UNCONDITIONAL in outputs):
        found, expected = outputs[tensor]
        asked = asked_about(np.nan_to_num(found, posinf=0.0, neginf=0.0))
        drawn = asked[np.asarray(draw(step, tensor, asked.size, wanted), dtype=np.int64)]
        bins += positions(found, expected, own=own)[drawn].tolist()
    return tuple(bins)


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
