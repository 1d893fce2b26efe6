"""The coordinator as a machine: orders, miners' bytes and the time in, actions out.

Is: taking orders, drawing and announcing their tasks, ending them for their true reason, and coming back
after a restart. Whatever must outlive a crash is written to the journal before anything follows from it.
Is not: I/O, a clock or randomness (given), whom to pass over (`choice`), or the turns of a task's miners,
which are in :mod:`node.coordinator.turns`.

Laws, held by tests: every order ends; a number has one body; an order has one live task; nobody is paid twice
for the same unit; what a miner sends ends its own turn at most.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from node.coordinator.actions import Action, Failure, Finish, Publish, Tell
from node.coordinator.choice import Choice, Experience, candidates
from node.coordinator.orders import Book, Order, snapshot_of, task_id_of
from node.coordinator.outcomes import Announced, Busy, NoMiner
from node.coordinator.records import (
    FailureKind,
    OrderCancelled,
    OrderFailed,
    OrderPlaced,
    OrderRequest,
    Record,
    TaskDrawn,
    TaskEnded,
    TaskEnding,
    TaskSigned,
    TurnEnded,
    TurnEnding,
)
from node.coordinator.turns import Turns
from node.pay.purse import DepositUsedUp
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.draw import rank_for_task, task_seed
from protocol.messages import (
    NO_TASK,
    DeclineKind,
    PassedOver,
    PublicInput,
    SealedInput,
    TaskAnnouncement,
    TaskInput,
)
from protocol.task import CoordinatorState, OrderState, TurnState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from node.coordinator.ports import JournalPort, PursePort, SignerPort
    from protocol.draw import EpochView
    from protocol.messages import Offer
    from protocol.rules.view import View

ORDERS_MAX: Final = 256
"""Most orders that are not over at a time."""
ATTEMPTS_MAX: Final = 3
"""Most tasks drawn for one order, those aside whose miners were merely busy."""
WAIT_MS_MAX: Final = 10 * 60 * 1000
"""How long an order may wait for a task before it fails: as long as a stock client waits for its answer."""
BUSY_RETRY_MS: Final = 500
"""Pause before an order is drawn again whose miners were all busy with others' work."""
SPARE_MS: Final = 10_000
"""Time that a task gets beyond what its work should take: dialling, and machines with other things to do."""
TYPICAL_TIMES: Final = 3
"""So many times a miner's typical time is a task given for each of the assigned."""
TICK_MS: Final = 100
"""How late a matter of time may be noticed."""


@dataclass(frozen=True, slots=True)
class EngineParameters:
    """The network's parameters that the engine needs.

    :ivar assigned_miners: wanted for each task.
    :ivar progress_timeout_ms: how long a working miner may be silent.
    """

    assigned_miners: int
    progress_timeout_ms: int


class MarketPort(Protocol):
    """The market as the node knows it now; synchronous."""

    @property
    def view(self) -> View:
        """The chain, as this node last read it."""

    def offers(self) -> Iterable[tuple[bytes, Offer]]:
        """Newest offer of each miner, live or not."""

    def multiaddrs(self) -> tuple[bytes, ...]:
        """Where miners dial this node, binary form."""

    def reason_not_ready(self) -> str | None:
        """Why an announcement would lead nowhere now; None if it would not."""


@dataclass(slots=True)
class EngineCounts:
    """Counts since the start."""

    tasks_announced: int = 0
    orders_delivered: int = 0
    orders_failed: int = 0
    orders_cancelled: int = 0
    turns_declined: int = 0
    turns_lost: int = 0
    calls_heard: int = 0
    calls_not_heard: int = 0
    errands_dropped: int = 0


