"""Rules of the topic `results`: which commitments are forwarded. Two for one task are evidence."""

from __future__ import annotations

from protocol.errors import GossipIgnore, GossipReject
from protocol.messages import ResultCommitment
from protocol.rules.view import (
    Seen,
    View,
    check_slot_is_free,
    read_gossip,
    remember,
    verify_gossip,
)
from protocol.statement import Statement

TOPIC = "results"


def validate_result(seen: Seen, view: View, data: bytes, now_ms: int) -> Statement[ResultCommitment]:
    """The commitment in `data`, to be accepted.

    :raises Equivocation: the miner has committed to something else; carries the evidence.
    :raises GossipIgnore: seen, or of a task that this peer does not know.
    :raises GossipReject: no honest peer forwards this.
    """
    envelope, commitment = read_gossip(seen, data, ResultCommitment)
    # [IGNORE] The task is known. No penalty: its announcement may still be under way.
    task = seen.tasks.get(commitment.task_id)
    if task is None:
        raise GossipIgnore("task is not known")
    # [IGNORE] The task is not over.
    if task.message.deadline_ms <= now_ms:
        raise GossipIgnore("task is over")
    # [IGNORE] Nobody can know the dice of its audit yet. No penalty: peers hear of blocks in turn.
    if view.may_know_dice(task.message.deadline_ms):
        raise GossipIgnore("dice of the audit may be known")
    statement = verify_gossip(view.domain, envelope, commitment, data)
    # [REJECT] The signer was drawn for the task.
    if statement.signer.address not in task.message.assigned:
        raise GossipReject("signer was not drawn for this task")
    check_slot_is_free(seen, statement)
    seen.commitments[commitment.task_id, statement.signer.address] = statement
    remember(seen, statement)
    return statement
