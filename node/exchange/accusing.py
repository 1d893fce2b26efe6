"""From a fault that an audit has found to evidence that a contract judges, proved before anybody hears of it.

Is: the evidence of one opened answer, and that against an auditor that finds it false without cause.
Is not: the finding (`node/inference/audit`), or gossip.

An audit finds a fault with numpy in another process; the proof is made and judged here by the rules that
the contract has, in integers and Python's own numbers. A bit that flips in either does not make an accuser
of this node: what does not prove itself is not said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.inference.diffusion.prng import table_leaves
from node.inference.diffusion.replay import REPLAY_NAME, read_replay, table_bytes
from node.inference.packages.package import leaves_of
from protocol.audit import AuditReason, FaultPlace, TraceTensor
from protocol.evidence import Evidence, FalseVerdict, TraceEvidence, verify_evidence
from protocol.evidence.makers import (
    HeldModel,
    HeldTrace,
    false_start,
    false_step,
    malformed_trace,
    not_finite,
)
from protocol.merkle import merkle_root

if TYPE_CHECKING:
    from node.exchange.audit_asking import OpenedAnswer
    from node.inference.packages.package import ModelPackage
    from protocol.audit import AuditVerdict
    from protocol.statement import Domain, Statement


def evidence_of(
    domain: Domain, answer: OpenedAnswer, package: ModelPackage, reason: AuditReason, place: FaultPlace
) -> Evidence:
    """Evidence of a fault of one number or one tensor, verified. Takes up to a second: for a thread.

    :param reason: one of `PLACED_REASONS`.
    :raises CuckooError: it does not prove itself: nobody may be accused of it.
    :raises ValueError: there is no such number.
    """
    evidence = _claim(held_trace(answer, package), reason, place)
    verify_evidence(domain, evidence, {})
    return evidence


def refutation_of(
    domain: Domain, answer: OpenedAnswer, package: ModelPackage, verdict: Statement[AuditVerdict]
) -> FalseVerdict:
    """Evidence against an auditor whose verdict finds a number false that is right, verified. For a thread.

    :param answer: of the work, with the step of the verdict's place open, and what that follows from.
    :raises CuckooError: it does not prove itself: the verdict is right, or of another kind.
    :raises ValueError: there is no such number.
    """
    message = verdict.message
    claim = _claim(held_trace(answer, package), AuditReason(message.reason), message.place[0])
    refutation = FalseVerdict(verdict.encoded, claim.encode())
    verify_evidence(domain, refutation, {})
    return refutation


def _claim(held: HeldTrace, reason: AuditReason, place: FaultPlace) -> TraceEvidence:
    """The evidence that a fault would need, whether it is one or not."""
    tensor = TraceTensor(place.tensor)
    match reason:
        case AuditReason.SCHEDULER_STEP:
            return false_step(held, place.step, place.number)
        case AuditReason.INITIAL_LATENT:
            return false_start(held, place.number, table_leaves())
        case AuditReason.NOT_FINITE:
            return not_finite(held, place.step, tensor, place.number)
        case AuditReason.TRACE_FORM:
            return malformed_trace(held, place.step, tensor)
    raise ValueError("no contract judges this")


def held_trace(answer: OpenedAnswer, package: ModelPackage) -> HeldTrace:
    """An answer, as evidence is made of it."""
    trace, task = answer.trace, answer.task.message
    tensors: dict[tuple[int, TraceTensor], bytes] = {}
    for step, opened in trace.tensors.items():
        of_a_step = (TraceTensor.LATENT, TraceTensor.UNCONDITIONAL, TraceTensor.CONDITIONAL)
        tensors |= {(step, tensor): data for tensor, data in zip(of_a_step, opened, strict=True)}
    tensors[task.work.units, TraceTensor.LATENT] = trace.final
    tensors[0, TraceTensor.SOURCE] = trace.source
    return HeldTrace(
        announcement=task.encode(),
        commitment=answer.commitment.encoded,
        model=held_model(package),
        task_input=answer.work.task_input,
        opening=trace.opening,
        tensors=tensors,
    )


def held_model(package: ModelPackage) -> HeldModel:
    """The part of a package that may be shown. :raises PackageError: its table cannot be read."""
    table = table_bytes(read_replay(package.folder / REPLAY_NAME))
    return HeldModel(merkle_root(leaves_of(package.files)), package.table.head, table)
