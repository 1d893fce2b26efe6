"""The peers that are connected with a host, and the observers that are told of them.

Is: the swarm's events, one for each connection, made into one for each peer that comes or goes.
Is not: a decision about anybody; :mod:`p2p.connections` makes those.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, cast

from libp2p.abc import INotifee
from libp2p.peer.peerstore import PeerStoreError

from p2p.library.streams import is_relayed, session_of
from p2p.records import relay_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libp2p.abc import INetConn, INetStream, INetwork
    from multiaddr import Multiaddr

    from p2p.identity import PeerId
    from p2p.library.swarm import Connection, GuardedSwarm

_log = logging.getLogger(__name__)


class PeerObserver(Protocol):
    """Is told which peers are connected. Called synchronously; must neither block nor raise."""

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """The first connection with a peer is up. :param outbound: whether we dialled it."""

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """The last connection with a peer is gone."""


class ConnectedPeers:
    """The peers of one host, the oldest first.

    :ivar observer_failed: calls of observers since the start that raised.
    """

    def __init__(self, swarm: GuardedSwarm) -> None:
        self.observer_failed = 0
        self._swarm = swarm
        self._observers: list[PeerObserver] = []
        self._peers: dict[PeerId, None] = {}
        swarm.register_notifee(_ConnectionNotifee(self, swarm))

    def __contains__(self, peer_id: object) -> bool:
        return peer_id in self._peers

    def __iter__(self) -> Iterator[PeerId]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)

    def connections(self, peer_id: PeerId) -> list[Connection]:
        """The open connections with a peer."""
        connections = cast("list[Connection]", self._swarm.get_connections(peer_id))
        return [connection for connection in connections if not connection.muxed_conn.is_closed]

    def remote_ip(self, peer_id: PeerId) -> str | None:
        """The IP address at the other end of a connection with the peer, if there is one."""
        for connection in self.connections(peer_id):
            remote = session_of(connection.muxed_conn).get_remote_address()
            if remote is not None:
                return str(remote[0])
        return None

    def is_relayed(self, peer_id: PeerId) -> bool:
        """Whether there are connections with the peer, and all of them lead through relays."""
        connections = self.connections(peer_id)
        return bool(connections) and all(is_relayed(item.muxed_conn) for item in connections)

    def source_of(self, peer_id: PeerId) -> str | None:
        """The key of the network that a peer is in: its IP address, or the relay that leads to it."""
        remote_ip = self.remote_ip(peer_id)
        if remote_ip is not None:
            return remote_ip
        for connection in self.connections(peer_id):
            for address in session_of(connection.muxed_conn).get_transport_addresses():
                return f"/p2p/{relay_of(address)}"
        return None

    def is_outbound(self, peer_id: PeerId) -> bool:
        """Whether one of the connections with a peer was dialled by us."""
        return any(connection.direction.name != "INBOUND" for connection in self.connections(peer_id))

    # Observers

    def observe(self, observer: PeerObserver) -> None:
        """Tell an observer of peers from now on, and at once of those connected already."""
        self._observers.append(observer)
        for peer_id in self._peers:
            self._tell_connected(observer, peer_id)

    def unobserve(self, observer: PeerObserver) -> None:
        """Tell an observer nothing more; no error if it was told nothing."""
        if observer in self._observers:
            self._observers.remove(observer)

    def _tell_connected(self, observer: PeerObserver, peer_id: PeerId) -> None:
        try:
            observer.peer_connected(peer_id, outbound=self.is_outbound(peer_id))
        except Exception:  # noqa: BLE001 - one observer's fault is not another's, nor the host's
            self._note_failure()

    def _tell_disconnected(self, observer: PeerObserver, peer_id: PeerId) -> None:
        try:
            observer.peer_disconnected(peer_id)
        except Exception:  # noqa: BLE001 - as above
            self._note_failure()

    def _note_failure(self) -> None:
        self.observer_failed += 1
        _log.exception("an observer of peers failed")

    # Events of connections

    def connection_opened(self, peer_id: PeerId) -> None:
        """There is one more connection with a peer."""
        if peer_id in self._peers:
            return
        self._peers[peer_id] = None
        for observer in tuple(self._observers):
            self._tell_connected(observer, peer_id)

    def connection_closed(self, peer_id: PeerId) -> None:
        """There is one connection less with a peer."""
        if peer_id in self._peers and not self.connections(peer_id):
            self.drop(peer_id)

    def drop(self, peer_id: PeerId) -> None:
        """A peer has gone, or counts as gone."""
        del self._peers[peer_id]
        self._forget(peer_id)
        for observer in tuple(self._observers):
            self._tell_disconnected(observer, peer_id)

    def _forget(self, peer_id: PeerId) -> None:
        # The library remembers addresses and protocols of everybody who ever called; identities are free.
        try:
            self._swarm.peerstore.clear_peerdata(peer_id)
        except PeerStoreError:
            _log.debug("nothing was remembered of %s", peer_id)


class _ConnectionNotifee(INotifee):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """Hears of the swarm's connections."""

    def __init__(self, peers: ConnectedPeers, swarm: GuardedSwarm) -> None:
        self._peers = peers
        self._swarm = swarm

    async def connected(self, network: INetwork, conn: INetConn) -> None:  # noqa: ARG002
        self._peers.connection_opened(conn.muxed_conn.peer_id)
        # The library tells of the end 0.2 s late; until then one could believe a dead connection.
        self._swarm.manager.run_task(self._watch, conn)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:  # noqa: ARG002
        self._peers.connection_closed(conn.muxed_conn.peer_id)

    async def _watch(self, conn: INetConn) -> None:
        session = session_of(conn.muxed_conn)
        await session.event_closed.wait()
        self._swarm.remove_conn(conn)  # else it counts against the cap as long
        self._peers.connection_closed(session.peer_id)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Nothing to do."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Nothing to do."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing to do."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing to do."""
