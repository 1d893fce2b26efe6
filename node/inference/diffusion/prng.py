"""Seed to initial latent, the same numbers on every machine.

Is: SHA-256 in counter mode for integers, and a published table that turns a 16-bit integer into a
normal quantile. Is not: `torch.randn`, whose bits depend on the instruction set and would convict an
honest miner; nor a source of secrets.

Rule `PRNG_ID`, complete enough to implement elsewhere: block n of a seed is SHA-256 of the domain,
the seed and n, both as 8 bytes big-endian; a block is sixteen 16-bit big-endian integers; integer i
becomes entry i of the table; the entries fill the latent in C order. Entry i of the table is the
standard normal quantile of (i + 1/2) / 65536, computed by Wichura's algorithm AS 241 (PPND16) in
decimal arithmetic of 34 digits, in which each operation is correctly rounded everywhere, and then
rounded to binary32.
"""

from __future__ import annotations

import functools
import hashlib
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from protocol.latent_rules import LATENT_DOMAIN, QUANTILE_LEAF_BYTES, QUANTILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRNG_ID: Final = "sha256-counter-normal16/1"
"""Name of this rule in a model package's manifest."""

SEED_MAX: Final = 2**64 - 1
INTEGERS_PER_BLOCK: Final = 16
LATENT_NUMBERS_MAX: Final = 1 << 22
"""Largest latent that is filled, in numbers: 2048 x 2048 pixels at factor 8 and 16 channels is a quarter."""
TABLE_SHA256: Final = "1cfbba1e07e34386a57626f82aeb43e6ed54ba70a3ea6b7d964dc66a841074a8"
"""SHA-256 of the table as little-endian binary32."""

_DIGITS: Final = 34
_HALF: Final = Decimal("0.5")


def _polynomial(coefficients: str) -> tuple[Decimal, ...]:
    """Return the coefficients, highest power first, from text with the lowest power first."""
    return tuple(Decimal(coefficient) for coefficient in reversed(coefficients.split()))


# AS 241: around the centre a ratio of polynomials in 0.425^2 - q^2, outside it in sqrt(-ln p) - 1.6.
_CENTRE_SPLIT: Final = Decimal("0.425")
_CENTRE_CONSTANT: Final = Decimal("0.180625")
_CENTRE_ABOVE: Final = _polynomial(
    "3.3871328727963666080 133.14166789178437745 1971.5909503065514427 13731.693765509461125 "
    "45921.953931549871457 67265.770927008700853 33430.575583588128105 2509.0809287301226727"
)
_CENTRE_BELOW: Final = _polynomial(
    "1 42.313330701600911252 687.18700749205790830 5394.1960214247511077 "
    "21213.794301586595867 39307.895800092710610 28729.085735721942674 5226.4952788528545610"
)
_TAIL_OFFSET: Final = Decimal("1.6")
_TAIL_ROOT_MAX: Final = Decimal(5)
_TAIL_ABOVE: Final = _polynomial(
    "1.42343711074968357734 4.63033784615654529590 5.76949722146069140550 3.64784832476320460504 "
    "1.27045825245236838258 0.241780725177450611770 0.0227238449892691845833 0.000774545014278341407640"
)
_TAIL_BELOW: Final = _polynomial(
    "1 2.05319162663775882187 1.67638483018380384940 0.689767334985100004550 "
    "0.148103976427480074590 0.0151986665636164571966 0.000547593808499534494600 1.05075007164441684324E-9"
)


def _ratio(above: tuple[Decimal, ...], below: tuple[Decimal, ...], at: Decimal) -> Decimal:
    """Return numerator over denominator, each by Horner's rule, in the current decimal context."""
    numerator, denominator = Decimal(0), Decimal(0)
    for upper, lower in zip(above, below, strict=True):
        numerator = numerator * at + upper
        denominator = denominator * at + lower
    return numerator / denominator


def _quantile(probability: Decimal) -> Decimal:
    """Return the standard normal quantile of a probability between 2^-17 and 1/2."""
    centred = probability - _HALF
    if abs(centred) <= _CENTRE_SPLIT:
        return centred * _ratio(_CENTRE_ABOVE, _CENTRE_BELOW, _CENTRE_CONSTANT - centred * centred)
    root = (-probability.ln()).sqrt()
    # AS 241 has a third region beyond this root, which sixteen bits cannot reach.
    assert root <= _TAIL_ROOT_MAX
    return -_ratio(_TAIL_ABOVE, _TAIL_BELOW, root - _TAIL_OFFSET)


@functools.cache
def normal_table() -> NDArray[np.float32]:
    """Return the table of `QUANTILES` quantiles, rising, antisymmetric and read-only.

    Takes about half a second once per process.
    """
    half = QUANTILES // 2
    with localcontext(Context(prec=_DIGITS, rounding=ROUND_HALF_EVEN)):
        lower = [_quantile(Decimal(2 * index + 1) / (2 * QUANTILES)) for index in range(half)]
        # float() of a Decimal is correctly rounded to binary64, and numpy's cast to binary32 as well.
        negative = np.array([float(value) for value in lower], dtype=np.float64).astype(np.float32)
    table = np.concatenate([negative, -negative[::-1]])
    table.flags.writeable = False
    return table


def table_leaves() -> list[bytes]:
    """The table as leaves of the tree whose root the protocol knows (`latent_rules.QUANTILES_ROOT`)."""
    data, size = normal_table().astype(">f4").tobytes(), QUANTILE_LEAF_BYTES
    return [data[at : at + size] for at in range(0, len(data), size)]


def integers(seed: int, count: int) -> NDArray[np.uint16]:
    """Return the first `count` 16-bit integers of a seed.

    :raises ValueError: the seed is outside 0..`SEED_MAX` or the count outside 0..`LATENT_NUMBERS_MAX`.
    """
    if not 0 <= seed <= SEED_MAX:
        raise ValueError("seed out of range")
    if not 0 <= count <= LATENT_NUMBERS_MAX:
        raise ValueError("count out of range")
    prefix = hashlib.sha256(LATENT_DOMAIN + seed.to_bytes(8, "big"))
    blocks = []
    for number in range(-(-count // INTEGERS_PER_BLOCK)):
        block = prefix.copy()
        block.update(number.to_bytes(8, "big"))
        blocks.append(block.digest())
    return np.frombuffer(b"".join(blocks), dtype=">u2")[:count].astype(np.uint16)


def initial_latent(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a standard normal latent of this shape for a seed, binary32, C order.

    :raises ValueError: as `integers`.
    """
    drawn: NDArray[np.float32] = normal_table()[integers(seed, prod(shape))]
    return drawn.reshape(shape)
