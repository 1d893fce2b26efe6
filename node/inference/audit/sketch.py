"""Residual sketches: only who ran the denoiser can say of it where rounding threw something away.

Is: of each opened step some drawn numbers, and of each where the auditor's binary32 lies between two
roundings to binary16, as a bin. That position follows from nothing that was opened: it is what the rounding
threw away. Two auditors with different kernels agree within a bin; whoever guesses is right by chance. Is
not: the draw of the places, which is the protocol's, nor a judgement of the miner.

Of class A the position is that of the auditor's number around the miner's, `(a - m) / unit + 1/2`. Of class
B, where honest miners are off by more than a unit, it is that of the auditor's number around its own
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import comb, fsum
from typing import TYPE_CHECKING, Final

import numpy as np

from node.inference.diffusion.checks import units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Half = NDArray[np.float16]
    Single = NDArray[np.float32]
    Draw = Callable[[int, int, int], Iterator[int]]
    """Step, output and its count of numbers to indices of them, without end."""

UNCONDITIONAL: Final = 1
CONDITIONAL: Final = 2
PLACES: Final = 32
BINS: Final = 16
AGREEING_MIN: Final = 28
"""Of `PLACES`: room for numbers that another kernel has moved further."""
APART_MAX: Final = 2
"""Beyond so many bins of `BINS` a guess would be right too often; such a package cannot be audited so."""
_HALVES_SQUARED: Final = 4
_ABLE_PARTS: Final = 8
"""Where less than so small a part of an output is large, all of it is asked about: draws must end."""


@dataclass(frozen=True, slots=True)
class SketchRule:
    """How sketches of a package are held against each other.

    :ivar apart: bins by which honest auditors differ, 0 to `APART_MAX`; from its calibration.
    """

    apart: int

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


def able(tensor: Half) -> NDArray[np.bool_]:
    """Of each number, in C order, whether sketches ask about it: at least half of the root mean square.

    Small numbers have small units, and kernels differ there by more of them. The sum of squares is rounded
    once (`math.fsum`), and everything else of the comparison is exact, so that all machines ask about the
    same.
    """
    squares = np.square(tensor.astype(np.float64).ravel())
    large: NDArray[np.bool_] = squares * (_HALVES_SQUARED * squares.size) >= fsum(squares)
    return large if large.sum() * _ABLE_PARTS >= large.size else np.ones(large.size, dtype=np.bool_)


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
    step: int, outputs: Sequence[tuple[int, Half, Single]], draw: Draw, *, own: bool
) -> tuple[int, ...]:
    """The sketch of one step: as many places of each output, the first so many drawn that are asked about.

    :param outputs: which it is, what was found and what was expected; that without the prompt first.
    :raises ValueError: an output has too few numbers for different places.
    """
    bins: list[int] = []
    quota = PLACES // len(outputs)
    for tensor, found, expected in outputs:
        if found.size < _ABLE_PARTS * quota:
            raise ValueError("the model's outputs are too small for sketches")
        asked, taken = able(found), dict[int, None]()
        drawn = (index for index in draw(step, tensor, found.size) if asked[index])
        while len(taken) < quota:
            taken.update(dict.fromkeys(islice(drawn, quota - len(taken))))
        bins += positions(found, expected, own=own)[list(taken)].tolist()
    return tuple(bins)


def sketches_agree(one: Sequence[int], other: Sequence[int], rule: SketchRule) -> bool:
    """Whether two auditors' sketches of one step can both be true.

    Sketches of other than `PLACES` places, or with bins that there are not, agree with nothing.
    """
    if len(one) != PLACES or len(other) != PLACES:
        return False
    if not all(0 <= place < BINS for place in (*one, *other)):
        return False
    hits = sum(abs(mine - theirs) <= rule.apart for mine, theirs in zip(one, other, strict=True))
    return hits >= AGREEING_MIN