class NotReady(NoMiner):
    """This node cannot have work done at the moment; the reason says why."""


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
    ) -> None:
        """:param new_salt: gives 32 unpredictable bytes."""
        self.parameters = parameters
        self.market = market
        self.signer = signer
        self.purse = purse
        self.experience = Experience()
        self.book = Book(signer.domain)
        self.counts = EngineCounts()
        self._journal = journal
        self._new_salt = new_salt
        self._turns = Turns(self)

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
        if len(self.book.orders) >= ORDERS_MAX:
            raise Busy(f"too many concurrent orders (limit {ORDERS_MAX})")
        self._epoch()
        choice = self._choice(placed.request, (), now_ms)
        _require_possible(choice)
        if choice.free:
            self.purse.require(min(self._price_wei(choice, [miner]) for miner in choice.free))
        order = self.book.apply(placed)
        try:
            self._journal.write(placed, snapshot_of(order), sources)
        except BaseException:
            del self.book.orders[placed.order_id]
            raise
        return self._draw(order, now_ms)

    def cancel(self, order_id: bytes, reason: str, now_ms: int) -> list[Action]:
        """The app does not want an order any more: who works is paid for what it has shown, and stops."""
        order = self.book.orders.get(order_id)
        if order is None:
            return []
        task = order.task
        actions = [] if task is None else self._turns.dismiss(order, "the app went away")
        self.record(OrderCancelled(order_id, reason, now_ms))
        if task is not None:
            self.purse.release(task.reserved_wei)
        self.counts.orders_cancelled += 1
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

    def is_assigned(self, miner: bytes) -> bool:
        """Whether a live task waits for this miner, so that it may open a stream."""
        return any(
            turn.miner == miner for order in self.book.tasks.values() for turn in order.live_task.turns
        )

    def publish_failed(self, task_id: bytes, reason: str, now_ms: int) -> list[Action]:
        """An announcement is not accepted any more by the rule that all peers judge it by: it is drawn
        again.
        """
        order = self.book.tasks.get(task_id)
        if order is None:
            return []
        actions = self._end_task(order, TaskEnding.CANCELLED, reason, now_ms)
        if order.attempts >= ATTEMPTS_MAX:
            return actions + self.fail(order, FailureKind.FAILED, f"it cannot be announced: {reason}", now_ms)
        return actions + self.draw_queued(now_ms)

    # What time does

    def tick(self, now_ms: int) -> list[Action]:
        """Act on the time that has passed since the last tick; call it every `TICK_MS`."""
        actions: list[Action] = []
        for order in list(self.book.orders.values()):
            if order.order_id not in self.book.orders:
                continue
            if order.task is None:
                if now_ms >= order.placed_at_ms + WAIT_MS_MAX:
                    reason = f"no miner was free for it in {WAIT_MS_MAX // 60_000} minutes"
                    actions += self.fail(order, FailureKind.EXPIRED, reason, now_ms)
            elif now_ms >= order.task.message.deadline_ms:
                actions += self._expire(order, now_ms)
            else:
                actions += self._turns.tick(order, now_ms)
        return actions + self.draw_queued(now_ms)

    def resume(self, now_ms: int) -> list[Action]:
        """After the journal was read: sign what was drawn, promise what was written down, and go on.

        Announcements that were signed go out again in the same words, and their miners are called.
        """
        actions: list[Action] = []
        for order in list(self.book.orders.values()):
            task = order.task
            if task is None:
                continue
            self.purse.hold(task.reserved_wei)
            for turn in task.turns:
                if turn.paid_wei:
                    self.purse.promise(turn.miner, turn.total_wei, 0, turn.paid_wei)
            if task.life.state is CoordinatorState.DRAWN:
                actions += self._announce(order)
            elif task.statement is not None:
                rank = task.working
                if rank is not None:
                    reason = "its coordinator was restarted"
                    ended = TurnEnded(order.order_id, rank, TurnEnding.INTERRUPTED, 0, reason)
                    self.record(ended)
                actions.append(Publish(task.task_id, task.statement.encoded))
            actions += self._turns.go_on(order, now_ms)
        return actions + self.tick(now_ms)

    # Internals, also for `Turns`

    def record(self, record: Record, blobs: Mapping[bytes, bytes] | None = None) -> None:
        """Change the state, and write it down. What follows from it comes afterwards.

        :raises JournalUnavailable: it cannot be written; the node must stop, and will read what was written.
        """
        order = self.book.apply(record)
        is_live = order.order_id in self.book.orders
        self._journal.write(record, snapshot_of(order) if is_live else None, blobs or {})

    def fail(self, order: Order, kind: FailureKind, reason: str, now_ms: int) -> list[Action]:
        """End an order without a result."""
        task = order.task
        actions = [] if task is None else self._turns.dismiss(order, reason)
        self.record(OrderFailed(order.order_id, kind, reason, now_ms))
        if task is not None:
            self.purse.release(task.reserved_wei)
        self.counts.orders_failed += 1
        task_id = b"" if task is None else task.task_id
        return [*actions, Finish(order.order_id, task_id, Failure(kind, reason))]

    def exhaust(self, order: Order, now_ms: int) -> list[Action]:
        """Every assigned miner of the task has ended its turn: draw the order again, or say why not."""
        task = order.live_task
        reasons = [turn.reason for turn in task.turns if turn.reason]
        kinds = [turn.decline_kind for turn in task.turns]
        were_busy = DeclineKind.BUSY in kinds and all(kind in (None, DeclineKind.BUSY) for kind in kinds)
        retry_at_ms = now_ms + BUSY_RETRY_MS if were_busy else now_ms
        actions = self._end_task(
            order, TaskEnding.EXHAUSTED, "every drawn miner has had its turn", retry_at_ms
        )
        if DeclineKind.NOBODY in kinds:
            refusal = next(turn.reason for turn in task.turns if turn.decline_kind is DeclineKind.NOBODY)
            return actions + self.fail(order, FailureKind.REFUSED, f"miners refuse this: {refusal}", now_ms)
        try:
            fresh = self._choice(order.request, order.tried, now_ms).free - order.tried
        except NotReady:
            fresh = set()
        if not were_busy and (order.attempts >= ATTEMPTS_MAX or not fresh):
            said = "; ".join(dict.fromkeys(reasons)) or "none of them came by its time"
            reason = f"none of the {len(task.turns)} drawn miners did it: {said}"
            return actions + self.fail(order, FailureKind.FAILED, reason, now_ms)
        return actions + self.draw_queued(now_ms)

    def _expire(self, order: Order, now_ms: int) -> list[Action]:
        said = [turn.reason for turn in order.live_task.turns if turn.reason]
        reason = "; ".join(["no miner finished it before its deadline", *dict.fromkeys(said)])
        actions = self._end_task(order, TaskEnding.EXPIRED, reason, now_ms)
        return actions + self.fail(order, FailureKind.EXPIRED, reason, now_ms)

    def _end_task(self, order: Order, ending: TaskEnding, reason: str, retry_at_ms: int) -> list[Action]:
        """The live task ends without a result; what becomes of its order is the caller's matter."""
        task = order.live_task
        actions = self._turns.dismiss(order, reason)
        self.record(TaskEnded(order.order_id, ending, retry_at_ms))
        self.purse.release(task.reserved_wei)
        return actions

    def epoch_of(self, task: TaskAnnouncement) -> EpochView:
        """The epoch behind a task's draw, known since its announcement."""
        return self.market.view.epochs.get(task.epoch) or self._journal.epoch(task.epoch)

    # The draw

    def _epoch(self) -> EpochView:
        """:raises NotReady: nothing can be announced now."""
        reason = self.market.reason_not_ready()
        epoch = self.market.view.latest
        if reason is not None or epoch is None:
            raise NotReady(reason or "the chain has no epoch seed yet")
        last = self.signer.last_announcement()
        if last is not None and last.epoch > epoch.number:
            raise NotReady("the chain's epoch is before that of the last task")
        return epoch

    def _choice(self, request: OrderRequest, tried: Iterable[bytes], now_ms: int) -> Choice:
        epoch = self._epoch()
        return Choice(
            candidates(self.market.offers(), request, now_ms),
            request,
            miners=epoch.miners,
            busy=self._busy(),
            experience=self.experience,
            wanted=self.parameters.assigned_miners,
            now_ms=now_ms,
            tried=frozenset(tried),
        )

    def _busy(self) -> Counter[bytes]:
        """Tasks that each miner works on, or is the next to work on, for this coordinator."""
        busy: Counter[bytes] = Counter()
        for order in self.book.tasks.values():
            turns = order.live_task.turns
            expected = [turn for turn in turns if turn.state is TurnState.WORKING]
            expected = expected or [
                turn for turn in turns if turn.state in (TurnState.HERE, TurnState.AWAITED)
            ]
            busy.update(turn.miner for turn in expected[:1])
        return busy

    def draw_queued(self, now_ms: int) -> list[Action]:
        """Draw for the orders that wait, the oldest first, as far as there are free miners."""
        actions: list[Action] = []
        waiting: set[tuple[bytes, int]] = set()
        for order in list(self.book.orders.values()):
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
            epoch = self._epoch()
            choice = self._choice(order.request, order.tried, now_ms)
            _require_possible(choice)
        except NotReady as refusal:
            return self._wait_or_fail(order, refusal, now_ms)
        except NoMiner as refusal:
            return self.fail(order, FailureKind.NO_MINER, refusal.reason, now_ms)
        if not choice.free:
            return []
        number, previous = self._next_number(epoch)
        seed = task_seed(epoch.seed, self.signer.address, number)
        ranking = rank_for_task(epoch.miners, seed, choice, self.parameters.assigned_miners)
        assigned = [place.miner for place in ranking if place.passed_over == PassedOver.ASSIGNED]
        if not assigned:
            reason = "no miner that can do it was among the first of the draw"
            return self.fail(order, FailureKind.NO_MINER, reason, now_ms)
        try:
            self.purse.require(self._price_wei(choice, assigned))
        except DepositUsedUp as refusal:
            return self.fail(order, FailureKind.UNPAID, refusal.reason, now_ms)
        task_input = self._input(order)
        price = choice.price(assigned)
        announcement = TaskAnnouncement(
            coordinator=self.signer.address,
            epoch=epoch.number,
            number=number,
            previous=previous,
            model_id=order.request.model_id,
            work=order.request.work,
            input_commitment=task_input.commitment(),
            price_micro_cai=price.whole_micro_cai,
            upfront_micro_cai=price.upfront_micro_cai,
            announced_at_ms=now_ms,
            deadline_ms=now_ms + self._life_ms(order.request, choice, assigned),
            ranking=ranking,
            multiaddrs=self.market.multiaddrs(),
        )
        self._journal.keep_epoch(epoch)
        task_id = task_id_of(self.signer.domain, announcement)
        self.record(TaskDrawn(order.order_id, task_id, announcement.encode(), task_input.encode()))
        self.purse.hold(order.live_task.reserved_wei)
        return self._announce(order)

    def _announce(self, order: Order) -> list[Action]:
        """Sign what was drawn, once or again, and publish it."""
        task = order.live_task
        statement = self.signer.seal(task.message)
        self.record(TaskSigned(order.order_id, statement.encoded))
        self.counts.tasks_announced += 1
        announced = Announced(task.task_id, task.message.assigned)
        return [Tell(order.order_id, task.task_id, announced), Publish(task.task_id, statement.encoded)]

    def _wait_or_fail(self, order: Order, refusal: NotReady, now_ms: int) -> list[Action]:
        """An order that was taken waits for a chain or a clock no longer than for a lost miner."""
        if now_ms < max(order.placed_at_ms, order.retry_at_ms) + self.parameters.progress_timeout_ms:
            return []
        return self.fail(order, FailureKind.NO_MINER, refusal.reason, now_ms)

    def _next_number(self, epoch: EpochView) -> tuple[int, bytes]:
        """Number of the next announcement and the id of the one before it; see `TaskAnnouncement`."""
        last = self.signer.last_announcement()
        if last is None or last.epoch < epoch.number - 1:
            return 0, NO_TASK
        task_id = task_id_of(self.signer.domain, last)
        return (last.number + 1 if last.epoch == epoch.number else 0), task_id

    def _price_wei(self, choice: Choice, assigned: Sequence[bytes]) -> int:
        return choice.price(assigned).whole_micro_cai * WEI_PER_MICRO_CAI

    def _input(self, order: Order) -> TaskInput:
        request = order.request
        return TaskInput(
            PublicInput(request.numbers, order.sources),
            SealedInput(self._new_salt(), request.prompts, request.preview_every_units),
        )

    def _life_ms(self, request: OrderRequest, choice: Choice, assigned: Sequence[bytes]) -> int:
        """Time from announcement to deadline: what the work should take on each of the assigned, and to
        spare.
        """
        terms, typical_ms = self.market.view.terms, choice.typical_ms(assigned)
        if not typical_ms:
            return terms.life_ms_max
        work_ms = TYPICAL_TIMES * typical_ms * request.typical_permille // 1000
        each_ms = terms.head_start_ms + self.parameters.progress_timeout_ms + work_ms
        return min(terms.life_ms_max, len(assigned) * each_ms + SPARE_MS)


def _require_possible(choice: Choice) -> None:
    """:raises NoMiner: nobody offers the work, or not at a price that is paid."""
    if not choice.is_offered:
        raise NoMiner("no miner offers this model for this right now")
    if not choice.is_affordable:
        raise NoMiner("every miner that offers this asks for more than this coordinator pays")
