"""Questions to the chain, so few that no reader of a page can have a node ask without end.

Is: answers that are kept for a short time, one question for all who ask the same, and a budget for the rest.
Is not: what is asked (`reading`, `planning`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

import trio

from node.portal.errors import Busy
from node.system.clock import steady_ms
from protocol.errors import CuckooError

ANSWERS_MAX: Final = 512
"""Answers that are kept; the oldest go."""
BURST_MAX: Final = 240
"""Requests to the RPC that may be made at once, after a pause."""
PER_S: Final = 40
"""Requests to the RPC a second, in the long run."""
FAULT_LIFE_MS: Final = 1_000
"""So long is a failure the answer, before the chain is asked again."""

_Answer = TypeVar("_Answer")


class Budget:
    """A bucket of `BURST_MAX` that fills by `PER_S`."""

    def __init__(self, clock_ms: Callable[[], int] = steady_ms) -> None:
        self._clock_ms = clock_ms
        self._milli_left = BURST_MAX * 1000
        self._at_ms = clock_ms()

    def spend(self, cost: int) -> None:
        """Take `cost` requests. :raises Busy: there are not so many left now."""
        now_ms = self._clock_ms()
        gained = max(0, now_ms - self._at_ms) * PER_S
        self._milli_left = min(BURST_MAX * 1000, self._milli_left + gained)
        self._at_ms = now_ms
        if cost * 1000 > self._milli_left:
            missing = cost * 1000 - self._milli_left
            raise Busy(retry_after_s=-(-missing // (PER_S * 1000)))
        self._milli_left -= cost * 1000


@dataclass(slots=True)
class QuestionCounts:
    """:ivar asked: of the chain. :ivar kept: answered from what is kept. :ivar refused: for want of
    budget.
    """

    asked: int = 0
    kept: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Kept:
    until_ms: int
    value: Any = None
    fault: CuckooError | None = None


@dataclass(slots=True)
class Questions:
    """One portal's. :ivar counts: since the start."""

    clock_ms: Callable[[], int] = steady_ms
    counts: QuestionCounts = field(default_factory=QuestionCounts)
    _kept: OrderedDict[Hashable, _Kept] = field(default_factory=OrderedDict)
    _asking: dict[Hashable, trio.Event] = field(default_factory=dict)
    _budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self._budget = Budget(self.clock_ms)

    async def ask(
        self, key: Hashable, life_ms: int, cost: int, work: Callable[[], Awaitable[_Answer]]
    ) -> _Answer:
        """The kept answer to `key`, or what `work` gives, which is then kept for `life_ms`.

        :param cost: requests to the RPC that `work` makes at most, about.
        :raises Busy: the budget does not allow it now.
        :raises CuckooError: as `work`, to all who asked the same meanwhile.
        """
        while True:
            kept = self._kept.get(key)
            if kept is not None and kept.until_ms > self.clock_ms():
                self.counts.kept += 1
                if kept.fault is not None:
                    raise kept.fault
                return cast("_Answer", kept.value)
            if key not in self._asking:
                break
            await self._asking[key].wait()
        try:
            self._budget.spend(cost)
        except Busy:
            self.counts.refused += 1
            raise
        return await self._work(key, life_ms, work)

    async def _work(self, key: Hashable, life_ms: int, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        self.counts.asked += 1
        asking = self._asking[key] = trio.Event()
        try:
            value = await work()
        except CuckooError as fault:
            self._keep(key, _Kept(self.clock_ms() + FAULT_LIFE_MS, fault=fault))
            raise
        else:
            self._keep(key, _Kept(self.clock_ms() + life_ms, value))
            return value
        finally:
            del self._asking[key]
            asking.set()

    def _keep(self, key: Hashable, kept: _Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        if len(self._kept) > ANSWERS_MAX:
            self._kept.popitem(last=False)
