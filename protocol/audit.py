"""An auditor's statement: the verdict on one miner's work for one task.

Is: the signed message of the topic `verdicts`, and what its numbers mean.
Is not: the audit itself, which needs the model, or the draw of the auditors (`draw.auditors`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

from protocol.hashing import keccak256
from protocol.schema import Address, Encoded, Hash, Items, Uint, Uint16

CHECKED_STEPS_MAX = 16
"""Most steps that one verdict may say it has checked."""
_ADDRESS_PADDING = bytes(12)


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
    INITIAL_LATENT = 2
    """The first latent does not follow from the seed and the encoded source image."""
    SCHEDULER_STEP = 3
    """A step of the scheduler does not follow from the opened values."""
    SOURCE_LATENT = 4
    """The encoding of the source image differs by more than its tolerance."""
    MODEL_OUTPUT = 5
    """The model's output differs by more than its tolerance."""
    IMAGE = 6
    """The last latent does not decode to the image."""


@dataclass(frozen=True, slots=True)
class AuditVerdict(Encoded):
    """An auditor: "I have checked this miner's work for this task, and this is what I found".

    :ivar task_id: digest of the announcement.
    :ivar miner: whose work it was.
    :ivar verdict: a `Verdict`.
    :ivar checked_steps: steps of the trace that were opened and checked, ascending, from 0.
    :ivar reason: an `AuditReason`; not NONE exactly with the verdict FAULT.
    """

    task_id: Hash
    miner: Address
    verdict: Annotated[int, Uint(max(Verdict))]
    checked_steps: Annotated[tuple[int, ...], Items(Uint16, 0, CHECKED_STEPS_MAX)]
    reason: Annotated[int, Uint(max(AuditReason))]

    def slot(self) -> bytes:
        """32 bytes: one verdict per task and miner. Keccak-256 of the id and the address in 32 bytes."""
        return keccak256(self.task_id + _ADDRESS_PADDING + self.miner)
