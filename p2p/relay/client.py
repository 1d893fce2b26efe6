"""Being reached through relays, and reaching others through theirs.

Is: reservations that are kept while we want them, the calls that come through them (STOP), and the calls that
we make (HOP's CONNECT), of which :class:`p2p.host.Host` makes connections.
Is not: the knowledge whether we need a relay (:mod:`p2p.reachability`), nor a list of relays: any connected
peer is asked, those first that the node prefers.

A relay can do this to us: hang up, lead nobody to us, or many strangers at once; those are bounded by
:mod:`p2p.limits`. It cannot pretend to be the peer that is called, nor have us announce somebody else's
address: of those that it tells, only one where it is connected counts, else where we dialled it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio
from multiaddr import Multiaddr

from p2p.dialling import DialFailed
from p2p.host_streams import StreamRefused
from p2p.identity import PeerId
from p2p.library.streams import TRANSPORT_ERRORS, reset_stream
from p2p.multiaddrs import parse_multiaddr
from p2p.records import DIRECT, ip_of, names_of, relay_address_of, relay_of, without_peer
from p2p.relay.circuit_messages import (
    HOP_PROTOCOL,
    STOP_PROTOCOL,
    HopMessage,
    Status,
    StopMessage,
    open_voucher,
)
from p2p.small_messages import encode_message, read_message
from p2p.wakeups import Signal
from protocol.errors import DecodeError, LocalError, ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.host import Host
    from p2p.library.streams import Stream

REQUEST_TIMEOUT_MS: Final = 15_000
"""Time for a relay to answer; it may have to ask another peer."""
CALL_TIMEOUT_MS: Final = 5_000
"""Time for a relay to say who calls."""
RESERVATIONS_WANTED: Final = 2
"""Relays that we want to be reached through: two, so that one may vanish."""
ASKED_AGAIN_S: Final = 60
"""Time after which a peer that did not relay for us is asked again, seconds."""
ASKED_MAX: Final = 512
"""Peers that did not relay for us, and are remembered for it."""
RESERVATION_S_MAX: Final = 24 * 3_600
"""Reservations that claim to live longer are renewed as if they lived so long, seconds."""
LOOK_S: Final = 2.0
"""Time between two looks at the reservations, seconds; a loss is looked at right away."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A relay's promise. :ivar address: of ours through it, without our ``/p2p/``. Times are wall clock."""

    address: Multiaddr
    renew_at_s: int
    expires_at_s: int


@dataclass(slots=True)
class RelayClientCounts:
    """Dealings with relays since the start.

    :ivar reserved: relays that promised to lead others to us; :ivar reservation_failed: that did not.
    :ivar reservation_lost: relays with a reservation that are gone.
    :ivar called: peers to which a relay led us; :ivar call_refused: to which it did not.
    :ivar taken: calls that came through relays; :ivar not_taken: those that we refused.
    :ivar call_failed: those that broke off, or did not shake hands.
    """

    reserved: int = 0
    reservation_failed: int = 0
    reservation_lost: int = 0
    called: int = 0
    call_refused: int = 0
    taken: int = 0
    not_taken: int = 0
    call_failed: int = 0


