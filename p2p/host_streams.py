"""Streams of a host: opened to connected peers, and served for them, raw or as direct streams.

Is: the half of :class:`p2p.host.Host` that needs connections and makes none.
Is not: a limit on streams (:mod:`p2p.library.streams`, :mod:`p2p.stream_gate`).

Streams are handled on tasks of the host; a handler's exception ends its stream and is counted, never more.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio
from libp2p.custom_types import TProtocol

from p2p.admission import Admission
from p2p.frames import PAYLOAD_BYTES_MAX
from p2p.library.streams import Stream
from p2p.stream_gate import DirectStreamGate
from p2p.streams import DirectStream, open_direct
from protocol.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from libp2p.abc import INetStream
    from libp2p.host.basic_host import BasicHost

    from p2p.connected_peers import ConnectedPeers
    from p2p.identity import PeerId

OPEN_STREAM_TIMEOUT_MS: Final = 5_000
"""Time for a new stream to agree on its protocol."""


class NotConnected(Refusal):
    """There is no connection to the peer."""


class StreamRefused(Refusal):
    """The peer does not speak any of the protocols, or did not answer in time."""


class HostStreams:
    """Opens and serves the streams of one host."""

    def __init__(self, basic: BasicHost, peers: ConnectedPeers, is_staked: Callable[[PeerId], bool]) -> None:
        self._basic = basic
        self._peers = peers
        self._gate = DirectStreamGate(is_staked)
        self._opened: Counter[PeerId] = Counter()

    def has_direct_stream(self, peer_id: PeerId) -> bool:
        """Whether a direct stream with the peer is open, whoever opened it."""
        return self._gate.is_open(peer_id) or peer_id in self._opened

    async def open_stream(
        self, peer_id: PeerId, protocols: Sequence[str], *, timeout_ms: int = OPEN_STREAM_TIMEOUT_MS
    ) -> Stream:
        """Open a raw stream to a connected peer, in the first of our protocols that it speaks.

        :raises NotConnected: there is no connection.
        :raises StreamRefused: no common protocol, no answer in time, or the connection failed.
        """
        if peer_id not in self._peers:
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
