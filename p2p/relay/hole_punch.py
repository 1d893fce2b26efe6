"""From a circuit to a direct connection: both sides dial at once, and their routers let the other's call in.

Is: DCUtR, ``/libp2p/dcutr``, over TCP. Whoever was called through a relay asks the caller for its addresses
and tries them; if that fails, both dial the other's public address at the same moment, from the port that
they listen at. To each router the other's call is then the answer to its own. The caller shakes hands as the
one who dials, the other as the one who is dialled. Afterwards the circuit is let go.
Is not: sure to work. It takes routers that keep the port of a connection; those that give each connection
another one, as many of mobile networks do, defeat it, and then the circuit stays.

A stranger can do this with it: for each circuit, have us dial two public addresses a few times.

Source: libp2p specifications, "Direct Connection Upgrade through Relay"; Ford et al. 2005, "Peer-to-Peer
Communication Across Network Address Translators", section 4. The library's own stands on its relay transport,
and looks for relayed peers every two seconds.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio
from libp2p.relay.circuit_v2.pb.dcutr_pb2 import HolePunch
from multiaddr import Multiaddr

from p2p.library.streams import TRANSPORT_ERRORS, reset_stream
from p2p.multiaddrs import parse_multiaddr
from p2p.records import DIRECT, ip_of, names_of, without_peer
from p2p.small_messages import encode_message, read_message
from protocol.errors import DecodeError, ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.library.streams import Stream

DCUTR_PROTOCOL: Final = "/libp2p/dcutr"
MESSAGE_TIMEOUT_MS: Final = 5_000
"""Time for each message."""
DIAL_TIMEOUT_MS: Final = 1_500
"""Time to reach the caller without more ado; whoever has no router in the way answers at once."""
PUNCH_TIMEOUT_MS: Final = 4_000
"""Time for both calls to meet, and for their handshakes."""
ROUNDS_MAX: Final = 3
"""Attempts for one circuit."""
PUNCHES_MAX: Final = 8
"""Attempts at a time, of all peers; others are left out."""
ADDRESSES_MAX: Final = 2
"""Addresses that are dialled, and told."""
LETTING_GO_MS: Final = 1_000
"""Time after which a circuit that is needed no more is let go: what runs over it may come to its end."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class HolePunchCounts:
    """Attempts since the start, at both ends.

    :ivar tried: rounds; :ivar dialled: of them, those in which an address answered without more ado.
    :ivar punched: those in which both calls met.
    :ivar failed: circuits for which no direct way was found.
    :ivar left_out: circuits for which none was looked for: too many at a time, or no public address.
    """

    tried: int = 0
    dialled: int = 0
    punched: int = 0
    failed: int = 0
    left_out: int = 0


