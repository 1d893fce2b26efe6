"""When drawn miners are to come to their task, until when they are waited for, and those that do not come.

Is: times of turns, by the engine's clock, and the coordinator's experience with miners that stay away.
Is not: whose turn it is (`turns`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.coordinator.choice import EXPERIENCE_MINERS_MAX
from protocol.bounded import Bounded

if TYPE_CHECKING:
    from node.coordinator.core import Core
    from node.coordinator.orders import Order, Turn

ARRIVAL_MS: Final = 1_000
"""Time for a miner to come when it was called; then the next one is called as well. Without a call, it has
the length of a head start."""
OCCUPIED_MAX: Final = 3
"""Turns of one order that a miner may let pass because it comes for others: who has too much to do has said
so in words by then, and who goes on letting it pass would hold the order as long as its app waits."""


class Arrivals:
    """The coming of miners to all tasks of one engine."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._watching_from_ms = 0
        self._woke_ms: int | None = None
        self._came_ms: Bounded[bytes, int] = Bounded(EXPERIENCE_MINERS_MAX)

    def watch_from(self, now_ms: int) -> None:
        """Nobody is missed whose time was before this: this process was not there."""
        self._watching_from_ms = now_ms

    def wake(self, now_ms: int) -> None:
        """This process was there, but did not run."""
        self._woke_ms = now_ms
        self.watch_from(now_ms)

    def has_just_woken(self, now_ms: int) -> bool:
        """Whether a stream that ends now may have been broken by a sleep, which peers take for an end."""
        return (
            self._woke_ms is not None and now_ms < self._woke_ms + self._core.parameters.progress_timeout_ms
        )

    def was_watching(self, time_ms: int) -> bool:
        """Whether this process was there at a time."""
        return time_ms >= self._watching_from_ms

    def due_ms(self, order: Order, turn: Turn) -> int:
        """From when on a miner may have the turn: it was called, or its head start is over."""
        return self._starts_at_ms(order, turn) if turn.called_at_ms is None else turn.called_at_ms

    def _starts_at_ms(self, order: Order, turn: Turn) -> int:
        """When a miner comes that nobody calls."""
        task = order.live_task
        return task.begun_ms + task.turns.index(turn) * self._core.market.view.terms.head_start_ms

    def passed_ms(self, order: Order, turn: Turn) -> int:
        """When nobody waits any more for a miner that has not come."""
        head_start_ms = self._core.market.view.terms.head_start_ms
        return self.due_ms(order, turn) + (head_start_ms if turn.called_at_ms is None else ARRIVAL_MS)

    def nobody_comes_from_ms(self, order: Order) -> int:
        """When two of the ranking, or all that it has, have had the time to come, of this process's.

        An app waits no longer for the word that its node is not heard, however long the ranking is.
        """
        task, head_start_ms = order.live_task, self._core.market.view.terms.head_start_ms
        all_ms = self._starts_at_ms(order, task.turns[-1]) + head_start_ms
        two_ms = task.begun_ms + head_start_ms + ARRIVAL_MS
        return max(min(all_ms, two_ms), self._watching_from_ms + head_start_ms)

    def note_came(self, order: Order, turn: Turn, now_ms: int) -> None:
        """A miner has come for an order: the others that did not come for it have failed."""
        turn.came = order.was_heard = True
        self._came_ms[turn.miner] = now_ms
        for miner, absent_ms in order.absent.items():
            if miner != turn.miner:
                self._core.experience.note_absence(miner, absent_ms, now_ms)
        order.absent.clear()

    def is_occupied(self, order: Order, turn: Turn) -> bool:
        """Whether a miner that has not come for this task has come for another since this one was announced.

        It is there, then, and has more to do than it can: one that is away comes for nothing. But it may not
        come for other tasks instead for ever.
        """
        if order.occupied[turn.miner] >= OCCUPIED_MAX:
            return False
        return not turn.came and self._came_ms.get(turn.miner, -1) > order.live_task.begun_ms

    def note_absent(self, order: Order, now_ms: int) -> None:
        """Miners that do not come have failed, too, unless nobody comes: then this node may not be heard.

        While another works, nobody is missed: that one may have told the others that it has finished.
        """
        task, head_start_ms = order.live_task, self._core.market.view.terms.head_start_ms
        if task.working is not None:
            return
        for turn in task.turns:
            waited_from_ms = max(self._starts_at_ms(order, turn), task.idle_since_ms)
            is_late = now_ms >= waited_from_ms + head_start_ms and self.was_watching(waited_from_ms)
            if turn.came or turn.absent or not is_late:
                continue
            turn.absent = True
            if order.was_heard:
                self._core.experience.note_absence(turn.miner, now_ms, now_ms)
            else:
                order.absent[turn.miner] = now_ms
