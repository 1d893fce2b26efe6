"""One model in memory: from jobs to images and the traces of how they came about.

Is: the networks of a diffusers package, loaded by the call that loads any other, and the loop around them,
which is ours: initial latents from the seed, the scheduler's steps from the package's table, both the same on
every machine. Is not: imported outside the worker process, since torch comes with it.

Between two steps a latent is what the trace says it is, sixteen bits a number. So each step of an audit
starts where the miner's own step started, and nothing drifts.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from node.inference.job import CANCELLED, Failed, Finished, ImageJob, JobEvent, Preview, Progress
from node.inference.package import PackageError
from node.inference.preview_budget import PreviewBudget
from node.inference.prng import PRNG_ID, initial_latent
from node.inference.replay import REPLAY_NAME, Step, advance, guide, read_replay
from node.inference.trace_file import TraceWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from node.inference.package import ModelPackage

_CPU: Final = torch.device("cpu")
NOT_FINITE: Final = "the model produced numbers that are not finite"
Before = tuple["NDArray[np.float16]", "NDArray[np.float32]"]


@dataclass(slots=True, eq=False)
class _Row:
    """One job of a batch. :ivar before: latent and guided output of the step before."""

    job: ImageJob
    writer: TraceWriter
    latent: NDArray[np.float16]
    prompt: torch.Tensor
    negative: torch.Tensor | None
    before: Before | None = None


class Model:
    """A loaded package. Not thread-safe: one batch at a time.

    :ivar memory_bytes: of its weights, as they lie in the device's memory.
    """

    def __init__(self, package: ModelPackage, device: torch.device = _CPU) -> None:
        """Load a package whose files have been verified.

        :param device: from `device.open_device`, which sees to its precision.

        :raises PackageError: it needs another seed rule, or its manifest and its table disagree.
        """
        diffusers_logging.set_verbosity_error()
        diffusers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self.package = package
        self.replay = read_replay(package.folder / REPLAY_NAME)
        if {self.replay.prng, package.prng} != {PRNG_ID}:
            raise PackageError("the package needs a seed rule that is not known here")
        if self.replay.scheduler != package.scheduler or self.replay.steps_max < package.steps_max:
            raise PackageError("the package's table of steps is not that of its manifest")
        self._pipeline = StableDiffusionPipeline.from_pretrained(
            package.folder,
            dtype=torch.float32,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
            use_safetensors=True,
            local_files_only=True,
        )
        if type(self._pipeline.scheduler).__name__ != package.scheduler:
            raise PackageError("the package's scheduler is not the one of its manifest")
        self._previews = PreviewBudget(time.monotonic)
        self._pipeline.to(device)
        self.memory_bytes = sum(
            tensor.numel() * tensor.element_size()
            for part in (self._pipeline.unet, self._pipeline.vae, self._pipeline.text_encoder)
            for tensor in (*part.parameters(), *part.buffers())
        )

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
        rows = self._begin(jobs)
        try:
            for number, step in enumerate(self.replay.steps(jobs[0].steps), start=1):
                self._step(rows, step)
                rows = [row for row in rows if self._report(row, number, emit, cancelled)]
                if not rows:
                    return
            images = self.decode(np.stack([row.latent for row in rows]))
            for image in images:
                row = rows[0]
                final = row.writer.finish(latent_bytes(row.latent))
                duration_ms = int((time.monotonic() - started) * 1000)
                emit(Finished(row.job.job_id, image, tuple(row.writer.leaves), final, duration_ms))
                del rows[0]
        except OSError as error:
            reason = f"the trace cannot be written: {error.strerror}"
            for row in rows:
                emit(Failed(row.job.job_id, reason, retry=1))
        finally:
            for row in rows:
                row.writer.discard()

    def _begin(self, jobs: Sequence[ImageJob]) -> list[_Row]:
        prompts, negatives = self.encode(jobs)
        return [
            _Row(
                job=job,
                writer=TraceWriter(Path(job.trace_path) if job.trace_path else None, job.steps),
                latent=self.initial_latent(job),
                prompt=prompts[place],
                negative=None if negatives is None else negatives[place],
            )
            for place, job in enumerate(jobs)
        ]

    def _step(self, rows: Sequence[_Row], step: Step) -> None:
        """One denoising step of all rows; their networks' outputs come from one call."""
        negatives = [row.negative for row in rows if row.negative is not None]
        prompts = torch.stack([row.prompt for row in rows])
        latents = np.stack([row.latent for row in rows])
        outputs = self.predict(latents, step, torch.stack(negatives) if negatives else None, prompts)
        for row, (unconditional, conditional) in zip(rows, outputs, strict=True):
            row.writer.add(
                latent_bytes(row.latent),
                b"" if unconditional is None else latent_bytes(unconditional),
                latent_bytes(conditional),
            )
            output = guide(unconditional, conditional, row.job.guidance_milli)
            row.latent, row.before = advance(step, row.latent, output, row.before), (row.latent, output)

    def _report(
        self, row: _Row, number: int, emit: Callable[[JobEvent], None], cancelled: Callable[[str], bool]
    ) -> bool:
        """Say what there is to say after a step; return whether the row goes on."""
        job = row.job
        if cancelled(job.job_id) or not np.isfinite(row.latent).all():
            stopped = cancelled(job.job_id)
            row.writer.discard()
            emit(Failed(job.job_id, CANCELLED if stopped else NOT_FINITE, retry=int(stopped)))
            return False
        emit(Progress(job.job_id, number, job.steps))
        every = job.preview_every_steps
        if every and number % every == 0 and number < job.steps and self._previews.affordable():
            with self._previews:
                emit(Preview(job.job_id, number, job.steps, self.decode(row.latent[None])[0]))
        return True

    def encode(self, jobs: Sequence[ImageJob]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What the text model makes of the jobs' prompts, and of the negative ones if the jobs are guided."""
        with torch.inference_mode():
            prompts, negatives = self._pipeline.encode_prompt(
                [job.prompt for job in jobs],
                device=self._pipeline.device,
                num_images_per_prompt=1,
                do_classifier_free_guidance=jobs[0].guided,
                negative_prompt=[job.negative_prompt for job in jobs] if jobs[0].guided else None,
            )
        return prompts, negatives if jobs[0].guided else None

    def predict(
        self,
        latents: NDArray[np.float16],
        step: Step,
        negatives: torch.Tensor | None,
        prompts: torch.Tensor,
    ) -> list[tuple[NDArray[np.float16] | None, NDArray[np.float16]]]:
        """The denoiser's raw outputs for each latent, without and with its prompt, in one call of it."""
        device = self._pipeline.device
        given = torch.from_numpy(latents.astype(np.float32)).to(device)
        wanted = prompts
        if negatives is not None:
            given, wanted = torch.cat([given, given]), torch.cat([negatives, prompts])
        timestep = torch.tensor(float(step.timestep), device=device)
        with torch.inference_mode():
            output = self._pipeline.unet(given, timestep, encoder_hidden_states=wanted, return_dict=False)[0]
        with np.errstate(over="ignore"):
            halves: NDArray[np.float16] = output.float().cpu().numpy().astype(np.float16)
        count = len(latents)
        if negatives is None:
            return [(None, half) for half in halves]
        return list(zip(halves[:count], halves[count:], strict=True))

    def initial_latent(self, job: ImageJob) -> NDArray[np.float16]:
        """The latent that the job's seed stands for, without a batch dimension."""
        factor = self._pipeline.vae_scale_factor
        channels = self._pipeline.unet.config.in_channels
        shape = (channels, job.height // factor, job.width // factor)
        return initial_latent(job.seed, shape).astype(np.float16)

    def decode(self, latents: NDArray[np.float16]) -> list[bytes]:
        """What the autoencoder makes of latents, finished or not: a PNG each, without metadata."""
        vae: Any = self._pipeline.vae
        given = torch.from_numpy(latents.astype(np.float32)).to(self._pipeline.device)
        given = given / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
        with torch.inference_mode():
            decoded = vae.decode(given, return_dict=False)[0]
        images = self._pipeline.image_processor.postprocess(decoded, output_type="pil")
        return [_png(image) for image in images]


def latent_bytes(numbers: NDArray[np.float16]) -> bytes:
    """A tensor as the trace has it: little-endian binary16 in C order."""
    return numbers.astype("<f2", copy=False).tobytes()


def _png(image: Any) -> bytes:
    """The image as PNG, without any metadata."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
