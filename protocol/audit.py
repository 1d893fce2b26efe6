"""An auditor's statement: the verdict on one miner's work for one task.

Is: the signed message of the topic `verdicts`, and what its numbers mean.
Is not: the audit itself, which needs the model, the dice that say who audits what (`audit_draw`), or the
places and the comparison of sketches (`sketch`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Final

from protocol.hashing import keccak256
from protocol.schema import Address, Bytes, Encoded, Hash, Items, Uint, Uint16, Uint32

CHECKED_STEPS_MAX: Final = 16
"""Most steps that one verdict may say it has checked."""
SKETCH_BYTES: Final = 16
"""A sketch: 32 places of 4 bits each."""
NO_BUNDLE: Final = bytes(32)
"""In the place of a bundle's hash where nothing was opened."""
EXCESS_PPB_MAX: Final = (1 << 32) - 1
"""Largest excess that a verdict can say, in parts per billion: four times the whole."""
_ADDRESS_PADDING = bytes(12)


class Audits(enum.IntEnum):
    """Whose audits a task is open to: the choice of its coordinator, in its announcement."""

    PUBLIC = 0
    """The auditors that the dice draw, and the buyer."""
    BUYER_ONLY = 1
    """The buyer alone: nobody else sees input, picture or trace."""


class Verdict(enum.IntEnum):
    """The outcome of an audit."""

    HONEST = 0
    """Everything that was opened fits."""
    FAULT = 1
    """Something that was opened does not fit; the reason says which check failed."""
    NO_OPENING = 2
    """The miner did not open what it was asked for, in time."""


class AuditReason(enum.IntEnum):
    """Which check failed first; the order is that of the checks, cheapest first."""

    NONE = 0
    """None did."""
    MERKLE_PROOF = 1
    """An opened value is not under the committed trace root."""
    TRACE_FORM = 2
    """A tensor is there that the task has not, is missing, or is of another size than the model's."""
    NOT_FINITE = 3
    """A committed number is infinite or not a number."""
    INITIAL_LATENT = 4
    """The first latent does not follow from the seed and the encoded source image."""
    SCHEDULER_STEP = 5
    """A step of the scheduler does not follow from the opened values."""
    SOURCE_LATENT = 6
    """The encoding of the source image differs by more than its tolerance."""
    MODEL_OUTPUT = 7
    """The model's output differs by more than its tolerance."""
    IMAGE = 8
    """The last latent does not decode to the image."""


PLACED_REASONS: Final = frozenset(
    {
        AuditReason.TRACE_FORM,
        AuditReason.NOT_FINITE,
        AuditReason.INITIAL_LATENT,
        AuditReason.SCHEDULER_STEP,
    }
)
"""Faults of one number or one tensor, which anybody can judge by an opening of that alone."""


class TraceTensor(enum.IntEnum):
    """The tensors that a trace commits to."""

    LATENT = 0
    """The latent that goes into the step; with a step of as many as there are, the last latent."""
    UNCONDITIONAL = 1
    """The step's output without the prompt."""
    CONDITIONAL = 2
    """The step's output with the prompt."""
    SOURCE = 3
    """The encoded source image; with step 0."""


@dataclass(frozen=True, slots=True)
class CheckedStep(Encoded):
    """A step that was opened and checked.

    :ivar step: of the trace, from 0.
    :ivar sketch: 16 bytes: that its signer ran the model for this step; empty where it did not come to that.
    """

    step: Uint16
    sketch: Annotated[bytes, Bytes(0, SKETCH_BYTES)]


@dataclass(frozen=True, slots=True)
class FaultPlace(Encoded):
    """The number, or the tensor, that is wrong.

    :ivar step: of the trace, from 0.
    :ivar tensor: a `TraceTensor`; of a false step of the scheduler LATENT, meaning the latent after the step.
    :ivar number: its place in the tensor, from 0; 0 where the tensor as a whole is wrong.
    """

    step: Uint16
    tensor: Annotated[int, Uint(max(TraceTensor))]
    number: Uint32


@dataclass(frozen=True, slots=True)
class AuditVerdict(Encoded):
    """An auditor: "I have checked this miner's work for this task, and this is what I found".

    :ivar task_id: digest of the announcement.
    :ivar miner: whose work it was.
    :ivar commitment: digest of the `ResultCommitment` that it was checked against.
    :ivar verdict: a `Verdict`.
    :ivar reason: an `AuditReason`; not NONE exactly with the verdict FAULT.
    :ivar checked: steps of the trace that were opened and checked, ascending.
    :ivar worst_excess_ppb: the largest distance of an opened output from the auditor's, as the tolerance of
        the model's class measures it, in parts per billion; more than fits is the largest that does.
    :ivar place: where the fault is, exactly with TRACE_FORM, NOT_FINITE, INITIAL_LATENT and
        SCHEDULER_STEP.
    :ivar bundle: SHA-256 of what was opened, as the auditor keeps it; 32 zero bytes exactly with NO_OPENING.
    """

    task_id: Hash
    miner: Address
    commitment: Hash
    verdict: Annotated[int, Uint(max(Verdict))]
    reason: Annotated[int, Uint(max(AuditReason))]
    checked: Annotated[tuple[CheckedStep, ...], Items(CheckedStep, 0, CHECKED_STEPS_MAX)]
    worst_excess_ppb: Uint32
    place: Annotated[tuple[FaultPlace, ...], Items(FaultPlace, 0, 1)]
    bundle: Hash

    def slot(self) -> bytes:
        """32 bytes: one verdict per task and miner."""
        return verdict_slot(self.task_id, self.miner)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that were checked, as the verdict has them."""
        return tuple(checked.step for checked in self.checked)


def verdict_slot(task_id: bytes, miner: bytes) -> bytes:
    """Slot of each auditor's verdict on a miner's work: Keccak-256 of the id and the address in 32 bytes."""
    return keccak256(task_id + _ADDRESS_PADDING + miner)
