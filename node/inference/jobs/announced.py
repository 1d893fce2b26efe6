"""From a task as it was announced to the job that computes it: for the miner, and for whoever checks it.

Is: the one translation, so that both compute the same. Is not: how the input got here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.inference.jobs.job import ImageJob, JobRefused
from protocol.task_input import require_input, require_source
from protocol.work import ImageNumbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.messages import TaskAnnouncement, TaskInput
    from protocol.statement import Statement

PROMPTS: Final = 2
"""Texts of an image's input: what is asked for, and what to avoid."""


def announced_job(
    task: Statement[TaskAnnouncement], task_input: TaskInput, sources: Sequence[bytes], trace_path: str = ""
) -> ImageJob:
    """The job of a task, made of nothing but its announcement, and of what that has hashes of.

    :param trace_path: where its trace is to be written; empty for nowhere.
    :raises JobRefused: no job can be made of its input.
    :raises InvalidMessage: input or source is not the announced one.
    """
    message = task.message
    numbers, sealed = require_input(message, task_input), task_input.sealed
    for source, data in zip(task_input.public.sources, sources, strict=True):
        require_source(message, source, data)
    if not isinstance(numbers, ImageNumbers) or not 1 <= len(sealed.prompts) <= PROMPTS:
        raise JobRefused("the input is not that of an image")
    prompt, negative_prompt = (*sealed.prompts, "")[:PROMPTS]
    width, height = message.work.image_size()
    return ImageJob(
        job_id=task.digest.hex(),
        model_id=message.model_id,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=numbers.seed,
        steps=message.work.units,
        guidance_milli=numbers.guidance_milli,
        width=width,
        height=height,
        preview_every_steps=sealed.preview_every_units,
        schedule_steps=numbers.schedule_steps,
        source_png=b"".join(sources),
        trace_path=trace_path,
    )
