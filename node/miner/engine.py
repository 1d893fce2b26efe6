"""The miner as a machine: what is heard goes in, what is to be done comes out.

Is: which announcements are followed, when their coordinators are dialled, and when a task ends; with
`conversation` and `delivery`, all that a miner decides of a task. No I/O, clock or randomness: `now_ms` is an
argument. The same code runs in a node (`miner`) and in a simulation.
Is not: offers, the test of models, or files.

The law of this file, tested with any sequence of events: whatever peers and workers say, nothing is raised;
no bound is passed; no more is shown than is paid and a slice; at most `Terms.capacity` jobs run.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from node.miner.actions import (
    Action,
    CheckCredit,
    CloseStream,
    Count,
    Dial,
    Finished,
    MinerSnapshot,
    RefuseCall,
)
from node.miner.conversation import Conversations
from node.miner.delivery import Deliveries
from node.miner.followed import OVER_MAX, REDIAL_MS_MIN, REFUSALS_MAX, Followed, FollowedTasks
from node.miner.ports import Decline, Pay, Seal, Terms
from protocol.bounded import Bounded
from protocol.messages import DeclineKind, TaskAnnouncement
from protocol.task import MinerEvent, MinerState
from protocol.terms import TaskTerms

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.statement import Statement


class MinerEngine:
    """One miner's. Every event returns the actions that it asks for, in order.

    :ivar counts: see `Count`.
    """

    def __init__(
        self,
        miner: bytes,
        *,
        seal: Seal,
        pay: Pay,
        terms: Terms,
        task_terms: TaskTerms,
        patience_ms: int,
        ahead_ms: Callable[[], int],
    ) -> None:
        """Begin without tasks.

        :param miner: its address.
        :param task_terms: the network's.
        :param patience_ms: how long a voucher that is due may take, the rest of an input, and the return of a
            lost coordinator while its job runs.
        :param ahead_ms: how far the time of day, of which announcements speak, is ahead of `now_ms`, by which
            all waits are measured and which nobody sets.
        """
        self._miner = miner
        self._terms = terms
        self._task_terms = task_terms
        self._tasks = FollowedTasks(seal, pay, terms)
        self._deliveries = Deliveries(self._tasks)
        self._conversations = Conversations(self._tasks, self._deliveries, patience_ms)
        self._results_heard: Bounded[bytes, None] = Bounded(OVER_MAX)
        self._checking: dict[bytes, bytes] = {}
        self._ahead_ms = ahead_ms
        self._paused = ""

    @property
    def counts(self) -> Counter[Count]:
        """Everything that was dropped and done so far."""
        return self._tasks.counts

    def snapshot(self) -> MinerSnapshot:
        """The engine as it is now."""
        followed = list(self._tasks.by_id.values())
        states = Counter(one.life.state for one in followed)
        held = list(self._deliveries.held())
        return MinerSnapshot(
            followed=len(followed),
            waiting=states[MinerState.HEARD] + states[MinerState.WAITING],
            accepted=states[MinerState.ACCEPTED],
            working=states[MinerState.WORKING],
            committed=states[MinerState.COMMITTED],
            jobs=len(self._tasks.jobs),
            results_held=len(held),
            result_bytes_held=sum(one.result_bytes for one in held),
            counts=dict(self.counts),
        )

    def wake_at_ms(self) -> int | None:
        """When `tick` should be called at the latest; None while nothing waits for time."""
        return min((followed.wake_at_ms() for followed in self._tasks.by_id.values()), default=None)

    # Events

    def heard(self, task: Statement[TaskAnnouncement], now_ms: int) -> list[Action]:
        """An announcement that its rule has accepted."""
        message, task_id = task.message, task.digest
        known = task_id in self._tasks.by_id or task_id in self._tasks.over
        if self._miner not in message.assigned or known or message.deadline_ms <= now_ms + self._ahead_ms():
            return []
        self.counts[Count.HEARD] += 1
        self._tasks.remembered[task_id] = task
        if task_id in self._results_heard:
            return []
        overflow = self._tasks.overflow(message.coordinator)
        if overflow is not None:
            self.counts[overflow] += 1
            return []
        self._follow(task, now_ms)
        return self._tasks.take_actions()

    def heard_result(self, task_id: bytes, miner: bytes) -> list[Action]:
        """A commitment that its rule has accepted.

        Another miner's ends what waits here. It proves nothing: the task's coordinator may call all the same.
        """
        if miner == self._miner:
            return []
        self._results_heard[task_id] = None
        followed = self._tasks.by_id.get(task_id)
        if followed is not None and followed.life.state in {MinerState.HEARD, MinerState.WAITING}:
            self._tasks.end(followed, MinerEvent.HEAR_NOT_NEEDED, "another miner has finished")
            del self._tasks.over[task_id]
        return self._tasks.take_actions()

    def called(self, task_id: bytes, caller: bytes, now_ms: int) -> list[Action]:
        """A peer calls for a task; if it is the task's coordinator, this miner's turn has come.

        :param caller: its address, authenticated.
        """
        task = self._tasks.remembered.get(task_id)
        followed = self._tasks.by_id.get(task_id)
        if followed is None and task is not None and caller == task.message.coordinator:
            over = task_id in self._tasks.over or task.message.deadline_ms <= now_ms + self._ahead_ms()
            if not over and self._tasks.overflow(caller) is None:
                followed = self._follow(task, now_ms)
        if followed is None or caller != followed.coordinator:
            self.counts[Count.CALL_REFUSED] += 1
            self._tasks.actions.append(RefuseCall("no task of yours waits here"))
        else:
            self.counts[Count.CALLED] += 1
            followed.comes_at_ms, followed.redial_ms = now_ms, REDIAL_MS_MIN
            self._come_when_due(followed, now_ms)
        return self._tasks.take_actions()

    def credit(self, task_id: bytes, reason: str | None, now_ms: int) -> list[Action]:
        """The answer to `CheckCredit`: why a task's coordinator gets no credit; None if it does."""
        coordinator = self._checking.pop(task_id, None)
        if coordinator is None:
            return []
        followed = self._tasks.by_id.get(task_id)
        if followed is not None and followed.life.state is MinerState.HEARD and followed.decline is None:
            if reason is None:
                followed.life.move(MinerEvent.TRUST)
            else:
                followed.decline = Decline(DeclineKind.NOT_HERE, reason)
            self._come_when_due(followed, now_ms)
        self._check_next(coordinator)
        return self._tasks.take_actions()

    def stream_opened(self, task_id: bytes, stream_id: int, now_ms: int) -> list[Action]:
        """The answer to `Dial`. :param stream_id: any number that no other stream has or had."""
        del now_ms
        followed = self._tasks.by_id.get(task_id)
        if stream_id in self._tasks.by_stream:
            return []
        if followed is None or not followed.dialling:
            return [CloseStream(stream_id)]
        followed.dialling = False
        self._conversations.open(followed, stream_id, self._paused)
        return self._tasks.take_actions()

    def dial_failed(self, task_id: bytes, reason: str, now_ms: int) -> list[Action]:
        """The answer to `Dial`. A "no" that cannot be delivered is not worth another attempt."""
        followed = self._tasks.by_id.get(task_id)
        if followed is None or not followed.dialling:
            return []
        self.counts[Count.DIAL_FAILED] += 1
        followed.dialling = False
        if followed.decline is not None:
            self._tasks.end(followed, MinerEvent.GIVE_UP, f"{followed.decline.reason}; {reason}")
        else:
            followed.back_off(now_ms)
        return self._tasks.take_actions()

    def stream_payload(self, stream_id: int, payload: bytes, now_ms: int) -> list[Action]:
        """A payload came on a stream; any bytes."""
        followed = self._tasks.by_stream.get(stream_id)
        if followed is not None:
            self._conversations.receive(followed, payload, now_ms)
        return self._tasks.take_actions()

    def stream_lost(self, stream_id: int, reason: str, now_ms: int, *, refused: bool = False) -> list[Action]:
        """A stream has ended without a word that ends the task.

        :param refused: the coordinator has ended it on purpose: it does not want this miner for the task now.
        """
        followed = self._tasks.by_stream.get(stream_id)
        if followed is not None:
            followed.refusals += refused
        if followed is not None and followed.refusals >= REFUSALS_MAX:
            self._tasks.end(followed, MinerEvent.GIVE_UP, f"the coordinator refused: {reason}")
        elif followed is not None:
            self._conversations.lose(followed, now_ms)
        return self._tasks.take_actions()

    def job_progress(self, task_id: bytes, units: int, now_ms: int) -> list[Action]:
        """A job has made so many units."""
        if (followed := self._tasks.by_id.get(task_id)) is not None:
            self._deliveries.progress(followed, units, now_ms)
        return self._tasks.take_actions()

    def job_preview(self, task_id: bytes, units: int, png: bytes, now_ms: int) -> list[Action]:
        """A job shows its unfinished work after so many units."""
        if (followed := self._tasks.by_id.get(task_id)) is not None:
            self._deliveries.preview(followed, units, png, now_ms)
        return self._tasks.take_actions()

    def job_finished(self, task_id: bytes, finished: Finished) -> list[Action]:
        """A job has ended well."""
        if (followed := self._tasks.by_id.get(task_id)) is not None:
            self._deliveries.finish(followed, finished)
        return self._tasks.take_actions()

    def job_failed(self, task_id: bytes, kind: DeclineKind, reason: str) -> list[Action]:
        """A job has come to nothing. :param kind: what that says of other miners."""
        if (followed := self._tasks.by_id.get(task_id)) is not None:
            self._deliveries.fail(followed, Decline(kind, reason))
        return self._tasks.take_actions()

    def trace_kept(self, task_id: bytes, now_ms: int, error: str = "") -> list[Action]:
        """The answer to `KeepTrace`. :param error: why it cannot be; empty when it is."""
        if (followed := self._tasks.by_id.get(task_id)) is not None:
            self._deliveries.trace_kept(followed, error, now_ms)
        return self._tasks.take_actions()

    def policy(self, paused: str) -> None:
        """Accept nothing new, for this reason; empty to accept again. What is promised is kept."""
        self._paused = paused

    def tick(self, now_ms: int) -> list[Action]:
        """Time has passed."""
        for followed in list(self._tasks.by_id.values()):
            if followed.deadline_ms <= now_ms:
                self._tasks.end(followed, MinerEvent.GIVE_UP, "its deadline has passed")
            else:
                self._conversations.tick(followed, now_ms)
                self._come_when_due(followed, now_ms)
        return self._tasks.take_actions()

    def stop(self) -> list[Action]:
        """The miner stops: what it was not paid is remembered."""
        for followed in list(self._tasks.by_id.values()):
            self._tasks.end(followed, MinerEvent.GIVE_UP, "the miner stops")
        return self._tasks.take_actions()

    # Internals

    def _follow(self, task: Statement[TaskAnnouncement], now_ms: int) -> Followed:
        message = task.message
        rank = message.assigned.index(self._miner)
        # No wait is longer than if the task were announced now: a clock that was set back would stretch it.
        begun_ms = min(message.announced_at_ms - self._ahead_ms(), now_ms)
        head_start_ms = self._task_terms.starts_at_ms(message, rank) - message.announced_at_ms
        life_ms = message.deadline_ms - message.announced_at_ms
        followed = Followed(task, rank, begun_ms + head_start_ms, begun_ms + life_ms)
        self._tasks.add(followed)
        followed.decline = self._terms.why_not(task.message)
        if followed.decline is None and self._paused:
            followed.decline = Decline(DeclineKind.NOT_HERE, f"this miner is paused: {self._paused}")
        if followed.decline is None:
            self._check_next(followed.coordinator)
        else:
            self._come_when_due(followed, now_ms)
        return followed

    def _check_next(self, coordinator: bytes) -> None:
        """Have the credit of a coordinator looked at for one of its tasks at a time."""
        if coordinator in self._checking.values():
            return
        for followed in self._tasks.by_id.values():
            waits = followed.life.state is MinerState.HEARD and followed.decline is None
            if waits and followed.coordinator == coordinator:
                self._checking[followed.id] = coordinator
                self._tasks.actions.append(CheckCredit(followed.id, followed.task.message))
                return

    def _come_when_due(self, followed: Followed, now_ms: int) -> None:
        if followed.id in self._tasks.by_id and followed.may_come and followed.comes_at_ms <= now_ms:
            followed.dialling = True
            self._tasks.actions.append(Dial(followed.task))
