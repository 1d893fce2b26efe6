"""The coordinator: turns an app's request into a task of the network and the result into an answer.

Is: the draw, the announcement, the miners' streams and the receipt.
Is not: HTTP (`api/`), gossip rules (`protocol/rules`) or inference.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import reduce

import structlog
import trio

from node.coordinator.active_task import ActiveTask, require_drawn
from node.coordinator.calling import Caller, reach_by
from node.coordinator.catalogue import Catalogue
from node.coordinator.requests import Announced, Busy, ImageRequest, NoMiner
from node.coordinator.task_stream import TaskStream
from node.inference.packages.model import Model
from node.pay.payer import TaskPay
from node.pay.purse import Purse
from node.peer.peer import Peer
from node.system.clock import now_ms
from p2p.identity import PeerId, address_of_peer
from p2p.streams import DirectStream
from protocol import task as life
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.bounded import Bounded
from protocol.draw import EpochView, rank_for_task, task_seed
from protocol.errors import InvalidMessage, ProtocolError, Refusal
from protocol.messages import (
    NO_TASK,
    Kind,
    ModelOffer,
    Offer,
    PassedOver,
    TaskAcceptance,
    TaskAnnouncement,
    TaskInput,
    WorkOffer,
)
from protocol.pay import Price, price_of
from protocol.receipt import Receipt
from protocol.rules import tasks
from protocol.statement import Statement, open_statement, unsigned
from protocol.task_input import image_input
from protocol.work import ImageNumbers, Work

ACTIVE_TASKS_MAX = 64
"""Most tasks under way at a time."""
RECEIPTS_MAX = 1_000
"""Receipts remembered for `GET /v1/cuckoo/tasks/{id}`."""
ACCEPTANCE_TIMEOUT_MS = 5_000
"""How long a new stream may take to say what it is about."""
PRICE_MAX_MICRO_CAI = 1_000_000
"""Offers that ask for more for an image are not considered, if nobody says otherwise."""

EXPIRY_POLL_S = 0.1
"""How late a task's end by deadline may be noticed."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that live miners serve.

    :ivar name: what requests call it (`Catalogue.handles`).
    :ivar sizes: that it draws, in pixels, the default one first.
    :ivar default_steps: of a request that names no number.
    :ivar steps_max: most that a request may ask for.
    :ivar miners: how many.
    :ivar price_micro_cai: the lowest, for an image at the default size and steps; None where no
        offer has a price for a kind that is known here.
    :ivar work_kinds: what any of them does with it, ascending.
    """

    name: str
    model_id: bytes
    sizes: tuple[tuple[int, int], ...]
    default_steps: int
    steps_max: int
    miners: int
    price_micro_cai: int | None
    work_kinds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CoordinatorStatus:
    """:ivar live_offers: miners whose offer has not lapsed. :ivar receipts: that are remembered."""

    live_offers: int
    tasks_active: int
    tasks_announced: int
    receipts: int


class Coordinator:
    """The role's state: tasks under way, and receipts of those that ended."""

    def __init__(
        self, peer: Peer, catalogue: Catalogue, purse: Purse, price_max_micro_cai: int = PRICE_MAX_MICRO_CAI
    ) -> None:
        """:param price_max_micro_cai: of offers, for an image at the model's default size and steps."""
        self._peer = peer
        self._purse = purse
        self._price_max_micro_cai = price_max_micro_cai
        self._catalogue = catalogue
        self._active: dict[bytes, ActiveTask] = {}
        self._receipts: Bounded[str, Receipt] = Bounded(RECEIPTS_MAX)
        self._published = 0
        self.caller = Caller(reach_by(peer.host, peer.seen.offers.get))

    @property
    def ready(self) -> bool:
        """Whether a task could be drawn now: an epoch is known, and a live offer of a known model."""
        return self._peer.view.latest is not None and bool(self.offered_models())

    def status(self) -> CoordinatorStatus:
        """For people and monitors."""
        return CoordinatorStatus(
            live_offers=len(self._live_offers()),
            tasks_active=len(self._active),
            tasks_announced=self._published,
            receipts=len(self._receipts),
        )

    def offered_models(self) -> list[OfferedModel]:
        """Models of all live offers whose cards are known, by name."""
        by_id: dict[bytes, list[ModelOffer]] = {}
        for offer in self._live_offers().values():
            for model in offer.models:
                by_id.setdefault(model.model_id, []).append(model)
        handles = self._catalogue.handles()
        offered = []
        for model_id, models in by_id.items():
            known = self._catalogue.get(model_id)
            if known is None:
                continue
            works = [work for model in models for work in model.works]
            prices = [_default_price(known, work) for work in works]
            price = min((price.whole_micro_cai for price in prices if price is not None), default=None)
            kinds = tuple(sorted({work.kind for work in works}))
            shape = (known.card.sizes, known.card.default_steps, known.card.steps_max)
            offered.append(OfferedModel(handles[model_id], model_id, *shape, len(models), price, kinds))
        return sorted(offered, key=lambda model: model.name)

    def note_offer(self, offer: Statement[Offer]) -> None:
        """A valid offer was heard: cards of its models that are missing will be fetched."""
        for model in offer.message.models:
            self._catalogue.note_offer(model.model_id, offer.signer.address, now_ms())

    def receipt(self, task_id: str) -> Receipt | None:
        """Receipt of a delivered task by its id in hexadecimal, while it is remembered."""
        return self._receipts.get(task_id)

    @asynccontextmanager
    async def submit(self, request: ImageRequest) -> AsyncIterator[ActiveTask]:
        """Announce a task for `request`; leaving the context before its outcome cancels it.

        :raises NoMiner: no epoch yet, or nobody with a live offer was drawn.
        :raises Busy: `ACTIVE_TASKS_MAX` are under way.
        :raises DepositUsedUp: the deposit does not cover the task's price.
        """
        task = self._make_task(request)
        announcement = task.announcement
        self._active[announcement.digest] = task
        # Whoever still works when the app goes holds the reservation too, until it is paid.
        with task.pay.reservation.held():
            try:
                await self._peer.publish(tasks.TOPIC, announcement.encoded)
                self._published += 1
                log.info("task announced", task=announcement.digest.hex(), steps=request.run_steps)
                task.tell(Announced(announcement.digest, announcement.message.assigned))
                yield task
            finally:
                task.fail(life.CoordinatorEvent.CANCEL, "the app went away")
                del self._active[announcement.digest]

    def _make_task(self, request: ImageRequest) -> ActiveTask:
        """Draw and sign. Synchronous: what is checked here still holds when it is signed."""
        if len(self._active) >= ACTIVE_TASKS_MAX:
            raise Busy("as many tasks are under way as this node carries at a time")
        peer, parameters = self._peer, self._peer.network.parameters
        epoch = peer.view.latest
        if epoch is None:
            raise NoMiner("the chain has no epoch seed yet")
        task_input = _input_of(request)
        number, previous = self._next_number(epoch)
        prices: dict[bytes, Price] = {}

        def judge(miner: bytes) -> PassedOver:
            reason, price = self._judge(live.get(miner), request)
            if price is not None:
                prices[miner] = price
            return reason

        live = self._live_offers()
        seed = task_seed(epoch.seed, peer.key.address, number)
        ranking = rank_for_task(epoch.miners, seed, judge, parameters.assigned_miners)
        assigned = [place.miner for place in ranking if not place.passed_over]
        if not assigned:
            raise NoMiner(f"no miner with a live offer for {request.model.name} was drawn")
        price = reduce(Price.raised_to, (prices[miner] for miner in assigned))
        announced_at_ms = now_ms()
        announcement = TaskAnnouncement(
            coordinator=peer.key.address,
            epoch=epoch.number,
            number=number,
            previous=previous,
            model_id=request.model.model_id,
            work=request.work,
            input_commitment=task_input.commitment(),
            price_micro_cai=price.whole_micro_cai,
            upfront_micro_cai=price.upfront_micro_cai,
            announced_at_ms=announced_at_ms,
            deadline_ms=announced_at_ms + parameters.task_life_ms,
            ranking=ranking,
            multiaddrs=peer.multiaddrs(),
        )
        self._purse.require(announcement.price_micro_cai * WEI_PER_MICRO_CAI)
        statement = peer.seal(announcement)
        pay = TaskPay(self._purse, announcement)
        sources = (request.source,) if request.source else ()
        return ActiveTask(statement, epoch, task_input.encode(), pay, sources)

    def _next_number(self, epoch: EpochView) -> tuple[int, bytes]:
        """Number of the next announcement in its epoch, and the predecessor that it names.

        Both come from the guard and so survive `kill -9`.

        :raises NoMiner: the chain's epoch is before that of the last announcement; it will catch up.
        """
        body = self._peer.guard.last_statement(Kind.TASK_ANNOUNCEMENT)
        if body is None:
            return 0, NO_TASK
        last = TaskAnnouncement.decode(body)
        if last.epoch > epoch.number:
            raise NoMiner("the chain's epoch is before that of the last task")
        last_id = unsigned(self._peer.domain, last).digest
        if last.epoch == epoch.number:
            return last.number + 1, last_id
        return 0, last_id if last.epoch + 1 == epoch.number else NO_TASK

    async def expire_tasks(self) -> None:
        """End tasks whose deadline has passed, for as long as the role runs."""
        while True:
            now = now_ms()
            for task in self._active.values():
                if task.announcement.message.deadline_ms <= now:
                    task.fail(life.CoordinatorEvent.EXPIRE, "no miner finished it before its deadline")
            await trio.sleep(EXPIRY_POLL_S)

    def _live_offers(self) -> dict[bytes, Offer]:
        """Offers by miner that have not lapsed."""
        now = now_ms()
        return {
            miner: offer.message
            for miner, offer in self._peer.seen.offers.items()
            if offer.message.valid_until_ms > now
        }

    def _judge(self, offer: Offer | None, request: ImageRequest) -> tuple[PassedOver, Price | None]:
        """Why a miner is passed over, or the least price of `request` at which its offer stands."""
        model_id = request.model.model_id
        works = (
            model.work_offer(request.work_kind)
            for model in (offer.models if offer is not None else ())
            if model.model_id == model_id
        )
        work_offer = next(works, None)
        if work_offer is None:
            return PassedOver.NO_OFFER, None
        default, asked = _default_price(request.model, work_offer), _price(request.work, work_offer)
        if default is None or asked is None or default.whole_micro_cai > self._price_max_micro_cai:
            return PassedOver.TOO_EXPENSIVE, None
        return PassedOver.ASSIGNED, asked

    async def handle_stream(self, stream: DirectStream, peer_id: PeerId) -> None:
        """Serve one miner's stream; whatever it sends, only this stream ends.

        :raises ProtocolError: the miner broke the protocol.
        :raises Refusal: it may not have this task (it hears why), fell silent or went away.
        """
        payload = await stream.receive(timeout_ms=ACCEPTANCE_TIMEOUT_MS)
        acceptance = open_statement(self._peer.domain, payload or b"", TaskAcceptance)
        if acceptance.signer.address != address_of_peer(peer_id):
            raise InvalidMessage("acceptance is signed by somebody else than the peer")
        task = self._active.get(acceptance.message.task_id)
        if task is None:
            raise Refusal("this task is over or was never here")
        require_drawn(task.announcement.message, acceptance)
        end = TaskStream(self._peer, stream, task, acceptance)
        with task.pay.reservation.held():
            try:
                async with task.turn(acceptance) as granted:
                    if granted:
                        delivered = await end.employ()
                        self._receipts[delivered.receipt.announcement.digest.hex()] = delivered.receipt
                        task.deliver(delivered)
            finally:
                self.caller.note_lost(task)
            await end.dismiss()


def _input_of(request: ImageRequest) -> TaskInput:
    return image_input(
        ImageNumbers(request.seed, request.guidance_milli, request.steps),
        (request.prompt, request.negative_prompt),
        os.urandom(32),
        request.preview_every_steps,
        request.source,
    )


def _default_price(model: Model, offer: WorkOffer) -> Price | None:
    """Least price of an image at the model's default size and steps; None where the offer has none."""
    return _price(replace(model.default_work, kind=offer.kind), offer)


def _price(work: Work, offer: WorkOffer) -> Price | None:
    """Least price of `work` at which the offer stands; None where its prices are not those of the kind."""
    try:
        return price_of(work, offer.prices_wei)
    except ProtocolError:
        return None


async def run_coordinator(coordinator: Coordinator, peer: Peer, purse: Purse) -> None:
    """Keep the role's own tasks running until cancelled: deadlines, calls, money, and the epochs' seeds."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(coordinator.expire_tasks)
        nursery.start_soon(coordinator.caller.run)
        nursery.start_soon(purse.run, peer.network.parameters.chain_poll_ms / 1000)
        nursery.start_soon(peer.chain.record_seeds, peer.sender)
