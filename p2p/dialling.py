"""Making connections: one dial at a time for each peer, straight, through a relay, or both sides at once.

Is: the dials of a host, their time and their count.
Is not: a decision whom to dial (:mod:`p2p.connections`), nor a relay's words (:mod:`p2p.relay.client`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from p2p.identity import PeerId
from p2p.library.streams import is_relayed, session_of
from p2p.records import is_circuit, without_peer
from protocol.errors import LocalError, ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from multiaddr import Multiaddr

    from p2p.connected_peers import ConnectedPeers
    from p2p.library.streams import Stream
    from p2p.library.swarm import GuardedSwarm

DIAL_TIMEOUT_MS: Final = 10_000
"""Time for one dial with its handshakes."""
PUNCH_PAUSE_MS: Final = 50
"""Pause after a dial that a router refused, when both sides dial at once."""

_log = logging.getLogger(__name__)


class DialFailed(Refusal):
    """A peer could not be reached, or was another one than the address says."""


@dataclass(slots=True)
class DialCounts:
    """Dials since the start. :ivar failed: without a connection, those that took too long among them."""

    begun: int = 0
    failed: int = 0


class Dialler:
    """Dials for one host.

    :ivar counts: see `DialCounts`.
    """

    def __init__(
        self, swarm: GuardedSwarm, peers: ConnectedPeers, own_id: PeerId, listen_port: Callable[[], int]
    ) -> None:
        """:param listen_port: the first port that we listen at; 0 if there is none."""
        self.counts = DialCounts()
        self._swarm = swarm
        self._peers = peers
        self._own_id = own_id
        self._listen_port = listen_port
        self._call_through: Callable[[Multiaddr, PeerId], Awaitable[Stream]] | None = None
        self._running: dict[PeerId, trio.Event] = {}
        self._dialled: dict[PeerId, Multiaddr] = {}
        self._closed = False
        peers.observe(self)

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
        if peer_id == self._own_id:
            raise LocalError("a node does not dial itself")
        with trio.move_on_after(timeout_ms / 1000):
            while peer_id not in self._peers:
                if self._closed:
                    raise DialFailed("the host is closed")
                running = self._running.get(peer_id)
                if running is None:
                    await self._dial(without_peer(address), peer_id)
                    break
                await running.wait()
                if peer_id not in self._peers:
                    raise DialFailed("the peer could not be reached")
        if peer_id not in self._peers:
            self.counts.failed += 1
            raise DialFailed("the peer could not be reached in time")
        return peer_id

    def close(self) -> None:
        """Dial nobody any more."""
        self._closed = True

    def dialled_address(self, peer_id: PeerId) -> Multiaddr | None:
        """Where we dialled a connected peer ourselves, if we did."""
        return self._dialled.get(peer_id)

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

    async def add_direct(self, address: Multiaddr, peer_id: PeerId) -> bool:
        """Dial a peer that is connected through a relay. Returns whether there is a direct connection now."""
        try:
            await self._swarm.dial_addr(address, peer_id)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it did not answer
            _log.debug("%s is not at %s: %r", peer_id, address, error)
        return self._is_direct(peer_id)

    async def punch(self, address: Multiaddr, peer_id: PeerId, *, initiator: bool) -> bool:
        """Dial a peer that dials us at the same moment, from where we listen, again and again until it works.

        Returns whether there is a direct connection now. The caller bounds the time.

        :param initiator: who shakes hands as if it alone had dialled: one of the two.
        """
        port = self._listen_port()
        while port and self._peers.is_relayed(peer_id):
            try:
                await self._swarm.punch(address, peer_id, port, initiator=initiator)
            except Exception as error:  # noqa: BLE001 - a router that says no, or a call that came too early
                _log.debug("%s is not reached at %s yet: %r", peer_id, address, error)
                await trio.sleep(PUNCH_PAUSE_MS / 1000)
        return self._is_direct(peer_id)

    def drop_circuits(self, peer_id: PeerId) -> None:
        """Let go of the connections with a peer that lead through relays, if there is another one."""
        if not self._peers.is_relayed(peer_id):
            for connection in self._peers.connections(peer_id):
                if is_relayed(connection.muxed_conn):
                    session_of(connection.muxed_conn).abort()

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """Nothing to do: a dial notes by itself where it led."""

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """Where it was dialled counts no more."""
        self._dialled.pop(peer_id, None)

    # Internals

    async def _dial(self, address: Multiaddr, peer_id: PeerId) -> None:
        done = self._running[peer_id] = trio.Event()
        self.counts.begun += 1
        try:
            # Straight to the swarm: the library's host's own connect() costs a fixed 0.25 s, and after a
            # failure it refuses the peer for a minute without trying.
            if is_circuit(address):
                await self._dial_through(address, peer_id)
            else:
                await self._swarm.dial_addr(address, peer_id)
                self._dialled[peer_id] = address
        except Exception as error:
            self.counts.failed += 1
            raise DialFailed("the peer could not be reached") from error
        finally:
            del self._running[peer_id]
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

    def _is_direct(self, peer_id: PeerId) -> bool:
        return peer_id in self._peers and not self._peers.is_relayed(peer_id)
