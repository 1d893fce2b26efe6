"""One model in memory: from jobs to images and the traces of how they came about.

Is: the loop around the networks of a package (`networks`), which is ours: initial latents from the seed, or
from an image and the seed, the scheduler's steps from the package's table; both the same on every machine.
Is not: imported outside the worker process, since torch comes with it.

Between two steps a latent is what the trace says it is, sixteen bits a number. So each step of an audit
starts where the miner's own step started, and nothing drifts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from node.inference.audit.judgement import run_audit
from node.inference.diffusion.networks import CPU, Networks, latent_bytes
from node.inference.diffusion.preview_budget import PreviewBudget
from node.inference.diffusion.replay import Step, advance, guide, noised
from node.inference.diffusion.source_image import UnreadableImage
from node.inference.jobs.job import CANCELLED, Failed, Finished, ImageJob, JobEvent, Preview, Progress
from node.inference.traces.trace_file import TraceWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from node.inference.jobs.audit_job import Audited, AuditJob
    from node.inference.packages.package import ModelPackage

NOT_FINITE: Final = "the model produced numbers that are not finite"
SPOILT: Final = "this machine's memory spoilt the work"
Before = tuple["NDArray[np.float16]", "NDArray[np.float32]"]


@dataclass(slots=True, eq=False)
class _Row:
    """One job of a batch.

    :ivar before: latent and guided output of the step before.
    :ivar spoilt: what was hashed is not what is worked with.
    """

    job: ImageJob
    writer: TraceWriter
    latent: NDArray[np.float16]
    prompt: torch.Tensor
    negative: torch.Tensor | None
    before: Before | None = None
    spoilt: bool = False


class Model:
    """A loaded package. Not thread-safe: one batch at a time.

    :ivar networks: what it is made of.
    :ivar memory_bytes: of its weights, as they lie in the device's memory.
    """

    def __init__(self, package: ModelPackage, device: torch.device = CPU) -> None:
        """Load a package whose files have been verified. :raises CuckooError: as `Networks`."""
        self.networks = Networks(package, device)
        self._device = device
        self.memory_bytes = self.networks.memory_bytes
        self._previews = PreviewBudget(time.monotonic)

    def run(
        self, jobs: Sequence[ImageJob], emit: Callable[[JobEvent], None], cancelled: Callable[[str], bool]
    ) -> None:
        """Run jobs of one shape (`ImageJob.shape`) that `check_job` has passed, as one batch.

        The last event of each is `Finished` or `Failed`; none waits for another's.

        :param emit: is called with each event, from this thread.
        :param cancelled: is asked after each step for each job; once it says yes, that job ends as `Failed`.
        """
        started = time.monotonic()
        self._previews = PreviewBudget(time.monotonic)
        steps = self.networks.replay.steps(jobs[0].schedule_steps, jobs[0].steps)
        rows = self._begin(jobs, steps[0], emit)
        try:
            for number, step in enumerate(steps, start=1):
                if not rows:
                    return
                self._step(rows, step)
                rows = [row for row in rows if self._report(row, number, emit, cancelled)]
            images = self.networks.decode(np.stack([row.latent for row in rows])) if rows else []
            for image in images:
                row = rows[0]
                final = row.writer.finish(latent_bytes(row.latent))
                duration_ms = int((time.monotonic() - started) * 1000)
                leaves, source = tuple(row.writer.leaves), row.writer.source_latent
                emit(Finished(row.job.job_id, image, leaves, final, source, duration_ms))
                del rows[0]
        except OSError as error:
            reason = f"the trace cannot be written: {error.strerror}"
            for row in rows:
                emit(Failed(row.job.job_id, reason, retry=1))
        finally:
            for row in rows:
                row.writer.discard()

    def audit(self, job: AuditJob, rows_max: int) -> Audited:
        """Do an audit that `check_audit` has passed.

        A package of half precision is loaded in single precision for it and let go again: audits are few, and
        the memory is paid work's.

        :param rows_max: most steps in one call of the denoiser, from 1.
        :raises CuckooError: as `run_audit`, or as `Networks`.
        """
        networks = self.networks
        if networks.precision != "fp32":
            networks = Networks(networks.package, self._device, precision="fp32")
        return run_audit(networks, job, rows_max)

    def _begin(self, jobs: Sequence[ImageJob], first: Step, emit: Callable[[JobEvent], None]) -> list[_Row]:
        """The jobs before their first step; one whose source image cannot be read has failed."""
        sources = {}
        for job in jobs:
            if job.source_png:
                # One by one: a broken image is nobody else's fault, and encoding is a small part of the work.
                try:
                    sources[job.job_id] = self.networks.encode_sources([job])[0]
                except UnreadableImage as error:
                    emit(Failed(job.job_id, error.reason, retry=0))
        jobs = [job for job in jobs if not job.source_png or job.job_id in sources]
        if not jobs:
            return []
        prompts, negatives = self.networks.encode_prompts(jobs)
        rows = []
        for place, job in enumerate(jobs):
            source, noise = sources.get(job.job_id), self.networks.noise(job)
            path = Path(job.trace_path) if job.trace_path else None
            (hashed,) = _bytes_of(source)
            rows.append(
                _Row(
                    job=job,
                    writer=TraceWriter(path, job.steps, hashed),
                    latent=noise.astype(np.float16) if source is None else noised(first, source, noise),
                    prompt=prompts[place],
                    negative=None if negatives is None else negatives[place],
                    spoilt=[hashed] != _bytes_of(source),
                )
            )
        return rows

    def _step(self, rows: Sequence[_Row], step: Step) -> None:
        """One denoising step of all rows; their networks' outputs come from one call."""
        negatives = [row.negative for row in rows if row.negative is not None]
        prompts = torch.stack([row.prompt for row in rows])
        latents = np.stack([row.latent for row in rows])
        outputs = self.networks.predict(latents, step, torch.stack(negatives) if negatives else None, prompts)
        for row, (unconditional, conditional) in zip(rows, outputs, strict=True):
            hashed = _bytes_of(row.latent, unconditional, conditional)
            row.writer.add(*hashed)
            # A bit of a copy that flips before it is hashed would be committed to. Rounding may hide it from
            # the look that the miner takes at its work, and does not hide it from an auditor.
            row.spoilt |= hashed != _bytes_of(row.latent, unconditional, conditional)
            output = guide(unconditional, conditional, row.job.guidance_milli)
            row.latent, row.before = advance(step, row.latent, output, row.before), (row.latent, output)

    def _report(
        self, row: _Row, number: int, emit: Callable[[JobEvent], None], cancelled: Callable[[str], bool]
    ) -> bool:
        """Say what there is to say after a step; return whether the row goes on."""
        job = row.job
        stopped = cancelled(job.job_id)
        if stopped or row.spoilt or not np.isfinite(row.latent).all():
            row.writer.discard()
            reason = CANCELLED if stopped else SPOILT if row.spoilt else NOT_FINITE
            emit(Failed(job.job_id, reason, retry=int(stopped or row.spoilt)))
            return False
        emit(Progress(job.job_id, number, job.steps))
        every = job.preview_every_steps
        if every and number % every == 0 and number < job.steps and self._previews.affordable():
            with self._previews:
                emit(Preview(job.job_id, number, job.steps, self.networks.decode(row.latent[None])[0]))
        return True


def _bytes_of(*tensors: NDArray[np.float16] | None) -> list[bytes]:
    """Each tensor as the trace has it; none of no tensor."""
    return [b"" if tensor is None else latent_bytes(tensor) for tensor in tensors]
