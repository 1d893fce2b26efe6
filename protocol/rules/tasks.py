"""Rules of the topic `tasks`: which announcements are forwarded, and so which miners start to work."""

from __future__ import annotations

from protocol.draw import follows_draw, task_seed
from protocol.errors import GossipIgnore, GossipReject
from protocol.evidence import BrokenSequence, WrongRanking, follows
from protocol.messages import NO_TASK, TaskAnnouncement
from protocol.rules.view import (
    CLOCK_DISPARITY_MS_MAX,
    Misranked,
    Seen,
    SequenceContradiction,
    View,
    check_slot_is_free,
    read_gossip,
    remember,
    verify_gossip,
)
from protocol.statement import Statement

TOPIC = "tasks"
TASK_LIFE_MS_MAX = 60 * 60 * 1000
"""Longest time from announcement to deadline."""
RANK_TIMEOUT_MS_MIN = 100
"""Least head start of a rank: below it, ranks would race each other by their distance."""


def validate_task(seen: Seen, view: View, data: bytes, now_ms: int) -> Statement[TaskAnnouncement]:
    """The announcement in `data`, to be accepted.

    :raises Contradiction: the coordinator contradicts itself; carries the evidence.
    :raises GossipIgnore: over, seen, or of an epoch that this peer does not know (yet).
    :raises Misranked: it contradicts the chain; carries the evidence.
    :raises GossipReject: no honest peer forwards this.
    """
    envelope, task = read_gossip(seen, data, TaskAnnouncement)
    check_form(task)
    # [IGNORE] The announcement is not from the future.
    if task.announced_at_ms > now_ms + CLOCK_DISPARITY_MS_MAX:
        raise GossipIgnore("task is from the future")
    # [IGNORE] The task is not over.
    if task.deadline_ms <= now_ms:
        raise GossipIgnore("task is over")
    # [IGNORE] The epoch is known. No penalty: another peer may hear of a new one first.
    epoch = view.epochs.get(task.epoch)
    if epoch is None:
        raise GossipIgnore("epoch is not known")
    # [REJECT] Whom it names is a coordinator of that epoch, on which all peers agree.
    if not epoch.coordinators.weight_of(task.coordinator):
        raise GossipReject("not a coordinator of this epoch")
    statement = verify_gossip(view.domain, envelope, task, data)
    # [REJECT] The signer is the coordinator that it names.
    if statement.signer.address != task.coordinator:
        raise GossipReject("signer is not the coordinator")
    check_slot_is_free(seen, statement)
    check_sequence(seen, statement)
    # [REJECT] The ranking is the draw's; if it is not, the announcement is evidence.
    seed = task_seed(epoch.seed, task.coordinator, task.sequence)
    if not follows_draw(epoch.miners, seed, task.ranking):
        raise Misranked(WrongRanking(data))
    seen.tasks[statement.digest] = statement
    seen.task_ids[task.coordinator, task.sequence] = statement.digest
    remember(seen, statement)
    return statement


def check_form(task: TaskAnnouncement) -> None:
    """What the announcement alone shows; the cheap rules.

    :raises GossipReject: no honest coordinator says this.
    """
    # [REJECT] The task's life is positive and not too long.
    if not task.announced_at_ms < task.deadline_ms <= task.announced_at_ms + TASK_LIFE_MS_MAX:
        raise GossipReject("task's life is out of bounds")
    # [REJECT] Each rank has a head start over the next.
    if task.rank_timeout_ms < RANK_TIMEOUT_MS_MIN:
        raise GossipReject("rank timeout is out of bounds")
    # [REJECT] There is something to do, and somebody to do it.
    if not (task.steps and task.width and task.height and task.assigned):
        raise GossipReject("task is empty")
    # [REJECT] The first announcement, and no other, follows none.
    if (task.sequence == 0) != (task.previous == NO_TASK):
        raise GossipReject("sequence and predecessor contradict each other")


def check_sequence(seen: Seen, statement: Statement[TaskAnnouncement]) -> None:
    """Compare `statement` with its coordinator's announcements one number before and after it.

    :raises SequenceContradiction: they are not one chain.
    """
    task = statement.message
    before = _announced(seen, task.coordinator, task.sequence - 1)
    after = _announced(seen, task.coordinator, task.sequence + 1)
    # [IGNORE] It names its predecessor's id and no earlier epoch, and its successor likewise, if seen.
    for earlier, later in ((before, statement), (statement, after)):
        if earlier is not None and later is not None and not follows(earlier, later):
            raise SequenceContradiction(BrokenSequence(earlier.encoded, later.encoded))


def _announced(seen: Seen, coordinator: bytes, sequence: int) -> Statement[TaskAnnouncement] | None:
    task_id = seen.task_ids.get((coordinator, sequence))
    return None if task_id is None else seen.tasks.get(task_id)
