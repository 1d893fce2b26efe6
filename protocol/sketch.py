"""Sketches of residuals: sixteen bytes that only who has run the model for a step can write.

A residual is the auditor's number less the miner's, in units of the miner's last place; its position within
that unit does not follow from the miner's number. A sketch is that position in 16 bins, at 32 places that
nobody can choose.

Is: which places, and the form, over integers alone.
Is not: the residuals and their comparison (`node/inference/audit/sketch.py`), or which are asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocol.audit import SKETCH_BYTES, TraceTensor
from protocol.draw import drawn_numbers
from protocol.hashing import keccak256

BINS: Final = 16
PLACES: Final = 32
"""Places of one sketch; 4 bits each."""
_NIBBLE: Final = 4


def places_of(*, guided: bool) -> tuple[tuple[TraceTensor, int], ...]:
    """How many places of a step's sketch are in which of its outputs, in their order."""
    if not guided:
        return ((TraceTensor.CONDITIONAL, PLACES),)
    # Both halves: who computes one of the two outputs only has done half of the work.
    return ((TraceTensor.UNCONDITIONAL, PLACES // 2), (TraceTensor.CONDITIONAL, PLACES // 2))


def drawn_places(
    dice: bytes, auditor: bytes, step: int, tensor: TraceTensor, count: int, wanted: int
) -> tuple[int, ...]:
    """Places among the numbers of a tensor that are asked about, in the order in which they are drawn.

    Where fewer are asked about than are wanted, they begin at the first again.

    :param dice: of the audit, 32 bytes.
    :param auditor: address of who makes the sketch, so that no two auditors' have the same places.
    :param count: how many numbers are asked about, at least 1.
    """
    seed = keccak256(dice + auditor + step.to_bytes(2, "big") + bytes([tensor]))
    order = drawn_numbers(seed, count, wanted)
    return tuple(order[at % count] for at in range(wanted))


def pack_bins(bins: Sequence[int]) -> bytes:
    """The 16 bytes of 32 bins, the first in the high half of the first byte.

    :raises ValueError: not `PLACES` of them, or one that is not 0 to 15.
    """
    if len(bins) != PLACES or not all(0 <= one < BINS for one in bins):
        message = f"a sketch has {PLACES} places of {BINS} bins"
        raise ValueError(message)
    pairs = zip(bins[::2], bins[1::2], strict=True)
    return bytes(high << _NIBBLE | low for high, low in pairs)


def unpack_bins(sketch: bytes) -> tuple[int, ...]:
    """The bins of a sketch. :raises ValueError: it does not have 16 bytes."""
    if len(sketch) != SKETCH_BYTES:
        message = f"a sketch has {SKETCH_BYTES} bytes"
        raise ValueError(message)
    return tuple(half for byte in sketch for half in (byte >> _NIBBLE, byte & (BINS - 1)))
