"""The comparison of an audit: values that must be exact, and the distances of those that cannot be.

Is: the checks of a trace over numbers: S, the first latent, and X, a step of the scheduler, to the last bit;
R, the networks' outputs, and E, what a source image was encoded to, by distances that have a tolerance.
Is not: torch; R and E need `networks` to find what is compared with, S and X only the package's table.

Commitments are to binary16, and the auditor's binary32 is not rounded. So the rounding of the one, a hundred
times the difference of honest machines, need not be tolerated: `excess` counts only numbers outside of the
half unit that rounding to nearest can explain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import Step, advance, guide, noised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Half = NDArray[np.float16]
    Single = NDArray[np.float32]

_MANTISSA_BITS: Final = 11
"""Of binary16, the hidden one counted."""
_EXPONENT_MIN: Final = -13
"""Exponent of the smallest normal binary16, as `frexp` gives it; subnormal numbers have its unit."""


def half_tensor(data: bytes, shape: tuple[int, ...]) -> Half:
    """A tensor from its bytes in a trace. :raises ValueError: it has another size."""
    return np.frombuffer(data, dtype="<f2").astype(np.float16).reshape(shape)


def first_latent(first: Step, seed: int, shape: tuple[int, ...], source: Half | None) -> Half:
    """Check S: what a trace's first latent must be.

    :param first: the first step that is run.
    :param source: the opened source latent; None without a source image.
    :raises ValueError: as `initial_latent`.
    """
    noise = initial_latent(seed, shape)
    return noise.astype(np.float16) if source is None else noised(first, source, noise)


def next_latent(
    step: Step,
    opened: tuple[Half, Half | None, Half],
    before: tuple[Half, Half | None, Half] | None,
    guidance_milli: int,
) -> Half:
    """Check X: what the latent after a step must be.

    :param opened: latent, output without the prompt (None without guidance) and with it, of this step.
    :param before: the same of the step before; None in the first that is run.
    """
    latent, unconditional, conditional = opened
    output = guide(unconditional, conditional, guidance_milli)
    if before is None:
        return advance(step, latent, output, None)
    return advance(step, latent, output, (before[0], guide(before[1], before[2], guidance_milli)))


def units(numbers: Half) -> NDArray[np.float64]:
    """The unit in the last place of each number: to the next larger one of its exponent; of 0, 2^-24."""
    # `frexp` gives nought the exponent of one half.
    exponents = np.where(numbers == 0, _EXPONENT_MIN, np.frexp(numbers.astype(np.float64))[1])
    places: NDArray[np.float64] = np.ldexp(1.0, np.maximum(exponents, _EXPONENT_MIN) - _MANTISSA_BITS)
    return places


def excess(found: Half, expected: Single) -> float:
    """Check R of class A: what rounding to nearest does not explain, relative L2 in double precision.

    Of each number the part of the difference above half a unit in the last place of what was found; all of
    these by the length of what was expected. What is not finite is infinitely far.
    """
    one, other = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        above = np.maximum(np.abs(one - other) - units(found) / 2, 0.0)
    return _relative(above, other)


def distance(found: Half, expected: Half | Single) -> float:
    """Checks R of class B and E: relative L2 in double precision; what is not finite is infinitely far."""
    one, other = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return _relative(one - other, other)


def _relative(difference: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Length of the one by the other's."""
    above, length = float(np.linalg.norm(difference)), float(np.linalg.norm(expected))
    if not np.isfinite(above) or not np.isfinite(length) or length == 0:
        return 0.0 if above == 0 and length == 0 else float("inf")
    return above / length
