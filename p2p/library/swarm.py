"""The swarm: connections of a host, in and out, and the sessions that they become.

Is: py-libp2p's swarm with inbound slots that end with their connections, and dials that the library does not
know: through relays, from where we listen, and only to look.
Is not: a decision whom to connect to (:mod:`p2p.connections`), nor whose streams are served
(:mod:`p2p.library.streams`).
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import trio
from libp2p.custom_types import TProtocol
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.protocol_muxer.exceptions import MultiselectClientError, MultiselectError
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL
from libp2p.transport.exceptions import MuxerUpgradeFailure
from libp2p.transport.upgrader import TransportUpgrader

from p2p.library.streams import Stream, is_relayed, reset_stream, session_of
from p2p.limits import InboundLimits, NetworkLimits
from p2p.records import ip_of
from p2p.session.connection import Session
from p2p.session.counts import SessionCounts, Violation
from p2p.session.errors import ConnectionLost, HandshakeRefused
from p2p.session.hub import Hub
from p2p.session.secure import NoiseSecurity
from p2p.session.stream_wire import StreamConnection
from protocol.errors import Refusal

if TYPE_CHECKING:
    from libp2p.abc import IMuxedConn, INetConn, IRawConnection, ISecureConn
    from libp2p.crypto.keys import KeyPair
    from libp2p.io.abc import ReadWriteCloser
    from libp2p.metrics.swarm import SwarmEvent
    from multiaddr import Multiaddr


Connection: TypeAlias = SwarmConn

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


async def close_connection(connection: Connection) -> None:
    """Have the library tidy up after a connection; raises nothing but Cancelled."""
    try:
        await connection.close()
    except Exception as error:  # noqa: BLE001 - there is nothing left to save
        _log.debug("close of a dead connection: %r", error)
