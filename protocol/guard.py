"""The equivocation guard's decisions: may this be signed, and whose is what was heard in our name?

Is: pure functions of what a store knows about one slot and of the bounds of its memory.
Is not: the store (`node/signing/guard`), which must make question, answer and record one transaction.

A guard forgets, since it may not grow for ever, and may have been made when its key was not new. What it
does not remember is bounded by `Memory`: nothing is ever signed there, and what is heard from there means
nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from protocol.messages import Kind, TaskAnnouncement
from protocol.rules.view import CLOCK_DISPARITY_MS_MAX

NUMBERED_KINDS = frozenset({Kind.OFFER, Kind.TASK_ANNOUNCEMENT})
"""Kinds whose slot is a rising number, so that a watermark can say "nothing at or below"."""
EPOCHS_SAT_OUT: Final = 2
"""Whole epochs without an announcement, before a coordinator with a new guard for an old key begins at 0."""


class Decision(enum.Enum):
    """The guard's answer."""

    SIGN = "sign"
    """Nothing was signed in this slot: record the body, then sign."""
    SAME = "same"
    """Exactly this was signed already; signing it again says nothing new."""
    REFUSE = "refuse"
    """It would contradict what was signed, or what may have been signed elsewhere."""


class Heard(enum.Enum):
    """Whose a statement is that bears our signature."""

    OURS = "ours"
    """It is recorded."""
    FORGOTTEN = "forgotten"
    """It lies where this guard remembers nothing and signs nothing. Anybody can replay such a statement."""
    FOREIGN = "foreign"
    """This guard has not signed it and should know it if it had: our key signs elsewhere, or did."""


@dataclass(frozen=True, slots=True)
class TaskTimes:
    """When a statement's task lives; both are fixed by the task's id.

    :ivar announced_at_ms: Unix time. :ivar deadline_ms: likewise; from then on the task is over.
    """

    announced_at_ms: int
    deadline_ms: int

    @classmethod
    def of(cls, task: TaskAnnouncement) -> TaskTimes:
        """Those of an announcement."""
        return cls(task.announced_at_ms, task.deadline_ms)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bounds of what a guard remembers of one key and kind.

    :ivar watermark: highest number at or below which nothing is known that is not recorded; None without one.
    :ivar horizon_ms: tasks that ended at or before it are forgotten; 0 at first.
    :ivar made_at_ms: when the guard was made, if its key was older; tasks announced until then may have been
        another guard's. 0 for a guard as old as its key.
    """

    watermark: int | None = None
    horizon_ms: int = 0
    made_at_ms: int = 0

    def reaches(self, place: int | TaskTimes) -> bool:
        """Whether everything signed at `place` is recorded.

        :param place: number of the slot, for a kind of `NUMBERED_KINDS`; the task's times for the others.
        """
        if isinstance(place, int):
            return self.watermark is None or place > self.watermark
        # A coordinator's clock may be fast by so much, and its task was known before it was announced.
        was_here = not self.made_at_ms or place.announced_at_ms > self.made_at_ms + CLOCK_DISPARITY_MS_MAX
        return was_here and place.deadline_ms > self.horizon_ms


def decide(previous_body: bytes | None, body: bytes, place: int | TaskTimes, memory: Memory) -> Decision:
    """Whether `body` may be signed in its slot.

    :param previous_body: what was signed in this slot; None when nothing is recorded.
    :param place: as for `Memory.reaches`.
    """
    if previous_body is not None:
        return Decision.SAME if previous_body == body else Decision.REFUSE
    return Decision.SIGN if memory.reaches(place) else Decision.REFUSE


def judge_heard(
    previous_body: bytes | None, body: bytes, place: int | TaskTimes | None, memory: Memory
) -> Heard:
    """Whose a statement is that was heard in our name.

    :param previous_body: what is recorded in its slot, if anything is.
    :param place: as for `Memory.reaches`; None for a task that this node does not know.
    """
    if previous_body == body:
        return Heard.OURS
    return Heard.FOREIGN if place is not None and memory.reaches(place) else Heard.FORGOTTEN


def first_epoch(epoch: int) -> int:
    """First epoch in which a coordinator whose guard is new, or was lost, may announce.

    :param epoch: the latest when the guard first saw one; the key may have announced in it before.
    """
    return epoch + EPOCHS_SAT_OUT + 1


def last_number_before(epoch: int) -> int:
    """Highest number of a slot of an announcement before `epoch`, which is at least 1."""
    return (epoch << 64) - 1
