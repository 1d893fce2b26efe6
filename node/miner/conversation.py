"""The streams of tasks: the miner's acceptance or "no" on each, and all that its coordinator says there.

Is: a part of the miner's engine, without I/O or clock: acceptance, input, vouchers, the end, and all of it
again on another stream when the coordinator was lost.
Is not: which tasks are followed and when their coordinators are dialled (`engine`), or what is sent of the
work (`delivery`).
"""

from __future__ import annotations

from typing import Final

from node.exchange.inputs import InputIntake
from node.miner.actions import Count
from node.miner.delivery import Deliveries
from node.miner.followed import REDIAL_MS_MIN, Followed, FollowedTasks
from node.miner.ports import Decline
from node.pay.meter import TaskMeter, Unpaid
from protocol.errors import InvalidMessage, LocalError, ProtocolError, Refusal
from protocol.messages import DeclineKind, ReplyKind, TaskAcceptance, TaskReply
from protocol.pay import SignedVoucher
from protocol.task import MinerEvent, MinerState

INPUT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Sources of inputs that are coming in, all tasks together, and half of it for one coordinator's; what would
be more is declined as busy."""
VOUCHERS_PER_STREAM_MAX: Final = 64
"""Four times what pays for a task; each one costs a check and a write to the disk."""

CANNOT_KEEP: Final = Decline(DeclineKind.NOT_HERE, "this miner cannot keep vouchers at the moment")
NO_SLOT: Final = Decline(DeclineKind.BUSY, "all slots of this miner are taken")
INPUT_LATE: Final = Decline(DeclineKind.NOT_HERE, "the input did not arrive whole in time")


class Conversations:
    """The streams of all tasks that have one. Its methods add to the actions of `tasks`."""

    def __init__(self, tasks: FollowedTasks, deliveries: Deliveries, patience_ms: int) -> None:
        """:param patience_ms: for a due voucher, the rest of an input, or a lost coordinator."""
        self._tasks = tasks
        self._deliveries = deliveries
        self._patience_ms = patience_ms

    def open(self, followed: Followed, stream_id: int, paused: str) -> None:
        """A stream that the miner dialled is open: accept the task on it, or decline.

        :param paused: why the miner takes nothing new; empty if it does.
        """
        followed.stream_id = stream_id
        self._tasks.by_stream[stream_id] = followed
        if followed.decline is None and paused and not followed.promised:
            followed.decline = Decline(DeclineKind.NOT_HERE, f"this miner is paused: {paused}")
        if followed.decline is not None:
            self._tasks.say_no(followed, followed.decline)
            return
        if followed.meter is None:
            try:
                paid_wei = self._tasks.pay.claimed_wei(followed.id)
            except LocalError:
                self._tasks.say_no(followed, CANNOT_KEEP)
                return
            followed.meter = TaskMeter(followed.task, paid_wei, self._patience_ms)
        acceptance = self._deliveries.seal(followed, TaskAcceptance(followed.id, followed.rank))
        if acceptance is not None:
            followed.promised = True
            followed.life.move(MinerEvent.ACCEPT)
            self._deliveries.send(followed, acceptance.encoded)

    def receive(self, followed: Followed, payload: bytes, now_ms: int) -> None:
        """The coordinator says something; whatever it is, nothing is raised."""
        try:
            self._hear(followed, TaskReply.decode(payload), now_ms)
        except ProtocolError as error:
            self._tasks.counts[Count.COORDINATOR_BROKE_PROTOCOL] += 1
            self._tasks.end(
                followed, MinerEvent.GIVE_UP, f"the coordinator broke the protocol: {error}", "protocol error"
            )

    def lose(self, followed: Followed, now_ms: int) -> None:
        """The coordinator's stream is lost: it is dialled again, and a job goes on for a while."""
        self._tasks.counts[Count.COORDINATOR_LOST] += 1
        followed.life.move(MinerEvent.LOSE_COORDINATOR)
        if followed.stream_id is not None:
            del self._tasks.by_stream[followed.stream_id]
        followed.leave_stream()
        followed.back_off(now_ms)
        if followed.job_running and followed.away_until_ms is None:
            followed.away_until_ms = now_ms + self._patience_ms

    def tick(self, followed: Followed, now_ms: int) -> None:
        """Time has passed, but not the task's deadline."""
        meter = followed.meter
        if meter is not None and meter.due_at_ms is not None and meter.due_at_ms <= now_ms:
            self._tasks.counts[Count.UNPAID] += 1
            reason = Unpaid(meter.unpaid_wei).reason
            self._tasks.end(followed, MinerEvent.GIVE_UP, "the coordinator did not pay in time", reason)
        elif followed.input_by_ms is not None and followed.input_by_ms <= now_ms:
            self._tasks.say_no(followed, INPUT_LATE)
        elif followed.away_until_ms is not None and followed.away_until_ms <= now_ms:
            self._tasks.counts[Count.JOB_ABANDONED] += 1
            self._tasks.stop_job(followed)
            followed.sender = None

    # Internals

    def _hear(self, followed: Followed, reply: TaskReply, now_ms: int) -> None:
        match reply.reply_kind:
            case ReplyKind.VOUCHER:
                self._take_voucher(followed, reply.payload, now_ms)
            case ReplyKind.INPUT:
                self._take_input(followed, reply.payload, now_ms)
            case ReplyKind.SOURCE_PART:
                if followed.intake is None:
                    raise InvalidMessage("part of a source that nobody waits for")
                followed.intake.take_part(reply.payload)
                self._work_when_whole(followed, now_ms)
            case _:
                self._hear_end(followed, reply)

    def _hear_end(self, followed: Followed, reply: TaskReply) -> None:
        received = reply.reply_kind == ReplyKind.RECEIVED
        if received and followed.commitment_sent:
            self._tasks.end(followed, MinerEvent.HEAR_RECEIVED, "received")
        else:
            words = "received" if received else reply.reason
            self._tasks.end(followed, MinerEvent.HEAR_NOT_NEEDED, words or "not needed")

    def _take_voucher(self, followed: Followed, payload: bytes, now_ms: int) -> None:
        """:raises ProtocolError: it is not a good voucher, or one too many."""
        assert followed.meter is not None
        followed.vouchers += 1
        if followed.vouchers > VOUCHERS_PER_STREAM_MAX:
            raise InvalidMessage("too many vouchers")
        voucher = SignedVoucher.decode(payload)
        try:
            self._tasks.pay.take(followed.coordinator, followed.id, voucher)
        except InvalidMessage:
            followed.meter.doubtful = True
            raise
        except LocalError:
            self._tasks.say_no(followed, CANNOT_KEEP)
            return
        except Refusal as refusal:
            self._tasks.say_no(followed, Decline(DeclineKind.NOT_HERE, refusal.reason))
            return
        followed.meter.pay(voucher.task_wei)
        self._deliveries.pump(followed, now_ms)

    def _take_input(self, followed: Followed, payload: bytes, now_ms: int) -> None:
        """:raises ProtocolError: not the announced input, or not the time for one."""
        if followed.life.state is not MinerState.ACCEPTED or followed.intake is not None:
            raise InvalidMessage("input that nobody waits for")
        intake = InputIntake(followed.task.message, payload)
        coming = [one for one in self._tasks.by_id.values() if one.intake is not None]
        all_bytes, its_bytes = (
            intake.bytes_max + sum(one.intake.bytes_max for one in some if one.intake is not None)
            for some in (coming, [one for one in coming if one.coordinator == followed.coordinator])
        )
        no_slot = self._deliveries.needs_slot(followed) and not self._deliveries.slot_is_free()
        if no_slot or all_bytes > INPUT_BYTES_MAX or its_bytes > INPUT_BYTES_MAX // 2:
            self._decline_busy(followed)
            return
        followed.intake = intake
        followed.input_by_ms = now_ms + self._patience_ms
        self._work_when_whole(followed, now_ms)

    def _work_when_whole(self, followed: Followed, now_ms: int) -> None:
        """Take the slot once the whole input is here: half an input holds none."""
        intake = followed.intake
        if intake is None or not intake.complete:
            return
        if self._deliveries.needs_slot(followed):
            if not self._deliveries.slot_is_free():
                self._decline_busy(followed)
                return
            if not followed.credited and (reason := self._tasks.pay.begin(followed.task)) is not None:
                self._tasks.say_no(followed, Decline(DeclineKind.NOT_HERE, reason))
                return
            followed.credited = True
            self._deliveries.start_job(followed, intake)
        followed.intake, followed.input_by_ms, followed.away_until_ms = None, None, None
        followed.redial_ms = REDIAL_MS_MIN
        followed.life.move(MinerEvent.GET_INPUT)
        if followed.commitment is not None:
            self._tasks.counts[Count.REDELIVERED] += 1
            followed.life.move(MinerEvent.COMMIT)
        self._deliveries.pump(followed, now_ms)

    def _decline_busy(self, followed: Followed) -> None:
        self._tasks.counts[Count.BUSY] += 1
        self._tasks.say_no(followed, NO_SLOT)
