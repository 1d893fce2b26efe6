"""An epoch as a JSON object, as receipts and evidence carry it so that a draw can be computed again.

Is: the object, and the careful reading of numbers, bytes and weights from JSON that came from anywhere.
Is not: proof that the epoch is the chain's. Who wants that compares seed and stakes with the contracts.

Bytes are hexadecimal without prefix; weights are decimal strings, since a JSON number above 2^53 is not the
same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.draw import EpochView, Snapshot
from protocol.errors import DecodeError

MINERS_MAX = 200_000
"""Most miners in an object's snapshot."""
SEED_BYTES = 32
WEIGHT_DIGITS_MAX = 20
"""Longest weight: the digits of 2^64."""

Value = TypeVar("Value")


def epoch_to_document(epoch: EpochView, coordinator: bytes) -> dict[str, Any]:
    """JSON object of an epoch with all its miners and, of its coordinators, the one in question."""
    return {
        "number": epoch.number,
        "seed": epoch.seed.hex(),
        "coordinator_weight_micro_cai": str(epoch.coordinators.weight_of(coordinator)),
        "miners": [
            {"address": miner.hex(), "weight_micro_cai": str(weight)}
            for miner, weight in zip(epoch.miners.miners, epoch.miners.weights, strict=True)
        ],
    }


def epoch_from_document(document: Any, coordinator: bytes) -> EpochView:
    """The epoch in a JSON object. Call it within `read`.

    :raises DecodeError, KeyError, TypeError, ValueError: not such an object.
    """
    miners = document["miners"]
    if not isinstance(miners, list) or len(miners) > MINERS_MAX:
        message = f"miners is not a list of at most {MINERS_MAX}"
        raise DecodeError(message)
    seed = hex_bytes(document["seed"])
    if len(seed) != SEED_BYTES:
        message = f"seed is not {SEED_BYTES} bytes"
        raise DecodeError(message)
    return EpochView(
        number=integer(document["number"]),
        seed=seed,
        miners=Snapshot.of(
            (hex_bytes(miner["address"]), _wei(miner["weight_micro_cai"])) for miner in miners
        ),
        coordinators=Snapshot.of([(coordinator, _wei(document["coordinator_weight_micro_cai"]))]),
    )


def integer(value: object) -> int:
    """`value`, which must be an integer and no boolean. :raises TypeError: it is not."""
    if type(value) is not int:
        message = "not an integer"
        raise TypeError(message)
    return value


def hex_bytes(value: str) -> bytes:
    """Bytes of a hexadecimal string without prefix. :raises ValueError: it is not one."""
    data = bytes.fromhex(value)
    # fromhex skips white space, which another implementation would refuse.
    if 2 * len(data) != len(value):
        message = "not a hexadecimal string"
        raise ValueError(message)
    return data


def _wei(weight_micro_cai: str) -> int:
    # int() alone would take signs, spaces, underscores and the digits of other scripts.
    is_decimal = weight_micro_cai.isascii() and weight_micro_cai.isdecimal()
    if not is_decimal or len(weight_micro_cai) > WEIGHT_DIGITS_MAX:
        message = f"weight is not a decimal string of at most {WEIGHT_DIGITS_MAX} digits"
        raise ValueError(message)
    return int(weight_micro_cai) * WEI_PER_MICRO_CAI


def read(reader: Callable[[], Value], what: str) -> Value:
    """The result of `reader` on a document that came from anywhere.

    :raises DecodeError: it is not there, or of another shape; the message says that it is not `what`.
    """
    try:
        return reader()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"not {what}: {type(error).__name__}: {error}"
        raise DecodeError(message) from error
