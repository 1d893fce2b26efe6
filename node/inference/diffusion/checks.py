"""The comparison of an audit: values that must be exact, and the distance of those that cannot be.

Is: the checks of a trace over numbers: S, the first latent, and X, a step of the scheduler, to the last bit;
R, the networks' outputs, and E, what a source image was encoded to, by a distance that has a tolerance.
Is not: torch; R and E need `networks` to find what is compared with, S and X only the package's table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import Step, advance, guide, noised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Half = NDArray[np.float16]


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


def distance(found: Half, expected: Half) -> float:
    """Checks R and E: relative L2 in double precision; what is not finite is infinitely far."""
    one, other = found.astype(np.float64), expected.astype(np.float64)
    difference, length = float(np.linalg.norm(one - other)), float(np.linalg.norm(other))
    if not np.isfinite(difference) or length == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / length
