"""The hands of the coordinator's engine: what it asks for is done, and what comes of that goes back to it.

Is: streams, calls, gossip, the chain's answers, the clock and who watches an order, around
:mod:`node.coordinator.engine`.
Is not: a decision about a task, or what apps see of orders (`coordinator`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
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
    PassOn,
    Publish,
    Send,
    SendInput,
    Tell,
)
from node.coordinator.calling import call_miner
from node.coordinator.engine import ORDERS_MAX, TICK_MS, CoordinatorEngine
from node.coordinator.journal import Journal
from node.coordinator.miner_stream import MinerStream
from node.coordinator.outcomes import Announced, Delivered, FailedOver, OrderEvent
from node.coordinator.watching import Watch
from node.exchange.protocols import TASK_PROTOCOL
from node.pay.purse import Purse
from node.peer.peer import Peer
from node.system import events
from node.system.clock import steady_ms
from p2p.admission import CLOSED, Admission, Share
from p2p.identity import PeerId, address_of_peer
from p2p.stream_errors import TruncatedStream
from p2p.streams import DirectStream
from protocol.errors import CuckooError, LocalError, Refusal
from protocol.receipt import Receipt
from protocol.rules import results, tasks

ACCEPTANCE_TIMEOUT_MS: Final = 5_000
"""How long a new stream may take to say what it is about."""
CHAIN_TIMEOUT_S: Final = 2.0
"""How long the chain may take to say what a miner was paid; then the miner's turn ends, with that reason."""
ASLEEP_MS: Final = 2_000
"""A process that did not run for so long has heard nobody: its machine slept, or let others run. That is less
than any miner may be silent, and twenty ticks."""
ERRANDS_MAX: Final = 1_024
"""Announcements, calls and questions to the chain that wait to be begun."""
STREAMS_OF_MINER_MAX: Final = 64
"""Task streams of one drawn miner, however many tasks it was drawn for."""
STREAMS_MAX: Final = 1_024
"""Task streams of drawn miners together; as many as there can be turns, unless tasks have many miners."""
LATECOMERS: Final = Share(per_peer_max=1, total_max=32)
"""Streams of staked peers that no live task waits for: they hear that their task is over."""

log = structlog.get_logger()