class HolePuncher:
    """Makes circuits into direct connections. Answers from the moment it is made, asks while it runs.

    :ivar counts: see `HolePunchCounts`.
    """

    def __init__(self, host: Host) -> None:
        self.counts = HolePunchCounts()
        self._host = host
        self._nursery: trio.Nursery | None = None
        self._running = 0
        host.handle_streams(DCUTR_PROTOCOL, self._answer)

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look for a direct way to whoever calls through a relay, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._host.observe(self)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._host.unobserve(self)
                self._nursery = None

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """A peer is connected; if it called through a relay, it is for us to find a better way."""
        if self._nursery is not None and not outbound and self._host.is_relayed(peer_id):
            self._nursery.start_soon(self._improve, peer_id)

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """Nothing to do: an attempt under way fails by itself."""

    # The peer that was called

    async def _improve(self, peer: PeerId) -> None:
        if not self._host.public_addresses() or self._running >= PUNCHES_MAX:
            self.counts.left_out += 1
            return
        self._running += 1
        try:
            for number in range(ROUNDS_MAX):
                self.counts.tried += 1
                if await self._ask(peer, first=number == 0):
                    await trio.sleep(LETTING_GO_MS / 1000)
                    self._host.dialler.drop_circuits(peer)
                    return
                if not self._host.is_relayed(peer):
                    return
            self.counts.failed += 1
        except (Refusal, ProtocolError, trio.TooSlowError, *TRANSPORT_ERRORS) as error:
            self.counts.failed += 1
            _log.debug("no direct way to %s: %r", peer, error)
        finally:
            self._running -= 1

    async def _ask(self, peer: PeerId, *, first: bool) -> bool:
        stream = await self._host.open_stream(peer, [DCUTR_PROTOCOL])
        try:
            with trio.fail_after(MESSAGE_TIMEOUT_MS / 1000):
                asked_s = trio.current_time()
                await stream.write(encode_message(self._connect_message()))
                answer = await read_message(stream, HolePunch)
                round_trip_s = trio.current_time() - asked_s
            addresses = addresses_of(answer)
            if first and await self._dial(addresses, peer):
                self.counts.dialled += 1
                return True
            with trio.fail_after(MESSAGE_TIMEOUT_MS / 1000):
                await stream.write(encode_message(HolePunch(type=HolePunch.SYNC)))
            await trio.sleep(round_trip_s / 2)
            return await self._punch(addresses, peer, initiator=False)
        finally:
            stream.abort()
            await reset_stream(stream)

    async def _dial(self, addresses: list[Multiaddr], peer: PeerId) -> bool:
        with trio.move_on_after(DIAL_TIMEOUT_MS / 1000):
            for address in addresses:
                if await self._host.dialler.add_direct(address, peer):
                    return True
        return False

    # The peer that called

    async def _answer(self, stream: Stream, peer: PeerId) -> None:
        if not stream.is_relayed or self._running >= PUNCHES_MAX:
            self.counts.left_out += 1
            await reset_stream(stream)
            return
        self._running += 1
        try:
            with trio.fail_after(MESSAGE_TIMEOUT_MS / 1000):
                addresses = addresses_of(await read_message(stream, HolePunch))
                await stream.write(encode_message(self._connect_message()))
            with trio.fail_after((MESSAGE_TIMEOUT_MS + DIAL_TIMEOUT_MS) / 1000):
                message = await read_message(stream, HolePunch)
            if message.type != HolePunch.SYNC:
                raise DecodeError("not the message that was to come")
            self.counts.tried += 1
            await self._punch(addresses, peer, initiator=True)
        except (Refusal, ProtocolError, trio.TooSlowError, *TRANSPORT_ERRORS) as error:
            _log.debug("no direct way from %s: %r", peer, error)
        finally:
            self._running -= 1
            await reset_stream(stream)

    # Both

    async def _punch(self, addresses: list[Multiaddr], peer: PeerId, *, initiator: bool) -> bool:
        """Dial all addresses at once, again and again, until one answers."""
        found = False

        async def call(address: Multiaddr) -> None:
            nonlocal found
            if await self._host.dialler.punch(address, peer, initiator=initiator):
                found = True
                nursery.cancel_scope.cancel()

        with trio.move_on_after(PUNCH_TIMEOUT_MS / 1000):
            async with trio.open_nursery() as nursery:
                for address in addresses:
                    nursery.start_soon(call, address)
        if found:
            self.counts.punched += 1
        return found

    def _connect_message(self) -> HolePunch:
        message = HolePunch(type=HolePunch.CONNECT)
        message.ObsAddrs.extend(item.to_bytes() for item in self._host.public_addresses()[:ADDRESSES_MAX])
        return message


def addresses_of(message: HolePunch) -> list[Multiaddr]:
    """The first few public addresses of a CONNECT.

    :raises DecodeError: it is another message, or names none.
    """
    if message.type != HolePunch.CONNECT:
        raise DecodeError("not the message that was to come")
    found = list(_public(message.ObsAddrs))[:ADDRESSES_MAX]
    if not found:
        raise DecodeError("no public address to dial")
    return found


def _public(addresses: Iterable[bytes]) -> Iterable[Multiaddr]:
    for raw in list(addresses)[: 4 * ADDRESSES_MAX]:
        try:
            address = without_peer(parse_multiaddr(raw))
        except DecodeError as error:
            _log.debug("passed over: %r", error)
            continue
        if (
            names_of(address) in DIRECT
            and ip_of(address).is_global
            and address.value_for_protocol("tcp") != "0"
        ):
            yield address
