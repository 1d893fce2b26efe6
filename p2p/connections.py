"""Whom a node stays connected to: bootnodes always, others until there are enough.

Is: parallel dials with jittered exponential back-off, pings that drop a frozen peer, and the questions that
fill the address book. Randomness is given; time is trio's, so a test's clock rules it.
Is not: a transport, nor a judge of peers' behaviour; a graylisted peer is refused by gossip again and again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from p2p.discovery import PeerExchange
from p2p.host import NotConnected, StreamRefused
from p2p.records import peer_of
from p2p.streams import TRANSPORT_ERRORS
from p2p.swarm import reset_stream
from protocol.errors import LocalError, Refusal

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from multiaddr import Multiaddr
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.record_store import PeerRecords

PING_PROTOCOL: Final = "/ipfs/ping/1.0.0"
PING_BYTES: Final = 32
BOOTNODES_MAX: Final = 64
"""Bootnodes that one node may be given."""
BACKOFFS_MAX: Final = 2_048
"""Peers whose failed dials are remembered; the longest untried gives way."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionParams:
    """Numbers of the keeper. :raises LocalError: one is not positive, or the back-off is above its cap."""

    connections_target: int = 16
    """Connections, in and out, below which known peers are dialled; two meshes' worth of ``d``."""

    outbound_target: int = 8
    """Of them, how many we want to have dialled ourselves. Strangers that call, however many, must not keep
    us from choosing peers: who chooses all our peers decides what we hear."""

    dials_parallel_max: int = 8
    """Dials at once."""

    tick_ms: int = 500
    """Time between two looks at whom to dial, milliseconds; a loss is looked at right away."""

    backoff_ms: int = 500
    """Pause after a first failed dial, milliseconds; doubles with each further one."""

    backoff_max_ms: int = 60_000
    """Longest pause between dials of a bootnode, milliseconds."""

    candidate_failures_max: int = 3
    """Failed dials after which a peer that is no bootnode is forgotten."""

    ping_interval_ms: int = 10_000
    """Time between pings of a connected peer, milliseconds."""

    ping_timeout_ms: int = 5_000
    """Time for an answer to a ping, milliseconds."""

    ping_failures_max: int = 2
    """Pings in a row without an answer after which a peer counts as frozen and is disconnected."""

    ask_interval_ms: int = 30_000
    """Time after which a connected peer is asked for others again, milliseconds."""

    def __post_init__(self) -> None:
        """Check the values."""
        if min(getattr(self, name) for name in self.__slots__) <= 0 or self.backoff_ms > self.backoff_max_ms:
            raise LocalError("connection parameters are positive, and the back-off is below its cap")


