"""The secured connection: a wire and the noise above it.

Is: the shell around :mod:`p2p.session.noise` that py-libp2p's upgrader asks for. It carries the bytes of the
muxer's negotiation by itself and then hands wire, ciphers and what came early to the session.
Is not: of use for anything but TCP and circuits (:mod:`p2p.session.stream_wire`); a node has no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from libp2p.abc import ISecureTransport
from libp2p.peer.id import ID
from libp2p.security.base_session import BaseSession

from p2p.session.counts import Violation
from p2p.session.errors import ConnectionLost, HandshakeRefused
from p2p.session.noise import Handshake, Transport
from p2p.session.payload import make_payload, open_payload
from p2p.session.stream_wire import StreamConnection
from p2p.session.wires import SocketWire

if TYPE_CHECKING:
    from libp2p.abc import IRawConnection
    from libp2p.connection_types import ConnectionType
    from libp2p.crypto.keys import KeyPair, PublicKey
    from libp2p.io.trio import TrioTCPStream
    from libp2p.network.connection.raw_connection import RawConnection
    from multiaddr import Multiaddr

    from p2p.session.counts import SessionCounts
    from p2p.session.hub import Hub
    from p2p.session.wires import Wire


class SecureConnection(BaseSession):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """A connection after its handshake, as long as nobody but the upgrader reads and writes.

    :ivar wire: what carries it; :ivar transport: its ciphers; :ivar hub: reads and writes for its session.
    """

    def __init__(
        self,
        raw: IRawConnection,
        wire: Wire,
        transport: Transport,
        key_pair: KeyPair,
        remote: tuple[ID, PublicKey],
        hub: Hub,
    ) -> None:
        super().__init__(
            local_peer=ID.from_pubkey(key_pair.public_key),
            local_private_key=key_pair.private_key,
            remote_peer=remote[0],
            remote_permanent_pubkey=remote[1],
            is_initiator=raw.is_initiator,
        )
        self.wire = wire
        self.transport = transport
        self.hub = hub
        self._raw = raw
        self._opened = bytearray()

    def feed(self, sealed: bytes) -> None:
        """Take bytes that came too early, or just now."""
        for plaintext in self.transport.open(sealed):
            self._opened += plaintext

    def take_opened(self) -> bytes:
        """Bytes that have come and nobody has read; they are the session's then."""
        opened = bytes(self._opened)
        self._opened.clear()
        return opened

    async def read(self, n: int | None = None) -> bytes:
        """Up to `n` bytes, or all that are there; nothing at the end. :raises ConnectionLost: it broke."""
        while not self._opened:
            data = await self.wire.receive()
            self.feed(data)
            if self.transport.violation is not None:
                raise ConnectionLost("the remote sent what it did not seal")
            if not data:
                return b""
        count = len(self._opened) if n is None else n
        taken = bytes(self._opened[:count])
        del self._opened[:count]
        return taken

    async def write(self, data: bytes) -> None:
        """Seal and send everything. :raises ConnectionLost: the connection broke."""
        await trio.lowlevel.checkpoint()
        await self.wire.send(self.transport.seal(data))

    async def close(self) -> None:
        """Close the socket at once."""
        self.wire.close()
        await trio.lowlevel.checkpoint()

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP address and port at the other end."""
        return cast("tuple[str, int] | None", self._raw.get_remote_address())

    def get_transport_addresses(self) -> list[Multiaddr]:
        """The same as multiaddresses."""
        return cast("list[Multiaddr]", self._raw.get_transport_addresses())

    def get_connection_type(self) -> ConnectionType:
        """Direct if there is a socket of ours below, relayed if there is a stream."""
        return self._raw.get_connection_type()


class NoiseSecurity(ISecureTransport):  # type: ignore[misc, unused-ignore] # the library counts as untyped
    """Secures connections for one node. The time for a handshake is the caller's to bound.

    :param counts: of all sessions of the node.
    :param hub: reads and writes for the host's connections.
    """

    def __init__(self, key_pair: KeyPair, counts: SessionCounts, hub: Hub) -> None:
        self._key_pair = key_pair
        self._counts = counts
        self._hub = hub
        # One noise key in a node's life, as others do: what vouches for it is signed once.
        self._static = X25519PrivateKey.generate()
        self._payload = make_payload(key_pair.private_key, self._static.public_key().public_bytes_raw())

    async def secure_inbound(self, conn: IRawConnection) -> SecureConnection:
        """Shake hands with whoever called. :raises HandshakeRefused: it broke the protocol or left."""
        return await self._secure(conn, None)

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> SecureConnection:
        """Shake hands with `peer_id`. :raises HandshakeRefused: it is another, broke the protocol or left."""
        return await self._secure(conn, peer_id)

    async def _secure(self, conn: IRawConnection, expected: ID | None) -> SecureConnection:
        wire = self._wire_of(conn)
        try:
            handshake = await self._shake_hands(wire, initiator=expected is not None)
            remote = _require(open_payload(handshake.remote_payload, handshake.remote_static), expected)
        except ConnectionLost as error:
            raise HandshakeRefused(Violation.HANDSHAKE_CUT_SHORT) from error
        except HandshakeRefused as error:
            self._counts.violations[error.violation] += 1
            raise
        transport, early = handshake.transport()
        secured = SecureConnection(conn, wire, transport, self._key_pair, remote, self._hub)
        secured.feed(early)
        return secured

    def _wire_of(self, conn: IRawConnection) -> Wire:
        if isinstance(conn, StreamConnection):
            return conn.wire
        raw = cast("RawConnection", conn)
        return SocketWire(cast("trio.SocketStream", cast("TrioTCPStream", raw.stream).stream), self._hub)

    async def _shake_hands(self, wire: Wire, *, initiator: bool) -> Handshake:
        handshake = Handshake(
            initiator=initiator,
            static=self._static,
            ephemeral=X25519PrivateKey.generate(),
            payload=self._payload,
        )
        await wire.send(handshake.start())
        while not handshake.done:
            data = await wire.receive()
            if not data:
                raise ConnectionLost("the remote left during the handshake")
            answer = handshake.receive(data)
            if handshake.violation is not None:
                raise HandshakeRefused(handshake.violation)
            await wire.send(answer)
        return handshake


def _require(remote: tuple[ID, PublicKey], expected: ID | None) -> tuple[ID, PublicKey]:
    if expected is not None and remote[0] != expected:
        raise HandshakeRefused(Violation.ANOTHER_PEER)
    return remote
