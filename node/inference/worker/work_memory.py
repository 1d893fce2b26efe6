"""Whether there is memory for a job's work, besides the model: judged before it begins, by what was measured.

Is: the largest work of each model so far and what it took, and what follows for other work. Is not: how free
memory and peaks are read; those are given.

Of the first job of a model nothing is known; it is the miner's own, in the test before it offers the model.
Without a measure, or on a device that has none, nothing is refused.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from node.inference.jobs.job import ImageJob

NO_ROOM: Final = "too little memory is free for it now"
"""Reason of a job that was refused before it began."""


class Gauge(Protocol):
    """A device's memory."""

    def free_bytes(self) -> int:
        """Bytes that work can still get."""

    def begin(self) -> None:
        """From now on, note the peak."""

    def peak_bytes(self) -> int | None:
        """The most bytes taken since `begin`, more than at that time; None where it cannot be told."""


class WorkMemory:
    """One worker's experience."""

    def __init__(self, gauge: Gauge) -> None:
        """It has none yet."""
        self._gauge = gauge
        self._largest: dict[bytes, tuple[int, int]] = {}

    def fitting(self, jobs: Sequence[ImageJob]) -> int:
        """How many of these jobs, the first ones, can be computed together now."""
        count = len(jobs)
        free_bytes = self._gauge.free_bytes() if count else 0
        while count and self.needed_bytes(jobs[:count]) > free_bytes:
            count -= 1
        return count

    def needed_bytes(self, jobs: Sequence[ImageJob]) -> int:
        """Bytes that they will take, as far as is known: those of the largest work so far, or a multiple."""
        units, peak_bytes = self._largest.get(jobs[0].model_id, (1, 0))
        return max(peak_bytes, peak_bytes * _units(jobs) // units) if _units(jobs) > units else peak_bytes

    @contextmanager
    def measured(self, jobs: Sequence[ImageJob]) -> Iterator[None]:
        """Learn from the jobs that are computed inside."""
        self._gauge.begin()
        yield
        peak_bytes = self._gauge.peak_bytes()
        model_id, units = jobs[0].model_id, _units(jobs)
        if peak_bytes is not None and units >= self._largest.get(model_id, (0, 0))[0]:
            before = self._largest.get(model_id, (0, 0))
            known = before[1] if before[0] == units else 0
            self._largest[model_id] = units, max(peak_bytes, known)


def _units(jobs: Sequence[ImageJob]) -> int:
    """The size by which work grows: pixels, twice of a job that asks the model twice."""
    return sum(job.width * job.height * (2 if job.guided else 1) for job in jobs)
