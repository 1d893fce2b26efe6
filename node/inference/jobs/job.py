"""Inputs and outputs of the inference process: plain frozen values with bounds.

Is: one job, the four events it can cause, and the check of a job against a package, which the pool
makes before it spends anything and the worker makes again. Is not: how they travel (see `frames`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from node.inference.packages.limits import BadRequest, RequestedImage, check_request
from protocol.errors import LocalError, Refusal
from protocol.messages import PROMPT_BYTES_MAX, SOURCE_BYTES_MAX
from protocol.model_table import GUIDANCE_MILLI_NONE
from protocol.schema import Bytes, Encoded, Hash, Items, Text, Uint, Uint16, Uint32, Uint64
from protocol.trace import STEPS_MAX, TraceLeaf
from protocol.work import WorkKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.inference.packages.package import ModelPackage

JOB_ID_BYTES_MAX: Final = 128
PNG_BYTES_MAX: Final = 16 * 1024 * 1024
BATCH_MAX: Final = 8
"""Most jobs that are computed as one."""
TRACE_PATH_BYTES_MAX: Final = 1024
REASON_BYTES_MAX: Final = 200
CANCELLED: Final = "cancelled"
"""Reason of a job that ended because its reader left."""
OUT_OF_MEMORY: Final = "out of memory"
"""Reason of a job for which the machine had not memory enough; smaller batches may help."""


class JobRefused(Refusal):
    """The job cannot be run here as asked; nobody's fault. :ivar reason: fixed English phrase."""


class WorkerError(LocalError):
    """The inference process of this machine failed: it died, hung, or could not load a model."""


@dataclass(frozen=True, slots=True)
class ImageJob(Encoded):
    """One image to make.

    :ivar job_id: any text, given back in every event.
    :ivar model_id: 32 bytes, which package.
    :ivar prompt: what to show; not empty.
    :ivar negative_prompt: what to steer away from; may be empty.
    :ivar seed: 0 to 2^64 - 1; the same job with the same seed gives the same image.
    :ivar steps: denoising steps, from 1.
    :ivar guidance_milli: guidance scale in thousandths; 1000 and below means none.
    :ivar width: pixels; with `height` one of the package's sizes.
    :ivar height: pixels.
    :ivar preview_every_steps: a preview after each so many steps; 0 for none.
    :ivar schedule_steps: steps of the schedule, of which `steps` are the last; as many without a source
        image.
    :ivar source_png: the image to start from, a PNG of this size (`protocol.png`); empty to start
        from noise.
    :ivar trace_path: where the worker writes the job's trace (`trace_file`); empty for nowhere.
    """

    job_id: Annotated[str, Text(JOB_ID_BYTES_MAX)]
    model_id: Hash
    prompt: Annotated[str, Text(PROMPT_BYTES_MAX)]
    negative_prompt: Annotated[str, Text(PROMPT_BYTES_MAX)]
    seed: Uint64
    steps: Uint16
    guidance_milli: Uint32
    width: Uint16
    height: Uint16
    preview_every_steps: Uint16
    schedule_steps: Uint16
    source_png: Annotated[bytes, Bytes(0, SOURCE_BYTES_MAX)]
    trace_path: Annotated[str, Text(TRACE_PATH_BYTES_MAX)]

    @property
    def work_kind(self) -> WorkKind:
        """Which kind of work it is."""
        return WorkKind.IMAGE_TO_IMAGE if self.source_png else WorkKind.TEXT_TO_IMAGE

    @property
    def guided(self) -> bool:
        """Whether the model is asked without the prompt too."""
        return self.guidance_milli > GUIDANCE_MILLI_NONE

    @property
    def shape(self) -> tuple[bytes, int, int, int, int, bool]:
        """The properties that jobs must share to be computed as one; their start is not among them."""
        return self.model_id, self.width, self.height, self.schedule_steps, self.steps, self.guided


@dataclass(frozen=True, slots=True)
class Progress(Encoded):
    """A denoising step is done. :ivar step: which one, from 1. :ivar steps: of how many."""

    job_id: Annotated[str, Text(JOB_ID_BYTES_MAX)]
    step: Uint16
    steps: Uint16


@dataclass(frozen=True, slots=True)
class Preview(Encoded):
    """The unfinished image after a step. :ivar png: a whole PNG of the job's size."""

    job_id: Annotated[str, Text(JOB_ID_BYTES_MAX)]
    step: Uint16
    steps: Uint16
    png: Annotated[bytes, Bytes(1, PNG_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class Finished(Encoded):
    """The image is done; the last event of a job.

    :ivar png: the image.
    :ivar leaves: what the miner commits to of each step.
    :ivar final_latent: hash of the latent after the last step.
    :ivar source_latent: hash of what the source image was encoded to, of no tensor without one.
    :ivar duration_ms: from the worker's taking the job to the finished PNG.
    """

    job_id: Annotated[str, Text(JOB_ID_BYTES_MAX)]
    png: Annotated[bytes, Bytes(1, PNG_BYTES_MAX)]
    leaves: Annotated[tuple[TraceLeaf, ...], Items(TraceLeaf, 1, STEPS_MAX)]
    final_latent: Hash
    source_latent: Hash
    duration_ms: Uint32

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self.duration_ms / 1000


@dataclass(frozen=True, slots=True)
class Failed(Encoded):
    """The job came to nothing, though the worker is well; the last event of a job.

    :ivar reason: English phrase to show.
    :ivar retry: 1 when the same job might succeed elsewhere or later, else 0; see `retryable`.
    """

    job_id: Annotated[str, Text(JOB_ID_BYTES_MAX)]
    reason: Annotated[str, Text(REASON_BYTES_MAX)]
    retry: Annotated[int, Uint(1)]

    @property
    def retryable(self) -> bool:
        """Whether the same job might succeed elsewhere or later."""
        return bool(self.retry)


JobEvent: TypeAlias = Progress | Preview | Finished | Failed


def check_job(job: ImageJob, packages: Mapping[bytes, ModelPackage]) -> ModelPackage:
    """Return the package that the job names, if the job may be run with it.

    :raises JobRefused: unknown model, or what `limits.check_request` refuses.
    """
    package = packages.get(job.model_id)
    if package is None:
        raise JobRefused("the model is not loaded here")
    try:
        check_request(package, _requested(job))
        job.encode()
    except BadRequest as refused:
        raise JobRefused(refused.reason) from refused
    except ValueError as error:
        raise JobRefused("the job is malformed") from error
    return package


def _requested(job: ImageJob) -> RequestedImage:
    """A job as a request of its model."""
    return RequestedImage(
        work_kind=job.work_kind,
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        seed=job.seed,
        width=job.width,
        height=job.height,
        schedule_steps=job.schedule_steps,
        run_steps=job.steps,
        guidance_milli=job.guidance_milli,
        source_png=job.source_png,
    )
