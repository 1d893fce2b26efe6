"""Orders, their live task and its turns: the coordinator's state, and how each record of the journal changes
it.

Is: `Book.apply`, the only place where this state changes for good, through the tables of `protocol.task`.
Is not: a decision (`engine`), an order as bytes (`snapshots`), or I/O.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.coordinator.records import (
    OrderCancelled,
    OrderFailed,
    OrderPlaced,
    OrderRequest,
    Record,
    ResultReceived,
    TaskDrawn,
    TaskEnded,
    TaskEnding,
    TaskSigned,
    TurnBegun,
    TurnEnded,
    TurnEnding,
    VoucherPromised,
    wei_of,
)
from protocol.errors import LocalError
from protocol.messages import DeclineKind, Source, TaskAcceptance, TaskAnnouncement
from protocol.pay import PaySchedule
from protocol.statement import Domain, Statement, open_statement, unsigned
from protocol.task import (
    COORDINATOR,
    ORDER,
    TURN,
    CoordinatorEvent,
    CoordinatorState,
    Life,
    OrderEvent,
    OrderState,
    TurnEvent,
    TurnState,
)

if TYPE_CHECKING:
    from node.coordinator.result_intake import ResultIntake

_TURN_EVENTS = {
    TurnEnding.DECLINED: TurnEvent.DECLINE,
    TurnEnding.LOST: TurnEvent.LOSE,
    TurnEnding.INTERRUPTED: TurnEvent.INTERRUPT,
}
_TASK_EVENTS = {
    TaskEnding.EXHAUSTED: CoordinatorEvent.EXHAUST,
    TaskEnding.BUSY: CoordinatorEvent.EXHAUST,
    TaskEnding.EXPIRED: CoordinatorEvent.EXPIRE,
    TaskEnding.CANCELLED: CoordinatorEvent.CANCEL,
}


@dataclass
class Turn:
    """One assigned miner and a task.

    :ivar miner: 20 bytes.
    :ivar acceptance: its envelope, once it works.
    :ivar paid_wei: promised to it for this task.
    :ivar total_wei: of the last voucher for it: all that it was ever promised by this coordinator.
    :ivar decline_kind, reason: how its turn ended, in its words or ours.
    :ivar called_at_ms: when it was asked to come; None if it was not. This and what follows is forgotten at a
        restart; its times are by the engine's clock.
    :ivar stream_id: of its stream; None without one.
    :ivar offered: the acceptance that came on the stream, not written down before it works.
    :ivar intake: what it sends, while it works.
    :ivar heard_at_ms: when it last sent something, while it works.
    :ivar ends_at_ms: when its turn is over at the latest while others are left, while it works.
    :ivar came: it has said something of this task.
    :ivar absent: it has not, though its head start and as long again are over.
    """

    miner: bytes
    life: Life[TurnState, TurnEvent] = field(default_factory=lambda: Life(TURN))
    acceptance: bytes = b""
    paid_wei: int = 0
    total_wei: int = 0
    decline_kind: DeclineKind | None = None
    reason: str = ""
    called_at_ms: int | None = None
    stream_id: int | None = None
    offered: Statement[TaskAcceptance] | None = None
    intake: ResultIntake | None = None
    heard_at_ms: int = 0
    ends_at_ms: int = 0
    asks_chain: bool = False
    came: bool = False
    absent: bool = False

    @property
    def state(self) -> TurnState:
        """Where it is."""
        return self.life.state

    @property
    def over(self) -> bool:
        """Whether nobody waits for it: it has ended, or has not come by its time."""
        return self.life.over or self.state is TurnState.PASSED


@dataclass
class Task:
    """The live task of an order.

    :ivar task_id: digest of the announcement.
    :ivar message: the announcement.
    :ivar input: encoded `TaskInput`.
    :ivar statement: the signed announcement, once it is.
    :ivar reserved_wei: of the deposit, not promised yet.
    :ivar turns: of the assigned, by rank.
    :ivar begun_ms: when it was announced, by the engine's clock; `announced_at_ms` is by the time of day.
    :ivar is_resumed: it was signed by an earlier process.
    :ivar idle_since_ms: when the last miner that worked on it has ended its turn; 0 before the first.
    """

    task_id: bytes
    message: TaskAnnouncement
    input: bytes
    reserved_wei: int
    turns: list[Turn]
    begun_ms: int
    life: Life[CoordinatorState, CoordinatorEvent] = field(default_factory=lambda: Life(COORDINATOR))
    statement: Statement[TaskAnnouncement] | None = None
    is_resumed: bool = False
    idle_since_ms: int = 0

    @property
    def deadline_ms(self) -> int:
        """When it is over, by the engine's clock."""
        return self.begun_ms + self.message.deadline_ms - self.message.announced_at_ms

    @property
    def schedule(self) -> PaySchedule:
        """The pay that is owed for it."""
        return PaySchedule.of_task(self.message)

    @property
    def working(self) -> int | None:
        """Rank of the miner that has the input."""
        return next((rank for rank, turn in enumerate(self.turns) if turn.state is TurnState.WORKING), None)


