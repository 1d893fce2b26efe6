"""The queue before the coordinator: per model, its tokens in turn, so that nobody who asks much starves all.

Is: as many orders of a model at the coordinator as its miners can work on soon; the rest wait here, bounded,
and each token gets every n-th place. And an honest estimate of when a place will be free, for the rest.
Is not: an order's life. The coordinator draws in the order of its own queue, which is kept short.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

from node.api.errors import ApiError, Refused
from node.coordinator.watching import Watch
from node.system.clock import now_ms
from protocol.bounded import Bounded

WAITING_MAX: Final = 1_024
"""Orders of all tokens that wait here."""
WAITING_OF_TOKEN_MAX: Final = 256
"""Of one token, for all models together."""
WAITING_FIRST: Final = 256
"""Of `WAITING_MAX`, kept for tokens of which nothing waits yet: so many as there can be tokens."""
MODELS_MAX: Final = 256
"""Models whose pace is remembered."""
PLACES_MIN: Final = 8
"""Orders of a model at the coordinator, whatever its miners say they take."""
PLACES_MAX: Final = 128
AHEAD: Final = 2
"""So many times what its miners take at a time is at the coordinator, so that none of them waits for us."""
LOOK_S: Final = 0.05
"""How late it may be noticed that an order is over."""
PACE_WEIGHT: Final = 0.2
"""Of the last interval between two ends, in their mean."""
PACE_MS_START: Final = 2_000
ESTIMATE_MS_MIN: Final = 1_000
ESTIMATE_MS_MAX: Final = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """:ivar waiting: orders. :ivar at_coordinator: those that were let through and are not over.
    :ivar refused: since the start, since too many waited.
    """

    waiting: int
    at_coordinator: int
    refused: int


class Place:
    """An order's place at the coordinator.

    :ivar granted: set when it may go there. :ivar watch: of the order, once it is there.
    :ivar lives: whether an order that has a name is not over: it goes on when its request has left.
    """

    def __init__(self) -> None:
        self.granted = trio.Event()
        self.watch: Watch | None = None
        self.lives: Callable[[], bool] | None = None
        self.left = False

    @property
    def over(self) -> bool:
        """Whether it is free again."""
        if self.watch is not None and self.watch.over:
            return True
        return self.left and not (self.lives is not None and self.lives())


@dataclass
class _Line:
    """One model's.

    :ivar waiting: orders that wait, by token; the first token is next.
    :ivar pace_ms: mean interval between two ends.
    """

    places: list[Place] = field(default_factory=list)
    waiting: OrderedDict[str, deque[Place]] = field(default_factory=OrderedDict)
    pace_ms: float = PACE_MS_START
    ended_at_ms: int = 0


class Queue:
    """All models' lines."""

    def __init__(self, capacity_of: Callable[[bytes], int]) -> None:
        """:param capacity_of: tasks that a model's live miners take at a time."""
        self._capacity_of = capacity_of
        self._lines: Bounded[bytes, _Line] = Bounded(MODELS_MAX)
        self._refused = 0

    @asynccontextmanager
    async def place(self, token_id: str, model_id: bytes) -> AsyncIterator[Place]:
        """Wait for a place; it is free again when its order is over, or the context ends, unless its order
        goes on without.

        :raises Refused: too many wait; says when a place will be free.
        """
        line, place = self._lines.setdefault(model_id, _Line()), Place()
        self._look(model_id, line)
        try:
            if line.waiting or len(line.places) >= self._places(model_id):
                await self._wait(token_id, model_id, line, place)
            else:
                line.places.append(place)
            yield place
        finally:
            place.left = True
            self._look(model_id, line)

    def busy(self, token_id: str, model_id: bytes, reason: str) -> Refused:
        """The answer to an order that cannot even wait."""
        self._refused += 1
        line = self._lines.get(model_id) or _Line()
        mine = len(line.waiting.get(token_id, ()))
        estimate = int(line.pace_ms * (1 + mine * max(1, len(line.waiting))))
        wait_ms = min(ESTIMATE_MS_MAX, max(ESTIMATE_MS_MIN, estimate))
        return Refused(ApiError(429, "too_many_requests", reason, retry_ms=wait_ms))

    def status(self) -> QueueStatus:
        """How it is; see `QueueStatus`."""
        lines = self._lines.values()
        waiting = sum(len(item) for line in lines for item in line.waiting.values())
        at_coordinator = sum(not place.over for line in lines for place in line.places)
        return QueueStatus(waiting, at_coordinator, self._refused)

    async def run(self) -> None:
        """Let those that wait through as places become free, until cancelled."""
        while True:
            await trio.sleep(LOOK_S)
            for model_id, line in list(self._lines.items()):
                self._look(model_id, line)

    # Internals

    def _places(self, model_id: bytes) -> int:
        return min(PLACES_MAX, max(PLACES_MIN, AHEAD * self._capacity_of(model_id)))

    async def _wait(self, token_id: str, model_id: bytes, line: _Line, place: Place) -> None:
        mine = sum(len(line.waiting.get(token_id, ())) for line in self._lines.values())
        room = WAITING_MAX - (WAITING_FIRST if mine else 0)
        if mine >= WAITING_OF_TOKEN_MAX or self.status().waiting >= room:
            raise self.busy(token_id, model_id, "too many orders of this token, or of all, wait already")
        line.waiting.setdefault(token_id, deque()).append(place)
        try:
            await place.granted.wait()
        finally:
            if not place.granted.is_set():
                line.waiting[token_id].remove(place)
                if not line.waiting[token_id]:
                    del line.waiting[token_id]

    def _look(self, model_id: bytes, line: _Line) -> None:
        """Note the ends of orders, and let the next ones through, token by token."""
        left = [place for place in line.places if not place.over]
        for _ in range(len(line.places) - len(left)):
            at_ms = now_ms()
            if line.ended_at_ms:
                interval = min(ESTIMATE_MS_MAX, at_ms - line.ended_at_ms)
                line.pace_ms += PACE_WEIGHT * (interval - line.pace_ms)
            line.ended_at_ms = at_ms
        line.places = left
        while line.waiting and len(line.places) < self._places(model_id):
            token_id, places = next(iter(line.waiting.items()))
            place = places.popleft()
            line.places.append(place)
            place.granted.set()
            if places:
                line.waiting.move_to_end(token_id)
            else:
                del line.waiting[token_id]
