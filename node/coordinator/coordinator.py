"""The coordinator: places apps' orders with its engine, and does what the engine asks.

Is: streams, calls, gossip, the chain's answers and the clock around :mod:`node.coordinator.engine`; and what
apps see of it: models, orders, receipts.
Is not: HTTP (`api/`), gossip rules (`protocol/rules`), or a decision about a task.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import structlog
import trio

from contracts.errors import ChainError, ContractReverted
from node.coordinator.actions import (
    Accepted,
    Accuse,
    Action,
    AskChain,
    Call,
    CloseStream,
    Failure,
    Finish,
    Paid,
    Publish,
    Send,
    SendInput,
    Tell,
)
from node.coordinator.calling import call_miner
from node.coordinator.catalogue import Catalogue
from node.coordinator.core import EngineCounts, EngineParameters
from node.coordinator.drawing import NotReady
from node.coordinator.engine import ORDERS_MAX, TICK_MS, CoordinatorEngine
from node.coordinator.journal import EndedOrder, Journal, JournalUnavailable
from node.coordinator.miner_stream import MinerStream
from node.coordinator.offered import OfferedModel, offered_models
from node.coordinator.outcomes import Announced, Delivered, FailedOver, OrderEvent
from node.coordinator.peer_ports import PeerMarket, PeerSigner
from node.coordinator.quotes import Quote, quote
from node.coordinator.records import FailureKind, OrderPlaced
from node.coordinator.request_files import RequestFiles, fetch_over
from node.coordinator.requests import ImageRequest
from node.coordinator.watching import Watch
from node.exchange.protocols import TASK_PROTOCOL
from node.pay.purse import Purse
from node.peer.peer import Peer
from node.system import events
from node.system.clock import now_ms, steady_ms
from p2p.admission import CLOSED, Admission, Share
from p2p.frames import TruncatedStream
from p2p.identity import PeerId, address_of_peer
from p2p.streams import DirectStream
from protocol.errors import CuckooError, LocalError, Refusal
from protocol.hashing import sha256
from protocol.messages import Offer, Source
from protocol.receipt import Receipt
from protocol.rules import tasks
from protocol.statement import Statement
from protocol.work import SourceRole

ACCEPTANCE_TIMEOUT_MS: Final = 5_000
"""How long a new stream may take to say what it is about."""
CHAIN_TIMEOUT_S: Final = 2.0
"""How long the chain may take to say what a miner was paid; then the miner's turn ends, with that reason."""
NO_DEPOSIT: Final = "no_deposit"
NO_OFFER: Final = "no_offer"
TOLD_OTHERWISE: Final = frozenset({NO_DEPOSIT, NO_OFFER, "starting"})
"""Reasons of readiness that a request hears by an error of its own, or that keep nobody from announcing."""
ERRANDS_MAX: Final = 1_024
"""Announcements, calls and questions to the chain that wait to be begun."""
STREAMS_OF_MINER_MAX: Final = 64
"""Task streams of one drawn miner, however many tasks it was drawn for."""
STREAMS_MAX: Final = 1_024
"""Task streams of drawn miners together; as many as there can be turns, unless tasks have many miners."""
LATECOMERS: Final = Share(per_peer_max=1, total_max=32)
"""Streams of staked peers that no live task waits for: they hear that their task is over."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CoordinatorStatus:
    """How the role is.

    :ivar live_offers: miners whose offer has not lapsed.
    :ivar orders: that are not over; each with a live task counts among `tasks_active`.
    :ivar miners_passed_over: for what this coordinator saw of them.
    :ivar counts: since the start.
    """

    live_offers: int
    orders: int
    tasks_active: int
    miners_passed_over: int
    counts: EngineCounts


@dataclass(frozen=True, slots=True)
class CancelTask:
    """The argument of the act `cancel`. :ivar task_id: in hexadecimal."""

    task_id: str


class KeyConflict(Refusal):
    """An app's name for an order stands for another request."""


