"""The chance that an honest miner is ever accused by its outputs in a year of full work, from a calibration.

Is: a bound over all audits of a year (Boole's inequality, so they need not be independent), with the tail of
honest distances extrapolated from the largest ones that a calibration has measured. Pure, and no numpy.
Is not: faults of one number or tensor, which are exact and which no honest work has; nor a measurement.

A calibration keeps of each configuration the largest excess of many outputs: maxima of blocks, whose law is
known when that of the outputs is (Fisher and Tippett 1928). Two laws are fitted by moments (Gumbel 1958):

- an **exponential** tail. Rounding errors are sums of bounded terms of mean zero, whose tails fall faster
  than that (Hoeffding 1963; of rounding: Higham and Mary 2019, SIAM J. Sci. Comput. 41(5), A2815);
- a **power law**, as if some machines had now and then errors of another size than all others.

Mean and deviation of the maxima are taken as they are, or at the upper ends of their 95 % intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.audit_draw import AUDITORS_PER_WORK, steps_each
from protocol.terms import PPM

YEAR_MS: Final = 365 * 24 * 60 * 60 * 1000
OUTPUTS_PER_STEP: Final = 2
"""With the prompt and without it."""
MAXIMA_MIN: Final = 6
"""Of fewer nothing is extrapolated."""
_EULER: Final = 0.5772156649015329
_KURTOSIS: Final = 5.4
"""Of Gumbel's law."""
_NORMAL_95: Final = 1.6448536269514722
"""Below it are 95 % of the normal law."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The part of a calibration of class A that counts here.

    :ivar maxima_ppb: the largest excess of each block, above 0; blocks of equal kernels are left out.
    :ivar outputs: in each block.
    :ivar accuse_ppb: excess from which on work is called false.
    """

    maxima_ppb: tuple[int, ...]
    outputs: int
    accuse_ppb: int


@dataclass(frozen=True, slots=True)
class Risk:
    """The chance of an accusation in a year, by an assumption of the tail.

    :ivar estimate: by the fit. :ivar bound: by its 95 % interval.
    """

    estimate: float
    bound: float


def audited_outputs(image_ms: int, steps: int, selected_ppm: int, buyer_ppm: int) -> int:
    """Outputs that auditors and buyers compute again of a miner that works without a pause for a year.

    :param image_ms: from one picture to the next, at least 1.
    :param selected_ppm: of work that the dice select. :param buyer_ppm: that its buyer checks.
    """
    opened_ppm = (AUDITORS_PER_WORK * selected_ppm + buyer_ppm) * steps_each(steps)
    return -(-YEAR_MS * OUTPUTS_PER_STEP * opened_ppm // (image_ms * PPM))


def risk_of(blocks: Blocks, outputs: int, *, heavy: bool) -> Risk:
    """The chance that one of so many outputs accuses. :param heavy: by a power law.

    :raises ValueError: there are fewer than `MAXIMA_MIN` maxima, or they do not differ.
    """
    if len(blocks.maxima_ppb) < MAXIMA_MIN or len(set(blocks.maxima_ppb)) == 1:
        raise ValueError(f"nothing can be extrapolated from fewer than {MAXIMA_MIN} different maxima")
    maxima = [math.log(one) if heavy else float(one) for one in blocks.maxima_ppb]
    threshold = math.log(blocks.accuse_ppb) if heavy else float(blocks.accuse_ppb)
    count = -(-outputs // blocks.outputs)
    mean, deviation = _moments(maxima)
    wide_mean = mean + _NORMAL_95 * deviation / math.sqrt(len(maxima))
    # Of a Gumbel variable's sample the deviation has this relative error (by its kurtosis).
    error = math.sqrt((_KURTOSIS - 1) / (4 * len(maxima)))
    wide_deviation = deviation / (1 - _NORMAL_95 * error)
    return Risk(
        min(1.0, count * _beyond(threshold, mean, deviation)),
        min(1.0, count * _beyond(threshold, wide_mean, wide_deviation)),
    )


def _moments(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _beyond(threshold: float, mean: float, deviation: float) -> float:
    """The chance that a Gumbel variable of this mean and standard deviation exceeds a threshold."""
    scale = deviation * math.sqrt(6) / math.pi
    return -math.expm1(-math.exp((mean - _EULER * scale - threshold) / scale))
