"""Whom a node stays connected to: others until there are enough, bootnodes for as long as it needs them.

Is: parallel dials with jittered back-off, pings that drop a frozen or vanished peer, the letting go when
there are too many, and the questions that fill the address book. Randomness is given; time is trio's, so a
test's clock rules it.
Is not: a transport, nor a judge of peers' behaviour; a graylisted peer is refused by gossip again and again.

**Nobody needs a stake to connect and to listen**: newcomers must read the network before they join it, and
what they hear is public. What a peer without stake may not do is enforced where its word would count: the
rules in ``protocol/rules/`` accept nothing that no registered key signed, so gossip neither delivers nor
forwards it, and a coordinator refuses who was not drawn (``tests/p2p/test_gating.py``). Here it only has less
protection when a full node lets peers go.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import trio

from p2p.backoff import Backoff
from p2p.connection_params import ConnectionParams
from p2p.discovery import PeerExchange
from p2p.ping import PingCounts, keep_pinging
from p2p.records import peer_of
from p2p.trimming import ConnectedPeer, peers_to_trim
from p2p.wakeups import Signal
from protocol.errors import LocalError, Refusal

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from multiaddr import Multiaddr
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.discovery import ExchangeCounts
    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.record_store import PeerRecords, RecordCounts

BOOTNODES_MAX: Final = 64
"""Bootnodes that one node may be given."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class KeeperCounts:
    """Connections since the start.

    :ivar connected: with whom, whoever dialled; :ivar disconnected: whose last connection is gone.
    :ivar dial_failed: peers of which no address answered.
    :ivar trimmed: let go because there were too many.
    """

    connected: int = 0
    disconnected: int = 0
    dial_failed: int = 0
    trimmed: int = 0


