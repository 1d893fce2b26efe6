"""A miner's throttle: reads the machine's load, applies the work policy, and lets the workers rest or wake.

Is: the monitor, the decision (`node/miner/work_policy.py`) and the pool, put together. Is not: the miner,
which asks for the pause reason before it takes a task.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio

from node.miner.work_policy import PauseDecision, PauseReason, WorkPolicy
from node.system.clock import steady_ms

if TYPE_CHECKING:
    from node.inference.pool.pool import WorkerPool
    from node.miner.load_monitor import LoadMonitor

UPDATE_SECONDS: Final = 5.0

log = structlog.get_logger()


class Throttle:
    """One miner's. :ivar temperatures: by sensor, as of the last reading."""

    def __init__(self, policy: WorkPolicy, monitor: LoadMonitor) -> None:
        """Nothing is known before the first reading."""
        self.temperatures: dict[str, str] = {}
        self._decision = PauseDecision(policy)
        self._monitor = monitor

    @property
    def pause_reason(self) -> PauseReason:
        """Why the miner takes no tasks now; empty when it does. What it has accepted, it finishes."""
        return self._decision.reason

    async def update(self, pool: WorkerPool) -> None:
        """Read the load once, and let the workers rest or wake by it."""
        before = self._decision.reason
        working = pool.statistics().jobs_running > 0
        # Reading takes milliseconds, but a driver may hang.
        load = await trio.to_thread.run_sync(partial(self._monitor.read, working=working))
        self.temperatures = await trio.to_thread.run_sync(self._monitor.temperatures)
        reason = self._decision.update(load, steady_ms())
        if reason != before:
            log.info("paused" if reason else "working again", reason=str(reason))
        if self._decision.frees_memory:
            pool.rest()
        else:
            pool.wake()
