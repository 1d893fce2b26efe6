"""Whose turn it is to record an epoch's seed, so that not every coordinator pays gas for each.

Is: an order by draw, the same for all who know the epoch before. Pure.
Is not: a duty. Anybody may record a seed at any time, and one whose turn passes is simply late.
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
_DOMAIN: Final = b"seed turn"


def seed_turn(latest: EpochView | None, due: int, coordinator: bytes) -> int:
    """The turn of a coordinator, from 0.

    :param latest: the newest epoch that is known; without one everybody has turn 0.
    :param due: number of the epoch whose seed is to be recorded.
    :param coordinator: 20 bytes.
    """
    if latest is None:
        return 0
    order = ranking(latest.coordinators, keccak256(_DOMAIN + latest.seed + due.to_bytes(8, "big")))
    for turn, address in enumerate(islice(order, SEED_TURNS_MAX)):
        if address == coordinator:
            return turn
    return SEED_TURNS_MAX
