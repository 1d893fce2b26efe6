"""The pool: jobs in, events out, and workers that are kept alive behind it.

Is: trio's side of inference. Each worker is owned by one task in the pool's nursery, which has it started,
feeds it one batch of jobs at a time and replaces it when it dies or hangs. Is not: where workers run (see
`workers`), nor torch; importing this module loads neither torch nor diffusers.

Why a process and not a thread: a UNet step cannot be interrupted, a crash in native code must not take
the peer along, and half a gigabyte of libraries should not be in the process that holds keys.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
import trio

from node.inference.jobs.audit_job import Audited, AuditJob, check_audit
from node.inference.jobs.frames import Batch, Broken, Cancel, Ready, Unplaced
from node.inference.jobs.job import (
    BATCH_MAX,
    OUT_OF_MEMORY,
    Failed,
    Finished,
    ImageJob,
    Preview,
    Progress,
    WorkerError,
    check_job,
)
from node.inference.pool.process import LocalWorkers
from node.inference.pool.tickets import (
    LAST_EVENTS,
    RUNS_MAX,
    Counts,
    JobEvents,
    PoolStatistics,
    Ticket,
    ticket_for,
)
from node.inference.pool.waiting import Waiting
from p2p.wakeups import Signal
from protocol.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from node.inference.jobs.audit_job import AnyEvent, Job
    from node.inference.jobs.frames import Frame
    from node.inference.packages.package import ModelPackage
    from node.inference.pool.workers import Worker, Workers

WORKERS_MAX: Final = 64
START_SECONDS_MAX: Final = 600.0
"""From starting a process to its `Ready`; large models load slowly from cold disks. One that waits for a host
with room says so in between, and has as long from there on."""
CANCEL_SECONDS_MAX: Final = 20.0
"""From a cancellation to the worker's answer, at most one step; then the process is killed."""
SILENCE_SECONDS_MAX: Final = 300.0
"""Longest silence of a worker during a job; more than the slowest step of the largest model."""
LAST_WORDS_SECONDS_MAX: Final = 2.0
"""From the end of a busy process to the end of what it has written."""
BACKOFF_SECONDS_MIN: Final = 0.1
BACKOFF_SECONDS_MAX: Final = 30.0
START_FAILURES_MAX: Final = 3
"""Failed starts of a worker in a row after which nobody should wait for it; the pool goes on trying."""

log = structlog.get_logger()


