"""A node's host: listens, dials, and opens and serves streams.

Is: our face of py-libp2p's host, noise only, with its faults mended (:mod:`p2p.swarm`).
Is not: a decision whom to connect to (:mod:`p2p.connections`), nor gossip (:mod:`p2p.gossip.service`).

Used as ``async with open_host(secret, addresses) as host``. Streams are handled on tasks of the host; a
handler's exception ends its stream and is counted, never more.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections import Counter
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

import trio
from libp2p.abc import INotifee
from libp2p.custom_types import TProtocol
from libp2p.peer.peerstore import PeerStoreError
from multiaddr import Multiaddr
from multiaddr.utils import get_network_addrs

from p2p.admission import Admission
from p2p.frames import PAYLOAD_BYTES_MAX
from p2p.identity import PeerId, key_pair_from_secret
from p2p.limits import CONNECTIONS_MAX
from p2p.own_addresses import OwnAddresses
from p2p.records import ip_of, is_circuit, relay_of, without_peer
from p2p.stream_gate import DirectStreamGate
from p2p.streams import DirectStream, open_direct
from p2p.swarm import (
    SessionUpgrader,
    Stream,
    build_host,
    close_connection,
    hear_observations,
    is_relayed,
    session_of,
)
from protocol.errors import LocalError, ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from libp2p.abc import INetConn, INetStream, INetwork
    from libp2p.host.basic_host import BasicHost

    from p2p.limits import LimitCounts
    from p2p.session.counts import SessionCounts
    from p2p.stream_gate import DirectStreamCounts
    from p2p.swarm import Connection, GuardedSwarm, StreamGuard, StreamGuardCounts

DIAL_TIMEOUT_MS: Final = 10_000
"""Time for one dial with its handshakes."""
OPEN_STREAM_TIMEOUT_MS: Final = 5_000
"""Time for a new stream to agree on its protocol."""
CLOSE_TIMEOUT_MS: Final = 800
"""Time for the connections to come down on closing; the sockets are closed in any case."""
PUNCH_PAUSE_MS: Final = 50
"""Pause after a dial that a router refused, when both sides dial at once."""
_IPV6: Final = 6
LOOPBACK_IPS: Final = ("127.0.0.1", "::1")
"""Announced last by a listener on all addresses; they count only for peers of this machine."""

_log = logging.getLogger(__name__)


class DialFailed(Refusal):
    """A peer could not be reached, or was another one than the address says."""


class NotConnected(Refusal):
    """There is no connection to the peer."""


class StreamRefused(Refusal):
    """The peer does not speak any of the protocols, or did not answer in time."""


class PeerObserver(Protocol):
    """Is told which peers are connected. Called synchronously; must neither block nor raise."""

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """The first connection with a peer is up. :param outbound: whether we dialled it."""

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """The last connection with a peer is gone."""


@dataclass(slots=True)
class HostCounts:
    """Dials and calls of observers since the start.

    :ivar dial_failed: dials without a connection, those that took too long among them.
    :ivar observer_failed: calls of observers that raised.
    """

    dialled: int = 0
    dial_failed: int = 0
    observer_failed: int = 0


@dataclass(frozen=True, slots=True)
class HostStatistics:
    """A host now, and since the start.

    :ivar connected_peers: now.
    :ivar dialled, dial_failed, observer_failed: see `HostCounts`.
    :ivar inbound: connections that were refused; :ivar circuits: of them, those that relays led to us.
    :ivar hub_calls_failed: see :class:`p2p.session.hub.Hub`.
    :ivar streams: of all protocols, towards us; :ivar direct_streams: of them, direct ones.
    """

    connected_peers: int
    dialled: int
    dial_failed: int
    observer_failed: int
    inbound: LimitCounts
    circuits: LimitCounts
    sessions: SessionCounts
    hub_calls_failed: int
    streams: StreamGuardCounts
    direct_streams: DirectStreamCounts


class Host:
    """One node on the network. Made by :func:`open_host`.

    :ivar peer_id: our own PeerID.
    :ivar own_addresses: what we announce, and where others see us come from.
    :ivar counts: see `HostCounts`.
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
        self.peer_id: PeerId = basic.get_id()
        self.own_addresses = own_addresses
        self.counts = HostCounts()
        self._call_through: Callable[[Multiaddr, PeerId], Awaitable[Stream]] | None = None
        self._basic = basic
        self._swarm = swarm
        self._guard = guard
        self._upgrader = cast("SessionUpgrader", swarm.upgrader)
        self.hub = self._upgrader.hub
        self._gate = DirectStreamGate(is_staked)
        self._opened: Counter[PeerId] = Counter()
        self._observers: list[PeerObserver] = []
        self._peers: dict[PeerId, None] = {}
        self._dials: dict[PeerId, trio.Event] = {}
        self._dialled: dict[PeerId, Multiaddr] = {}
        self._closed = False
        swarm.register_notifee(_ConnectionNotifee(self))
        hear_observations(basic, self._note_observed)

    # Identity, addresses and peers

    def listen_addresses(self) -> tuple[Multiaddr, ...]:
        """The addresses we listen on, with real ports and our ``/p2p/`` PeerID."""
        return tuple(self._basic.get_addrs())

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
        for connection in self._connections(peer_id):
            remote = session_of(connection.muxed_conn).get_remote_address()
            if remote is not None:
                return str(remote[0])
        return None

    def dialled_address(self, peer_id: PeerId) -> Multiaddr | None:
        """Where we dialled a connected peer ourselves, if we did."""
        return self._dialled.get(peer_id)

    def is_relayed(self, peer_id: PeerId) -> bool:
        """Whether there are connections with the peer, and all of them lead through relays."""
        connections = self._connections(peer_id)
        return bool(connections) and all(is_relayed(item.muxed_conn) for item in connections)

    def source_of(self, peer_id: PeerId) -> str | None:
        """The key of the network that a peer is in: its IP address, or the relay that leads to it."""
        remote_ip = self.remote_ip(peer_id)
        if remote_ip is not None:
            return remote_ip
        for connection in self._connections(peer_id):
            for address in session_of(connection.muxed_conn).get_transport_addresses():
                return f"/p2p/{relay_of(address)}"
        return None

    def has_direct_stream(self, peer_id: PeerId) -> bool:
        """Whether a direct stream with the peer is open, whoever opened it."""
        return self._gate.is_open(peer_id) or peer_id in self._opened

    def observe(self, observer: PeerObserver) -> None:
        """Tell an observer of peers from now on, and at once of those connected already."""
        self._observers.append(observer)
        for peer_id in self._peers:
            self._tell_connected(observer, peer_id)

    def unobserve(self, observer: PeerObserver) -> None:
        """Tell an observer nothing more; no error if it was told nothing."""
        if observer in self._observers:
            self._observers.remove(observer)

    def is_outbound(self, peer_id: PeerId) -> bool:
        """Whether one of the connections with a peer was dialled by us."""
        return any(connection.direction.name != "INBOUND" for connection in self._connections(peer_id))

    def statistics(self) -> HostStatistics:
        """All that an operator may want to see, now."""
        return HostStatistics(
            connected_peers=len(self._peers),
            dialled=self.counts.dialled,
            dial_failed=self.counts.dial_failed,
            observer_failed=self.counts.observer_failed,
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
        text = address.get_peer_id()
        if text is None:
            raise ProtocolError("the address names no peer")
        try:
            peer_id = PeerId.from_string(text)
        except ValueError as error:
            raise ProtocolError("the address names no peer that can be") from error
        if peer_id == self.peer_id:
            raise LocalError("a node does not dial itself")
        with trio.move_on_after(timeout_ms / 1000):
            while not self.is_connected(peer_id):
                if self._closed:
                    raise DialFailed("the host is closed")
                running = self._dials.get(peer_id)
                if running is None:
                    await self._dial(without_peer(address), peer_id)
                    break
                await running.wait()
                if not self.is_connected(peer_id):
                    raise DialFailed("the peer could not be reached")
        if not self.is_connected(peer_id):
            self.counts.dial_failed += 1
            raise DialFailed("the peer could not be reached in time")
        return peer_id

    async def accept_circuit(self, stream: Stream, address: Multiaddr, relay: PeerId) -> None:
        """Let a peer in that a relay leads to us over a stream; returns when its connection has ended.

        :param address: of the peer, through the relay; its PeerID is what the relay says, and not believed.
        :raises Refusal: it did not shake hands, or the relay has led as many to us as it may.
        """
        await self._swarm.accept_circuit(stream, address, relay)

    def dial_circuits(self, call_through: Callable[[Multiaddr, PeerId], Awaitable[Stream]]) -> None:
        """Dial addresses through relays from now on; until then they cannot be dialled.

        :param call_through: asks the relay of a circuit's address to lead us to a peer, and returns the
            stream at whose other end it says that the peer is.
        :raises LocalError: somebody does that already.
        """
        if self._call_through is not None:
            raise LocalError("circuits are dialled already")
        self._call_through = call_through

    async def is_at(self, address: Multiaddr, peer_id: PeerId) -> bool:
        """Whether a peer answers at an address, connected or not. The caller bounds the time for it."""
        return await self._swarm.is_at(address, peer_id)

    def public_addresses(self) -> tuple[Multiaddr, ...]:
        """Where our listener would be dialled from the internet, whether routers let anybody in or not.

        The public address that others see us come from, with the ports that we listen at: most routers of
        homes keep them.
        """
        chosen = dict.fromkeys(self.own_addresses.announced())
        for seen_ip in self.own_addresses.observed():
            for address in self.listen_addresses():
                ip, port = ip_of(address), address.value_for_protocol("tcp")
                if ipaddress.ip_address(seen_ip).is_global and (":" in seen_ip) == (ip.version == _IPV6):
                    chosen[Multiaddr(f"/ip{ip.version}/{seen_ip}/tcp/{port}")] = None
        return tuple(chosen)

    async def add_direct(self, address: Multiaddr, peer_id: PeerId) -> bool:
        """Dial a peer that is connected through a relay. Returns whether there is a direct connection now."""
        try:
            await self._swarm.dial_addr(address, peer_id)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it did not answer
            _log.debug("%s is not at %s: %r", peer_id, address, error)
        return self.is_connected(peer_id) and not self.is_relayed(peer_id)

    async def punch(self, address: Multiaddr, peer_id: PeerId, *, initiator: bool) -> bool:
        """Dial a peer that dials us at the same moment, from where we listen, again and again until it works.

        Returns whether there is a direct connection now. The caller bounds the time.

        :param initiator: who shakes hands as if it alone had dialled: one of the two.
        """
        ports = [int(str(item.value_for_protocol("tcp"))) for item in self.listen_addresses()]
        while ports and self.is_relayed(peer_id):
            try:
                await self._swarm.punch(address, peer_id, ports[0], initiator=initiator)
            except Exception as error:  # noqa: BLE001 - a router that says no, or a call that came too early
                _log.debug("%s is not reached at %s yet: %r", peer_id, address, error)
                await trio.sleep(PUNCH_PAUSE_MS / 1000)
        return self.is_connected(peer_id) and not self.is_relayed(peer_id)

    def drop_circuits(self, peer_id: PeerId) -> None:
        """Let go of the connections with a peer that lead through relays, if there is another one."""
        if not self.is_relayed(peer_id):
            for connection in self._connections(peer_id):
                if is_relayed(connection.muxed_conn):
                    session_of(connection.muxed_conn).abort()

    async def disconnect(self, peer_id: PeerId) -> None:
        """Close all connections with a peer at once, also when it is frozen. No error if there is none."""
        for connection in self._connections(peer_id):
            session_of(connection.muxed_conn).abort()
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Close every connection and stop listening, within a second. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        connections = cast("list[Connection]", self._swarm.get_connections())
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_TIMEOUT_MS / 1000):
            for connection in connections:
                session_of(connection.muxed_conn).abort()
            for peer_id in self.connected_peers():
                self._drop(peer_id)
            # The library takes 0.2 s for each and one after another; side by side they take that together.
            async with trio.open_nursery() as nursery:
                for connection in connections:
                    nursery.start_soon(close_connection, connection)
            await self._basic.close()

    # Streams

    async def open_stream(
        self, peer_id: PeerId, protocols: Sequence[str], *, timeout_ms: int = OPEN_STREAM_TIMEOUT_MS
    ) -> Stream:
        """Open a raw stream to a connected peer, in the first of our protocols that it speaks.

        :raises NotConnected: there is no connection.
        :raises StreamRefused: no common protocol, no answer in time, or the connection failed.
        """
        if not self.is_connected(peer_id):
            raise NotConnected("there is no connection to the peer")
        try:
            with trio.fail_after(timeout_ms / 1000):
                stream = await self._basic.new_stream(peer_id, [TProtocol(name) for name in protocols])
        except trio.TooSlowError as error:
            raise StreamRefused("the peer did not answer in time") from error
        except Exception as error:  # a dozen unrelated types, by the layer that failed
            raise StreamRefused("the stream could not be opened") from error
        return Stream(stream)

    def handle_streams(self, protocol: str, handler: Callable[[Stream, PeerId], Awaitable[None]]) -> None:
        """Serve raw inbound streams of a protocol. The handler owns the stream and must close or reset it."""

        async def handle(stream: INetStream) -> None:
            await handler(Stream(stream), stream.muxed_conn.peer_id)

        self._basic.set_stream_handler(TProtocol(protocol), handle)

    @asynccontextmanager
    async def open_direct_stream(
        self,
        peer_id: PeerId,
        protocol: str,
        *,
        timeout_ms: int = OPEN_STREAM_TIMEOUT_MS,
        payload_bytes_max: int = PAYLOAD_BYTES_MAX,
    ) -> AsyncIterator[DirectStream]:
        """Open a direct stream to a connected peer; leaving the context ends it (:mod:`p2p.streams`).

        :param payload_bytes_max: largest payload of the protocol, either way.
        :raises NotConnected: there is no connection.
        :raises StreamRefused: the peer does not speak the protocol, or did not answer in time.
        """
        stream = await self.open_stream(peer_id, [protocol], timeout_ms=timeout_ms)
        self._opened[peer_id] += 1
        try:
            async with open_direct(stream, peer_id, payload_bytes_max=payload_bytes_max) as direct:
                yield direct
        finally:
            self._opened[peer_id] -= 1
            if not self._opened[peer_id]:
                del self._opened[peer_id]

    def handle_direct_streams(
        self,
        protocol: str,
        handler: Callable[[DirectStream, PeerId], Awaitable[None]],
        *,
        admission: Admission | None = None,
        payload_bytes_max: int = PAYLOAD_BYTES_MAX,
    ) -> None:
        """Serve inbound direct streams of a protocol.

        A stream that is not admitted ends with ERROR and is counted: ERROR_BUSY if it may be tried again, and
        ERROR_REFUSED if no peer of its class is let in.

        :param admission: whose streams are let in; by default anybody's within the shares of
            :mod:`p2p.admission`.
        :param payload_bytes_max: largest payload of the protocol, either way.
        :raises LocalError: the shares of all protocols of the host come to more than
            :data:`p2p.admission.DIRECT_STREAMS_MAX`.
        """
        open_streams = self._gate.register(protocol, admission or Admission())

        async def handle(stream: Stream, peer_id: PeerId) -> None:
            await self._gate.serve(open_streams, stream, peer_id, handler, payload_bytes_max)

        self.handle_streams(protocol, handle)

    # Internals

    def _note_observed(self, connection: Connection, observed: Multiaddr) -> None:
        observer_ip = self.remote_ip(connection.muxed_conn.peer_id)
        if observer_ip is not None:
            self.own_addresses.observe(observer_ip, str(ip_of(observed)))

    async def _dial(self, address: Multiaddr, peer_id: PeerId) -> None:
        done = self._dials[peer_id] = trio.Event()
        self.counts.dialled += 1
        try:
            # Straight to the swarm: the host's own connect() costs a fixed 0.25 s, and after a failure it
            # refuses the peer for a minute without trying.
            if is_circuit(address):
                await self._dial_through(address, peer_id)
            else:
                await self._swarm.dial_addr(address, peer_id)
                self._dialled[peer_id] = address
        except Exception as error:
            self.counts.dial_failed += 1
            raise DialFailed("the peer could not be reached") from error
        finally:
            del self._dials[peer_id]
            done.set()

    async def _dial_through(self, address: Multiaddr, peer_id: PeerId) -> None:
        if self._call_through is None:
            raise DialFailed("this node calls nobody through relays")
        stream = await self._call_through(address, peer_id)
        try:
            await self._swarm.dial_circuit(stream, address, peer_id)
        except BaseException:
            stream.abort()
            raise

    def _connections(self, peer_id: PeerId) -> list[Connection]:
        connections = cast("list[Connection]", self._swarm.get_connections(peer_id))
        return [connection for connection in connections if not connection.muxed_conn.is_closed]

    def _tell_connected(self, observer: PeerObserver, peer_id: PeerId) -> None:
        try:
            observer.peer_connected(peer_id, outbound=self.is_outbound(peer_id))
        except Exception:  # noqa: BLE001 - one observer's fault is not another's, nor the host's
            self.counts.observer_failed += 1
            _log.exception("an observer of peers failed")

    def _note_connected(self, peer_id: PeerId) -> None:
        if peer_id in self._peers:
            return
        self._peers[peer_id] = None
        for observer in tuple(self._observers):
            self._tell_connected(observer, peer_id)

    def _note_disconnected(self, peer_id: PeerId) -> None:
        if peer_id in self._peers and not self._connections(peer_id):
            self._drop(peer_id)

    def _drop(self, peer_id: PeerId) -> None:
        del self._peers[peer_id]
        self._dialled.pop(peer_id, None)
        self._forget(peer_id)
        for observer in tuple(self._observers):
            try:
                observer.peer_disconnected(peer_id)
            except Exception:  # noqa: BLE001 - as above
                self.counts.observer_failed += 1
                _log.exception("an observer of peers failed")

    def _forget(self, peer_id: PeerId) -> None:
        # The library remembers addresses and protocols of everybody who ever called; identities are free.
        try:
            self._swarm.peerstore.clear_peerdata(peer_id)
        except PeerStoreError:
            _log.debug("nothing was remembered of %s", peer_id)


