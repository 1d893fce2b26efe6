"""Epochs that new tasks do not name any more, kept as long as the last tasks that do are audited.

Is: which, in memory, bounded; without I/O.
Is not: what a miner keeps on disk to answer auditors after a restart (`node/exchange/work_records.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from protocol.draw import EpochView

PAST_EPOCHS_MAX = 64
"""Epochs; beyond it the oldest go."""
PAST_NODES_MAX = 1 << 20
"""Nodes of all of them together, likewise."""


class PastEpochs:
    """The epochs of one peer that were its latest once. :ivar known: by number."""

    def __init__(self) -> None:
        self.known: dict[int, EpochView] = {}
        self._left_at_ms: dict[int, int] = {}

    def renew(
        self, before: Mapping[int, EpochView], now: Mapping[int, EpochView], life_ms: int, now_ms: int
    ) -> Mapping[int, EpochView]:
        """Note what is not among the epochs of now any more, and forget what is too old or too much.

        :param before: epochs that announcements could name until now, by number; `now`: those from now on.
        :param life_ms: how long an epoch may matter after the last announcement that names it.
        """
        known = {at: epoch for at, epoch in {**self.known, **before}.items() if at not in now}
        self._left_at_ms = {at: self._left_at_ms.get(at, now_ms) for at in known}
        self.known, nodes = {}, 0
        for at in sorted(known, reverse=True):
            nodes += len(known[at].miners) + len(known[at].coordinators)
            if len(self.known) == PAST_EPOCHS_MAX or nodes > PAST_NODES_MAX:
                break
            if self._left_at_ms[at] + life_ms > now_ms:
                self.known[at] = known[at]
        return dict(self.known)