class WorkerPool:
    """A number of worker processes and the jobs for them. Made by `open_pool`."""

    def __init__(
        self,
        packages: Sequence[ModelPackage],
        backend: Workers,
        workers: int,
        batch_max: int,
        silence_seconds_max: float,
    ) -> None:
        """Not for callers; see `open_pool`."""
        self.packages = {package.model_id: package for package in packages}
        self._backend = backend
        self._workers = workers
        self._silence_seconds_max = silence_seconds_max
        self._waiting = Waiting(batch_max)
        self._counts = Counts()
        self._changed = Signal()
        self._awake = trio.Event()
        self._awake.set()
        self._tired = trio.Event()
        self._start_failures = [0] * workers
        self._unplaced: set[int] = set()
        self._reason = ""

    async def ready(self, workers: int = 1) -> int:
        """Wait until so many workers have their models loaded, or as many as are to be expected.

        Those are not that wait for a host with room, or whose starts have failed `START_FAILURES_MAX` times.

        :returns: how many are ready, at least one.
        :raises WorkerError: not one is ready, and none is to be expected.
        """
        while (ready := self._counts.workers_ready) < min(workers, self._workers - self._missing()):
            await self._changed.wait()
        self._raise_if_broken()
        return ready

    def _missing(self) -> int:
        """How many workers nobody should wait for."""
        failing = {slot for slot, count in enumerate(self._start_failures) if count >= START_FAILURES_MAX}
        return len(failing | self._unplaced)

    def _raise_if_broken(self) -> None:
        if self._missing() == self._workers:
            raise WorkerError(self._reason)

    def rest(self) -> None:
        """If there is nothing to do, let the workers end, so that their memory is others' for a while."""
        idle = not self._counts.jobs_running and not len(self._waiting)
        if idle and self._awake.is_set():
            self._awake = trio.Event()
            self._tired.set()

    def wake(self) -> None:
        """Start the workers again. A job does so, too."""
        if not self._awake.is_set():
            self._awake.set()
            self._tired = trio.Event()

    def statistics(self) -> PoolStatistics:
        """Return the present state and the counts so far."""
        self._counts.audits_waiting = self._waiting.audits
        self._counts.jobs_waiting = len(self._waiting) - self._counts.audits_waiting
        self._counts.workers_unplaced = len(self._unplaced)
        return self._counts.snapshot()

    @asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[JobEvents]:
        """Run a job; ``async with pool.run(job) as events: async for event in events: ...``.

        An audit waits until no image does.

        Leaving the block early, by whatever way, cancels the job: it leaves the queue, or the worker drops
        it at its next step and stays alive. A reader that is slow loses progress and previews, never the end.

        :raises JobRefused: the job is not allowed, or too many wait already; nothing was started.
        :raises WorkerError: no worker can be started, or, while iterating, the worker was lost.
        """
        if isinstance(job, AuditJob):
            check_audit(job, self.packages)
        else:
            check_job(job, self.packages)
        self._raise_if_broken()
        self.wake()
        ticket = ticket_for(job)
        self._waiting.add(ticket)
        try:
            yield JobEvents(ticket)
        finally:
            ticket.abandoned.set()
            ticket.receive.close()
            if self._waiting.remove(ticket):
                ticket.end()

    async def keep_worker(self, slot: int) -> None:
        """Start one worker after another, for ever, with longer and longer pauses between failures."""
        pause = BACKOFF_SECONDS_MIN
        while True:
            await self._awake.wait()
            finished_before = self._counts.jobs_finished
            reason = await self._one_worker(slot)
            if not reason:
                continue
            self._reason = reason
            log.warning("worker lost", slot=slot, reason=reason)
            self._counts.workers_lost += 1
            self._changed.notify()
            if self._counts.jobs_finished > finished_before:
                pause = BACKOFF_SECONDS_MIN
            await trio.sleep(pause)
            pause = min(pause * 2, BACKOFF_SECONDS_MAX)

    async def _one_worker(self, slot: int) -> str:
        """Run one worker until it is lost, and return why; or until it is to rest, and return nothing."""
        self._counts.workers_started += 1
        try:
            worker = await self._backend.start(list(self.packages.values()), slot)
        except OSError:
            self._start_failures[slot] += 1
            return "the system gives no process for inference"
        self._counts.process_ids.add(worker.process_id)
        try:
            reason = await self._greet(worker, slot)
            if reason is not None:
                self._start_failures[slot] += 1
                return reason
            self._start_failures[slot] = 0
            self._counts.workers_ready += 1
            self._changed.notify()
            try:
                rests = await self._serve(worker)
            finally:
                self._counts.workers_ready -= 1
            return "" if rests else "the inference process was lost"
        finally:
            await worker.close()
            self._counts.process_ids.discard(worker.process_id)

    async def _greet(self, worker: Worker, slot: int) -> str | None:
        """Wait until the models are loaded; return what went wrong, or None."""
        frame: Frame | None = None
        try:
            while frame is None or isinstance(frame, Unplaced):
                with trio.fail_after(START_SECONDS_MAX):
                    frame = await worker.receive()
                if isinstance(frame, Unplaced):
                    self._note_unplaced(slot, frame.reason)
        except (DecodeError, trio.BrokenResourceError, trio.TooSlowError):
            return "the inference process ended while it was starting"
        finally:
            self._unplaced.discard(slot)
        if isinstance(frame, Broken):
            return frame.reason
        if not isinstance(frame, Ready):
            return "the inference process made no sense"
        self._counts.load_ms = frame.load_ms
        return None

    def _note_unplaced(self, slot: int, reason: str) -> None:
        if slot not in self._unplaced:
            log.warning("no host for a worker", slot=slot, reason=reason)
        self._unplaced.add(slot)
        self._reason = reason
        self._changed.notify()

    async def _serve(self, worker: Worker) -> bool:
        """Feed the process one batch after another until it is lost or to rest; return whether it rests."""
        batch_over = trio.Event()
        batch_over.set()
        rests = False
        async with trio.open_nursery() as nursery:

            async def stop_when_ended() -> None:
                # An idle process that dies is replaced now, not when the next job finds it dead. What a busy
                # one said last is read first: it may be why it died.
                await worker.wait()
                with trio.move_on_after(LAST_WORDS_SECONDS_MAX):
                    await batch_over.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop_when_ended)
            fit = True
            while fit and (tickets := await self._take_unless_tired()):
                batch_over = trio.Event()
                fit = await self._one_batch(worker, tickets)
                batch_over.set()
            rests = fit
            nursery.cancel_scope.cancel()
        return rests

    async def _take_unless_tired(self) -> list[Ticket]:
        """The next batch; none when it is time to rest."""
        tickets: list[Ticket] = []
        async with trio.open_nursery() as nursery:

            async def stop_when_tired(tired: trio.Event) -> None:
                await tired.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop_when_tired, self._tired)
            tickets = await self._waiting.take()
            nursery.cancel_scope.cancel()
        return tickets

    async def _one_batch(self, worker: Worker, tickets: list[Ticket]) -> bool:
        """See jobs through; return whether the process is fit for more."""
        for ticket in tickets:
            # Whatever ends this without a last event was the worker's end.
            ticket.error = "the inference process was lost during the job"
            ticket.runs += 1
        self._counts.jobs_running += len(tickets)
        self._counts.batches += 1
        try:
            # Before the watch for cancellations starts: the worker forgets old ones at each new batch.
            await worker.send(_frame_of(tickets))
            async with trio.open_nursery() as nursery:
                for ticket in tickets:
                    nursery.start_soon(_cancel_when_abandoned, worker, ticket)
                fit = await self._relay(worker, {ticket.job.job_id: ticket for ticket in tickets})
                nursery.cancel_scope.cancel()
        except (trio.BrokenResourceError, trio.TooSlowError):
            return False
        finally:
            self._settle([ticket for ticket in tickets if not ticket.ended.is_set()])
        return fit

    def _settle(self, tickets: list[Ticket]) -> None:
        """Put tickets that have lost their worker back where another can take them, or end them."""
        self._counts.jobs_running -= len(tickets)
        again = [ticket for ticket in tickets if self._may_run_again(ticket)]
        self._counts.jobs_run_again += len(again)
        self._waiting.put_back(again)
        for ticket in tickets:
            if ticket not in again:
                ticket.end()

    def _may_run_again(self, ticket: Ticket) -> bool:
        """Whether a job that loses its worker is another worker's.

        A job gives the same image wherever it runs, so that running it again is safe. Without another worker
        the caller had better go elsewhere than wait for a new one.
        """
        others = self._counts.workers_ready > 1
        return others and ticket.runs < RUNS_MAX and not ticket.abandoned.is_set()

    async def _relay(self, worker: Worker, tickets: dict[str, Ticket]) -> bool:
        """Pass the jobs' events on until each had its last one; return whether the worker can go on."""
        batch, fit = len(tickets), True
        while tickets:
            event = await self._next_event(worker, tickets)
            if event is None:
                return False
            ticket = tickets[event.job_id]
            if isinstance(event, LAST_EVENTS):
                del tickets[event.job_id]
            if _tells_memory_is_out(event):
                # A worker that says so ends itself; the next jobs must not go down with it.
                fit = False
                self._waiting.batch_max = max(1, batch // 2)
                ticket.error = OUT_OF_MEMORY
                if batch > 1 and self._may_run_again(ticket):
                    continue
            if not ticket.offer(event):
                self._counts.events_dropped += 1
            if isinstance(event, LAST_EVENTS):
                self._count(event, ticket)
        return fit

    async def _next_event(self, worker: Worker, tickets: dict[str, Ticket]) -> AnyEvent | None:
        """An event of one of these jobs; None when the worker is lost."""
        try:
            with trio.fail_after(self._silence_seconds_max):
                event = await worker.receive()
        except (DecodeError, trio.BrokenResourceError):
            return None
        except trio.TooSlowError:
            for ticket in tickets.values():
                ticket.error = "the inference process hung"
            return None
        if isinstance(event, (Progress, Preview, *LAST_EVENTS)) and event.job_id in tickets:
            return event
        if isinstance(event, Broken):
            for ticket in tickets.values():
                ticket.error = event.reason
        return None

    def _count(self, event: Finished | Failed | Audited, ticket: Ticket) -> None:
        self._counts.jobs_running -= 1
        if isinstance(event, Finished):
            self._counts.jobs_finished += 1
        elif isinstance(event, Audited):
            self._counts.audits_finished += 1
        elif ticket.abandoned.is_set():
            self._counts.jobs_cancelled += 1
        else:
            self._counts.jobs_failed += 1


def _frame_of(tickets: Sequence[Ticket]) -> Batch | AuditJob:
    """The work of a batch, or of an audit, which comes alone."""
    jobs = [ticket.job for ticket in tickets]
    if isinstance(jobs[0], AuditJob):
        return jobs[0]
    return Batch(tuple(job for job in jobs if isinstance(job, ImageJob)))


def _tells_memory_is_out(event: AnyEvent) -> bool:
    return isinstance(event, Failed) and event.reason == OUT_OF_MEMORY


async def _cancel_when_abandoned(worker: Worker, ticket: Ticket) -> None:
    """Once a job's reader has left, ask the worker to stop it; kill the worker if it does not."""
    await ticket.abandoned.wait()
    if ticket.ended.is_set():
        return
    try:
        await worker.send(Cancel(ticket.job.job_id))
        with trio.move_on_after(CANCEL_SECONDS_MAX):
            await ticket.ended.wait()
            return
    except (trio.BrokenResourceError, trio.TooSlowError):
        pass
    worker.kill()


@asynccontextmanager
async def open_pool(
    packages: Sequence[ModelPackage],
    backend: Workers | None = None,
    workers: int = 1,
    batch_max: int = BATCH_MAX,
    silence_seconds_max: float = SILENCE_SECONDS_MAX,
) -> AsyncIterator[WorkerPool]:
    """Keep `workers` with these packages loaded for the length of the block.

    :param packages: at least one; every worker loads what fits of them, and the others when needed.
    :param backend: who starts the workers; default: `LocalWorkers`.
    :param workers: up to `WORKERS_MAX`; each runs one batch of jobs at a time.
    :param batch_max: most jobs of a batch, up to `BATCH_MAX`.
    :param silence_seconds_max: a worker that says nothing for so long during a job is replaced.
    :raises ValueError: a number out of its bounds, or no package.
    """
    in_bounds = 1 <= workers <= WORKERS_MAX and 1 <= batch_max <= BATCH_MAX
    if not packages or not in_bounds or silence_seconds_max <= 0:
        raise ValueError("no package, or workers, batch_max or silence_seconds_max out of bounds")
    pool = WorkerPool(packages, backend or LocalWorkers(), workers, batch_max, silence_seconds_max)
    async with trio.open_nursery() as nursery:
        for slot in range(workers):
            nursery.start_soon(pool.keep_worker, slot)
        yield pool
        nursery.cancel_scope.cancel()
