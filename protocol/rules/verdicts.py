"""Rules of the topic `verdicts`: which auditors' verdicts are forwarded. Two on one work are evidence."""

from __future__ import annotations

from itertools import pairwise

from protocol.audit import AuditReason, AuditVerdict, Verdict
from protocol.draw import auditors, task_seed
from protocol.errors import GossipIgnore, GossipReject
from protocol.messages import TaskAnnouncement
from protocol.rules.view import (
    Seen,
    View,
    check_slot_is_free,
    read_gossip,
    remember,
    verify_gossip,
)
from protocol.statement import Statement

TOPIC = "verdicts"
AUDITORS_PER_TASK = 5
"""How many are drawn for a task; each may give one verdict on each miner that was assigned."""
AUDIT_LIFE_MS = 60 * 60 * 1000
"""How long after a task's deadline verdicts on it are forwarded."""


def validate_verdict(seen: Seen, view: View, data: bytes, now_ms: int) -> Statement[AuditVerdict]:
    """The verdict in `data`, to be accepted.

    :raises Equivocation: the auditor has said something else; carries the evidence.
    :raises GossipIgnore: seen, or of a task or an epoch that this peer does not know.
    :raises GossipReject: no honest peer forwards this.
    """
    envelope, verdict = read_gossip(seen, data, AuditVerdict)
    check_form(verdict)
    # [IGNORE] The task is known. No penalty: its announcement may still be under way.
    task = seen.tasks.get(verdict.task_id)
    if task is None:
        raise GossipIgnore("task is not known")
    # [IGNORE] The time for its audit is not over.
    if task.message.deadline_ms + AUDIT_LIFE_MS <= now_ms:
        raise GossipIgnore("audit is over")
    # [REJECT] The verdict is on a miner that was drawn for the task, and on steps that it has.
    if verdict.miner not in task.message.assigned or any(
        step >= task.message.work.units for step in verdict.checked_steps
    ):
        raise GossipReject("verdict is not on this task")
    # [IGNORE] The task's epoch is still known.
    epoch = view.epochs.get(task.message.epoch)
    if epoch is None:
        raise GossipIgnore("epoch is not known")
    statement = verify_gossip(view.domain, envelope, verdict, data)
    # [REJECT] The signer was drawn to audit the task.
    drawn = seen.auditors.get(verdict.task_id)
    if drawn is None:
        drawn = auditors(epoch.miners, _seed(task, epoch.seed), task.message.assigned, AUDITORS_PER_TASK)
    if statement.signer.address not in drawn:
        # [IGNORE] Nor by a seed that has just changed. No penalty: peers hear of it one after the other.
        if view.is_settling(task.message.epoch, now_ms):
            raise GossipIgnore("epoch's seed has just changed")
        raise GossipReject("signer was not drawn to audit this task")
    check_slot_is_free(seen, statement)
    seen.auditors[verdict.task_id] = drawn
    remember(seen, statement)
    return statement


def _seed(task: Statement[TaskAnnouncement], epoch_seed: bytes) -> bytes:
    return task_seed(epoch_seed, task.message.coordinator, task.message.number)


def check_form(verdict: AuditVerdict) -> None:
    """The cheap rule, which needs the verdict alone.

    :raises GossipReject: no honest auditor says this.
    """
    # [REJECT] Steps ascend; a fault has a reason and nothing else has; only without an opening no step is.
    ascending = all(one < other for one, other in pairwise(verdict.checked_steps))
    is_fault = verdict.verdict == Verdict.FAULT
    has_reason = verdict.reason != AuditReason.NONE
    steps_fit = is_fault or bool(verdict.checked_steps) == (verdict.verdict == Verdict.HONEST)
    if not ascending or is_fault != has_reason or not steps_fit:
        raise GossipReject("verdict contradicts itself")
