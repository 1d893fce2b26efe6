"""A job on its way through the pool, and what the pool counts.

Is: the ticket that the asking task and the serving task share, and the asking side's iterator.
Is not: the serving; see `pool`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import trio

from node.inference.jobs.audit_job import AnyEvent, Audited, AuditJob, Job
from node.inference.jobs.job import Failed, Finished, Preview, Progress, WorkerError

EVENTS_BUFFERED_MAX: Final = 32
"""Events of a job that wait for a slow reader; further progress and previews are dropped, the end never."""
RUNS_MAX: Final = 3
"""Workers that one job may be lost with before it is given up; it may be what kills them."""
LAST_EVENTS: Final = (Finished, Failed, Audited)
"""After one of these a job has no more."""
RUNS_TOGETHER_MAX: Final = 2
"""Runs in which others go with it; the last one is alone, so that it takes nobody along."""


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """A snapshot of the pool. Counts are since it was opened.

    :ivar workers_ready: processes with their models loaded.
    :ivar workers_unplaced: those that wait for a host with room for them.
    :ivar jobs_running: jobs that a process is at work on.
    :ivar jobs_waiting: images that wait for a free process.
    :ivar audits_waiting: audits that do; every image goes before them.
    :ivar jobs_run_again: times that a job was put back because its worker was lost.
    :ivar batches: calls of a process; less than the jobs, when jobs were computed together.
    :ivar events_dropped: progress and previews that a reader was too slow for.
    :ivar load_ms: how long the last process took to load its models.
    :ivar process_ids: the system's numbers of the processes that are running or starting.
    """

    workers_ready: int
    workers_unplaced: int
    jobs_running: int
    jobs_waiting: int
    audits_waiting: int
    jobs_finished: int
    audits_finished: int
    jobs_failed: int
    jobs_cancelled: int
    jobs_run_again: int
    batches: int
    events_dropped: int
    workers_started: int
    workers_lost: int
    load_ms: int
    process_ids: tuple[int, ...]


@dataclass(slots=True)
class Counts:
    """The mutable side of `PoolStatistics`, which says what each field is."""

    workers_ready: int = 0
    workers_unplaced: int = 0
    jobs_running: int = 0
    jobs_waiting: int = 0
    audits_waiting: int = 0
    jobs_finished: int = 0
    audits_finished: int = 0
    jobs_failed: int = 0
    jobs_cancelled: int = 0
    jobs_run_again: int = 0
    batches: int = 0
    events_dropped: int = 0
    workers_started: int = 0
    workers_lost: int = 0
    load_ms: int = 0
    process_ids: set[int] = field(default_factory=set)

    def snapshot(self) -> PoolStatistics:
        """The counts as they are now."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return PoolStatistics(**{**values, "process_ids": tuple(sorted(self.process_ids))})


@dataclass(slots=True, eq=False)
class Ticket:
    """A job on its way through the pool. Made by `ticket_for`.

    :ivar abandoned: set once the reader has left, by whatever way.
    :ivar ended: set once no more events will come.
    :ivar error: why there was no last event; read after the channel has closed.
    :ivar runs: workers that have been given the job.
    """

    job: Job
    send: trio.MemorySendChannel[AnyEvent]
    receive: trio.MemoryReceiveChannel[AnyEvent]
    abandoned: trio.Event = field(default_factory=trio.Event)
    ended: trio.Event = field(default_factory=trio.Event)
    error: str | None = None
    runs: int = 0
    _steps_told: dict[type[Progress | Preview], int] = field(default_factory=dict)

    @property
    def company(self) -> object:
        """The properties that tickets must share to be computed as one; an audit's are its own."""
        if isinstance(self.job, AuditJob) or self.runs >= RUNS_TOGETHER_MAX:
            return self
        return self.job.shape

    @property
    def is_audit(self) -> bool:
        """Whether it goes after all that is paid."""
        return isinstance(self.job, AuditJob)

    def offer(self, event: AnyEvent) -> bool:
        """Let the reader have an event, without waiting for it. :returns: False when it was dropped.

        Of a job that runs again, steps that the reader has heard of are left out: progress goes forward only.
        """
        last = isinstance(event, LAST_EVENTS)
        if isinstance(event, Progress | Preview):
            if event.step <= self._steps_told.get(type(event), 0):
                return True
            self._steps_told[type(event)] = event.step
        if not last and self.send.statistics().current_buffer_used >= EVENTS_BUFFERED_MAX:
            return False
        # Else the reader has left; the cancellation is on its way to the worker.
        with suppress(trio.BrokenResourceError):
            self.send.send_nowait(event)
        if last:
            self.error = None
            self.end()
        return True

    def end(self) -> None:
        """No more events will come."""
        self.send.close()
        self.ended.set()


def ticket_for(job: Job) -> Ticket:
    """A ticket whose channel has room for the last event, whatever else it holds."""
    return Ticket(job, *trio.open_memory_channel[AnyEvent](EVENTS_BUFFERED_MAX + 1))


class JobEvents:
    """The events of one job: progress and previews, then exactly one of `LAST_EVENTS`."""

    def __init__(self, ticket: Ticket) -> None:
        """Not for callers; see `WorkerPool.run`."""
        self._ticket = ticket

    def __aiter__(self) -> JobEvents:
        """Return itself: the events come once."""
        return self

    async def __anext__(self) -> AnyEvent:
        """Return the next event. :raises WorkerError: the process died, hung or was not to be had."""
        try:
            return await self._ticket.receive.receive()
        except trio.EndOfChannel:
            if self._ticket.error is not None:
                raise WorkerError(self._ticket.error) from None
            raise StopAsyncIteration from None
