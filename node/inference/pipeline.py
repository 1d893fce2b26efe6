"""One model in memory: from a job to an image and the trace of how it came about.

Is: diffusers' own `StableDiffusionPipeline`, loaded by the call that loads any other, with a seed rule
of ours in place of torch's. Is not: imported outside the worker process, since torch comes with it.
"""

from __future__ import annotations

import hashlib
import io
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from node.inference.job import CANCELLED, Failed, Finished, ImageJob, JobEvent, Preview, Progress
from node.inference.package import PackageError
from node.inference.prng import PRNG_ID, initial_latent

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from node.inference.package import ModelPackage

NOT_FINITE: Final = "the model produced numbers that are not finite"
_ONE_MILLI: Final = 1000


class _StoppedError(Exception):
    """Leaves the pipeline's loop from inside its callback; never leaves this module."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Model:
    """A loaded package. Not thread-safe: one job at a time."""

    def __init__(self, package: ModelPackage) -> None:
        """Load a package whose files have been verified.

        :raises PackageError: it needs another seed rule, or names another scheduler than it holds.
        """
        if package.prng != PRNG_ID:
            raise PackageError("the package needs a seed rule that is not known here")
        diffusers_logging.set_verbosity_error()
        diffusers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self.package = package
        self._pipeline = StableDiffusionPipeline.from_pretrained(
            package.folder,
            dtype=torch.float32,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
            use_safetensors=True,
            local_files_only=True,
        )
        self._pipeline.set_progress_bar_config(disable=True)
        if type(self._pipeline.scheduler).__name__ != package.scheduler:
            raise PackageError("the package's scheduler is not the one of its manifest")

    def run(self, job: ImageJob, emit: Callable[[JobEvent], None], cancelled: Callable[[], bool]) -> None:
        """Run a job that `check_job` has passed; the last event emitted is `Finished` or `Failed`.

        :param emit: is called with each event, from this thread.
        :param cancelled: is asked after each step; once it says yes the job ends as `Failed`.
        """
        started = time.monotonic()
        leaves: list[bytes] = []

        def after_step(_: object, index: int, __: object, tensors: dict[str, Any]) -> dict[str, Any]:
            if cancelled():
                raise _StoppedError(CANCELLED)
            latent = tensors["latents"]
            leaves.append(latent_hash(latent))
            step = index + 1
            emit(Progress(job.job_id, step, job.steps))
            every = job.preview_every_steps
            if every and step % every == 0 and step < job.steps:
                emit(Preview(job.job_id, step, job.steps, _png(self._decode(latent))))
            return {}

        try:
            initial = self.initial_latent(job)
            leaves.append(latent_hash(initial))
            image = self._pipeline(
                prompt=job.prompt,
                negative_prompt=job.negative_prompt or None,
                width=job.width,
                height=job.height,
                num_inference_steps=job.steps,
                guidance_scale=job.guidance_milli / _ONE_MILLI,
                latents=initial,
                callback_on_step_end=after_step,
                callback_on_step_end_tensor_inputs=["latents"],
            ).images[0]
        except _StoppedError as stopped:
            emit(Failed(job.job_id, stopped.reason, retry=int(stopped.reason == CANCELLED)))
            return
        duration_ms = int((time.monotonic() - started) * 1000)
        emit(Finished(job.job_id, _png(image), tuple(leaves), duration_ms))

    def initial_latent(self, job: ImageJob) -> torch.Tensor:
        """Return the latent that the job's seed stands for, binary32, one image."""
        factor = self._pipeline.vae_scale_factor
        channels = self._pipeline.unet.config.in_channels
        shape = (1, channels, job.height // factor, job.width // factor)
        return torch.from_numpy(np.ascontiguousarray(initial_latent(job.seed, shape)))

    def _decode(self, latent: torch.Tensor) -> Image:
        """Return what the autoencoder makes of an unfinished latent."""
        vae = self._pipeline.vae
        with torch.no_grad():
            decoded = vae.decode(latent / vae.config.scaling_factor).sample
        image: Image = self._pipeline.image_processor.postprocess(decoded, output_type="pil")[0]
        return image


def latent_hash(latent: torch.Tensor) -> bytes:
    """Return the trace leaf of a latent: SHA-256 of it as contiguous little-endian binary16.

    Half precision, so that the trace is as small as what an audit needs to open.
    """
    half = latent.detach().to(torch.float16)
    if not bool(torch.isfinite(half).all()):
        raise _StoppedError(NOT_FINITE)
    return hashlib.sha256(half.contiguous().numpy().astype("<f2").tobytes()).digest()


def _png(image: Image) -> bytes:
    """Return the image as PNG, without any metadata."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
