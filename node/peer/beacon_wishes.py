"""The deadlines whose block is looked for, by reason, and what was found: no reason starves another one.

Is: bounded queues without I/O, each with its own share of the questions of a look.
Is not: the questions (`beacon_watcher`), or the search for a block (`block_search`).

A kind of wish never waits for another one to be served. Within a kind the newest come first: verdicts on
them count longest. A deadline whose block was doubted waits apart, twice as long each time.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.audit_draw import BeaconBlock
from protocol.bounded import Bounded
from protocol.keeping import WORKS_MAX


class Wish(enum.Enum):
    """Why a deadline's block is looked for."""

    FRESH = "fresh"
    """Somebody has committed to work just now."""
    KEPT = "kept"
    """We keep work that its dice may let go."""
    ASKED = "asked"
    """Somebody asks for work of which we do not know the dice: anybody can."""


WISHES_MAX: Final[Mapping[Wish, int]] = {Wish.FRESH: WORKS_MAX, Wish.KEPT: WORKS_MAX, Wish.ASKED: 256}
"""Deadlines of each kind that are looked for; beyond it the oldest are given up. As many are remembered when
their block is found: of our own work all that we keep, so that each is looked for once."""
QUESTIONS_OF: Final[Mapping[Wish, int]] = {Wish.FRESH: 16, Wish.KEPT: 12, Wish.ASKED: 4}
"""Of one look, for each kind; what one does not need is the others'."""
QUESTIONS_PER_LOOK_MAX: Final = sum(QUESTIONS_OF.values())
"""Blocks that are asked for in one look, besides the newest and two that are final."""
SERVED_PER_LOOK_MAX: Final = 1_024
"""Deadlines of one kind that are served in one look; one whose block is known costs no question, but time."""
DOUBT_LOOKS_MAX: Final = 16
"""Most looks for which a deadline waits whose block was doubted."""


@dataclass(slots=True)
class _Doubted:
    """:ivar looks: that it waits. :ivar until: the look, by number, in which it is served again."""

    looks: int
    until: int


class BeaconWishes:
    """The deadlines of one peer, those without their block and those with it.

    :ivar given_up: deadlines that were one too many.
    """

    def __init__(self) -> None:
        self.given_up = 0
        self._wanted: dict[Wish, OrderedDict[int, None]] = {kind: OrderedDict() for kind in Wish}
        self._found: dict[Wish, Bounded[int, BeaconBlock]] = {
            kind: Bounded(WISHES_MAX[kind]) for kind in Wish
        }
        self._doubted: Bounded[int, _Doubted] = Bounded(sum(WISHES_MAX.values()))
        self._looks = 0

    def __len__(self) -> int:
        """Deadlines that are looked for; one that is wanted for two reasons counts twice."""
        return sum(map(len, self._wanted.values()))

    @property
    def found(self) -> dict[int, BeaconBlock]:
        """The blocks that are known, by deadline; made anew each time."""
        return {at: block for kind in Wish for at, block in self._found[kind].items()}

    def want(self, deadline_ms: int, kind: Wish) -> None:
        """Look for the block of a deadline, unless it is known: then it is known for this reason, too."""
        for known in self._found.values():
            if deadline_ms in known:
                if deadline_ms not in self._found[kind]:
                    self._found[kind][deadline_ms] = known[deadline_ms]
                return
        wanted = self._wanted[kind]
        wanted[deadline_ms] = None
        if len(wanted) > WISHES_MAX[kind]:
            del wanted[min(wanted)]
            self.given_up += 1

    def begin_look(self) -> None:
        """Another look begins; who waits for it has waited one look less."""
        self._looks += 1

    def due(self, kind: Wish, until_ms: int) -> list[int]:
        """The deadlines of a kind that are to be served now, the newest first, bounded.

        :param until_ms: only those up to this time.
        """
        due = [at for at in self._wanted[kind] if at <= until_ms and not self._waits(at)]
        return sorted(due, reverse=True)[:SERVED_PER_LOOK_MAX]

    def put_off(self, deadline_ms: int) -> None:
        """The block of a deadline was doubted: it is looked for later, twice as late each time."""
        before = self._doubted.get(deadline_ms)
        looks = 1 if before is None else min(2 * before.looks, DOUBT_LOOKS_MAX)
        self._doubted[deadline_ms] = _Doubted(looks, self._looks + looks)

    def find(self, deadline_ms: int, block: BeaconBlock) -> None:
        """The block of a deadline is known."""
        self._doubted.pop(deadline_ms, None)
        for kind, wanted in self._wanted.items():
            if deadline_ms in wanted:
                del wanted[deadline_ms]
                self._found[kind][deadline_ms] = block

    def forget_found(self) -> bool:
        """Look for all that was found anew; returns whether there was something."""
        changed = [(at, kind) for kind in Wish for at in self._found[kind]]
        for known in self._found.values():
            known.clear()
        for deadline_ms, kind in changed:
            self.want(deadline_ms, kind)
        return bool(changed)

    def _waits(self, deadline_ms: int) -> bool:
        doubted = self._doubted.get(deadline_ms)
        return doubted is not None and self._looks < doubted.until
