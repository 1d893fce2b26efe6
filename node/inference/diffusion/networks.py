"""The networks of a diffusers package in a device's memory: text model, denoiser, autoencoder.

Is: loading by the call that loads any diffusers model, and a call of each network: numbers in, numbers out,
as the trace has them. Miners and auditors use the same. Is not: what happens between two calls
(`pipeline`), nor imported outside the worker process, since torch comes with it.

Text model and denoiser run in the package's precision, the autoencoder in single precision always: it runs
once or twice a job, common ones overflow in half precision, and its tolerances are the same for all
classes.
"""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from node.inference.diffusion.device import require_half_precision
from node.inference.diffusion.prng import PRNG_ID, initial_latent
from node.inference.diffusion.replay import REPLAY_NAME, Step, read_replay, table_bytes
from node.inference.diffusion.source_image import read_source
from node.inference.packages.diffusers_folder import PRECISION_OF_CLASS
from node.inference.packages.errors import PackageError
from node.inference.packages.table import PackagedTable, head_of
from protocol.model_table import rows_root

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from node.inference.jobs.job import ImageJob
    from node.inference.packages.package import ModelPackage

CPU: Final = torch.device("cpu")
_DTYPES: Final = {"fp32": torch.float32, "fp16": torch.float16}


class Networks:
    """A loaded package. Not thread-safe.

    :ivar package: what was loaded.
    :ivar replay: its table of steps.
    :ivar precision: of text model and denoiser, ``fp32`` or ``fp16``.
    :ivar memory_bytes: of its weights, as they lie in the device's memory.
    """

    def __init__(self, package: ModelPackage, device: torch.device = CPU, precision: str = "") -> None:
        """Load a package whose files have been verified.

        :param device: from `device.open_device`, which sees to its precision.
        :param precision: of text model and denoiser, if not the package's own; auditors take ``fp32``.
        :raises PackageError: it needs another seed rule, or its card and its table disagree.
        :raises DeviceError: the device does not compute in the precision that is needed.
        """
        diffusers_logging.set_verbosity_error()
        diffusers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self.package = package
        self.replay = read_replay(package.folder / REPLAY_NAME)
        if {self.replay.prng, package.card.prng} != {PRNG_ID}:
            raise PackageError("the package needs a seed rule that is not known here")
        if self.replay.scheduler != package.card.scheduler or self.replay.steps_max < package.card.steps_max:
            raise PackageError("the package's table of steps is not that of its card")
        if self.replay.precision != PRECISION_OF_CLASS[package.card.precision_class]:
            raise PackageError("the package's table of steps is of another precision class than its card")
        self.precision = precision or self.replay.precision
        self._dtype = _DTYPES[self.precision]
        if self._dtype == torch.float16:
            require_half_precision(device)
        self._pipeline = StableDiffusionPipeline.from_pretrained(
            package.folder,
            # Never through half precision on the way: an auditor loads the autoencoder's own numbers.
            dtype={"default": self._dtype, "vae": torch.float32},
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
            use_safetensors=True,
            local_files_only=True,
        )
        if type(self._pipeline.scheduler).__name__ != package.card.scheduler:
            raise PackageError("the package's scheduler is not the one of its card")
        self._require_table()
        self._pipeline.to(device)
        # The pipeline's own property looks at every module, some 0.4 ms for a small network.
        self._device = device
        self.memory_bytes = sum(
            tensor.numel() * tensor.element_size()
            for part in (self._pipeline.unet, self._pipeline.vae, self._pipeline.text_encoder)
            for tensor in (*part.parameters(), *part.buffers())
        )

    def _require_table(self) -> None:
        """:raises PackageError: what was loaded is not what stands under the package's id."""
        denoiser, autoencoder = self._pipeline.unet.config, self._pipeline.vae.config
        channels, factor = denoiser.in_channels, self._pipeline.vae_scale_factor
        found = PackagedTable(head_of(self.replay, channels, factor), rows_root(table_bytes(self.replay)))
        same = denoiser.out_channels == autoencoder.latent_channels == channels
        if found != self.package.table or not same:
            raise PackageError("the table under the package's id is not that of its files")

    def altered(self, change: Callable[[Any], None]) -> Networks:
        """The same with a denoiser of its own, on which `change` was called; all else is shared."""
        other, pipeline = copy.copy(self), copy.copy(self._pipeline)
        pipeline.unet = copy.deepcopy(pipeline.unet)
        change(pipeline.unet)
        other._pipeline = pipeline  # noqa: SLF001 - of the same class
        return other

    def encode_prompts(self, jobs: Sequence[ImageJob]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The text model's output for the jobs' prompts, and of the negative ones if the jobs are guided."""
        with torch.inference_mode():
            prompts, negatives = self._pipeline.encode_prompt(
                [job.prompt for job in jobs],
                device=self._device,
                num_images_per_prompt=1,
                do_classifier_free_guidance=jobs[0].guided,
                negative_prompt=[job.negative_prompt for job in jobs] if jobs[0].guided else None,
            )
        return prompts, negatives if jobs[0].guided else None

    def outputs(
        self,
        latents: NDArray[np.float16],
        steps: Sequence[Step],
        negatives: torch.Tensor | None,
        prompts: torch.Tensor,
    ) -> list[tuple[NDArray[np.float32] | None, NDArray[np.float32]]]:
        """The denoiser's raw outputs for each latent, without and with its prompt, in one call of it.

        :param steps: of each latent its own; one call for several steps costs an auditor half as much.
        :returns: as the device gave them, not rounded to binary16.
        """
        device = self._device
        given = torch.from_numpy(latents).to(device, self._dtype)
        wanted = prompts
        timesteps = torch.tensor([float(step.timestep) for step in steps], device=device)
        if negatives is not None:
            given, wanted = torch.cat([given, given]), torch.cat([negatives, prompts])
            timesteps = torch.cat([timesteps, timesteps])
        with torch.inference_mode():
            output = self._pipeline.unet(given, timesteps, encoder_hidden_states=wanted, return_dict=False)[0]
        numbers: NDArray[np.float32] = output.float().cpu().numpy()
        count = len(latents)
        if negatives is None:
            return [(None, one) for one in numbers]
        return list(zip(numbers[:count], numbers[count:], strict=True))

    def predict(
        self,
        latents: NDArray[np.float16],
        step: Step,
        negatives: torch.Tensor | None,
        prompts: torch.Tensor,
    ) -> list[tuple[NDArray[np.float16] | None, NDArray[np.float16]]]:
        """The same for one step of all latents, rounded to nearest, ties to even, as traces have them."""
        found = self.outputs(latents, [step] * len(latents), negatives, prompts)
        return [(None if one is None else _half(one), _half(other)) for one, other in found]

    def noise(self, job: ImageJob) -> NDArray[np.float32]:
        """The numbers that the job's seed stands for, of a latent's shape, without a batch dimension."""
        factor = self._pipeline.vae_scale_factor
        channels = self._pipeline.unet.config.in_channels
        return initial_latent(job.seed, (channels, job.height // factor, job.width // factor))

    def encode_sources(self, jobs: Sequence[ImageJob]) -> list[NDArray[np.float16]]:
        """The autoencoder's output for the jobs' source images: the mean of its distribution, scaled.

        :raises UnreadableImage: one of them is broken.
        """
        return [_half(numbers) for numbers in self.source_means(jobs)]

    def source_means(self, jobs: Sequence[ImageJob]) -> list[NDArray[np.float32]]:
        """The same, not rounded to binary16. :raises UnreadableImage: one of them is broken."""
        vae: Any = self._pipeline.vae
        images = [read_source(job.source_png, job.width, job.height) for job in jobs]
        pixels = self._pipeline.image_processor.preprocess(images).to(self._device, torch.float32)
        with torch.inference_mode():
            means = vae.encode(pixels).latent_dist.mode()
        scaled = (means - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor
        return list(scaled.cpu().numpy())

    def decode(self, latents: NDArray[np.float16]) -> list[bytes]:
        """The images of latents, finished or not, by the autoencoder: a PNG each, without metadata."""
        vae: Any = self._pipeline.vae
        given = torch.from_numpy(latents.astype(np.float32)).to(self._device)
        given = given / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
        with torch.inference_mode():
            decoded = vae.decode(given, return_dict=False)[0]
        images = self._pipeline.image_processor.postprocess(decoded, output_type="pil")
        return [_png(image) for image in images]


def latent_bytes(numbers: NDArray[np.float16]) -> bytes:
    """A tensor as the trace has it: little-endian binary16 in C order."""
    return numbers.astype("<f2", copy=False).tobytes()


def _half(numbers: NDArray[np.float32]) -> NDArray[np.float16]:
    """Rounded to nearest, ties to even. A number too large becomes infinite; numpy need not warn of it."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float16)


def _png(image: Any) -> bytes:
    """The image as PNG, without any metadata."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
