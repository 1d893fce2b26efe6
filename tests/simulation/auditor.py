"""A drawn auditor of a simulated market: it finds every piece of work honest.

Is: verdicts that travel as real ones do, signed through the guard.
Is not: an audit; nothing is opened or computed again.
"""

from __future__ import annotations

from protocol.audit import SKETCH_BYTES, AuditReason, AuditVerdict, CheckedStep, Verdict
from protocol.audit_draw import AuditDraw, AuditedWork, draw_audit
from protocol.hashing import sha256
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.rules import results, verdicts
from protocol.rules.view import View
from protocol.statement import Statement
from tests.simulation.peer import Peer


class Auditor:
    """Gives a verdict on each result whose first drawn auditor it is."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        peer.listen(results.TOPIC, self._hear_result)

    def _hear_result(self, result: Statement[ResultCommitment]) -> None:
        task = self._peer.seen.tasks.get(result.message.task_id)
        if task is None or not self._peer.is_up:
            return
        first, steps = audit_of(self._peer.view, task.message, result).auditors[0]
        if first == self._peer.key.address:
            self._peer.publish(verdicts.TOPIC, self._peer.seal(verdict_on(result, steps)).encoded)


def audit_of(view: View, task: TaskAnnouncement, result: Statement[ResultCommitment]) -> AuditDraw:
    """What the dice say of a result."""
    epoch = view.epoch_of(task)
    assert epoch is not None
    work = AuditedWork.of(task, result)
    return draw_audit(epoch, work, view.beacons[task.deadline_ms], view.audit_terms)


def verdict_on(
    result: Statement[ResultCommitment],
    steps: tuple[int, ...],
    verdict: Verdict = Verdict.HONEST,
    reason: AuditReason = AuditReason.NONE,
) -> AuditVerdict:
    """A verdict that its rule takes."""
    sketch, miner = bytes(SKETCH_BYTES), result.signer.address
    checked = tuple(CheckedStep(step, sketch) for step in steps)
    bundle = sha256(result.digest)
    return AuditVerdict(result.message.task_id, miner, result.digest, verdict, reason, checked, 0, (), bundle)
