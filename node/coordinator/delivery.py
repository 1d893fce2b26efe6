"""The work on a task at its coordinator: a miner is given the input, paid for what it shows, and delivers.

Is: the engine's half that handles input, vouchers and results; each is written down before it happens.
Is not: whose turn it is (`turns`), what a miner's bytes say (`result_intake`), or an order's end (`engine`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from node.coordinator.actions import (
    Accepted,
    Action,
    CloseStream,
    Finish,
    Paid,
    PassOn,
    Send,
    SendInput,
)
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FailureKind, ResultReceived, TurnBegun, VoucherPromised, wei_bytes
from node.coordinator.result_intake import ResultIntake
from node.pay.purse import DepositUsedUp
from protocol.hashing import sha256
from protocol.messages import REASON_BYTES_MAX, ReplyKind, ResultCommitment, TaskAcceptance, TaskReply
from protocol.receipt import Receipt
from protocol.statement import Statement, open_statement

if TYPE_CHECKING:
    from node.coordinator.core import Core
    from node.coordinator.orders import Order, Task, Turn
    from protocol.pay import SignedVoucher

TURN_DIVISOR: Final = 2
"""A turn may take one part in so many of the time that is left to the task, as long as other miners are left:
else a miner that sends something now and then would hold it to the deadline."""


def reply(kind: ReplyKind, payload: bytes = b"", reason: str = "") -> bytes:
    """An encoded `TaskReply`; a longer reason is cut."""
    return TaskReply(kind, payload, cut(reason)).encode()


def cut(reason: str, bytes_max: int = REASON_BYTES_MAX) -> str:
    """A reason no longer than the wire takes."""
    return reason.encode(errors="replace")[:bytes_max].decode(errors="ignore")


def turn_ends_at_ms(task: Task, now_ms: int) -> int:
    """When a turn that begins now is over at the latest, while other miners are left."""
    return now_ms + (task.deadline_ms - now_ms) // TURN_DIVISOR


class Endings(Protocol):
    """Ends of tasks and orders, which are the engine's to decide."""

    def fail(self, order: Order, kind: FailureKind, reason: str, now_ms: int) -> list[Action]:
        """End an order without a result."""

    def exhaust(self, order: Order, now_ms: int) -> list[Action]:
        """Every assigned miner of the task has ended its turn."""

    def draw_queued(self, now_ms: int) -> list[Action]:
        """A miner is free again."""


