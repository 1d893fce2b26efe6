"""The edge to py-libp2p 0.8.1: a swarm that gives slots back, and the few of its internals we must touch.

Is: the one module that knows how py-libp2p is put together; everything else uses :mod:`p2p.host`.
Is not: a place for behaviour of ours beyond mending the library's.

Mended, each with its test in ``tests/p2p/test_host.py``:

- An inbound connection kept its slot until the swarm ended, so a host went deaf after its cap of
  inbound connections *in its life*. Here the slot ends with the connection.
- The library dials peers of its own accord to reach a watermark, and prunes below it. Switched off:
  whom a node connects to is decided in :mod:`p2p.connections`.
- Any exception in a stream handler ended every task of the host. Here it ends that stream, and is counted.
- A peer could open streams without limit. Here they are bounded per peer and in total.
- It prints past our log, unformatted, what is everyday business. Here it is silent.
- A default host accepts plaintext peers. Here noise is the only security, yamux the only muxer, and both are
  ours (:mod:`p2p.session`): the library's spend most of a message's time on locks and task switches, lose
  the bytes of a read that is cancelled, fail a writer whose reader rests, and read a reset as an end.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import trio
from libp2p.connection_types import ConnectionType
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.io.trio import TrioTCPStream
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.protocol_muxer.exceptions import MultiselectClientError, MultiselectError
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL
from libp2p.transport.exceptions import MuxerUpgradeFailure
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader

from p2p.limits import CIRCUITS_INBOUND_MAX, CIRCUITS_PER_RELAY_MAX, InboundLimits, NetworkLimits
from p2p.records import ip_of
from p2p.session.connection import Session
from p2p.session.counts import SessionCounts, Violation
from p2p.session.errors import ConnectionLost, HandshakeRefused
from p2p.session.hub import Hub
from p2p.session.secure import NoiseSecurity
from p2p.session.stream_wire import StreamConnection
from protocol.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from libp2p.abc import IMuxedConn, INetConn, INetStream, IRawConnection, ISecureConn
    from libp2p.crypto.keys import KeyPair
    from libp2p.io.abc import ReadWriteCloser
    from libp2p.metrics.swarm import SwarmEvent
    from libp2p.network.stream.net_stream import NetStream
    from multiaddr import Multiaddr

    from p2p.session.stream import SessionStream

Connection: TypeAlias = SwarmConn

INBOUND_STREAMS_PER_PEER_MAX: Final = 96
"""Streams that one peer may have open towards us, all protocols together."""
INBOUND_STREAMS_MAX: Final = 4_096
"""Streams open towards us, all peers together."""
INBOUND_STREAMS_OF_STRANGERS_MAX: Final = 3_072
"""Of them, those of peers without stake."""
UPGRADE_TIMEOUT_S: Final = 5.0
"""Time for a connection's noise and yamux handshake; a silent client holds its slot no longer."""
NEGOTIATE_TIMEOUT_S: Final = 5.0
"""Time for a stream to agree on its protocol."""

_log = logging.getLogger(__name__)


