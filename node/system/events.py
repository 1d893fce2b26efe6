"""Events of a node, typed, for others to follow.

Is: the events, and a bus. Publishing is synchronous and never waits; each subscriber has a bounded queue. If
a slow one does not keep up, the oldest events are dropped from it and counted.
Is not: a record. What must not be lost is written down by the part that needs it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_args

from node.system.clock import now_ms
from node.system.observable import to_document
from p2p.wakeups import Signal
from protocol.errors import Refusal

EVENTS_QUEUED_MAX: Final = 256
"""Events that wait for one subscriber; beyond them the oldest are dropped."""
SUBSCRIBERS_MAX: Final = 32
"""Subscribers at a time."""


@dataclass(frozen=True, slots=True)
class TaskAnnounced:
    """A coordinator announced a task. :ivar assigned: addresses of the drawn miners, by rank."""

    task_id: bytes
    model_id: bytes
    assigned: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TaskAccepted:
    """A miner accepted it. :ivar rank: from 0."""

    task_id: bytes
    miner: bytes
    rank: int


@dataclass(frozen=True, slots=True)
class MinerLost:
    """A miner left its turn before the end. :ivar reason: for people."""

    task_id: bytes
    miner: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class TaskDelivered:
    """The result is here, and proven."""

    task_id: bytes
    miner: bytes


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """The task is over without a result. :ivar reason: for people."""

    task_id: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class TaskPaid:
    """A voucher was signed or taken. :ivar paid_wei: for this task in all."""

    task_id: bytes
    miner: bytes
    paid_wei: int


@dataclass(frozen=True, slots=True)
class TaskAudited:
    """An auditor compared a result with its own. :ivar passed: whether they agree."""

    task_id: bytes
    auditor: bytes
    passed: bool


@dataclass(frozen=True, slots=True)
class NodeSlashed:
    """A node lost stake by the contract."""

    node: bytes
    slashed_wei: int


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A peer is connected. :ivar peer: its PeerID. :ivar outbound: whether we dialled it."""

    peer: str
    outbound: bool


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """The last connection with a peer is gone."""

    peer: str


@dataclass(frozen=True, slots=True)
class ChainReorganised:
    """The chain took back what it had said of an epoch. :ivar epoch: its number."""

    epoch: int


Event: TypeAlias = (
    TaskAnnounced
    | TaskAccepted
    | MinerLost
    | TaskDelivered
    | TaskFailed
    | TaskPaid
    | TaskAudited
    | NodeSlashed
    | PeerJoined
    | PeerLeft
    | ChainReorganised
)


def name_of(kind: type[Event]) -> str:
    """Its name in documents, such as ``task_announced``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


EVENT_KINDS: Final[dict[str, type[Event]]] = {name_of(kind): kind for kind in get_args(Event)}
"""All kinds of events by name."""


class TooManySubscribers(Refusal):
    """There are `SUBSCRIBERS_MAX` already."""


@dataclass(frozen=True, slots=True)
class Published:
    """An event on its way. :ivar sequence: from 1, without gaps, so that a reader sees what it missed."""

    sequence: int
    at_ms: int
    event: Event

    def document(self) -> dict[str, Any]:
        """As JSON can say it."""
        head: dict[str, Any] = {
            "event": name_of(type(self.event)),
            "sequence": self.sequence,
            "at_ms": self.at_ms,
        }
        head.update(to_document(self.event))
        return head


@dataclass(slots=True)
class BusCounts:
    """:ivar dropped: events that subscribers were too slow for. :ivar refused: subscribers too many."""

    published: int = 0
    dropped: int = 0
    subscribers: int = 0
    refused: int = 0


class Subscription:
    """One subscriber's queue. Made by :meth:`EventBus.subscribe`. :ivar dropped: events that fell from it."""

    def __init__(self, kinds: tuple[type[Event], ...]) -> None:
        self.dropped = 0
        self._kinds = kinds
        self._queue: deque[Published] = deque()
        self._arrived = Signal()

    def put(self, published: Published) -> bool:
        """Take an event in, and say whether the oldest fell out for it. For the bus alone."""
        if self._kinds and not isinstance(published.event, self._kinds):
            return False
        is_full = len(self._queue) >= EVENTS_QUEUED_MAX
        if is_full:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(published)
        self._arrived.notify()
        return is_full

    async def receive(self) -> Published:
        """The oldest that waits, or the next one. For one reader at a time."""
        while not self._queue:
            await self._arrived.wait()
        return self._queue.popleft()


class EventBus:
    """One node's. :ivar counts: see :class:`BusCounts`."""

    def __init__(self, clock_ms: Callable[[], int] = now_ms) -> None:
        self.counts = BusCounts()
        self._clock_ms = clock_ms
        self._subscriptions: list[Subscription] = []

    def publish(self, event: Event) -> None:
        """Tell all subscribers. Neither waits nor fails."""
        self.counts.published += 1
        published = Published(self.counts.published, self._clock_ms(), event)
        for subscription in self._subscriptions:
            self.counts.dropped += subscription.put(published)

    @contextmanager
    def subscribe(self, *kinds: type[Event]) -> Iterator[Subscription]:
        """Hear events of `kinds`, or of all, from now until the context ends.

        :raises TooManySubscribers: there are `SUBSCRIBERS_MAX`.
        """
        if len(self._subscriptions) >= SUBSCRIBERS_MAX:
            self.counts.refused += 1
            raise TooManySubscribers("as many follow this node's events as it serves at a time")
        subscription = Subscription(kinds)
        self._subscriptions.append(subscription)
        self.counts.subscribers += 1
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self.counts.subscribers -= 1
