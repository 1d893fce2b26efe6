"""How fast this machine runs its models: the test a miner makes before it offers anything.

Is: one image of each package, at its default size and steps, timed by the worker; and, for `cuckoo-peer miner
bench`, some more, alone and together. Is not: a promise; a busy machine is slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from node.inference.jobs.job import BATCH_MAX, Failed, Finished, ImageJob, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.inference.packages.package import ModelPackage
    from node.inference.pool.pool import WorkerPool

PROMPT: Final = "a red apple on a blue background"
ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """The measurements of one package.

    :ivar image_ms: one image alone, the best of some.
    :ivar batch: how many were computed together.
    :ivar batch_ms: all of those together.
    """

    image_ms: int
    batch: int
    batch_ms: int

    @property
    def gain(self) -> float:
        """Images a second together, as a multiple of those alone."""
        return self.batch * self.image_ms / self.batch_ms


async def try_speed(pool: WorkerPool, package: ModelPackage) -> int:
    """Milliseconds of one default image, at least 1; the model is loaded before the clock starts.

    :raises WorkerError: the image failed: this model must not be offered.
    """
    await _image_ms(pool, sample_job(package, "load", steps=1))
    return await _image_ms(pool, sample_job(package, "image"))


async def measure(
    pool: WorkerPool,
    package: ModelPackage,
    batch: int = BATCH_MAX,
    tell: Callable[[str], None] | None = None,
) -> Speed:
    """A closer look, of several images alone, and of `batch` together.

    :param batch: up to `waiting.JOBS_WAITING_MAX`; beyond `BATCH_MAX`, for a pool with several workers.
    :param tell: is told what begins, for who waits: with a large model each image may take minutes.
    :raises WorkerError: one failed.
    """
    tell = tell or _nobody_waits
    tell(f"{package.name}: image 1 of {ROUNDS}, after one step to load the model")
    image_ms = await try_speed(pool, package)
    for number in range(2, ROUNDS + 1):
        tell(f"{package.name}: image {number} of {ROUNDS}")
        image_ms = min(image_ms, await _image_ms(pool, sample_job(package, "image")))
    best_s = float("inf")
    for turn in range(1, ROUNDS + 1):
        tell(f"{package.name}: {batch} images together, round {turn} of {ROUNDS}")
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(batch):
                nursery.start_soon(_image_ms, pool, sample_job(package, f"batch {number}"))
        best_s = min(best_s, trio.current_time() - started)
    return Speed(image_ms, batch, max(1, round(best_s * 1000)))


def _nobody_waits(line: str) -> None:
    """Say nothing."""


def sample_job(package: ModelPackage, name: str, steps: int = 0) -> ImageJob:
    """An ordinary job. :param steps: 0 for the default."""
    return ImageJob(
        job_id=name,
        model_id=package.model_id,
        prompt=PROMPT,
        negative_prompt="",
        seed=0,
        steps=steps or package.card.default_steps,
        guidance_milli=package.card.default_guidance_milli,
        width=package.width,
        height=package.height,
        preview_every_steps=0,
        schedule_steps=steps or package.card.default_steps,
        source_png=b"",
        trace_path="",
    )


async def _image_ms(pool: WorkerPool, job: ImageJob) -> int:
    async with pool.run(job) as events:
        async for event in events:
            if isinstance(event, Finished):
                return max(1, event.duration_ms)
            if isinstance(event, Failed):
                raise WorkerError(f"a model failed its test: {event.reason}")
    raise WorkerError("a model failed its test")