class Coordinator:
    """The role's state."""

    def __init__(
        self, peer: Peer, catalogue: Catalogue, purse: Purse, journal: Journal, price_max_micro_cai: int
    ) -> None:
        """:param price_max_micro_cai: most that is paid for a model's default work."""
        self._peer = peer
        self._bus = peer.context.events
        self._purse = purse
        self._journal = journal
        self._catalogue = catalogue
        self._price_max_micro_cai = price_max_micro_cai
        parameters = peer.network.parameters
        self.engine = CoordinatorEngine(
            EngineParameters(
                parameters.assigned_miners, parameters.progress_timeout_ms, parameters.offer_interval_ms
            ),
            PeerMarket(peer, self.reason_not_ready),
            PeerSigner(peer),
            purse,
            journal,
            lambda: os.urandom(32),
        )
        self.request_files = RequestFiles(
            peer.data_dir, fetch_over(peer.host, peer.lookup), self._miners_that_offer
        )
        self._stream_ids = itertools.count(1)
        self._streams: dict[int, MinerStream] = {}
        self._watches: dict[bytes, list[Watch]] = {}
        self._errands, self._errands_todo = trio.open_memory_channel[Publish | Call | AskChain](ERRANDS_MAX)

    # What apps see

    def reason_not_ready(self) -> str | None:
        """Why an order could not be announced now; None if it could."""
        latest = self._peer.view.latest
        if latest is None:
            return "the chain has no epoch seed yet"
        if not latest.coordinators.weight_of(self._peer.key.address):
            return "this node is not a coordinator of the current epoch: register it and have it staked for"
        reasons = self._peer.context.readiness.status().reasons
        return next((reason for name, reason in reasons.items() if name not in TOLD_OTHERWISE), None)

    def status(self) -> CoordinatorStatus:
        """For people and monitors."""
        engine = self.engine
        return CoordinatorStatus(
            live_offers=sum(offer.valid_until_ms > now_ms() for _, offer in engine.market.offers()),
            orders=len(engine.book.orders),
            tasks_active=len(engine.book.tasks),
            miners_passed_over=len(engine.experience),
            counts=replace(engine.counts),
        )

    def offered_models(self) -> list[OfferedModel]:
        """Models of all live offers, by name."""
        return offered_models(self.engine.market.offers(), self._catalogue, now_ms())

    def quote(self, request: ImageRequest) -> Quote:
        """The price of a request, as the offers stand now."""
        latest = self._peer.view.latest
        miners = None if latest is None else latest.miners
        order = request.order(self._price_max_micro_cai)
        return quote(self.engine.market.offers(), order, miners, now_ms())

    def note_offer(self, offer: Statement[Offer]) -> None:
        """A valid offer was heard: cards of its models that are missing will be fetched."""
        for model in offer.message.models:
            self._catalogue.note_offer(model.model_id, offer.signer.address, steady_ms())

    def _miners_that_offer(self, model_id: bytes) -> list[bytes]:
        live = (
            (miner, offer) for miner, offer in self.engine.market.offers() if offer.valid_until_ms > now_ms()
        )
        return [miner for miner, offer in live if any(model.model_id == model_id for model in offer.models)]

    def receipt(self, task_id: bytes) -> Receipt | None:
        """Receipt of a delivered task, while it is remembered."""
        ended = self._journal.find_task(task_id)
        return None if ended is None else ended.receipt

    def output(self, task_id: bytes) -> bytes | None:
        """Result of a delivered task, while it is kept."""
        ended = self._journal.find_task(task_id)
        return None if ended is None or ended.delivered is None else ended.delivered.output

    @asynccontextmanager
    async def submit(
        self, request: ImageRequest, *, key: str = "", body_hash: bytes = b""
    ) -> AsyncIterator[Watch]:
        """Place an order and watch it; leaving before its outcome cancels it, unless it has a name.

        :param key: the app's name for the order; asking again under it finds the order, or what it came to.
        :param body_hash: SHA-256 of the app's request.
        :raises KeyConflict: the name stands for another request.
        :raises Refusal: as `CoordinatorEngine.place`.
        """
        watch = self._find(key, body_hash) if key else None
        if watch is None:
            watch = self._place(request, key, body_hash)
        try:
            yield watch
        finally:
            watches = self._watches.get(watch.order_id, [])
            if watch in watches:
                watches.remove(watch)
            if not watches:
                self._watches.pop(watch.order_id, None)
            if not watch.over and not key:
                self.cancel(watch.order_id, "the app went away")

    async def cancel_task(self, task: CancelTask) -> dict[str, bool]:
        """The operator does not want a live task any more: whether there was one of that id."""
        order = self.engine.book.tasks.get(_bytes_of(task.task_id))
        if order is not None:
            reason = "the operator of this node cancelled it"
            self.perform(self.engine.fail(order, FailureKind.CANCELLED, reason, steady_ms()))
        await trio.lowlevel.checkpoint()
        return {"cancelled": order is not None}

    def cancel(self, order_id: bytes, reason: str) -> None:
        """The app does not want an order any more. Nothing happens if it is over."""
        self.perform(self.engine.cancel(order_id, reason, steady_ms()))

    def _place(self, request: ImageRequest, key: str, body_hash: bytes) -> Watch:
        sources = {sha256(source): source for source in (request.source,) if source}
        placed = OrderPlaced(
            order_id=os.urandom(32),
            key=key,
            body_hash=body_hash,
            request=request.order(self._price_max_micro_cai),
            sources=tuple(Source(SourceRole.IMAGE, len(data), digest) for digest, data in sources.items()),
            placed_at_ms=now_ms(),
        )
        if not self._catalogue.is_own(request.model.model_id):
            self.request_files.use(request.model)
        watch = self._watch(placed.order_id)
        try:
            self.perform(self.engine.place(placed, sources, steady_ms()))
        except JournalUnavailable as error:
            del self._watches[placed.order_id]
            raise NotReady(f"this node cannot write down what it takes: {error}") from error
        except Refusal:
            del self._watches[placed.order_id]
            raise
        return watch

    def _find(self, key: str, body_hash: bytes) -> Watch | None:
        """A watch on the order of that name: live, or delivered. One that failed may be placed again."""
        for order in self.engine.book.orders.values():
            if order.key == key:
                _require_same(order.body_hash, body_hash)
                watch = self._watch(order.order_id)
                if order.task is not None:
                    watch.tell(Announced(order.task.task_id, order.task.message.assigned))
                return watch
        ended: EndedOrder | None = self._journal.find_key(key)
        if ended is None or ended.delivered is None:
            return None
        _require_same(ended.body_hash, body_hash)
        watch = Watch(ended.order_id)
        task = ended.delivered.receipt.announcement
        watch.tell(Announced(task.digest, task.message.assigned))
        watch.finish(ended.delivered)
        return watch

    def _watch(self, order_id: bytes) -> Watch:
        watch = Watch(order_id)
        self._watches.setdefault(order_id, []).append(watch)
        return watch

    # What the engine asks for

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what the engine asks for: at once what needs no waiting, the rest in tasks of `run`."""
        for action in actions:
            match action:
                case Send() | SendInput() | CloseStream():
                    self._put(action)
                case Publish() | Call() | AskChain():
                    self._begin(action)
                case _:
                    self._tell(action)

    def _tell(self, action: Action) -> None:
        """Let watchers, the node's bus and the network hear of something."""
        match action:
            case Tell(order_id=order_id, task_id=task_id, event=event):
                self._emit(task_id, event)
                for watch in self._watches.get(order_id, ()):
                    watch.tell(event)
            case Finish(order_id=order_id, task_id=task_id, outcome=outcome):
                self._emit_end(task_id, outcome)
                for watch in self._watches.pop(order_id, ()):
                    watch.finish(outcome)
            case Accepted(task_id=task_id, miner=miner, rank=rank):
                self._bus.publish(events.TaskAccepted(task_id, miner, rank))
            case Paid(task_id=task_id, miner=miner, paid_wei=paid_wei):
                self._bus.publish(events.TaskPaid(task_id, miner, paid_wei))
            case Accuse(evidence=evidence):
                self._peer.accuse(evidence)

    def _emit(self, task_id: bytes, event: OrderEvent) -> None:
        """Let the node's bus hear of what an order's watchers hear."""
        publish = self._bus.publish
        if isinstance(event, Announced):
            order = self.engine.book.tasks.get(task_id)
            model_id = b"" if order is None else order.request.model_id
            publish(events.TaskAnnounced(task_id, model_id, event.assigned))
        elif isinstance(event, FailedOver):
            publish(events.MinerLost(task_id, event.miner, event.reason))

    def _emit_end(self, task_id: bytes, outcome: Delivered | Failure) -> None:
        publish = self._bus.publish
        if isinstance(outcome, Delivered):
            miner = outcome.receipt.commitment.signer.address
            log.info("task delivered", task=task_id.hex(), miner=miner.hex(), bytes=len(outcome.output))
            publish(events.TaskDelivered(task_id, miner))
        else:
            log.info("order failed", task=task_id.hex(), reason=outcome.reason)
            publish(events.TaskFailed(task_id, outcome.reason))

    def _put(self, action: Send | SendInput | CloseStream) -> None:
        stream = self._streams.get(action.stream_id)
        if stream is not None:
            try:
                stream.put(action)
            except Refusal as refusal:
                self.perform(self.engine.stream_lost(action.stream_id, refusal.reason, steady_ms()))

    def _begin(self, errand: Publish | Call | AskChain) -> None:
        try:
            self._errands.send_nowait(errand)
        except trio.WouldBlock:
            self.engine.counts.errands_dropped += 1
            match errand:
                case Publish(task_id=task_id):
                    reason = "too much waits to be announced"
                    self.perform(self.engine.publish_failed(task_id, reason, steady_ms()))
                case AskChain(miner=miner):
                    reason = "too much waits to be asked"
                    self.perform(self.engine.chain_answered(miner, reason, steady_ms()))
                case Call():
                    pass  # a miner that was not called comes by itself

    async def run(self) -> None:
        """Read the journal, and serve the engine until cancelled.

        :raises JournalUnavailable: the journal failed; what was written is read at the next start.
        """
        await self._peer.alone.wait()
        self._journal.load(self.engine.book)
        async with trio.open_nursery() as nursery:
            self.perform(self.engine.resume(steady_ms()))
            # Not before: a miner that has come back would hear that its task was never here.
            self._peer.host.handle_direct_streams(
                TASK_PROTOCOL, self.handle_stream, admission=self._admission()
            )
            nursery.start_soon(self._tick)
            nursery.start_soon(self.request_files.run)
            async for errand in self._errands_todo:
                nursery.start_soon(self._run_errand, errand)

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_MS / 1000)
            self.perform(self.engine.tick(steady_ms()))

    async def _run_errand(self, errand: Publish | Call | AskChain) -> None:
        match errand:
            case Publish(task_id=task_id, data=data):
                log.info("task announced", task=task_id.hex())
                try:
                    await self._peer.publish(tasks.TOPIC, data)
                except LocalError as error:
                    self.perform(self.engine.publish_failed(task_id, str(error), steady_ms()))
            case Call(task_id=task_id, miner=miner):
                try:
                    await call_miner(self._peer.host, self._peer.seen.offers.get, miner, task_id)
                    self.engine.counts.calls_heard += 1
                except CuckooError as error:
                    self.engine.counts.calls_not_heard += 1
                    log.info("call not heard", task=task_id.hex(), miner=miner.hex(), error=str(error))
            case AskChain(miner=miner):
                failure = "the chain does not answer"
                with trio.move_on_after(CHAIN_TIMEOUT_S):
                    try:
                        await self._purse.load_account(miner)
                        failure = ""
                    except (ChainError, ContractReverted) as error:
                        failure = str(error)
                self.perform(self.engine.chain_answered(miner, failure, steady_ms()))

    # Miners' streams

    def _admission(self) -> Admission:
        turns_max = ORDERS_MAX * self._peer.network.parameters.assigned_miners
        return Admission(
            streams_awaited=self._streams_awaited,
            assigned=Share(STREAMS_OF_MINER_MAX, min(turns_max, STREAMS_MAX)),
            staked=LATECOMERS,
            strangers=CLOSED,
        )

    def _streams_awaited(self, peer_id: PeerId) -> int:
        """How many live tasks wait for this peer."""
        try:
            return self.engine.streams_awaited(address_of_peer(peer_id))
        except CuckooError:
            return 0

    async def handle_stream(self, stream: DirectStream, peer_id: PeerId) -> None:
        """Serve one miner's stream; whatever it sends, only this stream ends.

        :raises ProtocolError: the miner broke the protocol.
        :raises Refusal: it may not have this task (it hears why), or went away.
        """
        payload = await stream.receive(timeout_ms=ACCEPTANCE_TIMEOUT_MS)
        stream_id = next(self._stream_ids)
        self._streams[stream_id] = mine = MinerStream(stream, self._journal.source)
        reason = "its stream ended"
        try:
            self.perform(
                self.engine.stream_opened(stream_id, address_of_peer(peer_id), payload or b"", steady_ms())
            )
            await mine.serve(
                lambda heard: self.perform(self.engine.stream_heard(stream_id, heard, steady_ms()))
            )
        except CuckooError as error:
            reason = "its stream broke off" if isinstance(error, TruncatedStream) else str(error)
            raise
        finally:
            del self._streams[stream_id]
            self.perform(self.engine.stream_lost(stream_id, reason, steady_ms()))


def _bytes_of(text: str) -> bytes:
    """Bytes of hexadecimal; of anything else, none."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return b""


def _require_same(known: bytes, body_hash: bytes) -> None:
    """:raises KeyConflict: they differ."""
    if known != body_hash:
        raise KeyConflict("this name was given to another request; give each request a name of its own")


async def run_coordinator(coordinator: Coordinator, peer: Peer, purse: Purse) -> None:
    """Keep the role's own tasks running until cancelled: orders, money, and chores on the chain."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(coordinator.run)
        nursery.start_soon(purse.run, peer.network.parameters.chain_poll_ms / 1000)
        nursery.start_soon(peer.share_chores)
