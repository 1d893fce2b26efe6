"""The two rules by which a latent follows from what was committed to, for one number of it.

Is: S, the first latent from the seed, and X, a step of the scheduler, to the last bit (README "The rules that
are exact"); which entry of the table of quantiles a seed draws. Is not: whole tensors, which miners and
auditors compute with numpy (`node/inference/diffusion/replay`); nor the table of quantiles, only its root.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from protocol.errors import DecodeError
from protocol.half import half_bits, single
from protocol.hashing import sha256
from protocol.model_table import ROW_BYTES

LATENT_DOMAIN: Final = b"cuckoo/latent/1\x00"
QUANTILES: Final = 1 << 16
QUANTILES_PER_LEAF: Final = 16
QUANTILE_LEAF_BYTES: Final = 4 * QUANTILES_PER_LEAF
QUANTILE_LEAVES: Final = QUANTILES // QUANTILES_PER_LEAF
QUANTILE_HASHES: Final = 12
QUANTILES_ROOT: Final = bytes.fromhex("10e691a8bde2ffac952c82b2ceca3204a974ff73213f86d896896624b1b4d07e")
"""Merkle root over the table of normal quantiles, `QUANTILES_PER_LEAF` to a leaf, big-endian binary32."""
_INTEGERS_PER_BLOCK: Final = 16
_ROW: Final = struct.Struct(">10f")
_LEAF: Final = struct.Struct(f">{QUANTILES_PER_LEAF}f")


class Row(NamedTuple):
    """A row of a package's table: one step of a schedule; each number a binary32."""

    timestep: float
    latent: float
    output: float
    latent_before: float
    output_before: float
    first_latent: float
    first_output: float
    source: float
    noise: float
    tolerance: float

    def needs_before(self, step: int) -> bool:
        """Whether it takes something of the step before, as step number `step` of those that are run."""
        return step > 0 and bool(self.latent_before or self.output_before)


class StepNumbers(NamedTuple):
    """One number of each tensor of a step. :ivar unconditional: None without guidance."""

    latent: float
    unconditional: float | None
    conditional: float


def read_row(data: bytes) -> Row:
    """The row of `ROW_BYTES` bytes. :raises DecodeError: another length."""
    if len(data) != ROW_BYTES:
        raise DecodeError("a row has 40 bytes")
    return Row(*_ROW.unpack(data))


def guided_number(numbers: StepNumbers, guidance_milli: int) -> float:
    """The output that the scheduler goes by: ``u + g (c - u)``; c alone without a u."""
    if numbers.unconditional is None:
        return numbers.conditional
    scale = single(single(guidance_milli) / 1000)
    difference = single(numbers.conditional - numbers.unconditional)
    return single(numbers.unconditional + single(scale * difference))


def next_number(
    row: Row, here: StepNumbers, before: StepNumbers | None, guidance_milli: int, step: int
) -> int:
    """X: the bits, binary16, of a number of the latent after a step.

    :param before: of the step before, if `needs_before`. Where it is not needed, its terms would change the
        sign of a zero at most.
    :param step: of those that are run, from 0.
    """
    own, ours = (row.latent, row.output) if step else (row.first_latent, row.first_output)
    moved = single(single(own * here.latent) + single(ours * guided_number(here, guidance_milli)))
    if before is not None:
        moved = single(moved + single(row.latent_before * before.latent))
        moved = single(moved + single(row.output_before * guided_number(before, guidance_milli)))
    return half_bits(moved)


def first_number(row: Row, quantile: float, source: float | None) -> int:
    """S: the bits, binary16, of a number of the first latent.

    :param row: of the first step that is run.
    :param quantile: that the seed draws for this number.
    :param source: of what the source image was encoded to; None without one.
    """
    if source is None:
        return half_bits(quantile)
    return half_bits(single(single(row.source * source) + single(row.noise * quantile)))


def quantile_drawn(seed: int, number: int) -> int:
    """Which entry of the table of quantiles a seed, of 64 bits, draws for a number of a latent."""
    block, place = divmod(number, _INTEGERS_PER_BLOCK)
    drawn = sha256(LATENT_DOMAIN + seed.to_bytes(8, "big") + block.to_bytes(8, "big"))
    return int.from_bytes(drawn[2 * place : 2 * place + 2], "big")


def quantile_of(leaf: bytes, entry: int) -> float:
    """Entry number `entry` of the table, out of the leaf that it stands in."""
    quantile: float = _LEAF.unpack(leaf)[entry % QUANTILES_PER_LEAF]
    return quantile
