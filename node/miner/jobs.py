"""A task's job in the pool of workers, and what becomes of it, in the engine's words.

Is: the translation between a task and the inference process, and the check of what came out.
Is not: when a job runs, or whether what comes out is wanted (`engine`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import structlog
import trio

from node.inference.audit.own import SpoiltWork, TraceEnds, require_own_work
from node.inference.jobs.announced import announced_job
from node.inference.jobs.job import Failed, ImageJob, JobRefused, Preview, Progress, WorkerError, check_job
from node.inference.jobs.job import Finished as JobFinished
from node.inference.pool.pool import WorkerPool
from node.miner.actions import Finished, StartJob
from node.miner.ports import Decline
from protocol.errors import ProtocolError
from protocol.hashing import sha256
from protocol.messages import DeclineKind
from protocol.statement import Envelope
from protocol.trace import TraceBinding, steps_root

ATTEMPTS: Final = 2
"""Times that work is done before it is given up as spoilt."""
SPOILT: Final = "the work was spoilt on this machine"

log = structlog.get_logger()


class Made(NamedTuple):
    """A job has made so many units. :ivar png: the unfinished image, if it shows it."""

    units: int
    png: bytes = b""


JobOutcome: TypeAlias = Finished | Decline


def image_job(start: StartJob, trace_path: Path) -> ImageJob:
    """The job of a task; errors as those of `announced_job`."""
    return announced_job(start.task, start.task_input, start.sources, str(trace_path))


async def run_job(
    workers: WorkerPool,
    start: StartJob,
    miner: bytes,
    trace_path: Path,
    tell: Callable[[Made], None],
) -> JobOutcome:
    """Run a task's job to its end, and hold what came out against itself.

    Work that does not agree with itself was spoilt on the way, by a bit of memory perhaps. It is made once
    more, and given up if that comes out no better.

    :param miner: address, which the trace is bound to.
    :param tell: hears what is made meanwhile, nothing of it twice.
    """
    reason, told = "", (0, False)

    def tell_new(made: Made) -> None:
        nonlocal told
        # A preview comes after the step that it shows.
        place = (made.units, bool(made.png))
        if place > told:
            told = place
            tell(made)

    for _ in range(ATTEMPTS):
        try:
            job = image_job(start, trace_path)
            check_job(job, workers.packages)
            outcome = await _run_once(workers, job, tell_new)
            if isinstance(outcome, Decline):
                return outcome
            return await trio.to_thread.run_sync(_own, workers, start, miner, trace_path, outcome)
        except JobRefused as refused:
            return Decline(DeclineKind.NOBODY, refused.reason)
        except (SpoiltWork, ProtocolError) as error:
            reason = str(error)
            log.warning("work spoilt", task=start.task.digest.hex(), reason=reason)
    return Decline(DeclineKind.NOT_HERE, f"{SPOILT}: {reason}")


async def _run_once(
    workers: WorkerPool, job: ImageJob, tell: Callable[[Made], None]
) -> JobFinished | Decline:
    try:
        async with workers.run(job) as events:
            async for event in events:
                match event:
                    case Progress(step=step):
                        tell(Made(step))
                    case Preview(step=step, png=png):
                        tell(Made(step, png))
                    case JobFinished():
                        return event
                    case Failed(reason=reason):
                        kind = DeclineKind.NOT_HERE if event.retryable else DeclineKind.NOBODY
                        return Decline(kind, reason)
    except JobRefused as refused:
        return Decline(DeclineKind.NOT_HERE, refused.reason)
    except WorkerError as error:
        return Decline(DeclineKind.NOT_HERE, str(error))
    return Decline(DeclineKind.NOT_HERE, "the inference process ended without a word")


def _own(workers: WorkerPool, start: StartJob, miner: bytes, trace_path: Path, made: JobFinished) -> Finished:
    """The outcome, held against the announcement as it was signed, and the input that it has the hash of.

    :raises SpoiltWork, ProtocolError: something of it is not what it was.
    """
    message = start.task.message
    if Envelope.decode(start.task.encoded).body != message.encode():
        raise SpoiltWork("the announcement is not the signed one any more")
    ends = TraceEnds(steps_root(made.leaves), made.final_latent, made.source_latent)
    binding = TraceBinding(start.task.digest, miner, message.model_id, message.work.units, sha256(made.png))
    finished = Finished(made.png, message.work.units, binding.root(*ends))
    # In this order: from here on the checksum of what is looked at keeps it.
    found = require_own_work(
        workers.packages[message.model_id], image_job(start, trace_path), finished.output, trace_path
    )
    if found != ends or not finished.intact:
        raise SpoiltWork("the trace is not the one that the inference process has told of")
    return finished
