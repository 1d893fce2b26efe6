"""The tasks that a miner follows: each one's state, how many there may be, and how one ends.

Is: bookkeeping for the engine, without I/O or clock. Every step of a task's life goes through
`protocol.task`.
Is not: when a miner comes (`engine`), or what is said on a stream (`conversation`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from node.exchange.inputs import InputIntake
from node.miner.actions import (
    Action,
    CancelJob,
    CloseStream,
    Count,
    DiscardTrace,
    Finished,
    Send,
    StartJob,
    TaskOver,
)
from node.miner.ports import Decline, Pay, Seal, Terms
from node.miner.result_sender import ResultSender
from node.pay.meter import TaskMeter
from protocol.bounded import Bounded
from protocol.messages import REASON_BYTES_MAX, ResultCommitment, TaskAnnouncement, TaskDecline
from protocol.statement import Statement
from protocol.task import MINER, Life, MinerEvent, MinerState

FOLLOWED_MAX: Final = 64
"""Tasks that a miner follows at a time, from the announcement to the end; more only where its capacity asks
for it (`FOLLOWED_PER_SLOT`)."""
FOLLOWED_PER_SLOT: Final = 8
"""Tasks of one coordinator that are followed for each task that the miner works on at a time, but never more
than half of all: one coordinator always leaves room for another."""
REMEMBERED_MAX: Final = 256
"""Announcements that are not followed any more, or not at all, and may still be called for."""
OVER_MAX: Final = 4_096
"""Tasks of which it is remembered that they are over."""
REFUSALS_MAX: Final = 3
"""Streams that a coordinator may refuse before a task is given up: it may think that the last one stands."""
REDIAL_MS_MIN: Final = 250
REDIAL_MS_MAX: Final = 5_000
"""Pauses between two attempts to reach a coordinator, doubling from the one to the other."""


@dataclass(slots=True, eq=False)
class Followed:
    """One task. Its times are by the engine's clock.

    :ivar comes_at_ms: when the miner comes by itself, or tries to again.
    :ivar deadline_ms: when it is over.
    :ivar decline: what it has to say instead of an acceptance, once its turn comes.
    :ivar promised: it has accepted once, and keeps that word when it pauses.
    :ivar vouchers: that have come on the present stream.
    :ivar input_by_ms: when an input that has begun to come must be here whole.
    :ivar away_until_ms: how long a job goes on without its coordinator.
    :ivar credited: `Pay.begin` has given credit.
    :ivar start: the job, until its trace is being kept.
    :ivar finished: what the job has made, while its trace is being kept.
    :ivar commitment: what the miner has signed of it.
    :ivar result_bytes: held of it.
    """

    task: Statement[TaskAnnouncement]
    rank: int
    comes_at_ms: int
    deadline_ms: int
    life: Life[MinerState, MinerEvent] = field(default_factory=lambda: Life(MINER))
    decline: Decline | None = None
    promised: bool = False
    dialling: bool = False
    redial_ms: int = REDIAL_MS_MIN
    refusals: int = 0
    stream_id: int | None = None
    vouchers: int = 0
    intake: InputIntake | None = None
    input_by_ms: int | None = None
    meter: TaskMeter | None = None
    credited: bool = False
    sender: ResultSender | None = None
    job_started: bool = False
    job_running: bool = False
    away_until_ms: int | None = None
    start: StartJob | None = None
    finished: Finished | None = None
    commitment: Statement[ResultCommitment] | None = None
    result_bytes: int = 0
    published: bool = False
    commitment_sent: bool = False

    @property
    def id(self) -> bytes:
        """Task id, 32 bytes."""
        return self.task.digest

    @property
    def coordinator(self) -> bytes:
        """Address of the task's coordinator."""
        return self.task.message.coordinator

    @property
    def may_come(self) -> bool:
        """Whether the miner may dial when its time has come."""
        known = self.life.state is MinerState.WAITING or self.decline is not None
        return known and self.stream_id is None and not self.dialling

    def wake_at_ms(self) -> int:
        """When time alone changes something next."""
        times = [self.deadline_ms]
        if self.may_come:
            times.append(self.comes_at_ms)
        due_at_ms = None if self.meter is None else self.meter.due_at_ms
        times += [time for time in (due_at_ms, self.input_by_ms, self.away_until_ms) if time is not None]
        return min(times)

    def back_off(self, now_ms: int) -> None:
        """Try again later, and then later still."""
        self.comes_at_ms = now_ms + self.redial_ms
        self.redial_ms = min(2 * self.redial_ms, REDIAL_MS_MAX)

    def leave_stream(self) -> None:
        """The stream is gone; what was sent on it counts for nothing, what was paid stays."""
        self.stream_id = None
        self.vouchers = 0
        self.intake, self.input_by_ms = None, None
        self.commitment_sent = False
        if self.meter is not None:
            self.meter.begin_stream()
        if self.sender is not None:
            self.sender.begin_stream()


