"""Evidence against an auditor: its verdict finds a number false which is right.

Is: the form and its check, for the two faults that follow from numbers alone, S and X.
Is not: a verdict on what a network gives, which takes the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from protocol.audit import AuditReason, AuditVerdict, FaultPlace, TraceTensor, Verdict
from protocol.errors import InvalidMessage
from protocol.evidence.faults import Fault, Offence, Tagged
from protocol.evidence.trace_faults import is_right, judge_number
from protocol.evidence.trace_forms import FalseStart, FalseStep
from protocol.messages import Kind
from protocol.schema import Bytes
from protocol.statement import Domain, open_statement

VERDICT_BYTES_MAX: Final = 768
"""Longest envelope of an `AuditVerdict`, with some to spare."""
REFUTED_BYTES_MAX: Final = 10 * 1024
"""Longest evidence about one number."""
FORM_OF_REASON: Final[dict[int, type[FalseStep | FalseStart]]] = {
    AuditReason.INITIAL_LATENT: FalseStart,
    AuditReason.SCHEDULER_STEP: FalseStep,
}


@dataclass(frozen=True, slots=True)
class FalseVerdict(Tagged):
    """A verdict that finds a number false, and the evidence it would need, which shows that it is right.

    :ivar verdict: envelope of the `AuditVerdict`.
    :ivar refuted: encoded `FalseStep` or `FalseStart`, as the verdict's reason says, about its place.
    """

    FAULT = Fault.FALSE_VERDICT
    verdict: Annotated[bytes, Bytes(1, VERDICT_BYTES_MAX)]
    refuted: Annotated[bytes, Bytes(1, REFUTED_BYTES_MAX)]


def verify_false_verdict(domain: Domain, evidence: FalseVerdict) -> Offence:
    """The offence that `evidence` proves on the network `domain`.

    :raises DecodeError: something of it does not decode.
    :raises SignatureError: a signature is malformed.
    :raises InvalidMessage: it proves nothing; its reason says why.
    """
    statement = open_statement(domain, evidence.verdict, AuditVerdict)
    verdict = statement.message
    form = FORM_OF_REASON.get(verdict.reason)
    if verdict.verdict != Verdict.FAULT or form is None:
        raise InvalidMessage("the verdict finds no number false")
    refuted = form.decode(evidence.refuted)
    if verdict.place != (_place_of(refuted),):
        raise InvalidMessage("the verdict is on another number")
    work, found = judge_number(domain, refuted)
    if verdict.commitment != work.commitment.digest:
        raise InvalidMessage("the verdict is on another commitment")
    if not is_right(found):
        raise InvalidMessage("the verdict is right")
    return Offence(
        Fault.FALSE_VERDICT, statement.signer.address, Kind.AUDIT_VERDICT, verdict.slot(), finding=found
    )


def _place_of(evidence: FalseStep | FalseStart) -> FaultPlace:
    step = evidence.step if isinstance(evidence, FalseStep) else 0
    return FaultPlace(step, TraceTensor.LATENT, evidence.number)
