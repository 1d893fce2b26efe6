"""A coordinator of a simulated market: the shell that `node/coordinator/coordinator.py` is in a node, on the
heap of events; and the apps that order there.

Is: `node.coordinator.engine` with its twins in memory. Journal, signer and purse outlive a crash; a new
engine replays the journal's records and resumes.
Is not: a decision about an order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.coordinator.actions import (
    Accuse,
    Action,
    AskChain,
    Call,
    CloseStream,
    Failure,
    Finish,
    PassOn,
    Publish,
    Send,
    SendInput,
    Tell,
)
from node.coordinator.core import EngineParameters
from node.coordinator.engine import TICK_MS, CoordinatorEngine
from node.coordinator.outcomes import Delivered, FailedOver
from node.coordinator.ports import MemoryJournal, MemoryPurse, MemorySigner
from node.coordinator.records import OrderPlaced, OrderRequest
from node.exchange.inputs import input_payloads
from protocol.errors import CuckooError, Refusal
from protocol.hashing import sha256
from protocol.messages import Offer, TaskAnnouncement
from protocol.rules import results, tasks
from protocol.rules.view import View
from protocol.statement import Statement, open_statement
from protocol.work import ImageNumbers, Work, WorkKind
from tests.protocol.builders import DOMAIN, MODEL_ID
from tests.simulation.miner import CHAIN_MS, OFFER_INTERVAL_MS, PROGRESS_TIMEOUT_MS
from tests.simulation.peer import Peer
from tests.simulation.randomness import generator
from tests.simulation.streams import Process

if TYPE_CHECKING:
    from tests.simulation.market import Market

SIDE, STEPS = 64, 20
ASSIGNED = 3
DEPOSIT_WEI = 10**27
ASK_AGAIN_MS = 1_000.0
"""After so long an app asks again that was refused."""


def work(steps: int = STEPS) -> Work:
    """An image of 64 x 64 pixels."""
    return Work.image(WorkKind.TEXT_TO_IMAGE, SIDE, SIDE, steps)


REQUEST = OrderRequest(
    model_id=MODEL_ID,
    work=work(),
    numbers=ImageNumbers(7, 4_000, STEPS).encode(),
    prompts=("an apple", ""),
    preview_every_units=0,
    price_max_micro_cai=10**9,
    typical_permille=1_000,
)


@dataclass(eq=False, slots=True)
class Order:
    """What an app wants.

    :ivar placed_ms: when its coordinator took it, simulated; None until then.
    :ivar outcomes: what it heard; one if all is well.
    :ivar winner: of a delivered one: (task id, miner).
    """

    order_id: bytes
    asked_ms: float
    placed_ms: float | None = None
    ended_ms: float | None = None
    outcomes: list[Delivered | Failure] = field(default_factory=list)

    @property
    def winner(self) -> tuple[bytes, bytes] | None:
        for outcome in self.outcomes:
            if isinstance(outcome, Delivered):
                return outcome.receipt.announcement.digest, outcome.receipt.commitment.signer.address
        return None


class Purse(MemoryPurse):
    """A purse that asks the chain about each miner once in every life, as a real one does."""

    def __init__(self, coordinator: bytes) -> None:
        super().__init__(coordinator, DEPOSIT_WEI)
        self.known: set[bytes] = set()

    def knows(self, miner: bytes) -> bool:
        """See `PursePort`."""
        return miner in self.known

    def restart(self) -> None:
        """What was promised is on disk; what is held and known is not."""
        self.held_wei = 0
        self.known.clear()


class PeerMarket:
    """`MarketPort` on a simulated peer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    @property
    def view(self) -> View:
        """See `MarketPort`."""
        return self._peer.view

    def ahead_ms(self) -> int:
        """See `MarketPort`: a simulated clock is off, but nobody sets it."""
        return 0

    def offers(self) -> Iterator[tuple[bytes, Offer]]:
        """See `MarketPort`."""
        for miner, offer in self._peer.seen.offers.items():
            yield miner, offer.message

    def multiaddrs(self) -> tuple[bytes, ...]:
        """See `MarketPort`: peers find each other by number."""
        return ()

    def reason_not_ready(self) -> str | None:
        """See `MarketPort`."""
        return None