class Deliveries:
    """The work on all live tasks of one engine."""

    def __init__(self, core: Core, endings: Endings) -> None:
        self._core = core
        self._endings = endings
        self._places: dict[int, tuple[bytes, int]] = {}

    # Streams

    def take_stream(
        self, stream_id: int, order: Order, rank: int, acceptance: Statement[TaskAcceptance]
    ) -> None:
        """A miner is on a stream from now on."""
        turn = order.live_task.turns[rank]
        turn.stream_id, turn.offered = stream_id, acceptance
        self._places[stream_id] = (order.live_task.task_id, rank)

    def find_stream(self, stream_id: int) -> tuple[Order, int] | None:
        """The order and the rank of who is on a stream; None if nobody is any more."""
        task_id, rank = self._places.get(stream_id, (b"", 0))
        order = self._core.book.tasks.get(task_id)
        return None if order is None else (order, rank)

    def forget_stream(self, turn: Turn) -> None:
        """A miner is on no stream any more; its turn may go on."""
        if turn.stream_id is not None:
            del self._places[turn.stream_id]
        turn.stream_id, turn.offered, turn.intake = None, None, None
        turn.asks_chain = False

    # Work

    def begin(self, order: Order, rank: int, now_ms: int) -> list[Action]:
        """Give a miner that is here the input, if it can be paid."""
        task, turn, purse = order.live_task, order.live_task.turns[rank], self._core.purse
        # What others were paid for the task is theirs: the whole price is set aside again for this one.
        missing_wei = max(0, task.schedule.price_wei - turn.paid_wei - task.reserved_wei)
        try:
            purse.require(missing_wei)
        except DepositUsedUp as refusal:
            return self._endings.fail(order, FailureKind.UNPAID, refusal.reason, now_ms)
        purse.hold(missing_wei)
        assert turn.offered is not None
        assert turn.stream_id is not None
        assert task.statement is not None
        reserved = wei_bytes(task.reserved_wei + missing_wei)
        self._core.record(TurnBegun(order.order_id, rank, turn.offered.encoded, reserved))
        turn.intake = ResultIntake(self._core.signer.domain, task.statement, turn.miner)
        turn.intake.unit_limit = task.schedule.unit_limit(turn.paid_wei)
        turn.heard_at_ms = now_ms
        turn.ends_at_ms = turn_ends_at_ms(task, now_ms)
        actions: list[Action] = []
        if turn.paid_wei:
            # The last voucher may have been lost with the stream or with us.
            total_wei = purse.total_after(turn.miner, 0)
            with self._core.writing():
                voucher = purse.promise(turn.miner, total_wei, 0, turn.paid_wei)
            actions.append(_voucher(turn.stream_id, voucher))
        given = SendInput(turn.stream_id, task.input, order.sources)
        return [Accepted(task.task_id, turn.miner, rank), *actions, given]

    def pay(self, order: Order, rank: int, units: int) -> list[Action]:
        """The voucher for what a miner has shown and was not paid for, if there is something."""
        task, turn, purse = order.live_task, order.live_task.turns[rank], self._core.purse
        due_wei = task.schedule.due_wei(units)
        amount_wei = due_wei - turn.paid_wei
        if amount_wei <= 0:
            return []
        total_wei = purse.total_after(turn.miner, amount_wei)
        self._core.record(VoucherPromised(order.order_id, rank, wei_bytes(due_wei), wei_bytes(total_wei)))
        with self._core.writing():
            voucher = purse.promise(turn.miner, total_wei, amount_wei, due_wei)
        if turn.intake is not None:
            turn.intake.unit_limit = task.schedule.unit_limit(due_wei)
        paid = Paid(task.task_id, turn.miner, due_wei)
        return [paid] if turn.stream_id is None else [_voucher(turn.stream_id, voucher), paid]

    def deliver(
        self,
        order: Order,
        rank: int,
        intake: ResultIntake,
        commitment: Statement[ResultCommitment],
        now_ms: int,
    ) -> list[Action]:
        """A result is whole, and is the announced one: its miner is paid, and the order ends well."""
        engine, task, turn, output = self._core, order.live_task, order.live_task.turns[rank], intake.output
        actions = self.pay(order, rank, intake.units)
        acceptance = open_statement(engine.signer.domain, turn.acceptance, TaskAcceptance)
        assert turn.stream_id is not None
        assert task.statement is not None
        receipt = Receipt(
            engine.signer.domain, engine.epoch_of(task.message), task.statement, acceptance, commitment
        )
        stream_id, reserved_wei = turn.stream_id, task.reserved_wei
        self.forget_stream(turn)
        # Before the miner hears that all is well: what only we have heard of would be audited by nobody else.
        passed_on = PassOn(commitment.encoded)
        actions += [passed_on, Send(stream_id, (reply(ReplyKind.RECEIVED),)), CloseStream(stream_id)]
        actions += self.dismiss(order, "the task is delivered")
        received = ResultReceived(order.order_id, rank, commitment.encoded, engine.unix_ms(now_ms))
        engine.record(received, {sha256(output): output})
        engine.purse.release(reserved_wei)
        engine.reserve.delivered(task.task_id, commitment)
        engine.experience.note_success(turn.miner)
        engine.counts.orders_delivered += 1
        return [
            Finish(order.order_id, task.task_id, Delivered(output, receipt)),
            *actions,
            *self._endings.draw_queued(now_ms),
        ]

    def dismiss(self, order: Order, reason: str) -> list[Action]:
        """The task ends: whoever is on a stream hears it, and who works is paid for what it has shown."""
        actions: list[Action] = []
        for rank, turn in enumerate(order.live_task.turns):
            if turn.stream_id is None:
                continue
            stream_id = turn.stream_id
            if turn.intake is not None:
                actions += self.pay(order, rank, turn.intake.units)
            self.forget_stream(turn)
            actions += not_needed(stream_id, reason)
        return actions


def _voucher(stream_id: int, voucher: SignedVoucher) -> Send:
    return Send(stream_id, (reply(ReplyKind.VOUCHER, voucher.encode()),))


def not_needed(stream_id: int, reason: str) -> list[Action]:
    """A miner is told that nobody needs it."""
    return [Send(stream_id, (reply(ReplyKind.NOT_NEEDED, reason=reason),)), CloseStream(stream_id)]
