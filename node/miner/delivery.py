"""The work on tasks and its results: jobs in their slots, what came out, and as much of it as may leave now.

Is: a part of the miner's engine, without I/O or clock: slots, signatures, chunks, commitment, and the results
that are held until their coordinators have them.
Is not: what the coordinator says meanwhile (`conversation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from node.exchange.inputs import InputIntake
from node.miner.actions import Count, Finished, KeepTrace, Publish, Send, StartJob
from node.miner.followed import Followed, FollowedTasks
from node.miner.ports import Decline
from node.miner.result_sender import ResultSender
from protocol.errors import LocalError
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import OUTPUT_BYTES_MAX, DeclineKind, Message, ResultCommitment, parts_of
from protocol.statement import Statement
from protocol.task import MinerEvent, MinerState
from protocol.work import may_be_all

RESULTS_MAX: Final = 32
RESULT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Results that are held until their coordinators have them, all together; beyond it the oldest go."""

CANNOT_SIGN: Final = Decline(DeclineKind.NOT_HERE, "this miner must not sign what it would have to")
SENSELESS: Final = Decline(DeclineKind.NOT_HERE, "the inference process of this miner made no sense")
SPOILT: Final = Decline(DeclineKind.NOT_HERE, "the memory of this miner spoilt its work")
NO_TRACE: Final = Decline(DeclineKind.NOT_HERE, "this miner cannot keep the trace of its work")


class Deliveries:
    """The work of all tasks that have the input. Its methods add to the actions of `tasks`."""

    def __init__(self, tasks: FollowedTasks) -> None:
        self._tasks = tasks

    def progress(self, followed: Followed, units: int, now_ms: int) -> None:
        """The job has made so many units."""
        if followed.job_running and followed.sender is not None:
            followed.sender.progress(units)
            self.pump(followed, now_ms)

    def preview(self, followed: Followed, units: int, png: bytes, now_ms: int) -> None:
        """The job shows its unfinished work."""
        if followed.job_running and followed.sender is not None:
            followed.sender.preview(units, png)
            self.pump(followed, now_ms)

    def finish(self, followed: Followed, finished: Finished) -> None:
        """The job has ended well: its slot is free, and its trace is to be kept before anything is signed."""
        if not self._free_slot(followed):
            return
        whole = may_be_all(followed.task.message.work, finished.units_done)
        shown_more = followed.sender is not None and followed.sender.made > finished.units_done
        if not whole or shown_more or not 0 < len(finished.output) <= OUTPUT_BYTES_MAX:
            self._tasks.say_no(followed, SENSELESS)
            return
        assert followed.start is not None
        followed.finished = finished
        self._tasks.actions.append(KeepTrace(followed.start, finished.output))
        followed.start = None

    def fail(self, followed: Followed, decline: Decline) -> None:
        """The job has come to nothing."""
        if self._free_slot(followed):
            self._tasks.say_no(followed, decline)

    def trace_kept(self, followed: Followed, error: str, now_ms: int) -> None:
        """The trace of a finished job is kept, or cannot be: sign what came out, then show it.

        In this order: after a crash no other output can be sent for the commitment, and what was committed to
        can be opened.
        """
        finished, followed.finished = followed.finished, None
        if finished is None or followed.sender is None:
            return
        if error or not finished.intact:
            self._tasks.say_no(followed, NO_TRACE if error else SPOILT)
            return
        commitment = ResultCommitment(
            task_id=followed.id,
            output_root=merkle_root(parts_of(finished.output)),
            output_bytes=len(finished.output),
            output_hash=sha256(finished.output),
            trace_root=finished.trace_root,
            units_done=finished.units_done,
        )
        followed.commitment = self.seal(followed, commitment)
        if followed.commitment is None:
            return
        followed.result_bytes = len(finished.output)
        followed.sender.finish(finished.output, finished.units_done)
        if followed.life.state is MinerState.WORKING:
            followed.life.move(MinerEvent.COMMIT)
            self.pump(followed, now_ms)
        self._bound_results(followed)

    def held(self) -> Iterator[Followed]:
        """Tasks whose results are held, oldest first."""
        return (followed for followed in self._tasks.by_id.values() if followed.commitment is not None)

    def start_job(self, followed: Followed, intake: InputIntake) -> None:
        """Take a slot, which is free, and work."""
        assert followed.meter is not None
        followed.sender = ResultSender(followed.task, followed.meter)
        followed.job_started = followed.job_running = True
        self._tasks.jobs.add(followed.id)
        followed.start = StartJob(followed.task, intake.task_input, intake.sources)
        self._tasks.actions.append(followed.start)

    def needs_slot(self, followed: Followed) -> bool:
        """Whether the work is still to be done: no job of it runs, and nothing has come out."""
        return not followed.job_running and followed.finished is None and followed.commitment is None

    def slot_is_free(self) -> bool:
        """Whether one more job may run."""
        return len(self._tasks.jobs) < self._tasks.terms.capacity

    def pump(self, followed: Followed, now_ms: int) -> None:
        """Send what may leave now, and note whether something waits to be paid for."""
        sender, meter = followed.sender, followed.meter
        at_work = followed.life.state in {MinerState.WORKING, MinerState.COMMITTED}
        if sender is None or meter is None or not at_work:
            return
        for chunk in sender.due_chunks():
            statement = self.seal(followed, chunk)
            if statement is None:
                return
            self.send(followed, statement.encoded)
        if followed.commitment is not None and sender.complete:
            self._send_commitment(followed, followed.commitment)
        elif sender.waits_for_pay:
            meter.wait(now_ms)

    def send(self, followed: Followed, payload: bytes) -> None:
        """Send on a task's stream, which is open."""
        assert followed.stream_id is not None
        self._tasks.actions.append(Send(followed.stream_id, payload))

    def seal(self, followed: Followed, message: Message) -> Statement[Any] | None:
        """Sign; where that must not be, the task is declined, or given up after the commitment."""
        try:
            return self._tasks.seal(message, followed.task.message)
        except LocalError:
            self._tasks.counts[Count.NOT_SIGNED] += 1
            self._tasks.say_no(followed, CANNOT_SIGN)
            return None

    # Internals

    def _free_slot(self, followed: Followed) -> bool:
        """The job has ended; whether there was one."""
        if not followed.job_running:
            return False
        followed.job_running, followed.away_until_ms = False, None
        self._tasks.jobs.discard(followed.id)
        return True

    def _send_commitment(self, followed: Followed, commitment: Statement[ResultCommitment]) -> None:
        if not followed.published:
            followed.published = True
            self._tasks.actions.append(Publish(followed.task.message, commitment))
        if not followed.commitment_sent:
            followed.commitment_sent = True
            self.send(followed, commitment.encoded)

    def _bound_results(self, newest: Followed) -> None:
        """Let go of the oldest results but `newest`, which alone is within the bounds."""
        held = list(self.held())
        count, total_bytes = len(held), sum(followed.result_bytes for followed in held)
        for followed in held:
            if count <= RESULTS_MAX and total_bytes <= RESULT_BYTES_MAX:
                return
            if followed is not newest:
                count, total_bytes = count - 1, total_bytes - followed.result_bytes
                self._forget_result(followed)

    def _forget_result(self, followed: Followed) -> None:
        self._tasks.counts[Count.RESULT_FORGOTTEN] += 1
        if followed.life.state is MinerState.COMMITTED:
            reason = "the result is not held any more"
            self._tasks.end(followed, MinerEvent.GIVE_UP, reason, tell=reason)
        else:
            followed.commitment, followed.sender, followed.result_bytes = None, None, 0