class Coordinator(Process):
    """One coordinator.

    :ivar orders: all that apps have placed here, by id.
    :ivar refused: requests that were not taken, by reason.
    :ivar announced: every task that it ever published, by id.
    :ivar bodies: of its announcements, by (epoch, number): one each, if all is well.
    :ivar failovers: turns that ended without a result, by reason.
    """

    def __init__(self, market: Market, peer: Peer) -> None:
        super().__init__(peer.node.world)
        self._market = market
        self.peer = peer
        self.orders: dict[bytes, Order] = {}
        self.refused: Counter[str] = Counter()
        self.announced: dict[bytes, Statement[TaskAnnouncement]] = {}
        self.bodies: defaultdict[tuple[int, int], set[bytes]] = defaultdict(set)
        self.failovers: Counter[str] = Counter()
        self.journal = MemoryJournal()
        self.purse = Purse(peer.key.address)
        self.signer = self._new_signer()
        self._salts = generator(peer.node.world.seed, "salts", peer.node.number)
        self._streams: set[int] = set()
        self.engine = self._new_engine()
        market.streams.roles[peer.node.number] = self
        peer.on_crash(self._crash)
        peer.on_restart(self._restart)

    def _new_signer(self) -> MemorySigner:
        return MemorySigner(DOMAIN, self.peer.key.address, self.peer.guard.sign)

    def _new_engine(self) -> CoordinatorEngine:
        return CoordinatorEngine(
            EngineParameters(ASSIGNED, PROGRESS_TIMEOUT_MS, OFFER_INTERVAL_MS),
            PeerMarket(self.peer),
            self.signer,
            self.purse,
            self.journal,
            lambda: self._salts.randbytes(32),
        )

    def _crash(self) -> None:
        self.die()
        self._market.streams.crash(self.peer.node.number)

    def _restart(self) -> None:
        if not self.peer.guard.is_on:
            self.signer = self._new_signer()  # nobody remembers what was signed, and so the last number
        self._streams.clear()
        self.purse.restart()
        self.engine = self._new_engine()
        for record in self.journal.records:
            self.engine.book.apply(record)
        self._perform(self.engine.resume(self.peer.now_ms))
        self.later(TICK_MS, self._tick)

    def _tick(self) -> None:
        self._perform(self.engine.tick(self.peer.now_ms))
        self.later(TICK_MS, self._tick)

    # What apps do

    def ask(self) -> Order:
        """An app wants an image, and asks until its order is taken."""
        number = len(self.orders)
        order_id = sha256(b"order %d of " % number + self.peer.key.address)
        order = self.orders[order_id] = Order(order_id, self.peer.node.world.now_ms)
        self._place(order)
        return order

    def _place(self, order: Order) -> None:
        if self.peer.is_up:
            # Under a name: its app asks again after a crash, and an order without one ends with the process.
            name = order.order_id.hex()
            placed = OrderPlaced(order.order_id, name, b"", REQUEST, (), self.peer.now_ms)
            try:
                actions = self.engine.place(placed, {}, self.peer.now_ms)
            except Refusal as refusal:
                self.refused[refusal.reason] += 1
            else:
                order.placed_ms = self.peer.node.world.now_ms
                self._perform(actions)
                return
        self.peer.node.world.events.after(ASK_AGAIN_MS, self._place, order)

    # What miners do

    def stream_heard(self, stream_id: int, payload: bytes) -> None:
        """See :class:`~tests.simulation.streams.End`."""
        now_ms = self.peer.now_ms
        if stream_id in self._streams:
            self._perform(self.engine.stream_heard(stream_id, payload, now_ms))
            return
        self._streams.add(stream_id)
        miner = self._market.streams.address_at(stream_id, self.peer.node.number)
        try:
            self._perform(self.engine.stream_opened(stream_id, miner, payload, now_ms))
        except CuckooError as error:
            self._market.streams.end(stream_id, self.peer.node.number, str(error))

    def stream_ended(self, stream_id: int, reason: str, *, refused: bool) -> None:
        """See :class:`~tests.simulation.streams.End`."""
        del refused
        self._streams.discard(stream_id)
        self._perform(self.engine.stream_lost(stream_id, reason, self.peer.now_ms))

    # What the engine asks for

    def _perform(self, actions: Iterable[Action]) -> None:  # noqa: C901 - one case for each action
        for action in actions:
            match action:
                case Send(stream_id=stream_id, replies=replies):
                    self._send(stream_id, replies)
                case SendInput(stream_id=stream_id):
                    sources = [self.journal.blobs[source.hash] for source in action.sources]
                    self._send(stream_id, input_payloads(action.input, sources))
                case CloseStream(stream_id=stream_id, reason=reason):
                    self._streams.discard(stream_id)
                    self._market.streams.end(stream_id, self.peer.node.number, reason)
                case Publish(task_id=task_id, data=data):
                    self.later(0.0, self._publish, task_id, data)
                case PassOn(data=data):
                    self.peer.pass_on(results.TOPIC, data)
                case Call(task_id=task_id, miner=miner):
                    self._call(task_id, miner)
                case AskChain(miner=miner):
                    self.later(CHAIN_MS, self._chain_answers, miner)
                case Tell(event=FailedOver(reason=reason)):
                    self.failovers[reason] += 1
                case Finish(order_id=order_id, outcome=outcome):
                    order = self.orders[order_id]
                    order.outcomes.append(outcome)
                    order.ended_ms = self.peer.node.world.now_ms
                case Accuse(evidence=evidence):
                    self.peer.found_contradiction(evidence)

    def _send(self, stream_id: int, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            self._market.streams.send(stream_id, self.peer.node.number, payload)

    def _publish(self, task_id: bytes, data: bytes) -> None:
        task = self.announced[task_id] = open_statement(DOMAIN, data, TaskAnnouncement)
        self.bodies[task.message.epoch, task.message.number].add(task.message.encode())
        if not self.peer.publish(tasks.TOPIC, data):
            failed = self.engine.publish_failed(task_id, "its rule does not take it", self.peer.now_ms)
            self._perform(failed)

    def _call(self, task_id: bytes, address: bytes) -> None:
        miner, counts = self._market.miners[address], self.engine.counts

        def ring() -> None:
            if miner.called(task_id, self.peer.key.address):
                counts.calls_heard += 1
            else:
                counts.calls_not_heard += 1

        if not self._market.streams.call(self.peer.node.number, miner.peer.node.number, ring):
            counts.calls_not_heard += 1

    def _chain_answers(self, miner: bytes) -> None:
        self.purse.known.add(miner)
        self._perform(self.engine.chain_answered(miner, "", self.peer.now_ms))
