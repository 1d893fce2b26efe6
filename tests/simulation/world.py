"""A simulated network: parties, connections, and the faults between them.

Is: connecting, sending, partitions, crashes; a running hash of every byte that arrives.
Is not: what a party does with the bytes; :mod:`tests.simulation.node` and the attackers are parties.

Parties are numbered, and a number is a PeerID as good as any to a router: see :class:`Number`.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from ipaddress import IPv4Address
from typing import Protocol

from tests.simulation.events import Events
from tests.simulation.links import MTU_OVERHEAD_BYTES, Link, LinkParams
from tests.simulation.randomness import generator

_FIRST_ADDRESS = int(IPv4Address("10.0.0.1"))
STALE_CONNECTION_MS = 8_000.0
"""After so long in a partition a connection breaks: the time in which the gossip shell gives up a write."""


class Number(int):
    """A party's PeerID: hashed and compared in C, and with bytes, which is all that a router asks of one."""

    __slots__ = ()

    def to_bytes(self) -> bytes:
        """Four bytes, big-endian."""
        return int(self).to_bytes(4)

    @classmethod
    def of(cls, name: bytes) -> Number:
        """The inverse of :meth:`to_bytes`."""
        return cls(int.from_bytes(name))


class Party(Protocol):
    """Whatever has connections: a node, or an attacker."""

    def has_room(self) -> bool:
        """Whether it accepts another connection."""

    def connected(self, peer: int, *, outbound: bool) -> None:
        """A connection is there."""

    def disconnected(self, peer: int) -> None:
        """A connection has gone."""

    def receive(self, peer: int, rpc: bytes) -> None:
        """An RPC has come, whole."""

    def stream_broke(self, peer: int) -> None:
        """Something that was sent did not arrive; there is a new stream."""