class FollowedTasks:
    """All tasks of one miner, by id, and the actions that the present event asks for.

    :ivar jobs: tasks whose jobs run, at most the capacity.
    :ivar remembered: announcements that may still be called for.
    :ivar over: tasks that have ended here.
    """

    def __init__(self, seal: Seal, pay: Pay, terms: Terms) -> None:
        self.seal, self.pay, self.terms = seal, pay, terms
        self.counts: Counter[Count] = Counter()
        self.actions: list[Action] = []
        self.by_id: dict[bytes, Followed] = {}
        self.by_stream: dict[int, Followed] = {}
        self.jobs: set[bytes] = set()
        self.remembered: Bounded[bytes, Statement[TaskAnnouncement]] = Bounded(REMEMBERED_MAX)
        self.over: Bounded[bytes, None] = Bounded(OVER_MAX)
        self._of_coordinator: Counter[bytes] = Counter()
        per_coordinator = FOLLOWED_PER_SLOT * terms.capacity
        self.followed_max = max(FOLLOWED_MAX, per_coordinator)
        self.per_coordinator_max = min(per_coordinator, self.followed_max // 2)

    def take_actions(self) -> list[Action]:
        """The actions so far, in their order; the next event begins anew."""
        actions, self.actions = self.actions, []
        return actions

    def overflow(self, coordinator: bytes) -> Count | None:
        """Which bound one more task of a coordinator would pass; None for none."""
        if self._of_coordinator[coordinator] >= self.per_coordinator_max:
            return Count.OVERFLOW_COORDINATOR
        return Count.OVERFLOW_ALL if len(self.by_id) >= self.followed_max else None

    def add(self, followed: Followed) -> None:
        """Follow a task for which there is room."""
        self.by_id[followed.id] = followed
        self._of_coordinator[followed.coordinator] += 1

    def end(self, followed: Followed, event: MinerEvent, reason: str, tell: str = "") -> None:
        """A task is over for this miner, by an event that its life allows now.

        :param reason: for the operator.
        :param tell: for the coordinator, where its stream ends for a fault.
        """
        followed.life.move(event)
        del self.by_id[followed.id]
        self._of_coordinator[followed.coordinator] -= 1
        if not self._of_coordinator[followed.coordinator]:
            del self._of_coordinator[followed.coordinator]
        self.over[followed.id] = None
        if followed.stream_id is not None:
            del self.by_stream[followed.stream_id]
            self.actions.append(CloseStream(followed.stream_id, tell))
        self.stop_job(followed)
        if followed.job_started:
            self.actions.append(DiscardTrace(followed.id))
        if followed.credited and followed.meter is not None:
            self.pay.end(followed.meter.account())
        self.actions.append(TaskOver(followed.id, followed.rank, followed.life.state, reason))

    def stop_job(self, followed: Followed) -> None:
        """Give the slot back, if the task has one."""
        if followed.job_running:
            followed.job_running = False
            followed.away_until_ms = None
            self.jobs.discard(followed.id)
            self.actions.append(CancelJob(followed.id))

    def say_no(self, followed: Followed, decline: Decline) -> None:
        """This miner will not do a task, or not go on with it: its coordinator hears so as soon as possible.

        After the commitment there is nothing left to decline: the stream's end says why.
        """
        if followed.stream_id is None:
            followed.decline = decline
        elif followed.life.state is MinerState.COMMITTED:
            self.end(followed, MinerEvent.GIVE_UP, decline.reason, tell=decline.reason)
        else:
            message = TaskDecline(followed.id, decline.kind, clipped(decline.reason))
            self.actions.append(Send(followed.stream_id, message.encode()))
            self.end(followed, MinerEvent.DECLINE, decline.reason)


def clipped(reason: str) -> str:
    """A reason that fits into a `TaskDecline`."""
    return reason.encode("utf-8", "replace")[:REASON_BYTES_MAX].decode("utf-8", "ignore")
