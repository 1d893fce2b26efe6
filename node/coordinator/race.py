"""Who of a task's drawn miners works now: the lowest rank that is here, one at a time.

Is: the turn-taking of one task, without I/O. A miner that fails gives the turn to the next; when the task
is over, everybody who waits is told.
Is not: the decision that a miner has failed; its stream's handler leaves the `turn` to say so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from protocol.errors import Refusal


class Race:
    """The turns of one task. All methods but `turn` are synchronous: no check is ever stale."""

    def __init__(self) -> None:
        self._waiting: dict[int, trio.Event] = {}
        self._working: int | None = None
        self._over = False
        self._changed = trio.Event()

    @property
    def working(self) -> int | None:
        """Rank whose turn it is."""
        return self._working

    @asynccontextmanager
    async def turn(self, rank: int) -> AsyncIterator[bool]:
        """Wait for the turn of `rank`; leaving the context gives it back.

        :returns: True when it is this rank's turn; False when the task is over.
        :raises Refusal: this rank waits or works already.
        """
        if rank in self._waiting or rank == self._working:
            raise Refusal("this rank has a stream already")
        called = trio.Event()
        self._waiting[rank] = called
        if self._over:
            called.set()
        self._call_next()
        try:
            await called.wait()
            yield self._working == rank
        finally:
            self._waiting.pop(rank, None)
            if self._working == rank:
                self._working = None
                self._call_next()

    async def wait_for_turn(self) -> None:
        """Wait until somebody works, or the task is over."""
        while self._working is None and not self._over:
            await self._changed.wait()

    def end(self) -> None:
        """The task is over: nobody else gets a turn. May be called again."""
        self._over = True
        self._tell_change()
        for called in self._waiting.values():
            called.set()

    def _call_next(self) -> None:
        if self._working is None and self._waiting and not self._over:
            self._working = min(self._waiting)
            self._waiting.pop(self._working).set()
            self._tell_change()

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