class RelayClient:
    """Calls, and is called, through relays. Calls can be made as soon as it is made, and taken while it runs.

    :ivar is_wanted: whether we want to be reached through relays now.
    :ivar preferred: peers to ask first, such as bootnodes.
    :ivar counts: see `RelayClientCounts`.
    """

    def __init__(
        self,
        host: Host,
        *,
        is_wanted: Callable[[], bool],
        preferred: Iterable[PeerId] = (),
        addresses_changed: Callable[[], None] = lambda: None,
        wall_clock_s: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self.is_wanted = is_wanted
        self.preferred = tuple(preferred)
        self._addresses_changed = addresses_changed
        self.counts = RelayClientCounts()
        self._host = host
        self._wall_clock_s = wall_clock_s
        self._reservations: dict[PeerId, Reservation] = {}
        self._asked_s: dict[PeerId, int] = {}
        self._changed = Signal()
        host.dialler.dial_circuits(self._call)
        host.handle_streams(STOP_PROTOCOL, self._take_call)

    def is_relay(self, peer: PeerId) -> bool:
        """Whether a peer relays for us now: it must not be let go."""
        return peer in self._reservations

    def addresses(self) -> tuple[Multiaddr, ...]:
        """Where we can be reached through relays, without our ``/p2p/``."""
        return tuple(reservation.address for reservation in self._reservations.values())

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep reservations as long as they are wanted, until cancelled."""
        self._host.observe(self)
        task_status.started()
        try:
            while True:
                changed = self._changed.next_event()
                if self.is_wanted():
                    await self._look_after()
                else:
                    self._reservations.clear()
                self._note_addresses()
                with trio.move_on_after(LOOK_S):
                    await changed.wait()
        finally:
            self._host.unobserve(self)
            self._reservations.clear()
            self._host.own_addresses.relayed = ()

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """Somebody who may relay for us."""
        del peer_id, outbound
        self._changed.notify()

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """A relay that is gone leads nobody to us."""
        self._asked_s.pop(peer_id, None)
        if self._reservations.pop(peer_id, None) is not None:
            self.counts.reservation_lost += 1
            self._note_addresses()
            self._changed.notify()

    # Reservations

    def _note_addresses(self) -> None:
        if self._host.own_addresses.relayed != self.addresses():
            self._host.own_addresses.relayed = self.addresses()
            _log.info("relays lead others to us at %s", ", ".join(map(str, self.addresses())) or "nowhere")
            self._addresses_changed()

    async def _look_after(self) -> None:
        now_s = self._wall_clock_s()
        for relay, reservation in tuple(self._reservations.items()):
            if reservation.renew_at_s <= now_s:
                await self._reserve(relay)
        for peer in self._candidates(now_s):
            if len(self._reservations) >= RESERVATIONS_WANTED:
                return
            await self._reserve(peer)

    def _candidates(self, now_s: int) -> list[PeerId]:
        connected = [peer for peer in self._host.connected_peers() if not self._host.is_relayed(peer)]
        # The oldest connections first, as the host lists them: they have lasted.
        order = sorted(connected, key=lambda peer: peer not in self.preferred)
        return [
            peer
            for peer in order
            if peer not in self._reservations and self._asked_s.get(peer, 0) + ASKED_AGAIN_S <= now_s
        ]

    async def _reserve(self, relay: PeerId) -> None:
        try:
            answer = await self._ask(relay, HopMessage(type=HopMessage.RESERVE))
            reservation = self._checked(relay, answer)
        except (Refusal, ProtocolError, trio.TooSlowError, *TRANSPORT_ERRORS) as error:
            self.counts.reservation_failed += 1
            _log.debug("%s does not relay for us: %r", relay, error)
            self._reservations.pop(relay, None)
            while len(self._asked_s) >= ASKED_MAX:
                del self._asked_s[next(iter(self._asked_s))]
            self._asked_s[relay] = self._wall_clock_s()
            return
        if self._host.is_connected(relay):
            self._reservations[relay] = reservation
            self.counts.reserved += 1

    async def _ask(self, relay: PeerId, request: HopMessage) -> HopMessage:
        with trio.fail_after(REQUEST_TIMEOUT_MS / 1000):
            stream = await self._host.open_stream(relay, [HOP_PROTOCOL])
            try:
                await stream.write(encode_message(request))
                return await read_message(stream, HopMessage)
            finally:
                stream.abort()
                await reset_stream(stream)

    def _checked(self, relay: PeerId, answer: HopMessage) -> Reservation:
        _require_ok(answer)
        now_s = self._wall_clock_s()
        expires_at_s = int(answer.reservation.expire)
        if expires_at_s <= now_s:
            raise DecodeError("a reservation that has ended already")
        if answer.reservation.HasField("voucher"):
            open_voucher(answer.reservation.voucher, relay, self._host.peer_id)
        life_s = min(expires_at_s - now_s, RESERVATION_S_MAX)
        address = self._address_through(relay, answer.reservation.addrs)
        return Reservation(address, now_s + life_s * 3 // 4, now_s + life_s)

    def _address_through(self, relay: PeerId, told: Iterable[bytes]) -> Multiaddr:
        ip = self._host.remote_ip(relay)
        for raw in told:
            try:
                address = without_peer(parse_multiaddr(raw))
            except DecodeError as error:
                _log.debug("an address that a relay told is passed over: %r", error)
                continue
            if names_of(address) in DIRECT and str(ip_of(address)) == ip:
                return Multiaddr(f"{address}/p2p/{relay}/p2p-circuit")
        dialled = self._host.dialler.dialled_address(relay)
        if dialled is None:
            raise DecodeError("a relay whose address nobody knows")
        return Multiaddr(f"{without_peer(dialled)}/p2p/{relay}/p2p-circuit")

    # Calls

    async def _call(self, address: Multiaddr, peer: PeerId) -> Stream:
        """Have the relay of an address lead us to a peer.

        :raises DialFailed: it does not, or the relay cannot be reached.
        """
        relay = relay_of(address)
        if relay is None or relay in (peer, self._host.peer_id):
            raise LocalError("not an address that leads through a relay")
        was_connected = self._host.is_connected(relay)
        stream = None
        try:
            await self._host.connect(relay_address_of(address))
            with trio.fail_after(REQUEST_TIMEOUT_MS / 1000):
                stream = await self._host.open_stream(relay, [HOP_PROTOCOL])
                request = HopMessage(type=HopMessage.CONNECT)
                request.peer.id = peer.to_bytes()
                await stream.write(encode_message(request))
                answer = await read_message(stream, HopMessage)
            _require_ok(answer)
        except trio.Cancelled:
            if stream is not None:
                stream.abort()
            raise
        except Exception as error:
            if stream is not None:
                stream.abort()
            self.counts.call_refused += 1
            if not was_connected:
                await self._host.disconnect(relay)
            raise DialFailed("the relay does not lead to the peer") from error
        self.counts.called += 1
        return stream

    async def _take_call(self, stream: Stream, relay: PeerId) -> None:
        """A relay says that somebody calls. Returns when the connection that comes of it has ended."""
        try:
            with trio.fail_after(CALL_TIMEOUT_MS / 1000):
                call = await read_message(stream, StopMessage)
                address = _address_of_caller(call, relay)
                status = self._judge(call, relay, stream) if address else Status.MALFORMED_MESSAGE
                await stream.write(encode_message(StopMessage(type=StopMessage.STATUS, status=status)))
            if status == Status.OK and address is not None:
                self.counts.taken += 1
                await self._host.accept_circuit(stream, address, relay)
            else:
                self.counts.not_taken += 1
                await stream.close()
        except (Refusal, ProtocolError, trio.TooSlowError, *TRANSPORT_ERRORS) as error:
            self.counts.call_failed += 1
            _log.debug("a call through %s failed: %r", relay, error)
            await reset_stream(stream)

    def _judge(self, call: StopMessage, relay: PeerId, stream: Stream) -> Status.ValueType:
        if call.type != StopMessage.CONNECT:
            return Status.UNEXPECTED_MESSAGE
        if stream.is_relayed or relay not in self._reservations:
            # A peer that we asked for nothing leads nobody to us.
            return Status.PERMISSION_DENIED
        return Status.OK


def _address_of_caller(call: StopMessage, relay: PeerId) -> Multiaddr | None:
    if not call.peer.id:
        return None
    try:
        return parse_multiaddr(f"/p2p/{relay}/p2p-circuit/p2p/{PeerId(call.peer.id)}")
    except DecodeError as error:
        _log.debug("a call of nobody: %r", error)
        return None


def _require_ok(answer: HopMessage) -> None:
    if answer.type != HopMessage.STATUS or answer.status != Status.OK:
        names = {value.number: value.name for value in Status.DESCRIPTOR.values}
        raise StreamRefused(f"the relay answers {names.get(answer.status, answer.status)}")