class EngineShell:
    """All that the engine of one coordinator does outside of itself.

    :ivar has_resumed: the journal was read. Before, an order that stands in it would be placed again.
    :ivar on_delivered: hears of each delivery; must neither block nor raise.
    """

    def __init__(self, engine: CoordinatorEngine, peer: Peer, purse: Purse, journal: Journal) -> None:
        self.has_resumed = False
        self.on_delivered: Callable[[Receipt], None] = lambda _: None
        self._asked_at_ms = steady_ms()
        self._engine = engine
        self._peer = peer
        self._bus = peer.context.events
        self._purse = purse
        self._journal = journal
        self._stream_ids = itertools.count(1)
        self._streams: dict[int, MinerStream] = {}
        self._watches: dict[bytes, list[Watch]] = {}
        self._errands, self._errands_todo = trio.open_memory_channel[Publish | Call | AskChain](ERRANDS_MAX)

    def watch(self, order_id: bytes) -> Watch:
        """A watch on an order, from now on."""
        watch = Watch(order_id)
        self._watches.setdefault(order_id, []).append(watch)
        return watch

    def leave(self, watch: Watch) -> None:
        """Somebody does not watch any more."""
        watches = self._watches.get(watch.order_id, [])
        if watch in watches:
            watches.remove(watch)
        if not watches:
            self._watches.pop(watch.order_id, None)

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
            case PassOn(data=data):
                self._peer.pass_on(results.TOPIC, data)
            case Accuse(evidence=evidence):
                self._peer.accuse(evidence)

    def _emit(self, task_id: bytes, event: OrderEvent) -> None:
        """Let the node's bus hear of what an order's watchers hear."""
        publish = self._bus.publish
        if isinstance(event, Announced):
            order = self._engine.book.tasks.get(task_id)
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
            self.on_delivered(outcome.receipt)
        else:
            log.info("order failed", task=task_id.hex(), reason=outcome.reason)
            publish(events.TaskFailed(task_id, outcome.reason))

    def _put(self, action: Send | SendInput | CloseStream) -> None:
        stream = self._streams.get(action.stream_id)
        if stream is not None:
            try:
                stream.put(action)
            except Refusal as refusal:
                self.perform(self._engine.stream_lost(action.stream_id, refusal.reason, self._now_ms()))

    def _begin(self, errand: Publish | Call | AskChain) -> None:
        try:
            self._errands.send_nowait(errand)
        except trio.WouldBlock:
            self._engine.counts.errands_dropped += 1
            match errand:
                case Publish(task_id=task_id):
                    reason = "too much waits to be announced"
                    self.perform(self._engine.publish_failed(task_id, reason, self._now_ms()))
                case AskChain(miner=miner):
                    reason = "too much waits to be asked"
                    self.perform(self._engine.chain_answered(miner, reason, self._now_ms()))
                case Call():
                    pass  # a miner that was not called comes by itself

    async def run(self) -> None:
        """Read the journal, and serve the engine until cancelled.

        :raises JournalUnavailable: the journal failed; what was written is read at the next start.
        """
        await self._peer.alone.wait()
        self._journal.load(self._engine.book)
        self._asked_at_ms = steady_ms()
        self.has_resumed = True
        async with trio.open_nursery() as nursery:
            self.perform(self._engine.resume(self._now_ms()))
            # Not before: a miner that has come back would hear that its task was never here.
            self._peer.host.handle_direct_streams(
                TASK_PROTOCOL, self.handle_stream, admission=self._admission()
            )
            nursery.start_soon(self._tick)
            async for errand in self._errands_todo:
                nursery.start_soon(self._run_errand, errand)

    def _now_ms(self) -> int:
        """The engine's time; before the engine hears it, it hears that this process did not run for a while.

        A tick asks each `TICK_MS` and waits by a clock that stands still in a sleep, as this one does not.
        """
        now_ms = steady_ms()
        asleep_ms, self._asked_at_ms = now_ms - self._asked_at_ms, now_ms
        if self.has_resumed and asleep_ms >= ASLEEP_MS:
            log.warning("this process did not run; nobody is missed for it", seconds=asleep_ms // 1000)
            self._engine.wake(now_ms)
        return now_ms

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_MS / 1000)
            self.perform(self._engine.tick(self._now_ms()))

    async def _run_errand(self, errand: Publish | Call | AskChain) -> None:
        match errand:
            case Publish(task_id=task_id, data=data):
                log.info("task announced", task=task_id.hex())
                try:
                    await self._peer.publish(tasks.TOPIC, data)
                except LocalError as error:
                    self.perform(self._engine.publish_failed(task_id, str(error), self._now_ms()))
            case Call(task_id=task_id, miner=miner):
                try:
                    await call_miner(self._peer.host, self._peer.seen.offers.get, miner, task_id)
                    self._engine.counts.calls_heard += 1
                except CuckooError as error:
                    self._engine.counts.calls_not_heard += 1
                    log.info("call not heard", task=task_id.hex(), miner=miner.hex(), error=str(error))
            case AskChain(miner=miner):
                failure = "the chain does not answer"
                with trio.move_on_after(CHAIN_TIMEOUT_S):
                    try:
                        await self._purse.load_account(miner)
                        failure = ""
                    except (ChainError, ContractReverted) as error:
                        failure = str(error)
                self.perform(self._engine.chain_answered(miner, failure, self._now_ms()))

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
            return self._engine.streams_awaited(address_of_peer(peer_id))
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
                self._engine.stream_opened(
                    stream_id, address_of_peer(peer_id), payload or b"", self._now_ms()
                )
            )
            await mine.serve(
                lambda heard: self.perform(self._engine.stream_heard(stream_id, heard, self._now_ms()))
            )
        except CuckooError as error:
            reason = "its stream broke off" if isinstance(error, TruncatedStream) else str(error)
            raise
        finally:
            del self._streams[stream_id]
            self.perform(self._engine.stream_lost(stream_id, reason, self._now_ms()))
