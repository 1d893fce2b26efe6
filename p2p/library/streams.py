"""Streams of connections, below the library's types: as our protocols use them, and let in from others.

Is: reading and writing past the library's locks, and the guard before every inbound stream.
Is not: a limit for one protocol (:mod:`p2p.stream_gate`).
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import trio
from libp2p.connection_types import ConnectionType
from libp2p.exceptions import BaseLibp2pError

if TYPE_CHECKING:
    from collections.abc import Callable

    from libp2p.abc import IMuxedConn, INetStream
    from libp2p.host.basic_host import BasicHost
    from libp2p.network.stream.net_stream import NetStream
    from libp2p.peer.id import ID

    from p2p.session.connection import Session
    from p2p.session.stream import SessionStream

INBOUND_STREAMS_PER_PEER_MAX: Final = 96
"""Streams that one peer may have open towards us, all protocols together."""
INBOUND_STREAMS_MAX: Final = 4_096
"""Streams open towards us, all peers together."""
INBOUND_STREAMS_OF_STRANGERS_MAX: Final = 3_072
"""Of them, those of peers without stake."""

TRANSPORT_ERRORS: Final = (
    BaseLibp2pError,
    OSError,
    EOFError,
    ValueError,
    trio.ClosedResourceError,
    trio.BrokenResourceError,
)
"""The errors of a dead stream of py-libp2p, by the layer in which it died."""

_log = logging.getLogger(__name__)


def session_of(connection: IMuxedConn) -> Session:
    """A connection of ours below the library's types."""
    return cast("Session", connection)


def is_relayed(connection: IMuxedConn) -> bool:
    """Whether a connection leads through a relay."""
    return session_of(connection).get_connection_type() is ConnectionType.RELAYED


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


async def reset_stream(stream: INetStream | Stream) -> None:
    """Reset a stream that may already be dead; raises nothing but Cancelled."""
    try:
        await stream.reset()
    except Exception as error:  # noqa: BLE001 - there is nothing left to save
        _log.debug("reset of a dead stream: %r", error)
