"""Whose turn it is to pay for what anybody may do, so that not every coordinator pays gas for the same thing.

Is: an order by draw, the same for all who know the epoch before: for an epoch's seed, and for a leaf. Pure.
Is not: a duty. Anybody may act at any time, and one whose turn passes is simply late.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from protocol.draw import EpochView, ranking
from protocol.hashing import keccak256

SEED_TURNS_MAX: Final = 8
"""Places in the order; coordinators behind it, and outside of the epoch, share the turn after the last."""
TURN_POLLS: Final = 6
"""Length of a turn, in looks at the chain: long enough for a transaction to be mined and seen."""
_SEED_DOMAIN: Final = b"seed turn"
_LEAF_DOMAIN: Final = b"leaf turn"


def seed_turn(latest: EpochView | None, due: int, coordinator: bytes) -> int:
    """The turn of a coordinator, from 0.

    :param latest: the newest epoch that is known; without one everybody has turn 0.
    :param due: number of the epoch whose seed is to be recorded.
    :param coordinator: 20 bytes.
    """
    return _turn(latest, _SEED_DOMAIN, due.to_bytes(8, "big"), coordinator)


def leaf_turn(latest: EpochView | None, node: bytes, coordinator: bytes) -> int:
    """Likewise, at bringing up the leaf of a node. :param node: 20 bytes, as `coordinator`."""
    return _turn(latest, _LEAF_DOMAIN, node, coordinator)


def _turn(latest: EpochView | None, domain: bytes, subject: bytes, coordinator: bytes) -> int:
    if latest is None:
        return 0
    order = ranking(latest.coordinators, keccak256(domain + latest.seed + subject))
    for turn, address in enumerate(islice(order, SEED_TURNS_MAX)):
        if address == coordinator:
            return turn
    return SEED_TURNS_MAX
