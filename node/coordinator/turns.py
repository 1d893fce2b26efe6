"""The turns of a task's assigned miners: whose it is, what follows from what they say, and how a turn ends.

Is: the engine's half that listens to miners. The lowest rank that is here works, once its head start is over
or it was called; one works at a time; whoever ends its turn gives it to the next, which is called at once.
Is not: drawing, the end of an order (`engine`), input, pay and results (`delivery`), or times (`arrivals`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.coordinator.actions import (
    Accuse,
    Action,
    AskChain,
    Call,
    CloseStream,
    Tell,
)
from node.coordinator.arrivals import Arrivals
from node.coordinator.delivery import Deliveries, cut, not_needed
from node.coordinator.outcomes import FailedOver
from node.coordinator.records import (
    TurnEnded,
    TurnEnding,
)
from node.coordinator.result_intake import FalseOutput, LastUnit, ResultIntake
from protocol.errors import DecodeError, InvalidMessage, ProtocolError, Refusal
from protocol.evidence import TwoStatements
from protocol.messages import (
    DeclineKind,
    TaskAcceptance,
    TaskDecline,
)
from protocol.statement import Statement, open_statement
from protocol.task import TurnEvent, TurnState

if TYPE_CHECKING:
    from node.coordinator.core import Core
    from node.coordinator.delivery import Endings
    from node.coordinator.orders import Order, Turn

NOT_DRAWN: Final = "you were not drawn for this task at this rank"


class Turns:
    """All streams of miners, and what follows from what comes on them.

    :ivar deliveries: input, pay and results.
    :ivar arrivals: when miners are to come.
    """

    def __init__(self, core: Core, endings: Endings) -> None:
        self._core = core
        self._endings = endings
        self._asked: set[bytes] = set()
        self.deliveries = Deliveries(core, endings)
        self.arrivals = Arrivals(core)

    # Events

    def open(self, stream_id: int, miner: bytes, payload: bytes, now_ms: int) -> list[Action]:
        """See `CoordinatorEngine.stream_opened`."""
        acceptance = self._first_payload(payload)
        if isinstance(acceptance, TaskDecline):
            task_id = acceptance.task_id
        else:
            task_id = acceptance.message.task_id
            if acceptance.signer.address != miner:
                raise InvalidMessage("acceptance is signed by somebody else than the peer")
        order = self._core.book.tasks.get(task_id)
        if order is None:
            return not_needed(stream_id, "this task is over or was never here")
        turns = order.live_task.turns
        rank = next((rank for rank, turn in enumerate(turns) if turn.miner == miner), None)
        if rank is None:
            raise Refusal(NOT_DRAWN)
        turn = turns[rank]
        self.arrivals.note_came(order, turn, now_ms)
        if not isinstance(acceptance, TaskDecline) and acceptance.message.rank != rank:
            return _refuse_rank(stream_id, turn, acceptance)
        if turn.life.over:
            return not_needed(stream_id, "your turn is over")
        if turn.stream_id is not None:
            raise Refusal("this rank has a stream already")
        if isinstance(acceptance, TaskDecline):
            actions = self._decline(order, rank, acceptance)
            return [*actions, CloseStream(stream_id), *self.go_on(order, now_ms)]
        turn.life.move(TurnEvent.COME)
        self.deliveries.take_stream(stream_id, order, rank, acceptance)
        return self.go_on(order, now_ms)

    def hear(self, stream_id: int, payload: bytes, now_ms: int) -> list[Action]:
        """See `CoordinatorEngine.stream_heard`."""
        found = self.deliveries.find_stream(stream_id)
        if found is None:
            return []
        order, rank = found
        turn = order.live_task.turns[rank]
        turn.heard_at_ms = now_ms
        try:
            if turn.intake is None:
                decline = TaskDecline.decode(payload)
                if decline.task_id != order.live_task.task_id:
                    raise InvalidMessage("decline is of another task")
                return self._decline_on_stream(order, rank, decline, now_ms)
            return self._take(order, rank, turn.intake, payload, now_ms)
        except ProtocolError as error:
            reason = f"it broke the protocol: {error}"
            if turn.intake is None:
                decline = TaskDecline(order.live_task.task_id, DeclineKind.NOT_HERE, cut(reason))
                return self._decline_on_stream(order, rank, decline, now_ms)
            actions: list[Action] = [Accuse(error.evidence)] if isinstance(error, FalseOutput) else []
            return [*actions, *self._lose(order, rank, reason, now_ms)]

    def lose_stream(self, stream_id: int, reason: str, now_ms: int) -> list[Action]:
        """See `CoordinatorEngine.stream_lost`."""
        found = self.deliveries.find_stream(stream_id)
        if found is None:
            return []
        order, rank = found
        turn = order.live_task.turns[rank]
        if turn.state is TurnState.WORKING:
            if self.arrivals.has_just_woken(now_ms):
                return self._interrupt(order, rank, now_ms)
            return self._lose(order, rank, reason, now_ms)
        turn.life.move(TurnEvent.LEAVE)
        self.deliveries.forget_stream(turn)
        return self.go_on(order, now_ms)

    def chain_answered(self, miner: bytes, failure: str, now_ms: int) -> list[Action]:
        """See `CoordinatorEngine.chain_answered`."""
        self._asked.discard(miner)
        actions: list[Action] = []
        for order in list(self._core.book.tasks.values()):
            for rank, turn in enumerate(order.live_task.turns):
                if turn.miner != miner or not turn.asks_chain:
                    continue
                turn.asks_chain = False
                if failure and turn.state is TurnState.HERE:
                    reason = f"what it was paid so far is not known: {failure}"
                    decline = TaskDecline(order.live_task.task_id, DeclineKind.NOT_HERE, cut(reason))
                    actions += self._decline_on_stream(order, rank, decline, now_ms)
                else:
                    actions += self.go_on(order, now_ms)
                break
        return actions

    def tick(self, order: Order, now_ms: int) -> list[Action]:
        """Act on the time that has passed for the miners of one order's task."""
        task = order.live_task
        self.arrivals.note_absent(order, now_ms)
        silent_ms = self._core.parameters.progress_timeout_ms
        rank = task.working
        if rank is not None:
            turn = task.turns[rank]
            if now_ms >= turn.heard_at_ms + silent_ms:
                return self._lose(order, rank, f"it was silent for {silent_ms // 1000} s", now_ms)
            if now_ms >= turn.ends_at_ms and any(
                not other.life.over for other in task.turns if other is not turn
            ):
                return self._lose(order, rank, "it took half of the time, and others are left", now_ms)
            return []
        for turn in task.turns:
            if turn.state is TurnState.AWAITED and now_ms >= self.arrivals.passed_ms(order, turn):
                turn.life.move(TurnEvent.PASS)
        return self.go_on(order, now_ms)

    # What follows

    def go_on(self, order: Order, now_ms: int) -> list[Action]:
        """Give the turn to whoever may have it, or call somebody, or end a task that nobody is left for."""
        task = order.task
        if task is None or task.working is not None:
            return []
        self.arrivals.note_absent(order, now_ms)
        here = [
            rank
            for rank, turn in enumerate(task.turns)
            if turn.state is TurnState.HERE and now_ms >= self.arrivals.due_ms(order, turn)
        ]
        if here:
            return self._give_turn(order, here[0], now_ms)
        if any(turn.state is TurnState.HERE and turn.called_at_ms is None for turn in task.turns):
            # Somebody is here before its time, and everybody before it is out: it need not be called twice.
            early = next(turn for turn in task.turns if not turn.over)
            if early.state is TurnState.HERE:
                early.called_at_ms = now_ms
                return self.go_on(order, now_ms)
        return self._call_or_exhaust(order, now_ms)

    def _call_or_exhaust(self, order: Order, now_ms: int) -> list[Action]:
        task = order.live_task
        # The first of them was called by the announcement; whoever was called is on its way.
        on_their_way = [
            turn
            for rank, turn in enumerate(task.turns)
            if not turn.over and (rank == 0 or turn.called_at_ms is not None)
        ]
        if any(now_ms < self.arrivals.passed_ms(order, turn) for turn in on_their_way):
            return []
        uncalled = [
            turn
            for turn in task.turns
            if not turn.life.over and turn.called_at_ms is None and turn.stream_id is None
        ]
        if uncalled:
            turn = uncalled[0]
            turn.called_at_ms = now_ms
            return [Call(task.task_id, turn.miner)]
        if all(turn.over for turn in task.turns):
            last_ms = max(self.arrivals.due_ms(order, turn) for turn in task.turns)
            all_said = all(turn.life.over for turn in task.turns)
            if all_said or now_ms >= last_ms + self._core.parameters.progress_timeout_ms:
                return self._endings.exhaust(order, now_ms)
        return []

    def _give_turn(self, order: Order, rank: int, now_ms: int) -> list[Action]:
        """Give a miner that is here the input, if it is known what it was paid and if it can be paid."""
        turn = order.live_task.turns[rank]
        if not self._core.purse.knows(turn.miner):
            if turn.asks_chain:
                return []
            turn.asks_chain = True
            if turn.miner in self._asked:
                return []  # for another stream or task of its: one question at a time
            self._asked.add(turn.miner)
            return [AskChain(turn.miner)]
        return self.deliveries.begin(order, rank, now_ms)

    def _take(
        self, order: Order, rank: int, intake: ResultIntake, payload: bytes, now_ms: int
    ) -> list[Action]:
        """Something of a working miner. :raises ProtocolError: no honest miner sends it."""
        event = intake.receive(payload)
        if intake.commitment is not None:
            return self.deliveries.deliver(order, rank, intake, intake.commitment, now_ms)
        if isinstance(event, TaskDecline):
            return self._decline_on_stream(order, rank, event, now_ms)
        actions: list[Action] = []
        if event is not None and not isinstance(event, LastUnit):
            actions.append(Tell(order.order_id, order.live_task.task_id, event))
        if isinstance(event, LastUnit) or intake.units >= intake.unit_limit:
            actions += self.deliveries.pay(order, rank, intake.units)
        return actions

    def _decline_on_stream(self, order: Order, rank: int, decline: TaskDecline, now_ms: int) -> list[Action]:
        turn = order.live_task.turns[rank]
        stream_id = turn.stream_id
        actions = [] if turn.intake is None else self.deliveries.pay(order, rank, turn.intake.units)
        actions += self._decline(order, rank, decline)
        order.live_task.idle_since_ms = now_ms
        if turn.paid_wei:
            self._core.experience.note_failure(turn.miner, now_ms)
        self.deliveries.forget_stream(turn)
        if stream_id is not None:
            actions.append(CloseStream(stream_id))
        return [*actions, *self.go_on(order, now_ms)]

    def _decline(self, order: Order, rank: int, decline: TaskDecline) -> list[Action]:
        miner = order.live_task.turns[rank].miner
        ended = TurnEnded(
            order.order_id,
            rank,
            TurnEnding.DECLINED,
            decline.decline_kind,
            decline.reason or "it gave no reason",
        )
        self._core.record(ended)
        self._core.counts.turns_declined += 1
        return [Tell(order.order_id, order.live_task.task_id, FailedOver(miner, ended.reason))]

    def _lose(self, order: Order, rank: int, reason: str, now_ms: int) -> list[Action]:
        """A working miner is lost: the next has the turn, and this one is passed over for a while."""
        turn = order.live_task.turns[rank]
        stream_id = turn.stream_id
        self._core.record(TurnEnded(order.order_id, rank, TurnEnding.LOST, 0, cut(reason)))
        order.live_task.idle_since_ms = now_ms
        self._core.experience.note_failure(turn.miner, now_ms)
        self._core.counts.turns_lost += 1
        self.deliveries.forget_stream(turn)
        actions: list[Action] = [
            Tell(order.order_id, order.live_task.task_id, FailedOver(turn.miner, cut(reason)))
        ]
        if stream_id is not None:
            actions.append(CloseStream(stream_id, reason))
        return [*actions, *self.go_on(order, now_ms)]

    def _interrupt(self, order: Order, rank: int, now_ms: int) -> list[Action]:
        """A working miner is lost by a fault of ours: it may come again, and is called."""
        task, reason = order.live_task, "its coordinator was asleep"
        self._core.record(TurnEnded(order.order_id, rank, TurnEnding.INTERRUPTED, 0, reason))
        task.idle_since_ms = now_ms
        self.deliveries.forget_stream(task.turns[rank])
        return self.go_on(order, now_ms)

    # Streams

    def _first_payload(self, payload: bytes) -> Statement[TaskAcceptance] | TaskDecline:
        """:raises ProtocolError: neither an acceptance nor a decline."""
        try:
            return open_statement(self._core.signer.domain, payload, TaskAcceptance)
        except DecodeError:
            return TaskDecline.decode(payload)


def _refuse_rank(stream_id: int, turn: Turn, acceptance: Statement[TaskAcceptance]) -> list[Action]:
    """A drawn miner accepts at a rank that is not its own; if it has accepted at its own, that is evidence.

    :raises Refusal: it has not.
    """
    first = turn.acceptance if turn.offered is None else turn.offered.encoded
    if not first:
        raise Refusal(NOT_DRAWN)
    return [Accuse(TwoStatements.pair(first, acceptance.encoded)), CloseStream(stream_id, NOT_DRAWN)]