class _ConnectionNotifee(INotifee):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """Turns the swarm's events per connection into the host's per peer."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def connected(self, network: INetwork, conn: INetConn) -> None:  # noqa: ARG002
        self._host._note_connected(conn.muxed_conn.peer_id)  # noqa: SLF001 - one object in two halves
        # The library tells of the end 0.2 s late; until then one could believe a dead connection.
        self._host._swarm.manager.run_task(self._watch, conn)  # noqa: SLF001

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:  # noqa: ARG002
        self._host._note_disconnected(conn.muxed_conn.peer_id)  # noqa: SLF001

    async def _watch(self, conn: INetConn) -> None:
        session = session_of(conn.muxed_conn)
        await session.event_closed.wait()
        self._host._swarm.remove_conn(conn)  # noqa: SLF001 - else it counts against the cap as long
        self._host._note_disconnected(session.peer_id)  # noqa: SLF001

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Nothing to do."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Nothing to do."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing to do."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing to do."""


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
        _require_free(address)
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


def _require_free(address: Multiaddr) -> None:
    """Refuse an address in use. The library shares ports: a second node would take half the calls."""
    try:
        port = int(str(address.value_for_protocol("tcp")))
        version = next(item.name for item in address.protocols() if item.name in ("ip4", "ip6"))
        ip = str(address.value_for_protocol(version))
    except Exception as error:
        raise LocalError(f"not an address to listen at: {address}") from error
    if port == 0:
        return
    family = socket.AF_INET if version == "ip4" else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            raise LocalError(f"cannot listen at {address}: {error.strerror}") from error