class Backoff:
    """When a peer may be dialled again: twice the pause after each failure, half of it random.

    Pure: time is an argument. Without the random half, nodes that lost one bootnode would return together.
    """

    def __init__(self, params: ConnectionParams, rng: random.Random) -> None:
        self._params = params
        self._rng = rng
        self._entries: OrderedDict[PeerId, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def is_due(self, peer: PeerId, now_ms: int) -> bool:
        """Whether a peer may be dialled now."""
        return self._entries.get(peer, (0, now_ms))[1] <= now_ms

    def failed(self, peer: PeerId, now_ms: int) -> int:
        """Note a failed dial. Returns the failures in a row."""
        failures = self._entries.pop(peer, (0, 0))[0] + 1
        doublings = min(failures - 1, 32)
        pause_ms = min(self._params.backoff_ms * 2**doublings, self._params.backoff_max_ms)
        not_before_ms = now_ms + pause_ms // 2 + self._rng.randint(0, pause_ms // 2)
        while len(self._entries) >= BACKOFFS_MAX:
            self._entries.popitem(last=False)
        self._entries[peer] = (failures, not_before_ms)
        return failures

    def succeeded(self, peer: PeerId) -> None:
        """Note a connection: the next failure is the first again."""
        self._entries.pop(peer, None)


class ConnectionKeeper:
    """Keeps a host connected while :meth:`run` runs.

    :ivar records: the address book; also what we say of ourselves.
    :ivar exchange: what asks peers for others.
    """

    def __init__(
        self,
        host: Host,
        records: PeerRecords,
        bootnodes: Sequence[Multiaddr],
        rng: random.Random,
        *,
        params: ConnectionParams | None = None,
        wall_clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Take the addresses to stay connected to, each ending in ``/p2p/<PeerID>``; our own is passed over.

        :raises LocalError: there are more than BOOTNODES_MAX.
        :raises ProtocolError: an address names no peer with a secp256k1 key.
        """
        if len(bootnodes) > BOOTNODES_MAX:
            raise LocalError("too many bootnodes")
        self.records = records
        self._host = host
        self._rng = rng
        self._params = params or ConnectionParams()
        self._bootnodes = {peer_of(item): item for item in bootnodes if peer_of(item) != host.peer_id}
        self.exchange = PeerExchange(host, records, rng)
        self._wall_clock_ms = wall_clock_ms
        self._backoff = Backoff(self._params, rng)
        self._dialling: set[PeerId] = set()
        self._attended: dict[PeerId, trio.CancelScope] = {}
        self._changed = trio.Event()
        self._counts: Counter[str] = Counter()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial, ping and ask until cancelled. The connections stay."""
        if self._nursery is not None:
            raise LocalError("the connection keeper runs already")
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.records.renew_own(self._host.addresses(), self._wall_clock_ms())
                self._host.observe(self)
                task_status.started()
                while True:
                    self._changed = trio.Event()
                    self._start_dials(nursery)
                    with trio.move_on_after(self._params.tick_ms / 1000):
                        await self._changed.wait()
        finally:
            self._host.unobserve(self)
            self._nursery = None

    def statistics(self) -> Mapping[str, int]:
        """Named counts since the start, and the size of the book."""
        return {
            "records": len(self.records),
            **self._counts,
            **{f"record_{name}": count for name, count in self.records.counts.items()},
            **{f"exchange_{name}": count for name, count in self.exchange.counts.items()},
        }

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """The host has a new peer: ask it for others, then ping it from time to time."""
        del outbound
        self._counts["connected"] += 1
        self._backoff.succeeded(peer_id)
        self.records.note_met(peer_id)
        if self._nursery is not None:
            scope = self._attended[peer_id] = trio.CancelScope()
            self._nursery.start_soon(self._attend, peer_id, scope)

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """The host has lost a peer: look at once whether it must be dialled."""
        self._counts["disconnected"] += 1
        scope = self._attended.pop(peer_id, None)
        if scope is not None:
            scope.cancel()
        # As after a failure: a bootnode that hangs up at once must not be called in a tight loop.
        self._backoff.failed(peer_id, _now_ms())
        self._changed.set()

    # Within

    def _start_dials(self, nursery: trio.Nursery) -> None:
        connected = {*self._host.connected_peers(), self._host.peer_id}
        wanted = [peer for peer in self._bootnodes if peer not in connected]
        outbound = sum(self._host.is_outbound(peer) for peer in connected)
        missing = max(
            self._params.connections_target - len(connected) + 1, self._params.outbound_target - outbound
        ) - len(self._dialling)
        strangers = [peer for peer in self.records.candidates(connected) if peer not in self._bootnodes]
        due = [peer for peer in strangers if self._backoff.is_due(peer, _now_ms())]
        wanted += self._rng.sample(due, max(0, min(missing, len(due))))
        for peer in wanted:
            if len(self._dialling) >= self._params.dials_parallel_max:
                return
            if peer not in self._dialling and self._backoff.is_due(peer, _now_ms()):
                self._dialling.add(peer)
                nursery.start_soon(self._dial, peer)

    async def _dial(self, peer: PeerId) -> None:
        bootnode = self._bootnodes.get(peer)
        addresses = self.records.addresses(peer) if bootnode is None else (bootnode,)
        try:
            for address in addresses:
                try:
                    await self._host.connect(address)
                except Refusal as error:
                    _log.debug("dialling %s failed: %r", address, error)
                else:
                    return
            self._counts["dial_failed"] += 1
            failures = self._backoff.failed(peer, _now_ms())
            if bootnode is None and failures >= self._params.candidate_failures_max:
                self.records.forget(peer)
                self._backoff.succeeded(peer)
        finally:
            self._dialling.discard(peer)

    async def _attend(self, peer: PeerId, scope: trio.CancelScope) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                # Apart: a question to a frozen peer takes its time, and must not hold up the pings.
                nursery.start_soon(self._keep_asking, peer)
                await self._keep_pinging(peer)

    async def _keep_asking(self, peer: PeerId) -> None:
        while True:
            self.records.renew_own(self._host.addresses(), self._wall_clock_ms())
            await self.exchange.ask(peer)
            await trio.sleep(self._params.ask_interval_ms * self._rng.uniform(0.9, 1) / 1000)

    async def _keep_pinging(self, peer: PeerId) -> None:
        failures = 0
        while True:
            # Up to a tenth early, so that a node with many peers does not ping them all at once.
            await trio.sleep(self._params.ping_interval_ms * self._rng.uniform(0.9, 1) / 1000)
            failures = 0 if await self._ping(peer) else failures + 1
            if failures >= self._params.ping_failures_max:
                self._counts["frozen"] += 1
                _log.info("disconnecting %s: no answer to pings", peer)
                await self._host.disconnect(peer)
                failures = 0

    async def _ping(self, peer: PeerId) -> bool:
        """Whether a peer answers in time with what it was sent."""
        try:
            with trio.fail_after(self._params.ping_timeout_ms / 1000):
                stream = await self._host.open_stream(
                    peer, [PING_PROTOCOL], timeout_ms=self._params.ping_timeout_ms
                )
                try:
                    sent = self._rng.randbytes(PING_BYTES)
                    await stream.write(sent)
                    heard = b""
                    while len(heard) < PING_BYTES:
                        piece = await stream.read(PING_BYTES - len(heard))
                        if not piece:
                            return False
                        heard += piece
                    return heard == sent
                finally:
                    await reset_stream(stream)
        except (NotConnected, StreamRefused, trio.TooSlowError, *TRANSPORT_ERRORS):
            return False


def _now_ms() -> int:
    return int(trio.current_time() * 1000)
