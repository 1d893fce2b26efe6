"""A task's job in the pool of workers, and what becomes of it, in the engine's words.

Is: the translation between a task and the inference process.
Is not: when a job runs, or whether what comes out is wanted (`engine`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from node.inference.jobs.job import Failed, ImageJob, JobRefused, Preview, Progress, WorkerError, check_job
from node.inference.jobs.job import Finished as JobFinished
from node.inference.pool.pool import WorkerPool
from node.miner.actions import Finished, StartJob
from node.miner.ports import Decline
from protocol.hashing import sha256
from protocol.messages import DeclineKind
from protocol.trace import TraceBinding, steps_root
from protocol.work import ImageNumbers

PROMPTS: Final = 2
"""Texts of an image's input: what is asked for, and what to avoid."""


class Made(NamedTuple):
    """A job has made so many units. :ivar png: the unfinished image, if it shows it."""

    units: int
    png: bytes = b""


JobOutcome: TypeAlias = Finished | Decline


def image_job(start: StartJob, trace_path: Path) -> ImageJob:
    """The job of a task.

    :raises JobRefused: no job can be made of its input.
    """
    if not isinstance(start.numbers, ImageNumbers) or not 1 <= len(start.prompts) <= PROMPTS:
        raise JobRefused("the input is not that of an image")
    task, numbers = start.task, start.numbers
    prompt, negative_prompt = (*start.prompts, "")[:PROMPTS]
    width, height = task.message.work.image_size()
    return ImageJob(
        job_id=task.digest.hex(),
        model_id=task.message.model_id,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=numbers.seed,
        steps=task.message.work.units,
        guidance_milli=numbers.guidance_milli,
        width=width,
        height=height,
        preview_every_steps=start.preview_every_units,
        schedule_steps=numbers.schedule_steps,
        source_png=b"".join(start.sources),
        trace_path=str(trace_path),
    )


async def run_job(
    workers: WorkerPool,
    start: StartJob,
    miner: bytes,
    trace_path: Path,
    tell: Callable[[Made], None],
) -> JobOutcome:
    """Run a task's job to its end.

    :param miner: address, which the trace is bound to.
    :param tell: hears what is made meanwhile.
    """
    try:
        job = image_job(start, trace_path)
        check_job(job, workers.packages)
    except JobRefused as refused:
        return Decline(DeclineKind.NOBODY, refused.reason)
    try:
        async with workers.run(job) as events:
            async for event in events:
                match event:
                    case Progress(step=step):
                        tell(Made(step))
                    case Preview(step=step, png=png):
                        tell(Made(step, png))
                    case JobFinished():
                        return _finished(start, miner, event)
                    case Failed(reason=reason):
                        kind = DeclineKind.NOT_HERE if event.retryable else DeclineKind.NOBODY
                        return Decline(kind, reason)
    except JobRefused as refused:
        return Decline(DeclineKind.NOT_HERE, refused.reason)
    except WorkerError as error:
        return Decline(DeclineKind.NOT_HERE, str(error))
    return Decline(DeclineKind.NOT_HERE, "the inference process ended without a word")


def _finished(start: StartJob, miner: bytes, event: JobFinished) -> Finished:
    message = start.task.message
    binding = TraceBinding(start.task.digest, miner, message.model_id, message.work.units, sha256(event.png))
    trace_root = binding.root(steps_root(event.leaves), event.final_latent, event.source_latent)
    return Finished(event.png, message.work.units, trace_root)
