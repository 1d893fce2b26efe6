"""Happenings of the network, as far as this node hears it: the live feed, and tasks by the minute.

Is: a bounded memory of what everybody can hear on gossip, and of a few events of this node's bus, for any
number of readers up to a bound. A reader that is too slow loses the oldest and is told how many.
Is not: a record. It begins when the node does, and each page says so. What only this node knows (accepted,
paid, failed, with whom it is connected) is not in it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from node.portal.errors import Busy
from node.system.clock import now_ms
from node.system.events import (
    ChainReorganised,
    Event,
    EventBus,
    NodeSlashed,
    TaskAnnounced,
    TaskDelivered,
)
from node.system.observable import to_document
from p2p.wakeups import Signal
from protocol.audit import AuditVerdict, Verdict
from protocol.evidence import Evidence, Offence
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.statement import Statement

HAPPENINGS_MAX: Final = 100
"""That are kept for who comes later."""
WAITING_MAX: Final = 100
"""That wait for one reader."""
READERS_MAX: Final = 24
KNOWN_MAX: Final = 2_048
"""Tasks of which is remembered what was told: a coordinator hears of its own in two ways."""
MINUTES: Final = 60
MINUTE_MS: Final = 60_000
BUS_KINDS: Final = (ChainReorganised, NodeSlashed, TaskAnnounced, TaskDelivered)


class Reader:
    """One reader's queue; made by :meth:`Pulse.follow`. :ivar dropped: what fell from it."""

    def __init__(self) -> None:
        self.dropped = 0
        self._queue: deque[dict[str, Any]] = deque()
        self._arrived = Signal()

    def put(self, happening: dict[str, Any]) -> None:
        """Take one in, for which the oldest may fall out."""
        if len(self._queue) >= WAITING_MAX:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(happening)
        self._arrived.notify()

    async def receive(self) -> dict[str, Any]:
        """The oldest that waits, or the next one. For one task at a time."""
        while not self._queue:
            await self._arrived.wait()
        return self._queue.popleft()


@dataclass(slots=True)
class PulseCounts:
    """:ivar tasks: announcements heard. :ivar results: commitments heard. :ivar audits: verdicts heard, and
    of these `audits_failed` that found a fault, or no answer. :ivar faults: proven by evidence that was
    heard. :ivar refused: readers too many.
    """

    tasks: int = 0
    results: int = 0
    audits: int = 0
    audits_failed: int = 0
    faults: int = 0
    readers: int = 0
    refused: int = 0


@dataclass(slots=True)
class Pulse:
    """One node's. :ivar own: the node's address, 20 bytes. :ivar began_ms: since when it listens."""

    own: bytes
    clock_ms: Callable[[], int] = now_ms
    counts: PulseCounts = field(default_factory=PulseCounts)
    began_ms: int = field(init=False)
    _recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=HAPPENINGS_MAX))
    _readers: list[Reader] = field(default_factory=list)
    _known: OrderedDict[tuple[str, bytes], None] = field(default_factory=OrderedDict)
    _by_minute: OrderedDict[int, int] = field(default_factory=OrderedDict)
    _sequence: int = 0

    def __post_init__(self) -> None:
        self.began_ms = self.clock_ms()

    # What is heard: synchronous, and neither waits nor raises

    def hear_task(self, statement: Statement[TaskAnnouncement]) -> None:
        """An announcement that the rules accepted."""
        task = statement.message
        self._task(statement.digest, task.coordinator, task.assigned)

    def hear_result(self, statement: Statement[ResultCommitment]) -> None:
        """A result that the rules accepted."""
        self._result(statement.message.task_id, statement.signer.address)

    def hear_verdict(self, statement: Statement[AuditVerdict]) -> None:
        """An auditor's word that the rules accepted."""
        verdict = statement.message
        self._audit(verdict.task_id, statement.signer.address, verdict.miner, Verdict(verdict.verdict))

    def hear_evidence(self, accepted: tuple[Evidence, Offence]) -> None:
        """Evidence that the rules accepted: a fault is proven, whoever sent it."""
        _, offence = accepted
        if self._is_new("fault", bytes([offence.fault]) + offence.signer):
            self.counts.faults += 1
            self._tell("fault_proven", node=offence.signer, fault=int(offence.fault))

    async def follow_bus(self, bus: EventBus) -> None:
        """Hear this node's own events until cancelled."""
        with bus.subscribe(*BUS_KINDS) as subscription:
            while True:
                self.hear_event((await subscription.receive()).event)

    def hear_event(self, event: Event) -> None:
        """An event of this node's bus, of `BUS_KINDS`."""
        match event:
            case TaskAnnounced():
                self._task(event.task_id, self.own, event.assigned)
            case TaskDelivered():
                self._result(event.task_id, event.miner)
            case NodeSlashed():
                self._tell("node_slashed", node=event.node, amount_wei=event.slashed_wei)
            case ChainReorganised():
                self._tell("chain_reorganised", epoch=event.epoch)
            case _:
                pass

    # What is seen

    def per_minute(self) -> list[int]:
        """Tasks announced in each of the last `MINUTES` minutes, the present one last."""
        present = self.clock_ms() // MINUTE_MS
        return [self._by_minute.get(minute, 0) for minute in range(present - MINUTES + 1, present + 1)]

    @contextmanager
    def follow(self) -> Iterator[Reader]:
        """All that is remembered, and what happens from now on, until the context ends.

        :raises Busy: `READERS_MAX` follow already.
        """
        if len(self._readers) >= READERS_MAX:
            self.counts.refused += 1
            raise Busy(retry_after_s=30)
        reader = Reader()
        for happening in self._recent:
            reader.put(happening)
        self._readers.append(reader)
        self.counts.readers += 1
        try:
            yield reader
        finally:
            self._readers.remove(reader)
            self.counts.readers -= 1

    def _task(self, task_id: bytes, coordinator: bytes, drawn: tuple[bytes, ...]) -> None:
        if not self._is_new("task", task_id):
            return
        self.counts.tasks += 1
        minute = self.clock_ms() // MINUTE_MS
        self._by_minute[minute] = self._by_minute.get(minute, 0) + 1
        while len(self._by_minute) > MINUTES:
            self._by_minute.popitem(last=False)
        self._tell("task_announced", task_id=task_id, node=coordinator, drawn=drawn)

    def _result(self, task_id: bytes, miner: bytes) -> None:
        if self._is_new("result", task_id + miner):
            self.counts.results += 1
            self._tell("task_done", task_id=task_id, node=miner)

    def _audit(self, task_id: bytes, auditor: bytes, miner: bytes, verdict: Verdict) -> None:
        if not self._is_new("audit", task_id + auditor + miner):
            return
        self.counts.audits += 1
        self.counts.audits_failed += verdict is not Verdict.HONEST
        kind = {
            Verdict.HONEST: "audit_passed",
            Verdict.FAULT: "audit_failed",
            Verdict.NO_OPENING: "audit_unanswered",
        }[verdict]
        self._tell(kind, task_id=task_id, node=auditor, miner=miner)

    def _is_new(self, kind: str, name: bytes) -> bool:
        if (kind, name) in self._known:
            return False
        self._known[kind, name] = None
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return True

    def _tell(self, event: str, **values: Any) -> None:
        self._sequence += 1
        happening = {"event": event, "sequence": self._sequence, "at_ms": self.clock_ms()}
        happening.update(to_document(values))
        self._recent.append(happening)
        for reader in self._readers:
            reader.put(happening)
