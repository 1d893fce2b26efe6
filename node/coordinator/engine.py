"""The coordinator as a machine: orders, miners' bytes and the time in, actions out.

Is: taking orders, drawing and announcing their tasks, ending them for their true reason, and coming back
after a restart. Whatever must outlive a crash is written to the journal before anything follows from it.
Is not: I/O, a clock or randomness (given), whom to pass over (`choice`), or the turns of a task's miners,
which are in :mod:`node.coordinator.turns`.

Time comes as `now_ms`, by a clock that nobody sets: all waits are measured by it. Statements and records are
about the time of day (`Core.unix_ms`), and what a wait still lasts is told from them once, after a restart.

Laws, held by tests: every order ends; a number has one body; an order has one live task; nobody is paid twice
for the same unit; what a miner sends ends its own turn at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.coordinator.actions import Action, Failure, Finish
from node.coordinator.core import Core, EngineParameters
from node.coordinator.delivery import cut
from node.coordinator.drawing import Drawing, NotReady
from node.coordinator.orders import Order, Turn
from node.coordinator.outcomes import Busy, NoMiner
from node.coordinator.records import (
    FAILURE_BYTES_MAX,
    FailureKind,
    OrderCancelled,
    OrderFailed,
    OrderPlaced,
    TaskEnded,
    TaskEnding,
)
from node.coordinator.resumption import RETRY_MS_MAX, resume, wake
from node.coordinator.snapshots import snapshot_of
from node.coordinator.turns import Turns
from node.pay.purse import DepositUsedUp
from node.signing.guard import AlreadySigned
from protocol.messages import DeclineKind
from protocol.task import OrderState, TurnState

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from node.coordinator.audit_reserve import AuditReserve
    from node.coordinator.ports import JournalPort, MarketPort, PursePort, SignerPort

ORDERS_MAX: Final = 256
"""Most orders that are not over at a time."""
ATTEMPTS_MAX: Final = 3
"""Most tasks drawn for one order, those aside whose miners were merely busy."""
WAIT_MS_MAX: Final = 10 * 60 * 1000
"""How long an order may wait for a task before it fails: as long as a stock client waits for its answer."""
BUSY_RETRY_MS: Final = 500
BUSY_RETRY_DIVISOR: Final = 8
"""Pause before an order is drawn again whose miners were all busy with others' work: an eighth of the time
that it has waited, within these bounds. Each draw is an announcement to everybody, and in the journal."""
TICK_MS: Final = 100
"""How late a matter of time may be noticed."""


class CoordinatorEngine:
    """All orders of one coordinator. :ivar counts: see `EngineCounts`."""

    def __init__(
        self,
        parameters: EngineParameters,
        market: MarketPort,
        signer: SignerPort,
        purse: PursePort,
        journal: JournalPort,
        new_salt: Callable[[], bytes],
        reserve: AuditReserve | None = None,
    ) -> None:
        """:param new_salt: gives 32 unpredictable bytes. :param reserve: as of `Core`."""
        self._core = core = Core(parameters, market, signer, purse, journal, reserve)
        self.market, self.book = market, core.book
        self.counts, self.experience = core.counts, core.experience
        self._drawing = Drawing(core, new_salt)
        self._turns = Turns(core, self)
        self._offers_by_ms = 0

    # What the app does

    def place(self, placed: OrderPlaced, sources: Mapping[bytes, bytes], now_ms: int) -> list[Action]:
        """Take an order, and announce its first task if a miner is free for it.

        :param sources: bytes of its sources, by SHA-256.
        :raises Busy: `ORDERS_MAX` are not over.
        :raises NotReady: this node cannot have work done now.
        :raises NoMiner: nobody offers this, or not at a price that is paid.
        :raises DepositUsedUp: the deposit does not cover it.
        :raises JournalUnavailable: it cannot be written down.
        """
        self._core.require_whole()
        if len(self._core.book.orders) >= ORDERS_MAX:
            raise Busy(f"too many concurrent orders (limit {ORDERS_MAX})")
        self._drawing.require_possible(placed.request, now_ms)
        order = self._core.book.apply(placed)
        order.waits_since_ms = now_ms
        try:
            self._core.journal.write(placed, snapshot_of(order), sources)
        except BaseException:
            del self._core.book.orders[placed.order_id]
            raise
        return self._draw(order, now_ms)

    def cancel(self, order_id: bytes, reason: str, now_ms: int) -> list[Action]:
        """The app does not want an order any more: who works is paid for what it has shown, and stops."""
        order = self._core.book.orders.get(order_id)
        if order is None:
            return []
        task = order.task
        actions = [] if task is None else self._turns.deliveries.dismiss(order, "the app went away")
        self._core.record(OrderCancelled(order_id, reason, self._core.unix_ms(now_ms)))
        if task is not None:
            self._core.purse.release(task.reserved_wei)
            self._core.reserve.release(task.task_id)
        self._core.counts.orders_cancelled += 1
        return [*actions, *self.draw_queued(now_ms)]

    # What miners do

    def stream_opened(self, stream_id: int, miner: bytes, payload: bytes, now_ms: int) -> list[Action]:
        """A miner has opened a stream, and this is the first that it said.

        :param miner: address of the peer at the other end.
        :raises ProtocolError: no honest miner says this.
        :raises Refusal: it may not have this task; it should hear why.
        """
        return self._turns.open(stream_id, miner, payload, now_ms)

    def stream_heard(self, stream_id: int, payload: bytes, now_ms: int) -> list[Action]:
        """A miner has said something further on its stream; whatever it is, at most its turn ends."""
        return self._turns.hear(stream_id, payload, now_ms)

    def stream_lost(self, stream_id: int, reason: str, now_ms: int) -> list[Action]:
        """A miner's stream has ended before we ended it."""
        return self._turns.lose_stream(stream_id, reason, now_ms)

    def chain_answered(self, miner: bytes, failure: str, now_ms: int) -> list[Action]:
        """The chain has answered what it knows of a miner, or does not answer. :param failure: empty, or
        why.
        """
        return self._turns.chain_answered(miner, failure, now_ms)

    def streams_awaited(self, miner: bytes) -> int:
        """How many live tasks this miner was drawn for: as many streams has it a use for."""
        turns = (turn for order in self._core.book.tasks.values() for turn in order.live_task.turns)
        return sum(turn.miner == miner for turn in turns)

    def busy(self) -> Counter[bytes]:
        """Tasks that each miner works on, or is the next to work on."""
        return self._drawing.busy()

    def publish_failed(self, task_id: bytes, reason: str, now_ms: int) -> list[Action]:
        """An announcement is not accepted any more by the rule that all peers judge it by: it is drawn
        again. One that an earlier process had signed may be known and paid in part: its miners are called.
        """
        order = self._core.book.tasks.get(task_id)
        if order is None:
            return []
        if order.live_task.is_resumed:
            return self._turns.go_on(order, now_ms)
        return self._draw_anew(order, reason, now_ms)

    # What time does

    def tick(self, now_ms: int) -> list[Action]:
        """Act on the time that has passed since the last tick; call it every `TICK_MS`.

        :raises Exception: something could not be written down, now or before: the node must stop.
        """
        self._core.require_whole()
        actions: list[Action] = []
        for order in list(self._core.book.orders.values()):
            if order.order_id not in self._core.book.orders:
                continue
            if order.task is None:
                if now_ms >= order.waits_since_ms + WAIT_MS_MAX:
                    reason = f"no miner was free for it in {WAIT_MS_MAX // 60_000} minutes"
                    actions += self.fail(order, FailureKind.EXPIRED, reason, now_ms)
            elif now_ms >= order.task.deadline_ms:
                actions += self._expire(order, now_ms)
            elif (unheard := self._why_unheard(order, now_ms)) is not None:
                actions += self.fail(order, FailureKind.NO_MINER, unheard, now_ms)
            else:
                actions += self._turns.tick(order, now_ms)
        return actions + self.draw_queued(now_ms)

    def resume(self, now_ms: int) -> list[Action]:
        """Go on after the journal was read into `book`; see `resumption`."""
        self._offers_by_ms = now_ms + self._core.parameters.offer_interval_ms
        return resume(self._core, self._drawing, self._turns, self._draw_anew, now_ms) + self.tick(now_ms)

    def wake(self, now_ms: int) -> None:
        """Go on after a time in which this process did not run; see `resumption`."""
        self._offers_by_ms = now_ms + self._core.parameters.offer_interval_ms
        wake(self._core, self._turns, now_ms)

    # Endings, also for `Turns`

    def fail(self, order: Order, kind: FailureKind, reason: str, now_ms: int) -> list[Action]:
        """End an order without a result."""
        task = order.task
        reason = cut(reason, FAILURE_BYTES_MAX)  # it may hold the words of all the task's miners
        actions = [] if task is None else self._turns.deliveries.dismiss(order, reason)
        self._core.record(OrderFailed(order.order_id, kind, reason, self._core.unix_ms(now_ms)))
        if task is not None:
            self._core.purse.release(task.reserved_wei)
            self._core.reserve.release(task.task_id)
        self._core.counts.orders_failed += 1
        task_id = b"" if task is None else task.task_id
        return [*actions, Finish(order.order_id, task_id, Failure(kind, reason))]

    def exhaust(self, order: Order, now_ms: int) -> list[Action]:
        """Every assigned miner of the task has ended its turn, or did not come: draw the order again, or say
        why not. It is not drawn again for the same miners alone.
        """
        task = order.live_task
        reasons = [turn.reason for turn in task.turns if turn.reason]
        # A miner that was paid and then declines has failed, whatever it says of itself or of the request.
        kinds = [None if turn.paid_wei else self._kind_of_no(order, turn) for turn in task.turns]
        were_busy = DeclineKind.BUSY in kinds and all(kind in (None, DeclineKind.BUSY) for kind in kinds)
        retry_at_ms = now_ms + _busy_pause_ms(order, now_ms) if were_busy else now_ms
        ending = TaskEnding.BUSY if were_busy else TaskEnding.EXHAUSTED
        actions = self._end_task(order, ending, "every drawn miner has had its turn", retry_at_ms)
        if DeclineKind.NOBODY in kinds:
            refusal = task.turns[kinds.index(DeclineKind.NOBODY)].reason
            return actions + self.fail(order, FailureKind.REFUSED, f"miners refuse this: {refusal}", now_ms)
        spent = order.tried | {turn.miner for turn in task.turns if turn.state is TurnState.PASSED}
        try:
            fresh = self._drawing.choice(order.request, spent, now_ms).free - spent
        except NoMiner:
            fresh = set()
        is_alone = not fresh and now_ms >= self._offers_by_ms
        if not were_busy and (order.attempts >= ATTEMPTS_MAX or is_alone):
            said = "; ".join(dict.fromkeys(reasons)) or "none of them came by its time"
            reason = f"none of the {len(task.turns)} drawn miners did it: {said}"
            return actions + self.fail(order, FailureKind.FAILED, reason, now_ms)
        return actions + self.draw_queued(now_ms)

    def _kind_of_no(self, order: Order, turn: Turn) -> DeclineKind | None:
        """How a miner has said no to the live task, in words or by coming for others instead."""
        if not self._turns.arrivals.is_occupied(order, turn):
            return turn.decline_kind
        order.occupied[turn.miner] += 1
        return DeclineKind.BUSY

    def draw_queued(self, now_ms: int) -> list[Action]:
        """Draw for the orders that wait, the oldest first, as far as there are free miners."""
        actions: list[Action] = []
        waiting: set[tuple[bytes, int]] = set()
        for order in list(self._core.book.orders.values()):
            what = order.request.model_id, order.request.work.kind
            if order.life.state is OrderState.QUEUED and order.retry_at_ms <= now_ms and what not in waiting:
                actions += self._draw(order, now_ms)
                if order.life.state is OrderState.QUEUED:
                    waiting.add(what)  # nobody is free for it, nor for those behind it
        return actions

    def _draw(self, order: Order, now_ms: int) -> list[Action]:
        """Announce a task for an order, if somebody is free for it; else it waits, or fails if nobody can
        be.
        """
        try:
            return self._drawing.draw(order, now_ms)
        except NotReady as refusal:
            return self._wait_or_fail(order, refusal, now_ms)
        except NoMiner as refusal:
            if now_ms < self._offers_by_ms:
                return []  # a restart has forgotten the offers, not the order
            return self.fail(order, FailureKind.NO_MINER, refusal.reason, now_ms)
        except DepositUsedUp as refusal:
            return self.fail(order, FailureKind.UNPAID, refusal.reason, now_ms)
        except AlreadySigned as refusal:
            return self._draw_anew(order, str(refusal), now_ms)

    def _draw_anew(self, order: Order, reason: str, now_ms: int) -> list[Action]:
        """A task cannot be announced, or not any more: its order is drawn again, a few times."""
        actions = self._end_task(order, TaskEnding.CANCELLED, reason, now_ms)
        if order.attempts >= ATTEMPTS_MAX:
            return actions + self.fail(order, FailureKind.FAILED, f"it cannot be announced: {reason}", now_ms)
        return actions + self.draw_queued(now_ms)

    def _wait_or_fail(self, order: Order, refusal: NotReady, now_ms: int) -> list[Action]:
        """An order that was taken waits for a chain or a clock no longer than for a lost miner."""
        if now_ms < max(order.waits_since_ms, order.retry_at_ms) + self._core.parameters.progress_timeout_ms:
            return []
        return self.fail(order, FailureKind.NO_MINER, refusal.reason, now_ms)

    def _why_unheard(self, order: Order, now_ms: int) -> str | None:
        """Why nobody comes for a live task, if it is this node that is not heard; None otherwise.

        The app hears the true reason then, and the order is not drawn again. A node that is deaf for less
        than two miners have had the time to come loses nothing, and work that was begun is never given up
        for it.
        """
        is_known = any(
            turn.state not in (TurnState.AWAITED, TurnState.PASSED) or turn.acceptance
            for turn in order.live_task.turns
        )
        is_early = now_ms < self._turns.arrivals.nobody_comes_from_ms(order)
        return None if is_known or is_early else self._core.market.reason_not_ready()

    def _expire(self, order: Order, now_ms: int) -> list[Action]:
        task = order.live_task
        if task.working is not None and self._turns.arrivals.was_watching(task.deadline_ms):
            # It had the turn until nobody else could have it any more, and gave nothing.
            self._core.experience.note_failure(task.turns[task.working].miner, now_ms)
        said = [turn.reason for turn in task.turns if turn.reason]
        reason = "; ".join(["no miner finished it before its deadline", *dict.fromkeys(said)])
        actions = self._end_task(order, TaskEnding.EXPIRED, reason, now_ms)
        return actions + self.fail(order, FailureKind.EXPIRED, reason, now_ms)

    def _end_task(self, order: Order, ending: TaskEnding, reason: str, retry_at_ms: int) -> list[Action]:
        """The live task ends without a result; what becomes of its order is the caller's matter."""
        task = order.live_task
        actions = self._turns.deliveries.dismiss(order, reason)
        self._core.record(TaskEnded(order.order_id, ending, retry_at_ms))
        self._core.purse.release(task.reserved_wei)
        self._core.reserve.release(task.task_id)
        return actions


def _busy_pause_ms(order: Order, now_ms: int) -> int:
    waited_ms = now_ms - order.waits_since_ms
    return max(BUSY_RETRY_MS, min(RETRY_MS_MAX, waited_ms // BUSY_RETRY_DIVISOR))
