"""The orders of an earlier process are taken up again: signed, promised and announced as it wrote down. And
those of this one, after it slept.

Is: all that follows from a journal that was read, or from a time in which this process did not run, but the
passing of time, which is `engine`'s.
Is not: the reading (`journal`), or a decision that has nothing to do with the restart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from node.coordinator.actions import Action, Publish
from node.coordinator.delivery import turn_ends_at_ms
from node.coordinator.records import OrderCancelled, TurnEnded, TurnEnding
from node.signing.guard import AlreadySigned
from protocol.task import CoordinatorState, TurnState

if TYPE_CHECKING:
    from node.coordinator.core import Core
    from node.coordinator.drawing import Drawing
    from node.coordinator.orders import Order
    from node.coordinator.turns import Turns

RETRY_MS_MAX: Final = 5_000
"""Longest pause before an order is drawn again."""


def resume(
    core: Core,
    drawing: Drawing,
    turns: Turns,
    draw_anew: Callable[[Order, str, int], list[Action]],
    now_ms: int,
) -> list[Action]:
    """Sign what was drawn, promise what was written down, and go on.

    Announcements that were signed go out again in the same words, and their miners are called, which is
    enough where an epoch has begun since and no peer takes them any more. Orders that wait for a draw wait
    until every miner has had the time to say its offer again.

    :param draw_anew: what becomes of an order whose task is never signed, and why.
    """
    turns.arrivals.watch_from(now_ms)
    _cancel_nameless(core, now_ms)
    for order in core.book.orders.values():
        _tell_time(core, order, now_ms)
    for order in core.book.tasks.values():
        core.purse.hold(order.live_task.reserved_wei)
        core.reserve.hold(order.live_task.task_id, order.live_task.message)
        for turn in order.live_task.turns:
            if turn.paid_wei:
                core.purse.promise(turn.miner, turn.total_wei, 0, turn.paid_wei)
    actions: list[Action] = []
    for order in list(core.book.tasks.values()):
        if order.live_task.life.state is CoordinatorState.DRAWN:
            try:
                actions += drawing.announce(order)
            except AlreadySigned as refusal:
                actions += draw_anew(order, str(refusal), now_ms)
        else:
            actions += _announce_again(core, order)
        actions += turns.go_on(order, now_ms)
    return actions


def wake(core: Core, turns: Turns, now_ms: int) -> None:
    """The same process goes on after its machine slept, or did not let it run.

    A miner that works is taken to be heard now, and has half of what is left; one that was called, to be
    called now; one whose stream has not outlived the sleep may come again. So nobody is blamed for the sleep,
    and no paid work is dropped for it.
    """
    turns.arrivals.wake(now_ms)
    for order in core.book.tasks.values():
        for turn in order.live_task.turns:
            if turn.state is TurnState.WORKING:
                turn.heard_at_ms = now_ms
                turn.ends_at_ms = turn_ends_at_ms(order.live_task, now_ms)
            elif turn.called_at_ms is not None and not turn.life.over:
                turn.called_at_ms = now_ms


def _announce_again(core: Core, order: Order) -> list[Action]:
    """The announcement in its old words; a miner that worked on it may come again."""
    task = order.live_task
    rank = task.working
    if rank is not None:
        reason = "its coordinator was restarted"
        core.record(TurnEnded(order.order_id, rank, TurnEnding.INTERRUPTED, 0, reason))
    assert task.statement is not None
    task.is_resumed = True
    return [Publish(task.task_id, task.statement.encoded)]


def _cancel_nameless(core: Core, now_ms: int) -> None:
    """End the orders that nobody can ask for: their apps left with the process before this one."""
    reason = "this node was restarted, and the order has no name under which its app could ask again"
    for order in list(core.book.orders.values()):
        if not order.key:
            core.record(OrderCancelled(order.order_id, reason, core.unix_ms(now_ms)))
            core.counts.orders_cancelled += 1


def _tell_time(core: Core, order: Order, now_ms: int) -> None:
    """Tell an order's waits by this process's clock: none is longer than if it had begun just now."""
    ahead_ms = core.market.ahead_ms()
    order.waits_since_ms = min(order.placed_at_ms - ahead_ms, now_ms)
    order.retry_at_ms = min(order.retry_at_ms, now_ms + RETRY_MS_MAX)
    if order.task is not None:
        order.task.begun_ms = min(order.task.message.announced_at_ms - ahead_ms, now_ms)