class World:
    """All parties and their connections.

    :ivar sent_rpcs: RPCs that each party sent; likewise ``sent_bytes`` and ``received_rpcs``.
    :ivar on_partition: called when a partition has begun, by those who carry bytes past the connections.
    """

    def __init__(self, seed: int, params: LinkParams | None = None) -> None:
        self.seed = seed
        self.params = params or LinkParams()
        self.events = Events()
        self.parties: dict[int, Party] = {}
        self.links: dict[int, dict[int, Link]] = {}
        self._names: dict[int, Number] = {}
        self.counts: Counter[str] = Counter()
        self.on_partition: list[Callable[[], None]] = []
        self.sent_rpcs: Counter[int] = Counter()
        self.sent_bytes: Counter[int] = Counter()
        self.received_rpcs: Counter[int] = Counter()
        self._latencies = generator(seed, "latencies")
        self._faults = generator(seed, "faults")
        self._egress_free_ms: dict[int, float] = {}
        self._sides: dict[int, int] = {}
        self._down: set[int] = set()
        self._trace = hashlib.sha256()

    @property
    def now_ms(self) -> float:
        """Simulated time since the start."""
        return self.events.now_ms

    @property
    def trace(self) -> str:
        """Hash of everything that has arrived so far: when, from whom, at whom, and what."""
        return self._trace.hexdigest()

    def add(self, number: int, party: Party) -> Number:
        """Take in a party, without connections. Returns its name."""
        name = self._names[number] = Number(number)
        self.parties[name] = party
        self.links[name] = {}
        return name

    def ip(self, number: int) -> str:
        """Where a party is: each at an address of its own, of a network that is nobody's."""
        return str(IPv4Address(_FIRST_ADDRESS + number))

    def note(self, *what: object) -> None:
        """Put something that a party did by itself into the trace."""
        self._trace.update(repr((self.events.now_ms, *what)).encode())

    # Connections

    def can_connect(self, a: int, b: int) -> bool:
        """Whether a dial would succeed."""
        down = a in self._down or b in self._down
        return a != b and not down and not self.are_apart(a, b)

    def are_apart(self, a: int, b: int) -> bool:
        """Whether a partition is between two parties."""
        return self._sides.get(a) != self._sides.get(b)

    def connect(self, a: int, b: int, latency_ms: float | None = None) -> bool:
        """Have one party dial another. False: they are connected, or it does not get through."""
        if b in self.links[a] or not self.can_connect(a, b) or not self.parties[b].has_room():
            return False
        a, b = self._names[a], self._names[b]
        if latency_ms is None:
            latency_ms = self._latencies.uniform(self.params.latency_ms_min, self.params.latency_ms_max)
        self.links[a][b] = Link(latency_ms)
        self.links[b][a] = Link(latency_ms)
        self.parties[a].connected(b, outbound=True)
        if b in self.links[a]:  # the first may hang up at once
            self.parties[b].connected(a, outbound=False)
        return True

    def disconnect(self, a: int, b: int) -> None:
        """End a connection; what is on its way is lost."""
        link, back = self.links[a].pop(b, None), self.links[b].pop(a, None)
        if link is None or back is None:
            return
        link.open = back.open = False
        self.parties[a].disconnected(b)
        self.parties[b].disconnected(a)

    # Bytes

    def send(self, source: int, target: int, rpc: bytes) -> None:
        """Put an RPC on its way."""
        link = self.links[source].get(target)
        if link is None:
            self.counts["sent without connection"] += 1
            return
        size = len(rpc)
        self.sent_rpcs[source] += 1
        self.sent_bytes[source] += size
        if link.blocked:
            self.counts["swallowed by a partition"] += 1
            return
        leaves_ms = self.events.now_ms
        if self.params.egress_bytes_per_ms:
            free_ms = max(leaves_ms, self._egress_free_ms.get(source, 0.0))
            leaves_ms = free_ms + (size + MTU_OVERHEAD_BYTES) / self.params.egress_bytes_per_ms
            self._egress_free_ms[source] = leaves_ms
        arrivals = link.arrivals(leaves_ms, size, self.params, self._faults)
        if not arrivals:
            self.counts["lost"] += 1
            self.events.at(leaves_ms + 2 * link.latency_ms, self._broke, link, source, target)
        for arrives_ms in arrivals:
            self.events.at(arrives_ms, self._arrive, link, source, target, rpc)

    def _arrive(self, link: Link, source: int, target: int, rpc: bytes) -> None:
        if not link.open or link.blocked:
            return
        self.received_rpcs[target] += 1
        self._trace.update(struct.pack("<dII", self.events.now_ms, source, target))
        self._trace.update(rpc)
        self.parties[target].receive(source, rpc)

    def _broke(self, link: Link, source: int, target: int) -> None:
        if link.open:
            self.parties[source].stream_broke(target)

    # Faults

    def partition(self, sides: Iterable[Collection[int]]) -> None:
        """Let nothing pass between sides; connections across break after STALE_CONNECTION_MS."""
        self._sides = {number: side for side, members in enumerate(sides) for number in members}
        for a, b in self._pairs():
            if self._sides.get(a) != self._sides.get(b):
                link, back = self.links[a][b], self.links[b][a]
                link.blocked = back.blocked = True
                self.events.after(STALE_CONNECTION_MS, self._give_up, link, a, b)
        for told in self.on_partition:
            told()

    def heal(self) -> None:
        """End the partition. Connections that survived it carry bytes again; the others must be dialled."""
        self._sides = {}
        for a, b in self._pairs():
            self.links[a][b].blocked = self.links[b][a].blocked = False

    def _give_up(self, link: Link, a: int, b: int) -> None:
        if link.open and link.blocked:
            self.disconnect(a, b)

    def crash(self, number: int) -> None:
        """Take a party away at once: its connections end, and nobody can dial it."""
        self._down.add(number)
        for other in tuple(self.links[number]):
            self.disconnect(number, other)

    def restart(self, number: int) -> None:
        """Let a party be dialled, and dial, again."""
        self._down.discard(number)

    def is_down(self, number: int) -> bool:
        """Whether a party has crashed."""
        return number in self._down

    def every(self, interval_ms: float, first_ms: float, action: Callable[[], bool]) -> None:
        """Do something again and again from a time on, until it says False."""

        def again() -> None:
            if action():
                self.events.after(interval_ms, again)

        self.events.at(first_ms, again)

    def _pairs(self) -> list[tuple[int, int]]:
        return [(a, b) for a, others in self.links.items() for b in others if a < b]
