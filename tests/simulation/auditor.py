"""A drawn auditor of a simulated market: it finds every piece of work honest.

Is: verdicts that travel as real ones do, signed through the guard.
Is not: an audit; nothing is opened or computed again.
"""

from __future__ import annotations

from protocol.audit import AuditReason, AuditVerdict, Verdict
from protocol.draw import EpochView, auditors, task_seed
from protocol.messages import ResultCommitment
from protocol.rules import results, verdicts
from protocol.statement import Statement
from tests.simulation.peer import Peer


class Auditor:
    """Gives a verdict on each result of a task whose first drawn auditor it is."""

    def __init__(self, peer: Peer, epoch: EpochView) -> None:
        self._peer = peer
        self._epoch = epoch
        peer.listen(results.TOPIC, self._hear_result)

    def _hear_result(self, result: Statement[ResultCommitment]) -> None:
        task = self._peer.seen.tasks.get(result.message.task_id)
        if task is None or not self._peer.is_up:
            return
        message = task.message
        seed = task_seed(self._epoch.seed, message.coordinator, message.number)
        if self._peer.key.address not in auditors(self._epoch.miners, seed, message.assigned, 1):
            return
        steps = (0, message.work.units - 1)
        verdict = AuditVerdict(task.digest, result.signer.address, Verdict.HONEST, steps, AuditReason.NONE)
        self._peer.publish(verdicts.TOPIC, self._peer.seal(verdict).encoded)
