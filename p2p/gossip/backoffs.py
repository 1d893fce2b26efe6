"""Backoffs: peers that may not be grafted before a time.

Is: one bounded table of back-offs, by topic and peer.
Is not: a decision what a GRAFT within one means.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p.identity import PeerId


class Backoffs:
    """Back-offs, oldest first; when there are too many the oldest give way.

    :ivar evicted: back-offs forgotten before their time.
    """

    def __init__(self, entries_max: int, slack_ms: int) -> None:
        self._entries: OrderedDict[tuple[str, PeerId], tuple[int, int]] = OrderedDict()
        self._entries_max = entries_max
        self._slack_ms = slack_ms
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, topic: str, peer: PeerId, now_ms: int, backoff_ms: int) -> None:
        """Begin a back-off, or prolong the one that runs; none is ever shortened."""
        until_ms = max(self._entries.pop((topic, peer), (0, 0))[0], now_ms + backoff_ms)
        while len(self._entries) >= self._entries_max:
            self._entries.popitem(last=False)
            self.evicted += 1
        self._entries[topic, peer] = (until_ms, now_ms)

    def began_ms(self, topic: str, peer: PeerId, now_ms: int) -> int | None:
        """When the back-off that runs was last begun or prolonged; None if the peer may graft us."""
        until_ms, since_ms = self._entries.get((topic, peer), (0, 0))
        return since_ms if until_ms > now_ms else None

    def holds_us(self, topic: str, peer: PeerId, now_ms: int) -> bool:
        """Whether we must not graft the peer: its back-off runs, or ended less than the slack ago."""
        entry = self._entries.get((topic, peer))
        return entry is not None and entry[0] + self._slack_ms > now_ms

    def forget_old(self, now_ms: int) -> None:
        """Remove what is over, slack included."""
        over = [key for key, (until_ms, _) in self._entries.items() if until_ms + self._slack_ms <= now_ms]
        for key in over:
            del self._entries[key]
