"""The draw of an order's next task: who may have it, its price, its time, and its announcement.

Is: everything from an order that waits to a signed announcement, each step written down before the next.
Is not: when to draw, or what becomes of an order that nobody can have (`engine`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from node.coordinator.actions import Action, Publish, Tell
from node.coordinator.choice import Choice, candidates
from node.coordinator.orders import Order, task_id_of
from node.coordinator.outcomes import Announced, NoMiner
from node.coordinator.records import OrderRequest, TaskDrawn, TaskSigned
from node.signing.guard import AlreadySigned
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.draw import rank_for_task, task_seed
from protocol.messages import (
    NO_TASK,
    PassedOver,
    PublicInput,
    SealedInput,
    TaskAnnouncement,
    TaskInput,
)
from protocol.task import TurnState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from node.coordinator.core import Core
    from protocol.draw import EpochView

SPARE_MS: Final = 10_000
"""Time that a task gets beyond what its work should take: dialling, and machines with other things to do."""
TYPICAL_TIMES: Final = 3
"""So many times a miner's typical time is a task given for each of the assigned."""


class NotReady(NoMiner):
    """This node cannot have work done at the moment; the reason says why."""


class Drawing:
    """Draws for one coordinator."""

    def __init__(self, core: Core, new_salt: Callable[[], bytes]) -> None:
        """:param new_salt: gives 32 unpredictable bytes."""
        self._core = core
        self._new_salt = new_salt

    def require_possible(self, request: OrderRequest, now_ms: int) -> None:
        """Hold a request against what could be announced now; that all who could do it are busy is no matter.

        :raises NotReady: this node cannot have work done now.
        :raises NoMiner: nobody offers it, or not at a price that is paid.
        :raises DepositUsedUp: the deposit does not cover it.
        """
        choice = self.choice(request, (), now_ms)
        if choice.free:
            needed = (self._needed_wei(request, choice, [miner]) for miner in choice.free)
            self._core.purse.require(min(needed))

    def draw(self, order: Order, now_ms: int) -> list[Action]:
        """Announce a task for an order, if somebody is free for it.

        :raises NotReady: nothing can be announced now.
        :raises NoMiner: nobody can have it.
        :raises DepositUsedUp: the deposit does not cover it.
        :raises AlreadySigned: see `announce`; the task is drawn.
        """
        core, epoch = self._core, self._epoch()
        choice = self.choice(order.request, order.tried, now_ms)
        if not choice.free:
            return []
        number, previous = self._next_number(epoch)
        seed = task_seed(epoch.seed, core.signer.address, number)
        ranking = rank_for_task(epoch.miners, seed, choice, core.parameters.assigned_miners)
        assigned = [place.miner for place in ranking if place.passed_over == PassedOver.ASSIGNED]
        if not assigned:
            raise NoMiner("no miner that can do it was among the first of the draw")
        core.purse.require(self._needed_wei(order.request, choice, assigned))
        task_input, price = self._input(order), choice.price(assigned)
        at_ms = core.unix_ms(now_ms)
        announcement = TaskAnnouncement(
            coordinator=core.signer.address,
            epoch=epoch.number,
            number=number,
            previous=previous,
            model_id=order.request.model_id,
            work=order.request.work,
            input_commitment=task_input.commitment(),
            price_micro_cai=price.whole_micro_cai,
            upfront_micro_cai=price.upfront_micro_cai,
            announced_at_ms=at_ms,
            deadline_ms=at_ms + self._life_ms(order.request, choice, assigned),
            ranking=ranking,
            multiaddrs=core.market.multiaddrs(),
            audits=order.request.audits,
        )
        with core.writing():
            core.journal.keep_epoch(epoch)
        task_id = task_id_of(core.signer.domain, announcement)
        core.record(TaskDrawn(order.order_id, task_id, announcement.encode(), task_input.encode()))
        order.live_task.begun_ms = now_ms
        core.purse.hold(order.live_task.reserved_wei)
        core.reserve.hold(task_id, announcement)
        return self.announce(order)

    def announce(self, order: Order) -> list[Action]:
        """Sign what was drawn, once or again, and publish it.

        :raises AlreadySigned: the guard never allows it: it knows of another body, or is new.
        """
        task = order.live_task
        with self._core.writing(but=AlreadySigned):
            statement = self._core.signer.seal(task.message)
        self._core.record(TaskSigned(order.order_id, statement.encoded))
        self._core.counts.tasks_announced += 1
        announced = Announced(task.task_id, task.message.assigned)
        return [Tell(order.order_id, task.task_id, announced), Publish(task.task_id, statement.encoded)]

    def choice(self, request: OrderRequest, tried: Iterable[bytes], now_ms: int) -> Choice:
        """The judgement of all miners for a request.

        :raises NotReady: nothing can be announced now.
        :raises NoMiner: nobody offers the work, or not at a price that is paid.
        """
        epoch = self._epoch()
        choice = Choice(
            candidates(self._core.market.offers(), request, self._core.unix_ms(now_ms)),
            request,
            miners=epoch.miners,
            busy=self.busy(),
            experience=self._core.experience,
            wanted=self._core.parameters.assigned_miners,
            now_ms=now_ms,
            tried=frozenset(tried),
        )
        if not choice.is_offered:
            raise NoMiner("no miner offers this model for this right now")
        if not choice.is_affordable:
            raise NoMiner("every miner that offers this asks for more than this coordinator pays")
        if not choice.is_honest:
            raise NoMiner("audits of this coordinator have found false work of every miner that offers this")
        return choice

    def busy(self) -> Counter[bytes]:
        """Tasks that each miner works on, or is the next to work on, for this coordinator."""
        busy: Counter[bytes] = Counter()
        for order in self._core.book.tasks.values():
            turns = order.live_task.turns
            expected = [turn for turn in turns if turn.state is TurnState.WORKING]
            expected = expected or [
                turn for turn in turns if turn.state in (TurnState.HERE, TurnState.AWAITED)
            ]
            busy.update(turn.miner for turn in expected[:1])
        return busy

    # Internals

    def _needed_wei(self, request: OrderRequest, choice: Choice, assigned: Sequence[bytes]) -> int:
        """For a task of these miners and its auditors."""
        price_micro_cai = choice.price(assigned).whole_micro_cai
        return price_micro_cai * WEI_PER_MICRO_CAI + self._core.reserve.needed_wei(request, price_micro_cai)

    def _epoch(self) -> EpochView:
        """:raises NotReady: nothing can be announced now."""
        reason = self._core.market.reason_not_ready()
        epoch = self._core.market.view.latest
        if reason is not None or epoch is None:
            raise NotReady(reason or "the chain has no epoch seed yet")
        last = self._core.signer.last_announcement()
        if last is not None and last.epoch > epoch.number:
            raise NotReady("the chain's epoch is before that of the last task")
        first_epoch = self._core.signer.first_epoch(epoch.number)
        if epoch.number < first_epoch:
            raise NotReady(f"this node's guard is new, so it announces nothing before epoch {first_epoch}")
        return epoch

    def _next_number(self, epoch: EpochView) -> tuple[int, bytes]:
        """Number of the next announcement and the id of the one before it; see `TaskAnnouncement`."""
        last = self._core.signer.last_announcement()
        if last is None or last.epoch < epoch.number - 1:
            return 0, NO_TASK
        task_id = task_id_of(self._core.signer.domain, last)
        return (last.number + 1 if last.epoch == epoch.number else 0), task_id

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
        terms, typical_ms = self._core.market.view.terms, choice.typical_ms(assigned)
        if not typical_ms:
            return terms.life_ms_max
        work_ms = TYPICAL_TIMES * typical_ms * request.typical_permille // 1000
        each_ms = terms.head_start_ms + self._core.parameters.progress_timeout_ms + work_ms
        return min(terms.life_ms_max, len(assigned) * each_ms + SPARE_MS)
