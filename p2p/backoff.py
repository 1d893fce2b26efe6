"""When a peer may be dialled again, pure.

Is: jittered exponential back-off for many peers, bounded.
Is not: a judgement of peers; whoever is away for a night is called again in the morning.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

    from p2p.identity import PeerId

BACKOFFS_MAX: Final = 2_048
"""Peers whose failed dials are remembered; the longest untried gives way."""


class Backoff:
    """When a peer may be dialled again: twice the pause after each failure, half of it random.

    Pure: time is an argument. Without the random half, nodes that lost one bootnode would return together.
    """

    def __init__(self, rng: random.Random, *, first_ms: int, longest_ms: int) -> None:
        """Take the pause after a first failure, and the longest one."""
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._rng = rng
        self._entries: OrderedDict[PeerId, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def is_due(self, peer: PeerId, now_ms: int) -> bool:
        """Whether a peer may be dialled now."""
        return self._entries.get(peer, (0, now_ms))[1] <= now_ms

    def failed(self, peer: PeerId, now_ms: int) -> int:
        """Note a failed dial, or a connection that did not last. Returns the failures in a row."""
        failures = self._entries.pop(peer, (0, 0))[0] + 1
        doublings = min(failures - 1, 32)
        pause_ms = min(self._first_ms * 2**doublings, self._longest_ms)
        not_before_ms = now_ms + pause_ms // 2 + self._rng.randint(0, pause_ms // 2)
        while len(self._entries) >= BACKOFFS_MAX:
            self._entries.popitem(last=False)
        self._entries[peer] = (failures, not_before_ms)
        return failures

    def succeeded(self, peer: PeerId) -> None:
        """Note a connection that lasted: the next failure is the first again."""
        self._entries.pop(peer, None)
