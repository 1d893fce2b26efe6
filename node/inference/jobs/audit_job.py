"""The audit of one miner's work as a job of the pool, and what comes of it: plain frozen values with bounds.

Is: what the inference process needs to check some opened steps, all of it proved by what was signed, and its
answer in the words of a verdict. Is not: the check (`node/inference/audit`), or a signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from node.inference.jobs.job import (
    JOB_ID_BYTES_MAX,
    PNG_BYTES_MAX,
    Failed,
    Finished,
    ImageJob,
    JobRefused,
    Preview,
    Progress,
    check_job,
)
from protocol.audit import CHECKED_STEPS_MAX, AuditReason, CheckedStep, FaultPlace
from protocol.schema import Address, Bytes, Encoded, Hash, Items, Text, Uint, Uint16, Uint32
from protocol.tensor import TENSOR_BYTES_MAX
from protocol.trace import LEAVES_MAX, TraceLeaf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.inference.packages.package import ModelPackage

AUDIT_BYTES_MAX: Final = (3 * CHECKED_STEPS_MAX + 2) * TENSOR_BYTES_MAX + PNG_BYTES_MAX + 64 * 1024
"""More than all of an audit but its source image."""

TensorBytes = Annotated[bytes, Bytes(0, TENSOR_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class OpenedLeaf(Encoded):
    """A leaf that is proved to be under the committed root. :ivar step: from 0."""

    step: Uint16
    leaf: TraceLeaf


@dataclass(frozen=True, slots=True)
class OpenedStep(Encoded):
    """The tensors of an opened step, whose hashes are those of its leaf.

    :ivar step: from 0.
    :ivar latent: that goes into the step.
    :ivar unconditional: output without the prompt; empty where none was opened.
    :ivar conditional: output with the prompt.
    """

    step: Uint16
    latent: TensorBytes
    unconditional: TensorBytes
    conditional: TensorBytes


@dataclass(frozen=True, slots=True)
class AuditJob(Encoded):
    """Some opened steps of one miner's work, to be checked.

    :ivar image: the job that the task was, as it was announced; its name is this job's too, its trace goes
        nowhere.
    :ivar auditor: whose sketches they will be.
    :ivar dice: of the audit: they draw the places of the sketches.
    :ivar leaves: ascending.
    :ivar steps: ascending, each with its leaf among `leaves`.
    :ivar final_hash: of the latent after the last step.
    :ivar source_hash: of what the source image was encoded to.
    :ivar final_latent: likewise, as it was opened.
    :ivar source_latent: likewise; empty without a source image.
    :ivar picture: that was delivered, whatever it is.
    """

    image: ImageJob
    auditor: Address
    dice: Hash
    leaves: Annotated[tuple[OpenedLeaf, ...], Items(OpenedLeaf, 1, LEAVES_MAX)]
    steps: Annotated[tuple[OpenedStep, ...], Items(OpenedStep, 1, CHECKED_STEPS_MAX)]
    final_hash: Hash
    source_hash: Hash
    final_latent: TensorBytes
    source_latent: TensorBytes
    picture: Annotated[bytes, Bytes(0, PNG_BYTES_MAX)]

    @property
    def job_id(self) -> str:
        """Given back in the answer."""
        return self.image.job_id

    @property
    def model_id(self) -> bytes:
        """Which package."""
        return self.image.model_id


@dataclass(frozen=True, slots=True)
class Audited(Encoded):
    """An audit's outcome; the last event of its job. Fields as those of `AuditVerdict`, and besides:

    :ivar to_open: steps that have to be opened too before anything can be said; then the rest says nothing.
    :ivar convicts: 1 when the outputs are off by so much that no careless machine explains it, else 0.
    """

    job_id: Annotated[str, Text(JOB_ID_BYTES_MAX)]
    reason: Annotated[int, Uint(max(AuditReason))]
    checked: Annotated[tuple[CheckedStep, ...], Items(CheckedStep, 1, CHECKED_STEPS_MAX)]
    worst_excess_ppb: Uint32
    place: Annotated[tuple[FaultPlace, ...], Items(FaultPlace, 0, 1)]
    to_open: Annotated[tuple[int, ...], Items(Uint16, 0, CHECKED_STEPS_MAX)]
    convicts: Annotated[int, Uint(1)]


Job: TypeAlias = ImageJob | AuditJob
AnyEvent: TypeAlias = Progress | Preview | Finished | Failed | Audited


def check_audit(job: AuditJob, packages: Mapping[bytes, ModelPackage]) -> ModelPackage:
    """Return the package that the audit needs, if it can be run with it.

    :raises JobRefused: as `check_job` of the work itself, or steps that the work does not have.
    """
    package = check_job(job.image, packages)
    leaves, steps = [opened.step for opened in job.leaves], [opened.step for opened in job.steps]
    ascending = leaves == sorted(set(leaves)) and steps == sorted(set(steps))
    if not ascending or not set(steps) <= set(leaves) or leaves[-1] >= job.image.steps:
        raise JobRefused("the audit is of steps that the work does not have")
    try:
        job.encode()
    except ValueError as error:
        raise JobRefused("the audit is malformed") from error
    return package
