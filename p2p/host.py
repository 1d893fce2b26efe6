"""A node's host: listens, dials, and opens and serves streams (:mod:`p2p.host_streams`).

Is: our face of py-libp2p's host, noise only, with its faults mended (:mod:`p2p.library`).
Is not: a decision whom to connect to (:mod:`p2p.connections`), nor gossip (:mod:`p2p.gossip.service`).

Used as ``async with open_host(secret, addresses) as host``.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import trio
from multiaddr import Multiaddr
from multiaddr.utils import get_network_addrs

from p2p.connected_peers import ConnectedPeers
from p2p.dialling import DIAL_TIMEOUT_MS, Dialler
from p2p.host_streams import HostStreams
from p2p.identity import PeerId, key_pair_from_secret
from p2p.library.host import build_host, hear_observations, require_free
from p2p.library.streams import Stream, session_of
from p2p.library.swarm import Connection, GuardedSwarm, SessionUpgrader, close_connection
from p2p.limits import CONNECTIONS_MAX
from p2p.own_addresses import OwnAddresses
from p2p.records import ip_of
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from libp2p.host.basic_host import BasicHost

    from p2p.connected_peers import PeerObserver
    from p2p.dialling import DialCounts
    from p2p.library.streams import StreamGuard, StreamGuardCounts
    from p2p.limits import LimitCounts
    from p2p.session.counts import SessionCounts
    from p2p.stream_gate import DirectStreamCounts

CLOSE_TIMEOUT_MS: Final = 800
"""Time for the connections to come down on closing; the sockets are closed in any case."""
LOOPBACK_IPS: Final = ("127.0.0.1", "::1")
"""Announced last by a listener on all addresses; they count only for peers of this machine."""


@dataclass(frozen=True, slots=True)
class HostStatistics:
    """A host now, and since the start.

    :ivar connected_peers: now.
    :ivar dials: of ours.
    :ivar observer_failed: calls of observers of peers that raised.
    :ivar inbound: connections to our sockets that were refused; :ivar circuits: those that relays led to us.
    :ivar hub_calls_failed: see :class:`p2p.session.hub.Hub`.
    :ivar streams: of all protocols, towards us; :ivar direct_streams: of them, direct ones.
    """

    connected_peers: int
    dials: DialCounts
    observer_failed: int
    inbound: LimitCounts
    circuits: LimitCounts
    sessions: SessionCounts
    hub_calls_failed: int
    streams: StreamGuardCounts
    direct_streams: DirectStreamCounts


class Host(HostStreams):
    """One node on the network. Made by :func:`open_host`.

    :ivar peer_id: our own PeerID.
    :ivar own_addresses: what we announce, and where others see us come from.
    :ivar dialler: makes its connections.
    :ivar hub: reads and writes for all its connections.
    """

    def __init__(
        self,
        basic: BasicHost,
        swarm: GuardedSwarm,
        guard: StreamGuard,
        own_addresses: OwnAddresses,
        is_staked: Callable[[PeerId], bool],
    ) -> None:
        super().__init__(basic, ConnectedPeers(swarm), is_staked)
        self.peer_id: PeerId = basic.get_id()
        self.own_addresses = own_addresses
        self._swarm = swarm
        self._guard = guard
        self._upgrader = cast("SessionUpgrader", swarm.upgrader)
        self.hub = self._upgrader.hub
        self.dialler = Dialler(swarm, self._peers, self.peer_id, self._listen_port)
        self._closed = False
        hear_observations(basic, self._note_observed)

    # Identity, addresses and peers

    def listen_addresses(self) -> tuple[Multiaddr, ...]:
        """The addresses we listen on, with real ports and our ``/p2p/`` PeerID."""
        return tuple(self._basic.get_addrs())

    def public_addresses(self) -> tuple[Multiaddr, ...]:
        """Where our listener would be dialled from the internet (:meth:`OwnAddresses.public`)."""
        return self.own_addresses.public(self.listen_addresses())

    def addresses(self) -> tuple[Multiaddr, ...]:
        """The addresses to give to others, at most 4, each with our ``/p2p/`` (:mod:`p2p.own_addresses`)."""
        interface_ips = [*get_network_addrs(4), *get_network_addrs(6), *LOOPBACK_IPS]
        chosen = self.own_addresses.choose(self.listen_addresses(), interface_ips)
        return tuple(Multiaddr(f"{address}/p2p/{self.peer_id}") for address in chosen)

    def connected_peers(self) -> tuple[PeerId, ...]:
        """The peers connected now, oldest first."""
        return tuple(self._peers)

    def is_connected(self, peer_id: PeerId) -> bool:
        """Whether there is a connection to the peer now."""
        return peer_id in self._peers

    def remote_ip(self, peer_id: PeerId) -> str | None:
        """The IP address at the other end of a connection with the peer, if there is one."""
        return self._peers.remote_ip(peer_id)

    def is_relayed(self, peer_id: PeerId) -> bool:
        """Whether there are connections with the peer, and all of them lead through relays."""
        return self._peers.is_relayed(peer_id)

    def is_outbound(self, peer_id: PeerId) -> bool:
        """Whether one of the connections with a peer was dialled by us."""
        return self._peers.is_outbound(peer_id)

    def source_of(self, peer_id: PeerId) -> str | None:
        """The key of the network that a peer is in: its IP address, or the relay that leads to it."""
        return self._peers.source_of(peer_id)

    def observe(self, observer: PeerObserver) -> None:
        """Tell an observer of peers from now on, and at once of those connected already."""
        self._peers.observe(observer)

    def unobserve(self, observer: PeerObserver) -> None:
        """Tell an observer nothing more; no error if it was told nothing."""
        self._peers.unobserve(observer)

    def statistics(self) -> HostStatistics:
        """All that an operator may want to see, now."""
        return HostStatistics(
            connected_peers=len(self._peers),
            dials=deepcopy(self.dialler.counts),
            observer_failed=self._peers.observer_failed,
            inbound=deepcopy(self._swarm.limits.counts),
            circuits=deepcopy(self._swarm.circuit_limits.counts),
            sessions=deepcopy(self._upgrader.counts),
            hub_calls_failed=self.hub.calls_failed,
            streams=deepcopy(self._guard.counts),
            direct_streams=deepcopy(self._gate.counts),
        )

    # Connections

    async def connect(self, address: Multiaddr, *, timeout_ms: int = DIAL_TIMEOUT_MS) -> PeerId:
        """Connect to the peer at an address that ends in ``/p2p/<PeerID>``; at once if connected already.

        :raises ProtocolError: the address names no peer.
        :raises LocalError: the address names ourselves.
        :raises DialFailed: nobody answered in time, or somebody else did.
        """
        return await self.dialler.connect(address, timeout_ms=timeout_ms)

    async def accept_circuit(self, stream: Stream, address: Multiaddr, relay: PeerId) -> None:
        """Let a peer in that a relay leads to us over a stream; returns when its connection has ended.

        :param address: of the peer, through the relay; its PeerID is what the relay says, and not believed.
        :raises Refusal: it did not shake hands, or the relay has led as many to us as it may.
        """
        await self._swarm.accept_circuit(stream, address, relay)

    async def disconnect(self, peer_id: PeerId) -> None:
        """Close all connections with a peer at once, also when it is frozen. No error if there is none."""
        for connection in self._peers.connections(peer_id):
            session_of(connection.muxed_conn).abort()
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Close every connection and stop listening, within a second. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        self.dialler.close()
        connections = cast("list[Connection]", self._swarm.get_connections())
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_TIMEOUT_MS / 1000):
            for connection in connections:
                session_of(connection.muxed_conn).abort()
            for peer_id in self.connected_peers():
                self._peers.drop(peer_id)
            # The library takes 0.2 s for each and one after another; side by side they take that together.
            async with trio.open_nursery() as nursery:
                for connection in connections:
                    nursery.start_soon(close_connection, connection)
            await self._basic.close()

    # Internals

    def _note_observed(self, connection: Connection, observed: Multiaddr) -> None:
        observer_ip = self.remote_ip(connection.muxed_conn.peer_id)
        if observer_ip is not None:
            self.own_addresses.observe(observer_ip, str(ip_of(observed)))

    def _listen_port(self) -> int:
        for address in self.listen_addresses():
            return int(str(address.value_for_protocol("tcp")))
        return 0


@asynccontextmanager
async def open_host(
    node_secret: bytes,
    listen: Sequence[Multiaddr],
    *,
    connections_max: int = CONNECTIONS_MAX,
    loopback_exempt: bool = False,
    announce: Sequence[Multiaddr] = (),
    is_staked: Callable[[PeerId], bool] = lambda _peer: False,
) -> AsyncIterator[Host]:
    """A host that listens at the given addresses until the context is left.

    :param node_secret: 32 bytes; the node key, which is the registered address and signs every message.
    :param listen: TCP addresses such as ``/ip4/0.0.0.0/tcp/4001``; port 0 takes any, none only dials.
    :param connections_max: connections in and out together; a quarter is kept for our own dials.
    :param loopback_exempt: whether this machine may connect as often as it likes (:mod:`p2p.limits`).
    :param announce: where others can dial us, if it is not where we listen: behind NAT, in a container.
    :param is_staked: whether a peer has stake now: then strangers take no stream's place from it. Synchronous
        and quick; it must not raise.
    :raises LocalError: the secret is not a key, an address cannot be listened at, or one cannot be announced.
    """
    own_addresses = OwnAddresses(announce)
    for address in listen:
        require_free(address)
    basic, swarm, guard = build_host(
        key_pair_from_secret(node_secret),
        connections_max,
        loopback_exempt=loopback_exempt,
        is_staked=is_staked,
    )
    failure: Exception | None = None
    async with basic.run(list(listen)):
        host = Host(basic, swarm, guard, own_addresses, is_staked)
        try:
            _require_listening(host, listen)
            yield host
        except Exception as error:  # noqa: BLE001 - raised again below
            # The library's nurseries would wrap it in a group, twice; it leaves as the body raised it.
            failure = error
        finally:
            await host.close()
    if failure is not None:
        raise failure


def _require_listening(host: Host, listen: Sequence[Multiaddr]) -> None:
    if len(host.listen_addresses()) < len(listen):
        raise LocalError("an address cannot be listened at")
