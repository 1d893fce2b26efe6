"""Work that leaves a machine cool and quiet: a rest after each step, as long as its share of the time.

Is: the arithmetic and the sleep. Is not: a limit that a system enforces.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REST_SECONDS_MAX: Final = 10.0
"""Longest rest, however slow a step was; a coordinator's patience ends some time."""
PERCENT: Final = 100


class Pace:
    """One worker's."""

    def __init__(
        self,
        work_percent: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """:param work_percent: of the time, 1 to 100."""
        assert 1 <= work_percent <= PERCENT
        self._rest_ratio = PERCENT / work_percent - 1
        self._clock, self._sleep = clock, sleep
        self._step, self._since_s = 0, clock()

    def begin(self) -> None:
        """A batch begins."""
        self._step, self._since_s = 0, self._clock()

    def rest_after(self, step: int) -> None:
        """A job of the batch has done a step; the first to tell it rests for all."""
        if step == self._step or not self._rest_ratio:
            return
        self._step = step
        self._sleep(min((self._clock() - self._since_s) * self._rest_ratio, REST_SECONDS_MAX))
        self._since_s = self._clock()
