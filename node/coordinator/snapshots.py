"""Snapshots of orders: a live order as bytes, which a later engine takes over without its records.

Is: the frozen structs, and both ways between them and `orders.Order`.
Is not: the records (`records`), or where either is kept (`journal`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from node.coordinator.orders import Order, Task, Turn, task_id_of
from node.coordinator.records import (
    ENVELOPE_BYTES_MAX,
    INPUT_BYTES_MAX,
    KEY_BYTES_MAX,
    OrderRequest,
    wei_bytes,
    wei_of,
)
from protocol.messages import REASON_BYTES_MAX, SOURCES_MAX, DeclineKind, Source, TaskAnnouncement
from protocol.pay import WeiBytes
from protocol.schema import Address, Bytes, Encoded, Hash, Items, Text, Uint8, Uint64
from protocol.statement import BODY_BYTES_MAX, Domain, open_statement
from protocol.task import CoordinatorState, OrderState, TurnState


@dataclass(frozen=True, slots=True)
class TurnSnapshot(Encoded):
    """One assigned miner's turn as a later engine takes it over.

    :ivar state: value of the `TurnState`.
    :ivar acceptance: its envelope, or nothing.
    :ivar paid: promised for this task, in wei.
    :ivar total: in the last voucher for it, in wei.
    :ivar declined: one more than the `DeclineKind`, or 0 if it did not decline.
    """

    miner: Address
    state: Annotated[str, Text(32)]
    acceptance: Annotated[bytes, Bytes(0, ENVELOPE_BYTES_MAX)]
    paid: WeiBytes
    total: WeiBytes
    declined: Uint8
    reason: Annotated[str, Text(REASON_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class OrderSnapshot(Encoded):
    """One order, with its live task if it has one, as a later engine takes it over without its records.

    :ivar task: 0 or 1 live task.
    """

    order_id: Hash
    key: Annotated[str, Text(KEY_BYTES_MAX)]
    body_hash: Annotated[bytes, Bytes(0, 32)]
    request: OrderRequest
    sources: Annotated[tuple[Source, ...], Items(Source, 0, SOURCES_MAX)]
    placed_at_ms: Uint64
    state: Annotated[str, Text(32)]
    attempts: Uint8
    retry_at_ms: Uint64
    tried: Annotated[tuple[bytes, ...], Items(Address, 0, 255)]
    task_state: Annotated[str, Text(32)]
    task_body: Annotated[bytes, Bytes(0, BODY_BYTES_MAX)]
    task_input: Annotated[bytes, Bytes(0, INPUT_BYTES_MAX)]
    announcement: Annotated[bytes, Bytes(0, ENVELOPE_BYTES_MAX)]
    reserved: WeiBytes
    turns: Annotated[tuple[TurnSnapshot, ...], Items(TurnSnapshot, 0, 64)]


def snapshot_of(order: Order) -> OrderSnapshot:
    """An order that is not over, as a later engine takes it over."""
    task = order.task
    return OrderSnapshot(
        order_id=order.order_id,
        key=order.key,
        body_hash=order.body_hash,
        request=order.request,
        sources=order.sources,
        placed_at_ms=order.placed_at_ms,
        state=order.life.state.value,
        attempts=order.attempts,
        retry_at_ms=order.retry_at_ms,
        tried=tuple(sorted(order.tried)),
        task_state="" if task is None else task.life.state.value,
        task_body=b"" if task is None else task.message.encode(),
        task_input=b"" if task is None else task.input,
        announcement=b"" if task is None or task.statement is None else task.statement.encoded,
        reserved=wei_bytes(0 if task is None else task.reserved_wei),
        turns=() if task is None else tuple(_snapshot_turn(turn) for turn in task.turns),
    )


def order_of(snapshot: OrderSnapshot, domain: Domain) -> Order:
    """The order that a snapshot tells of. :raises DecodeError: no engine wrote this."""
    order = Order(
        snapshot.order_id,
        snapshot.key,
        snapshot.body_hash,
        snapshot.request,
        snapshot.sources,
        snapshot.placed_at_ms,
        attempts=snapshot.attempts,
        retry_at_ms=snapshot.retry_at_ms,
        tried=set(snapshot.tried),
        waits_since_ms=snapshot.placed_at_ms,
    )
    order.life.state = OrderState(snapshot.state)
    if snapshot.task_body:
        order.task = _restore_task(snapshot, domain)
    return order


def _restore_task(snapshot: OrderSnapshot, domain: Domain) -> Task:
    message = TaskAnnouncement.decode(snapshot.task_body)
    task = Task(
        task_id_of(domain, message),
        message,
        snapshot.task_input,
        wei_of(snapshot.reserved),
        [_restore_turn(turn) for turn in snapshot.turns],
        message.announced_at_ms,
    )
    task.life.state = CoordinatorState(snapshot.task_state)
    if snapshot.announcement:
        task.statement = open_statement(domain, snapshot.announcement, TaskAnnouncement)
    return task


def _snapshot_turn(turn: Turn) -> TurnSnapshot:
    # Who is on a stream is forgotten: to a later engine it has not come.
    is_here = turn.state is TurnState.HERE
    return TurnSnapshot(
        miner=turn.miner,
        state=(TurnState.AWAITED if is_here else turn.state).value,
        acceptance=turn.acceptance,
        paid=wei_bytes(turn.paid_wei),
        total=wei_bytes(turn.total_wei),
        declined=0 if turn.decline_kind is None else turn.decline_kind + 1,
        reason=turn.reason,
    )


def _restore_turn(snapshot: TurnSnapshot) -> Turn:
    turn = Turn(
        snapshot.miner,
        acceptance=snapshot.acceptance,
        paid_wei=wei_of(snapshot.paid),
        total_wei=wei_of(snapshot.total),
        decline_kind=DeclineKind(snapshot.declined - 1) if snapshot.declined else None,
        reason=snapshot.reason,
    )
    turn.life.state = TurnState(snapshot.state)
    return turn