@dataclass(frozen=True, slots=True)
class KeeperStatistics:
    """A keeper since the start, and its address book and peer exchange."""

    connections: KeeperCounts
    pings: PingCounts
    records: RecordCounts
    exchange: ExchangeCounts


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
        is_protected: Callable[[PeerId], bool] = lambda _peer: False,
        wall_clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Take the addresses to call first, each ending in ``/p2p/<PeerID>``; our own is passed over.

        :param is_protected: whether a peer is kept when others are let go, besides bootnodes and peers with a
            direct stream open. Mesh peers and staked ones, says :mod:`p2p.network`.
        :raises LocalError: there are more than BOOTNODES_MAX.
        :raises ProtocolError: an address names no peer with a secp256k1 key.
        """
        if len(bootnodes) > BOOTNODES_MAX:
            raise LocalError("too many bootnodes")
        self.records = records
        self.exchange = PeerExchange(host, records, rng)
        self._is_protected = is_protected
        self._host = host
        self._rng = rng
        self._params = params or ConnectionParams()
        self._wall_clock_ms = wall_clock_ms
        self._bootnodes = {peer_of(item): item for item in bootnodes if peer_of(item) != host.peer_id}
        self._visited_ms: dict[PeerId, int] = {}
        self._backoff = Backoff(rng, first_ms=self._params.backoff_ms, longest_ms=self._params.backoff_max_ms)
        self._dialling: set[PeerId] = set()
        self._since_ms: dict[PeerId, int] = {}
        self._attended: dict[PeerId, trio.CancelScope] = {}
        self._changed = Signal()
        self._counts = KeeperCounts()
        self._pings = PingCounts()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial, ping, ask and let go until cancelled. The connections stay."""
        if self._nursery is not None:
            raise LocalError("the connection keeper runs already")
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.records.renew_own(self._host.addresses(), self._wall_clock_ms())
                self._host.observe(self)
                task_status.started()
                while True:
                    changed = self._changed.next_event()
                    self._start_dials(nursery)
                    await self._trim()
                    with trio.move_on_after(self._params.tick_ms / 1000):
                        await changed.wait()
        finally:
            self._host.unobserve(self)
            self._nursery = None

    @property
    def bootnodes(self) -> tuple[PeerId, ...]:
        """The peers to call first."""
        return tuple(self._bootnodes)

    def renew(self) -> None:
        """Our addresses have changed: tell it to those who are connected."""
        before = self.records.own
        own = self.records.renew_own(self._host.addresses(), self._wall_clock_ms())
        if own is not before and self._nursery is not None:
            for peer in self._host.connected_peers():
                self._nursery.start_soon(self.exchange.ask, peer)

    def statistics(self) -> KeeperStatistics:
        """All that an operator may want to see, now."""
        return KeeperStatistics(
            connections=replace(self._counts),
            pings=replace(self._pings),
            records=replace(self.records.counts),
            exchange=replace(self.exchange.counts),
        )

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """The host has a new peer: ask it for others, then ping it from time to time."""
        del outbound
        self._counts.connected += 1
        self._since_ms[peer_id] = _now_ms()
        self.records.note_met(peer_id)
        if peer_id in self._bootnodes:
            self._visited_ms[peer_id] = _now_ms()
        if self._nursery is not None:
            scope = self._attended[peer_id] = trio.CancelScope()
            self._nursery.start_soon(self._attend, peer_id, scope)

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """The host has lost a peer: look at once whether others must be dialled."""
        self._counts.disconnected += 1
        scope = self._attended.pop(peer_id, None)
        if scope is not None:
            scope.cancel()
        if _now_ms() - self._since_ms.pop(peer_id, 0) >= self._params.lasting_ms:
            self._backoff.succeeded(peer_id)
        self._backoff.failed(peer_id, _now_ms())
        self._changed.notify()

    # Dialling

    def _start_dials(self, nursery: trio.Nursery) -> None:
        connected = {*self._host.connected_peers(), self._host.peer_id}
        outbound = sum(self._host.is_outbound(peer) for peer in connected)
        missing = max(
            self._params.connections_target - len(connected) + 1, self._params.outbound_target - outbound
        ) - len(self._dialling)
        wanted = [peer for peer in self._bootnodes if peer not in connected]
        if missing <= 0:
            wanted = [peer for peer in wanted if self._is_visit_due(peer)]
        strangers = [peer for peer in self.records.candidates(connected) if peer not in self._bootnodes]
        due = [peer for peer in strangers if self._backoff.is_due(peer, _now_ms())]
        wanted += self._choose(due, missing)
        for peer in wanted:
            if len(self._dialling) >= self._params.dials_parallel_max:
                return
            if peer not in self._dialling and self._backoff.is_due(peer, _now_ms()):
                self._dialling.add(peer)
                nursery.start_soon(self._dial, peer)

    def _choose(self, due: list[PeerId], missing: int) -> list[PeerId]:
        """At random among those that are due; those behind relays last, and few."""
        self._rng.shuffle(due)
        open_ones = [peer for peer in due if not self.records.is_hidden(peer)][: max(0, missing)]
        relayed = sum(self._host.is_relayed(peer) for peer in self._host.connected_peers())
        relayed += sum(self.records.is_hidden(peer) for peer in self._dialling)
        room = min(missing - len(open_ones), self._params.relayed_target - relayed)
        return open_ones + [peer for peer in due if self.records.is_hidden(peer)][: max(0, room)]

    def _is_visit_due(self, bootnode: PeerId) -> bool:
        visited_ms = self._visited_ms.get(bootnode)
        return visited_ms is None or _now_ms() - visited_ms >= self._params.bootnode_visit_ms

    async def _dial(self, peer: PeerId) -> None:
        bootnode = self._bootnodes.get(peer)
        addresses = self.records.addresses(peer) if bootnode is None else (bootnode,)
        try:
            for address in addresses:
                try:
                    await self._host.connect(address, timeout_ms=self._params.dial_timeout_ms)
                except Refusal as error:
                    _log.debug("dialling %s failed: %r", address, error)
                else:
                    return
            self._counts.dial_failed += 1
            failures = self._backoff.failed(peer, _now_ms())
            if bootnode is None and failures >= self._params.candidate_failures_max:
                self.records.forget(peer)
                self._backoff.succeeded(peer)
        finally:
            self._dialling.discard(peer)

    # Letting go

    async def _trim(self) -> None:
        connected = [
            ConnectedPeer(peer, self._since_ms.get(peer, 0), self._host.is_outbound(peer))
            for peer in self._host.connected_peers()
        ]
        leaving = peers_to_trim(
            connected,
            self._is_kept,
            _now_ms(),
            high=self._params.connections_high,
            low=self._params.connections_low,
            grace_ms=self._params.trim_grace_ms,
        )
        for peer in leaving:
            self._counts.trimmed += 1
            await self._host.disconnect(peer)

    def _is_kept(self, peer: PeerId) -> bool:
        return peer in self._bootnodes or self._host.has_direct_stream(peer) or self._is_protected(peer)

    # Attending

    async def _attend(self, peer: PeerId, scope: trio.CancelScope) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                # Apart: a question to a frozen peer takes its time, and must not hold up the pings.
                nursery.start_soon(self._keep_asking, peer)
                await keep_pinging(self._host, peer, self._rng, self._params, self._pings)

    async def _keep_asking(self, peer: PeerId) -> None:
        while True:
            self.records.renew_own(self._host.addresses(), self._wall_clock_ms())
            await self.exchange.ask(peer)
            lonely = len(self._host.connected_peers()) <= self._params.connections_few
            interval_ms = self._params.ask_interval_ms
            if lonely:
                interval_ms = min(interval_ms, self._params.ask_lonely_ms)
            await trio.sleep(interval_ms * self._rng.uniform(0.9, 1) / 1000)


def _now_ms() -> int:
    return int(trio.current_time() * 1000)
