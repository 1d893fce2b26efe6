"""An epoch as bytes: stakes and owners of all nodes, whole or not at all.

Is: what a miner keeps, so that it can say later who was drawn to audit its work.
Is not: proof of anything; it is this node's own file, and the hash at its end tells damage, not lies.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from protocol.draw import EpochView, Snapshot
from protocol.errors import LocalError
from protocol.hashing import sha256
from protocol.registrations import Registrations

_HEAD: Final = b"cuckoo epoch 1\n"
_SEED_BYTES: Final = 32
_HASH_BYTES: Final = 32
_NUMBER_BYTES: Final = 8
_PARTS: Final = 7


class EpochDamaged(LocalError):
    """A file that is not an epoch's, or not all of it."""


def epoch_to_bytes(epoch: EpochView) -> bytes:
    """An epoch; 76 bytes for each node and 143."""
    snapshots = (epoch.miners, epoch.coordinators)
    registrations = epoch.registrations
    parts = (
        *(part for one in snapshots for part in (one.addresses, _swapped(one.weight_bytes))),
        *(registrations.nodes, registrations.owners, registrations.blocks),
    )
    lengths = b"".join(len(part).to_bytes(_NUMBER_BYTES, "big") for part in parts)
    body = _HEAD + epoch.number.to_bytes(_NUMBER_BYTES, "big") + epoch.seed + lengths + b"".join(parts)
    return body + sha256(body)


def epoch_from_bytes(data: bytes) -> EpochView:
    """The epoch in `data`. :raises EpochDamaged: there is none, or it is not whole."""
    body, digest = data[:-_HASH_BYTES], data[-_HASH_BYTES:]
    if not body.startswith(_HEAD) or sha256(body) != digest:
        raise EpochDamaged("the epoch is not whole")
    at = len(_HEAD)

    def take(length: int) -> bytes:
        nonlocal at
        at += length
        return body[at - length : at]

    number, seed = int.from_bytes(take(_NUMBER_BYTES), "big"), take(_SEED_BYTES)
    lengths = [int.from_bytes(take(_NUMBER_BYTES), "big") for _ in range(_PARTS)]
    miners, miner_weights, coordinators, coordinator_weights, *registered = map(take, lengths)
    return EpochView(
        number,
        seed,
        _snapshot(miners, miner_weights),
        _snapshot(coordinators, coordinator_weights),
        Registrations(*registered),
    )


def _snapshot(addresses: bytes, weights: bytes) -> Snapshot:
    return Snapshot.of_arrays(addresses, np.frombuffer(weights, dtype=">u8").astype(np.uint64))


def _swapped(weights: bytes) -> bytes:
    """Weights as this machine has them, in the order of bytes of all machines."""
    return np.frombuffer(weights, dtype=np.uint64).astype(">u8").tobytes()