class GuardedSwarm(Swarm):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """A swarm whose inbound slots end with their connection, and which never dials or prunes by itself.

    :ivar limits: what strangers may have of us.
    :ivar circuit_limits: how many of them relays may lead to us; a relay counts as a network.
    """

    limits: InboundLimits
    circuit_limits: NetworkLimits

    async def run(self) -> None:
        """Run until cancelled, and the hub with it."""
        async with trio.open_nursery() as nursery:
            await nursery.start(cast("SessionUpgrader", self.upgrader).hub.run)
            await super().run()
            nursery.cancel_scope.cancel()

    async def _do_handle_inbound_connection(
        self, read_write_closer: ReadWriteCloser, maddr: Multiaddr, failure_event: SwarmEvent
    ) -> None:
        """Upgrade a connection and stay until it has closed; the caller then gives its slot back."""
        del failure_event  # for the library's metrics channel, which we do not use
        connection = RawConnection(read_write_closer, initiator=False)
        remote = read_write_closer.get_remote_address()
        ip = "" if remote is None else str(remote[0])
        if not self.limits.enter(ip):
            await connection.close()
            return
        try:
            muxed = await self.upgrade_inbound_raw_conn(connection, maddr)
            await session_of(muxed).event_closed.wait()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's handshake did is the stranger's
            _log.debug("inbound connection refused: %r", error)
        finally:
            self.limits.leave(ip)
            await connection.close()

    async def accept_circuit(self, stream: Stream, address: Multiaddr, relay: ID) -> None:
        """Let a peer in that a relay has led to us, and stay until its connection has closed.

        :raises Refusal: the relay has led as many to us as it may.
        """
        source = f"/p2p/{relay}"
        if not self.circuit_limits.enter(source):
            raise Refusal("a relay has led too many peers to us")
        try:
            raw = StreamConnection(stream, address, initiator=False)
            muxed = await self.upgrade_inbound_raw_conn(raw, address)
            await session_of(muxed).event_closed.wait()
        except Exception as error:  # whatever a stranger's handshake did is the stranger's
            raise Refusal("a peer that a relay led to us did not shake hands") from error
        finally:
            self.circuit_limits.leave(source)
            stream.abort()

    async def dial_circuit(self, stream: Stream, address: Multiaddr, peer_id: ID) -> None:
        """Make a connection of a stream at whose other end a relay says that a peer is.

        :raises Exception: it is not, or does not shake hands in time.
        """
        raw = StreamConnection(stream, address, initiator=True)
        with trio.fail_after(2 * UPGRADE_TIMEOUT_S):
            connection = await self.upgrade_outbound_raw_conn(raw, peer_id)
        self.manager.run_task(self._follow_circuit, stream, session_of(connection.muxed_conn))

    async def _follow_circuit(self, stream: Stream, session: Session) -> None:
        await session.event_closed.wait()
        await reset_stream(stream)

    async def punch(self, address: Multiaddr, peer_id: ID, port: int, *, initiator: bool) -> None:
        """Dial from a port that we listen at, and shake hands in a role that does not follow from who dials.

        For two who dial each other at the same moment, which TCP makes one connection of.

        :raises Exception: nobody answers, or somebody else does.
        """
        ip, remote_port = str(ip_of(address)), int(str(address.value_for_protocol("tcp")))
        is_ip6 = ":" in ip
        punching = trio.socket.socket(socket.AF_INET6 if is_ip6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            punching.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            punching.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            await punching.bind(("::" if is_ip6 else "0.0.0.0", port))  # noqa: S104 - where we listen already
            await punching.connect((ip, remote_port))
        except BaseException:
            punching.close()
            raise
        raw = RawConnection(TrioTCPStream(trio.SocketStream(punching)), initiator=initiator)
        with trio.fail_after(2 * UPGRADE_TIMEOUT_S):
            if initiator:
                await self.upgrade_outbound_raw_conn(raw, peer_id)
                return
            muxed = await self.upgrade_inbound_raw_conn(raw, address)
        if muxed.peer_id != peer_id:
            session_of(muxed).abort()
            raise Refusal("somebody else dialled at the same moment")

    async def is_at(self, address: Multiaddr, peer_id: ID) -> bool:
        """Whether a peer answers at an address, over a connection that is closed at once."""
        raw = None
        try:
            transport = self.transport_manager.transport_for_dialing(address)
            raw = await transport.dial(address)
            await self.upgrader.upgrade_security(raw, True, peer_id)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it did not answer
            _log.debug("%s is not at %s: %r", peer_id, address, error)
            return False
        finally:
            if raw is not None:
                await raw.close()
        return True

    async def upgrade_outbound_raw_conn(
        self, raw_conn: IRawConnection, peer_id: ID, pre_scope: object = None
    ) -> SwarmConn:
        """Upgrade a connection that we dialled, or close it: cancelled, the library leaves it open."""
        try:
            return await super().upgrade_outbound_raw_conn(raw_conn, peer_id, pre_scope)
        except BaseException:
            await raw_conn.close()  # closes first, and is cancelled then
            raise

    def _select_connection(self, connections: list[INetConn], peer_id: ID) -> INetConn:
        """The newest direct one, else the newest: an older one may be half open, and nobody knows yet.

        The library prefers the one with most streams, which is the older one.
        """
        del peer_id
        return max(connections, key=lambda item: (not is_relayed(item.muxed_conn), item._created_at))  # noqa: SLF001

    def _schedule_auto_connect(self) -> None:
        """Do nothing: :mod:`p2p.connections` decides whom to dial."""

    def _schedule_prune(self) -> None:
        """Do nothing: the cap on connections is enforced when one registers."""


class SessionUpgrader(TransportUpgrader):  # type: ignore[misc, unused-ignore] # as above
    """Makes sessions of ours out of raw connections. The library's makes its own yamux, whatever it is given.

    :ivar counts: of all sessions.
    :ivar hub: reads and writes for all of them.
    """

    def __init__(self, key_pair: KeyPair) -> None:
        self.counts = SessionCounts()
        self.hub = Hub()
        security = NoiseSecurity(key_pair, self.counts, self.hub)
        super().__init__(
            {NOISE_PROTOCOL: security},
            {TProtocol(YAMUX_PROTOCOL): Session},
            negotiate_timeout=int(NEGOTIATE_TIMEOUT_S),
        )

    async def upgrade_connection(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """Agree on yamux.

        :raises MuxerUpgradeFailure: the remote that we dialled does not speak it, or left.
        :raises HandshakeRefused: so with one that dialled us. The library logs the other as an error of ours;
            whoever only wanted to know whether we are here, and leaves, would fill the log.
        """
        muxers = self.muxer_multistream
        try:
            await muxers._selector.select(conn, conn.is_initiator, muxers.negotiate_timeout)  # noqa: SLF001
        except (MultiselectError, MultiselectClientError, ConnectionLost) as error:
            if conn.is_initiator:
                raise MuxerUpgradeFailure("the remote does not speak yamux") from error
            raise HandshakeRefused(Violation.MUXER_NOT_AGREED) from error
        return Session(conn, peer_id, self.counts)


class Stream:
    """A stream of a connection, as our own protocols use it.

    Reading and writing go straight to the session: the library's stream takes a lock, and so a task switch,
    for each. Its bookkeeping hears of the end.
    """

    __slots__ = ("_inner", "_net", "abort", "offer", "read", "write", "write_nowait")

    def __init__(self, net: INetStream) -> None:
        inner = cast("SessionStream", cast("NetStream", net).muxed_stream)
        self._inner = inner
        self._net = net
        self.read = inner.read
        self.write = inner.write
        self.write_nowait = inner.write_nowait
        self.offer = inner.offer
        self.abort = inner.abort

    @property
    def is_relayed(self) -> bool:
        """Whether its connection leads through a relay."""
        return is_relayed(self._inner.muxed_conn)

    def get_protocol(self) -> str | None:
        """The protocol that both ends agreed on."""
        return cast("str | None", self._net.get_protocol())

    async def close(self) -> None:
        """End our direction; the remote's goes on, and may be read to its end."""
        await self._inner.close_write()
        await cast("NetStream", self._net).remove()

    async def reset(self) -> None:
        """End both directions at once; no error if they have ended."""
        await self._net.reset()


@dataclass(slots=True)
class StreamGuardCounts:
    """Streams towards us since the start.

    :ivar handler_failed: let in, and ended by an error.
    :ivar refused_peer_full: their peer had as many as one may.
    :ivar refused_strangers_full: all peers without stake had, together.
    :ivar refused_host_full: all peers had.
    """

    handler_failed: int = 0
    refused_peer_full: int = 0
    refused_strangers_full: int = 0
    refused_host_full: int = 0


class StreamGuard:
    """Stands before every inbound stream: bounds their number, and lets no handler's exception out.

    :ivar counts: see `StreamGuardCounts`.
    """

    def __init__(self, host: BasicHost, is_staked: Callable[[ID], bool]) -> None:
        self._host = host
        self._is_staked = is_staked
        self._strangers_open = 0
        self._open: Counter[ID] = Counter()
        self.counts = StreamGuardCounts()

    async def handle(self, stream: INetStream) -> None:
        """Serve one inbound stream: negotiation, then the protocol's handler. Raises only Cancelled."""
        peer_id = stream.muxed_conn.peer_id
        is_stranger = not self._is_staked(peer_id)
        if not self._has_room(peer_id, is_stranger=is_stranger):
            await reset_stream(stream)
            return
        self._open[peer_id] += 1
        self._strangers_open += is_stranger
        try:
            await self._host._swarm_stream_handler(stream)  # noqa: SLF001 - the handler it installs itself
        except* Exception as failures:  # noqa: BLE001 - except*: a group with Cancelled loses only its errors
            self.counts.handler_failed += 1
            _log.warning("stream handler failed, peer %s", peer_id, exc_info=failures)
            await reset_stream(stream)
        finally:
            self._strangers_open -= is_stranger
            self._open[peer_id] -= 1
            if not self._open[peer_id]:
                del self._open[peer_id]

    def _has_room(self, peer_id: ID, *, is_stranger: bool) -> bool:
        """Whether a further stream of a peer is let in. Counts it, if it is not."""
        if self._open[peer_id] >= INBOUND_STREAMS_PER_PEER_MAX:
            self.counts.refused_peer_full += 1
        elif self._open.total() >= INBOUND_STREAMS_MAX:
            self.counts.refused_host_full += 1
        elif is_stranger and self._strangers_open >= INBOUND_STREAMS_OF_STRANGERS_MAX:
            self.counts.refused_strangers_full += 1
        else:
            return True
        return False


class IdentifyObservations:
    """Takes the place of the library's manager of observed addresses: hands them on, announces none."""

    def __init__(self, observe: Callable[[SwarmConn, Multiaddr], None]) -> None:
        self._observe = observe

    def record_observation(
        self, connection: SwarmConn, observed: Multiaddr, local_addresses: Sequence[Multiaddr]
    ) -> None:
        """A peer said in identify where it sees us come from."""
        del local_addresses
        self._observe(connection, observed)

    def remove_conn(self, connection: SwarmConn) -> None:
        """Nothing is kept here."""

    def addrs(self) -> list[Multiaddr]:
        """None: what we announce is chosen in :mod:`p2p.own_addresses`."""
        return []


def hear_observations(host: BasicHost, observe: Callable[[SwarmConn, Multiaddr], None]) -> None:
    """Call ``observe`` with what peers say in identify about where we come from."""
    host._observed_addr_manager = IdentifyObservations(observe)  # noqa: SLF001 - it has no other door


def silence_library() -> None:
    """Keep the library's own lines out of the log; its failures reach us as exceptions, and are counted.

    At its import it cuts its loggers off from everybody else's, without a handler, so that Python prints
    their warnings as a last resort: seven lines for each peer that does not speak a protocol, a traceback for
    each connection that ends early. With its variable LIBP2P_DEBUG it prints as it says.
    """
    library = logging.getLogger("libp2p")
    if "LIBP2P_DEBUG" not in os.environ and not library.handlers:
        library.addHandler(logging.NullHandler())
        library.propagate = False


def build_host(
    key_pair: KeyPair,
    connections_max: int,
    *,
    loopback_exempt: bool = False,
    is_staked: Callable[[ID], bool] = lambda _peer: False,
) -> tuple[BasicHost, GuardedSwarm, StreamGuard]:
    """A host with TCP, noise and yamux and nothing else; not yet listening."""
    silence_library()
    peer_id = ID.from_pubkey(key_pair.public_key)
    peerstore = PeerStore()
    peerstore.add_key_pair(peer_id, key_pair)
    config = ConnectionConfig(
        max_connections=connections_max,
        min_connections=0,
        # Both at nought: the library's own dialler aims between them, so it never dials.
        low_watermark=0,
        high_watermark=0,
        inbound_upgrade_timeout=UPGRADE_TIMEOUT_S,
        outbound_upgrade_timeout=UPGRADE_TIMEOUT_S,
        inbound_stream_protocol_negotiation_timeout=NEGOTIATE_TIMEOUT_S,
        outbound_stream_protocol_negotiation_timeout=NEGOTIATE_TIMEOUT_S,
    )
    swarm = GuardedSwarm(
        peer_id,
        peerstore,
        SessionUpgrader(key_pair),
        transports=[TCP()],
        retry_config=RetryConfig(max_retries=0),
        connection_config=config,
    )
    swarm.limits = InboundLimits(connections_max, loopback_exempt=loopback_exempt)
    swarm.circuit_limits = NetworkLimits(CIRCUITS_INBOUND_MAX, CIRCUITS_PER_RELAY_MAX)
    # The library's own counts nothing and tells nobody; ours stands behind it.
    swarm._inbound_limiter = trio.CapacityLimiter(max(1, connections_max))  # noqa: SLF001
    host = BasicHost(swarm, disable_identify_address_discovery=True)
    guard = StreamGuard(host, is_staked)
    swarm.set_stream_handler(guard.handle)
    return host, swarm, guard


def session_of(connection: IMuxedConn) -> Session:
    """A connection of ours below the library's types."""
    return cast("Session", connection)


def is_relayed(connection: IMuxedConn) -> bool:
    """Whether a connection leads through a relay."""
    return session_of(connection).get_connection_type() is ConnectionType.RELAYED


async def reset_stream(stream: INetStream | Stream) -> None:
    """Reset a stream that may already be dead; raises nothing but Cancelled."""
    try:
        await stream.reset()
    except Exception as error:  # noqa: BLE001 - there is nothing left to save
        _log.debug("reset of a dead stream: %r", error)


async def close_connection(connection: Connection) -> None:
    """Have the library tidy up after a connection; raises nothing but Cancelled."""
    try:
        await connection.close()
    except Exception as error:  # noqa: BLE001 - there is nothing left to save
        _log.debug("close of a dead connection: %r", error)
