"""The relay: leads peers to those who have reserved with it, and carries their bytes for a while.

Is: the shell around :class:`p2p.relay.relay_book.RelayBook`, the HOP protocol's serving side.
Is not: a party to what it carries, which is sealed; nor for everybody: bootstrap peers relay, and nodes with
a public address if their operators say so.

A circuit holds two streams and a piece of 16 KiB each way. It ends with its time, its bytes, either of its
streams, or when an end takes nothing for a while.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import trio

from p2p.identity import PeerId
from p2p.library.streams import TRANSPORT_ERRORS, reset_stream
from p2p.records import is_circuit
from p2p.relay.circuit_messages import (
    HOP_PROTOCOL,
    STOP_PROTOCOL,
    HopMessage,
    Limit,
    Status,
    StopMessage,
    seal_voucher,
)
from p2p.relay.relay_book import Bandwidth, RelayBook, RelayLimits
from p2p.small_messages import encode_message, read_message
from protocol.errors import DecodeError, ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from libp2p.crypto.keys import KeyPair

    from p2p.host import Host
    from p2p.library.streams import Stream
    from p2p.relay.relay_book import RelayCounts

REQUEST_TIMEOUT_MS: Final = 5_000
"""Time for a request to come, and for its answer to go."""
STOP_TIMEOUT_MS: Final = 10_000
"""Time for the peer that is wanted to say whether it takes the call."""
PIECE_BYTES: Final = 16 * 1024
"""Bytes of a circuit that are read at once."""
ADDRESSES_TOLD_MAX: Final = 4
"""Addresses of ours in a reservation."""

_log = logging.getLogger(__name__)


class _BytesSpent(Refusal):
    """A circuit has carried what it may carry."""


class _Stalled(Refusal):
    """An end of a circuit takes nothing."""


@dataclass(frozen=True, slots=True)
class RelayServerStatistics:
    """A relay now: peers that may be reached through it, and circuits. :ivar counts: since the start."""

    reservations: int
    circuits_now: int
    counts: RelayCounts


class RelayServer:
    """Serves the HOP protocol over a host, from the moment it is made."""

    def __init__(
        self,
        host: Host,
        key_pair: KeyPair,
        *,
        limits: RelayLimits | None = None,
        loopback_exempt: bool = False,
        wall_clock_s: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        """:param key_pair: the host's, to sign reservations with."""
        self.book = RelayBook(limits or RelayLimits(), loopback_exempt=loopback_exempt)
        self._host = host
        self._key_pair = key_pair
        self._wall_clock_s = wall_clock_s
        self._bandwidth = Bandwidth(self.book.limits.bytes_per_s_max)
        host.handle_streams(HOP_PROTOCOL, self._serve)
        host.observe(self)

    def has_reservation(self, peer: PeerId) -> bool:
        """Whether a peer wants to be reached through us."""
        return self.book.has_reservation(peer)

    def statistics(self) -> RelayServerStatistics:
        """All that an operator may want to see, now."""
        return RelayServerStatistics(
            reservations=self.book.reservation_count,
            circuits_now=self.book.circuit_count,
            counts=replace(self.book.counts),
        )

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """Nothing to do: who wants to be reached says so."""

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """A peer that is not connected cannot be reached."""
        self.book.release(peer_id)

    # Requests

    async def _serve(self, stream: Stream, peer: PeerId) -> None:
        try:
            try:
                with trio.fail_after(REQUEST_TIMEOUT_MS / 1000):
                    request = await read_message(stream, HopMessage)
            except DecodeError:
                self.book.counts.malformed += 1
                await self._answer(stream, Status.MALFORMED_MESSAGE)
                return
            ip = self._host.remote_ip(peer)
            if stream.is_relayed or ip is None:
                # The specification's rule: no circuits over circuits.
                self.book.counts.permission_denied += 1
                await self._answer(stream, Status.PERMISSION_DENIED)
            elif request.type == HopMessage.RESERVE:
                await self._reserve(stream, peer, ip)
            elif request.type == HopMessage.CONNECT:
                await self._connect(stream, peer, ip, request)
            else:
                self.book.counts.unexpected += 1
                await self._answer(stream, Status.UNEXPECTED_MESSAGE)
        except (trio.TooSlowError, Refusal, ProtocolError, *TRANSPORT_ERRORS) as error:
            _log.debug("a request to relay failed, peer %s: %r", peer, error)
            await reset_stream(stream)

    async def _reserve(self, stream: Stream, peer: PeerId, ip: str) -> None:
        status = self.book.reserve(peer, ip, self._wall_clock_s())
        answer = HopMessage(type=HopMessage.STATUS, status=status)
        if status == Status.OK:
            expires_at_s = self.book.expires_at_s(peer)
            answer.reservation.expire = expires_at_s
            answer.reservation.voucher = seal_voucher(self._key_pair, peer, expires_at_s)
            ours = [address for address in self._host.addresses() if not is_circuit(address)]
            answer.reservation.addrs.extend(address.to_bytes() for address in ours[:ADDRESSES_TOLD_MAX])
            answer.limit.CopyFrom(self._limit())
        with trio.fail_after(REQUEST_TIMEOUT_MS / 1000):
            await stream.write(encode_message(answer))
            await stream.close()

    async def _connect(self, stream: Stream, caller: PeerId, ip: str, request: HopMessage) -> None:
        wanted = PeerId(request.peer.id)
        status = self.book.open_circuit(wanted, ip, self._wall_clock_s())
        if status != Status.OK:
            await self._answer(stream, status)
            return
        try:
            called = await self._call(wanted, caller)
            if called is None:
                self.book.counts.connection_failed += 1
                await self._answer(stream, Status.CONNECTION_FAILED)
                return
            try:
                await self._carry(stream, called)
            finally:
                stream.abort()
                await reset_stream(called)
        finally:
            self.book.close_circuit(wanted, ip)

    async def _call(self, wanted: PeerId, caller: PeerId) -> Stream | None:
        """A stream to the peer that is wanted, after it has said that it takes the call."""
        stream = None
        try:
            with trio.fail_after(STOP_TIMEOUT_MS / 1000):
                stream = await self._host.open_stream(wanted, [STOP_PROTOCOL])
                call = StopMessage(type=StopMessage.CONNECT, limit=self._limit())
                call.peer.id = caller.to_bytes()
                await stream.write(encode_message(call))
                answer = await read_message(stream, StopMessage)
            if answer.type == StopMessage.STATUS and answer.status == Status.OK:
                return stream
        except (trio.TooSlowError, Refusal, ProtocolError, *TRANSPORT_ERRORS) as error:
            _log.debug("a peer that is wanted does not take a call: %r", error)
        except trio.Cancelled:
            if stream is not None:
                stream.abort()
            raise
        if stream is not None:
            await reset_stream(stream)
        return None

    # Carrying

    async def _carry(self, stream: Stream, called: Stream) -> None:
        answer = HopMessage(type=HopMessage.STATUS, status=Status.OK, limit=self._limit())
        with trio.fail_after(REQUEST_TIMEOUT_MS / 1000):
            await stream.write(encode_message(answer))
        with trio.move_on_after(self.book.limits.circuit_s) as life:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._pump, stream, called)
                    nursery.start_soon(self._pump, called, stream)
            except* _BytesSpent as ends:
                self.book.counts.circuit_ended_bytes += len(ends.exceptions)
            except* _Stalled as ends:
                self.book.counts.circuit_ended_stalled += len(ends.exceptions)
            except* TRANSPORT_ERRORS:
                self.book.counts.circuit_broke += 1
        if life.cancelled_caught:
            self.book.counts.circuit_ended_time += 1

    async def _pump(self, source: Stream, sink: Stream) -> None:
        left = self.book.limits.circuit_bytes_max
        while data := await source.read(PIECE_BYTES):
            left -= len(data)
            if left < 0:
                raise _BytesSpent("the circuit has carried as much as it may")
            self.book.counts.carried_bytes += len(data)
            wait_s = self._bandwidth.spend(len(data), trio.current_time())
            if wait_s:
                await trio.sleep(wait_s)
            with trio.move_on_after(self.book.limits.stall_ms / 1000) as patience:
                await sink.write(data)
            if patience.cancelled_caught:
                raise _Stalled("an end of the circuit takes nothing")
        await sink.close()

    async def _answer(self, stream: Stream, status: Status.ValueType) -> None:
        with trio.fail_after(REQUEST_TIMEOUT_MS / 1000):
            await stream.write(encode_message(HopMessage(type=HopMessage.STATUS, status=status)))
            await stream.close()

    def _limit(self) -> Limit:
        limits = self.book.limits
        return Limit(duration=limits.circuit_s, data=limits.circuit_bytes_max)