@dataclass
class Order:
    """An app's wish, until it is over.

    :ivar key, body_hash: how the app calls it, and what it then said.
    :ivar placed_at_ms: when, by the time of day.
    :ivar attempts: tasks drawn for it so far, those aside whose miners were merely busy.
    :ivar retry_at_ms: it is not drawn again before, by the engine's clock.
    :ivar tried: miners whose turn for it has ended.
    :ivar task: the live one.
    :ivar waits_since_ms: since when its app waits, by the engine's clock.
    :ivar was_heard: some miner has come for it. This and what follows is forgotten at a restart.
    :ivar absent: miners that did not come for it while nobody did, and when they had not.
    :ivar occupied: turns that a miner has let pass because it came for other tasks.
    """

    order_id: bytes
    key: str
    body_hash: bytes
    request: OrderRequest
    sources: tuple[Source, ...]
    placed_at_ms: int
    life: Life[OrderState, OrderEvent] = field(default_factory=lambda: Life(ORDER))
    attempts: int = 0
    retry_at_ms: int = 0
    tried: set[bytes] = field(default_factory=set)
    task: Task | None = None
    waits_since_ms: int = 0
    was_heard: bool = False
    absent: dict[bytes, int] = field(default_factory=dict)
    occupied: Counter[bytes] = field(default_factory=Counter)

    @property
    def live_task(self) -> Task:
        """The live task. :raises LocalError: there is none; our bug."""
        if self.task is None:
            message = "an order without a live task was asked for it"
            raise LocalError(message)
        return self.task


class Book:
    """All orders that are not over, and their tasks.

    :ivar orders: by id, in the order of their placing.
    :ivar tasks: order of each live task, by task id.
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self.orders: dict[bytes, Order] = {}
        self.tasks: dict[bytes, Order] = {}

    def apply(self, record: Record) -> Order:  # noqa: C901 - one case for each record
        """Change the state by what has happened; returns the order, which is gone from the book if it is
        over.

        :raises IllegalTransition: the records contradict the tables.
        """
        if isinstance(record, OrderPlaced):
            order = Order(
                record.order_id,
                record.key,
                record.body_hash,
                record.request,
                record.sources,
                record.placed_at_ms,
                waits_since_ms=record.placed_at_ms,
            )
            self.orders[record.order_id] = order
            return order
        order = self.orders[record.order_id]
        match record:
            case TaskDrawn():
                self._draw(order, record)
            case TaskSigned(announcement=encoded):
                order.live_task.statement = open_statement(self._domain, encoded, TaskAnnouncement)
                order.live_task.life.move(CoordinatorEvent.ANNOUNCE)
            case TurnBegun():
                _begin_turn(order.live_task, record)
            case TurnEnded():
                _end_turn(order, record)
            case VoucherPromised(rank=rank):
                task, turn = order.live_task, order.live_task.turns[rank]
                task.reserved_wei -= wei_of(record.task_wei) - turn.paid_wei
                turn.paid_wei, turn.total_wei = wei_of(record.task_wei), wei_of(record.total_wei)
            case ResultReceived(rank=rank):
                order.live_task.turns[rank].life.move(TurnEvent.DELIVER)
                order.live_task.life.move(CoordinatorEvent.DELIVER)
                self._end(order, OrderEvent.DELIVER)
            case TaskEnded(ending=ending):
                order.live_task.life.move(_TASK_EVENTS[TaskEnding(ending)])
                self._forget_task(order)
                if ending == TaskEnding.BUSY:
                    order.attempts -= 1
                order.retry_at_ms = record.retry_at_ms
                order.life.move(OrderEvent.RETURN)
            case OrderFailed():
                self._end(order, OrderEvent.FAIL)
            case OrderCancelled():
                self._end(order, OrderEvent.CANCEL)
        return order

    def _draw(self, order: Order, record: TaskDrawn) -> None:
        message = TaskAnnouncement.decode(record.body)
        turns = [Turn(miner) for miner in message.assigned]
        task = Task(record.task_id, message, record.input, 0, turns, message.announced_at_ms)
        task.reserved_wei = task.schedule.price_wei
        order.task = task
        order.attempts += 1
        order.life.move(OrderEvent.DRAW)
        self.tasks[task.task_id] = order

    def _end(self, order: Order, event: OrderEvent) -> None:
        if order.task is not None and not order.task.life.over:
            order.task.life.move(CoordinatorEvent.CANCEL)
        self._forget_task(order)
        order.life.move(event)
        del self.orders[order.order_id]

    def _forget_task(self, order: Order) -> None:
        if order.task is not None:
            del self.tasks[order.task.task_id]
            order.task = None

    def take_over(self, order: Order) -> None:
        """An order that a snapshot tells of is in the book again."""
        self.orders[order.order_id] = order
        if order.task is not None:
            self.tasks[order.task.task_id] = order


def task_id_of(domain: Domain, message: TaskAnnouncement) -> bytes:
    """Id of the task that an announcement makes: the digest that is signed."""
    return unsigned(domain, message).digest


def _begin_turn(task: Task, record: TurnBegun) -> None:
    turn = task.turns[record.rank]
    if turn.state is not TurnState.HERE:  # its coming is no record
        turn.life.move(TurnEvent.COME)
    turn.life.move(TurnEvent.GIVE_INPUT)
    turn.acceptance = record.acceptance
    task.reserved_wei = wei_of(record.reserved)
    task.life.move(CoordinatorEvent.GIVE_INPUT)


def _end_turn(order: Order, record: TurnEnded) -> None:
    task, turn = order.live_task, order.live_task.turns[record.rank]
    was_working = turn.state is TurnState.WORKING
    ending = TurnEnding(record.ending)
    turn.life.move(_TURN_EVENTS[ending])
    turn.reason = record.reason
    turn.decline_kind = DeclineKind(record.decline_kind) if ending is TurnEnding.DECLINED else None
    is_busy = turn.decline_kind is DeclineKind.BUSY and not turn.paid_wei
    if ending is not TurnEnding.INTERRUPTED and not is_busy:
        order.tried.add(turn.miner)
    if was_working:
        task.life.move(CoordinatorEvent.END_TURN)
