"""One audit, and the words in which it may end: values, nothing is decided."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.auditor.actions import Drawing, Judged, Subject
from protocol.audit import NO_BUNDLE, AuditReason, AuditVerdict, Verdict
from protocol.draw import EpochView
from protocol.task import AUDITOR, AuditorEvent, AuditorState, Life


@dataclass(slots=True)
class Audit:
    """One piece of work on its way to a verdict.

    :ivar epoch: that its task names; None if it was not known when the commitment was heard.
    :ivar drawing: None before the dice.
    :ivar steps: to be asked for: those drawn, and what turned out to be needed.
    :ivar tries: questions without a valid answer.
    :ivar next_ms: nothing is tried before.
    :ivar is_checked: whether `Check` was asked for, and not answered.
    """

    subject: Subject
    epoch: EpochView | None = None
    life: Life[AuditorState, AuditorEvent] = field(default_factory=lambda: Life(AUDITOR))
    drawing: Drawing | None = None
    steps: tuple[int, ...] = ()
    tries: int = 0
    next_ms: int = 0
    is_checked: bool = False
    verdict: AuditVerdict | None = None


def verdict_of(subject: Subject, judged: Judged) -> AuditVerdict:
    """The verdict on work that was checked."""
    is_honest = judged.reason is AuditReason.NONE
    return AuditVerdict(
        task_id=subject.task.digest,
        miner=subject.commitment.signer.address,
        commitment=subject.commitment.digest,
        verdict=Verdict.HONEST if is_honest else Verdict.FAULT,
        reason=judged.reason,
        checked=judged.checked,
        worst_excess_ppb=judged.worst_excess_ppb,
        place=judged.place,
        bundle=judged.bundle,
    )


def silence_of(subject: Subject) -> AuditVerdict:
    """The verdict on a miner that has opened nothing."""
    return AuditVerdict(
        task_id=subject.task.digest,
        miner=subject.commitment.signer.address,
        commitment=subject.commitment.digest,
        verdict=Verdict.NO_OPENING,
        reason=AuditReason.NONE,
        checked=(),
        worst_excess_ppb=0,
        place=(),
        bundle=NO_BUNDLE,
    )
