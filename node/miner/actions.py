"""The actions that the miner's engine asks of its shell, and its counts.

Is: the engine's output as values.
Is not: a decision; `engine` makes them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from protocol.hashing import sha256
from protocol.messages import ResultCommitment, TaskAnnouncement, TaskInput
from protocol.statement import Statement
from protocol.task import MinerState


class Count(enum.StrEnum):
    """Everything that the engine counts: what it drops, with the reason, and what it does."""

    HEARD = "heard"
    OVERFLOW_COORDINATOR = "overflow_coordinator"
    """Not followed: as many of this coordinator's tasks are followed as one may have."""
    OVERFLOW_ALL = "overflow_all"
    """Not followed: as many tasks are followed as there may be."""
    CALLED = "called"
    CALL_REFUSED = "call_refused"
    DIAL_FAILED = "dial_failed"
    COORDINATOR_LOST = "coordinator_lost"
    COORDINATOR_BROKE_PROTOCOL = "coordinator_broke_protocol"
    UNPAID = "unpaid"
    BUSY = "busy"
    NOT_SIGNED = "not_signed"
    JOB_ABANDONED = "job_abandoned"
    """Stopped since its coordinator did not come back."""
    RESULT_FORGOTTEN = "result_forgotten"
    """Let go to keep within the bounds of results that wait."""
    REDELIVERED = "redelivered"


@dataclass(frozen=True, slots=True)
class CheckCredit:
    """Find out whether a task's coordinator can pay, and say so with `MinerEngine.credit`."""

    task_id: bytes
    task: TaskAnnouncement


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a task stream to a task's coordinator; answer with `stream_opened` or `dial_failed`."""

    task: Statement[TaskAnnouncement]


class Send(NamedTuple):
    """Send a payload on a stream, after those before it."""

    stream_id: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class CloseStream:
    """End a stream when all that was to be sent on it has left.

    :ivar reason: for the coordinator, where the end is its fault or our failure; empty for a clean end.
    """

    stream_id: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StartJob:
    """Run a task; its events are `job_progress`, `job_preview`, then `job_finished` or `job_failed`.

    :ivar task_input: the announced one.
    :ivar sources: as in the input, whole and checked.
    """

    task: Statement[TaskAnnouncement]
    task_input: TaskInput
    sources: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Stop a task's job; no event of it is wanted any more."""

    task_id: bytes


@dataclass(frozen=True, slots=True)
class KeepTrace:
    """Put a task's trace where auditors may ask for it, and say so with `trace_kept`.

    :ivar start: the job that it is of.
    :ivar output: what came out.
    """

    start: StartJob
    output: bytes

    @property
    def task(self) -> Statement[TaskAnnouncement]:
        """The task that the trace is of."""
        return self.start.task


@dataclass(frozen=True, slots=True)
class DiscardTrace:
    """Remove what the job of a task that came to nothing may have left; a kept trace stays."""

    task_id: bytes


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell everybody what came out. :ivar task: that it came out of."""

    task: TaskAnnouncement
    commitment: Statement[ResultCommitment]


@dataclass(frozen=True, slots=True)
class RefuseCall:
    """Tell the caller that nothing of its waits here."""

    reason: str


@dataclass(frozen=True, slots=True)
class TaskOver:
    """A task is not followed any more. :ivar reason: for the operator."""

    task_id: bytes
    rank: int
    state: MinerState
    reason: str


Action: TypeAlias = (
    CheckCredit
    | Dial
    | Send
    | CloseStream
    | StartJob
    | CancelJob
    | KeepTrace
    | DiscardTrace
    | Publish
    | RefuseCall
    | TaskOver
)


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of a job that ended well.

    :ivar output: the file, at least 1 byte.
    :ivar units_done: units that it took.
    :ivar trace_root: see `ResultCommitment`.
    :ivar checksum: over the three, taken when this was made.
    """

    output: bytes
    units_done: int
    trace_root: bytes
    checksum: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checksum", self._sum())

    @property
    def intact(self) -> bool:
        """Whether no bit of it has flipped since; asked before it is signed."""
        return self.checksum == self._sum()

    def _sum(self) -> bytes:
        return sha256(self.units_done.to_bytes(8, "big") + self.trace_root + sha256(self.output))


@dataclass(frozen=True, slots=True)
class MinerSnapshot:
    """The engine as numbers.

    :ivar followed: tasks in all; the other fields say where they are.
    :ivar results_held: results that are kept until their coordinators have them.
    :ivar counts: see `Count`.
    """

    followed: int
    waiting: int
    accepted: int
    working: int
    committed: int
    jobs: int
    results_held: int
    result_bytes_held: int
    counts: Mapping[Count, int]
