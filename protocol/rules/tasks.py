"""Rules of the topic `tasks`: which announcements are forwarded, and so which miners start to work."""

from __future__ import annotations

from protocol.draw import follows_draw, task_seed
from protocol.errors import GossipIgnore, GossipReject, InvalidMessage
from protocol.evidence import BrokenSequence, WrongRanking, breaks_sequence
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
from protocol.work import require_form

TOPIC = "tasks"
TASK_LIFE_MS_MAX = 60 * 60 * 1000
"""Longest time from announcement to deadline, on any network."""


def validate_task(seen: Seen, view: View, data: bytes, now_ms: int) -> Statement[TaskAnnouncement]:
    """The announcement in `data`, to be accepted.

    :raises Contradiction: the coordinator contradicts itself; carries the evidence.
    :raises GossipIgnore: over, seen, or of an epoch that this peer does not know (yet) or whose seed has
        just changed.
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
    # [IGNORE] The task's life is within the network's. No penalty: parameters of a network may change.
    if task.deadline_ms - task.announced_at_ms > view.terms.life_ms_max:
        raise GossipIgnore("task's life is longer than the network's")
    # [IGNORE] The epoch is known. No penalty: another peer may hear of a new one first.
    epoch = view.epochs.get(task.epoch)
    if epoch is None:
        raise GossipIgnore("epoch is not known")
    # [REJECT] Whom it names is a coordinator of that epoch, on which all peers agree.
    if not epoch.coordinators.weight_of(task.coordinator):
        check_settled(view, task.epoch, now_ms)
        raise GossipReject("not a coordinator of this epoch")
    statement = verify_gossip(view.domain, envelope, task, data)
    # [REJECT] The signer is the coordinator that it names.
    if statement.signer.address != task.coordinator:
        raise GossipReject("signer is not the coordinator")
    check_slot_is_free(seen, statement)
    check_sequence(seen, statement)
    # [REJECT] The ranking is the draw's; if it is not, the announcement is evidence.
    seed = task_seed(epoch.seed, task.coordinator, task.number)
    if not follows_draw(epoch.miners, seed, task.ranking):
        check_settled(view, task.epoch, now_ms)
        raise Misranked(WrongRanking(data))
    seen.tasks[statement.digest] = statement
    seen.task_ids[task.coordinator, task.epoch, task.number] = statement.digest
    seen.followers[task.coordinator, task.epoch, task.previous] = statement.digest
    last = _last(seen, task.coordinator, task.epoch)
    if last is None or last.message.number < task.number:
        seen.last_tasks[task.coordinator, task.epoch] = statement.digest
    remember(seen, statement)
    return statement


def check_settled(view: View, epoch: int, now_ms: int) -> None:
    """Before somebody is blamed for what does not fit an epoch.

    :param epoch: its number.
    :raises GossipIgnore: the signer may have seen another one under that number.
    """
    # [IGNORE] What does not fit is not by a seed that has just changed. No penalty: peers hear of it in turn.
    if view.is_settling(epoch, now_ms):
        raise GossipIgnore("epoch's seed has just changed")


def check_form(task: TaskAnnouncement) -> None:
    """The cheap rules, which need the announcement alone.

    :raises GossipReject: no honest coordinator says this.
    """
    # [REJECT] The task's life is positive and not too long.
    if not task.announced_at_ms < task.deadline_ms <= task.announced_at_ms + TASK_LIFE_MS_MAX:
        raise GossipReject("task's life is out of bounds")
    # [REJECT] The work makes sense by itself; of a kind that this peer does not know, it has a unit.
    try:
        require_form(task.work)
    except InvalidMessage as error:
        raise GossipReject("work makes no sense") from error
    # [REJECT] Somebody may do it.
    if not task.assigned:
        raise GossipReject("task is assigned to nobody")
    # [REJECT] What is owed with the first unit is a part of the price.
    if task.upfront_micro_cai > task.price_micro_cai:
        raise GossipReject("more is owed with the first unit than with all")
    # [REJECT] Every announcement but the first of an epoch names the one before it.
    if task.number and task.previous == NO_TASK:
        raise GossipReject("task names no predecessor")


def check_sequence(seen: Seen, statement: Statement[TaskAnnouncement]) -> None:
    """Compare `statement` with its coordinator's announcements beside it, in its epoch and those next to it.

    :raises SequenceContradiction: they are not of one chain.
    """
    task = statement.message
    who, epoch = task.coordinator, task.epoch
    before = [_announced(seen, who, epoch, task.number - 1)] if task.number else _of_epoch_before(seen, task)
    after = [_announced(seen, who, epoch, task.number + 1), _announced(seen, who, epoch + 1, 0)]
    # [IGNORE] It names its predecessor, and its successor names it, if seen.
    for earlier, later in (*((one, statement) for one in before), *((statement, other) for other in after)):
        if earlier is not None and later is not None and breaks_sequence(earlier, later):
            raise SequenceContradiction(BrokenSequence(earlier.encoded, later.encoded))


def _of_epoch_before(seen: Seen, first: TaskAnnouncement) -> list[Statement[TaskAnnouncement] | None]:
    """Announcements that may show that the first one of an epoch does not name the last of the epoch before.

    It does not if it names nothing and there is one, or if another one follows the one that it names.
    """
    who, epoch = first.coordinator, first.epoch - 1
    follower = seen.followers.get((who, epoch, first.previous))
    return [_last(seen, who, epoch), None if follower is None else seen.tasks.get(follower)]


def _last(seen: Seen, coordinator: bytes, epoch: int) -> Statement[TaskAnnouncement] | None:
    task_id = seen.last_tasks.get((coordinator, epoch))
    return None if task_id is None else seen.tasks.get(task_id)


def _announced(seen: Seen, coordinator: bytes, epoch: int, number: int) -> Statement[TaskAnnouncement] | None:
    task_id = seen.task_ids.get((coordinator, epoch, number))
    return None if task_id is None else seen.tasks.get(task_id)
