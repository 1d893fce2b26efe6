"""A miner's manners in practice: it looks around now and then, and its workers rest when others need room.

Is: the decision (`inference/guest`), what it is told (`surroundings`) and the pool, put together. Is not: the
miner, which asks whether it is paused.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio

from node.miner.guest import Guest, Rules
from node.system.clock import now_ms

if TYPE_CHECKING:
    from node.inference.pool.pool import WorkerPool
    from node.miner.surroundings import Watch

LOOK_SECONDS: Final = 5.0

log = structlog.get_logger()


class House:
    """One miner's. :ivar temperatures: by sensor, as of the last look."""

    def __init__(self, rules: Rules, watch: Watch) -> None:
        """Nothing is known before the first look."""
        self.temperatures: dict[str, str] = {}
        self._guest = Guest(rules)
        self._watch = watch

    @property
    def paused(self) -> str:
        """Why the miner takes no tasks now; empty when it does. What it has accepted, it finishes."""
        return self._guest.paused

    async def look(self, pool: WorkerPool) -> None:
        """Look around once."""
        before = self._guest.paused
        working = pool.statistics().jobs_running > 0
        # Reading takes milliseconds, but a driver may hang.
        seen = await trio.to_thread.run_sync(partial(self._watch.look, working=working))
        self.temperatures = await trio.to_thread.run_sync(self._watch.temperatures)
        paused = self._guest.look(seen, now_ms())
        if paused != before:
            log.info("paused" if paused else "working again", reason=paused)
        if self._guest.frees_memory:
            pool.rest()
        else:
            pool.wake()
