"""Who else is there: a bounded address book, and one question that connected peers answer.

Is: ``/cuckoo/peers/1`` over a direct stream, and the book behind it, so that a mesh outgrows its bootnodes.
Is not: a DHT, and no proof: an address is a place to try, and noise proves who answers there.

Both payloads have one form: count (1 byte), then for each address its length (2 bytes, big-endian) and
its binary multiaddr. The asker sends its own addresses, the answerer up to 16 of others.

Only what a connected peer said of itself is passed on; hearsay is for our own dials alone, so a liar's
addresses travel one step. Addresses of private networks count only when they come over one.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Final

from multiaddr import Multiaddr

from p2p.identity import PeerIdentityError, peer_id_from_text
from protocol.errors import DecodeError, InvalidMessage, LocalError, Refusal

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterable, Sequence

    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.streams import DirectStream

PEERS_PROTOCOL: Final = "/cuckoo/peers/1"
ADDRESSES_PER_PAYLOAD_MAX: Final = 16
"""Addresses in one question or answer."""
ADDRESSES_PER_PEER_MAX: Final = 4
"""Addresses kept of one peer; the first ones."""
ADDRESS_BYTES_MAX: Final = 128
"""Bytes of one binary multiaddr."""
BOOK_PEERS_MAX: Final = 1_024
"""Peers in the book; hearsay gives way first, oldest first."""
EXCHANGE_TIMEOUT_MS: Final = 5_000
"""Time for a question and its answer, each step."""

_LENGTH_BYTES: Final = 2

_log = logging.getLogger(__name__)


def encode_addresses(addresses: Sequence[Multiaddr]) -> bytes:
    """The payload of a question or answer. :raises LocalError: over 16 addresses, or one over 128 bytes."""
    if len(addresses) > ADDRESSES_PER_PAYLOAD_MAX:
        raise LocalError("too many addresses for one payload")
    payload = bytearray((len(addresses),))
    for address in addresses:
        raw = address.to_bytes()
        if len(raw) > ADDRESS_BYTES_MAX:
            raise LocalError("an address is too long")
        payload += len(raw).to_bytes(_LENGTH_BYTES) + raw
    return bytes(payload)


def decode_addresses(payload: bytes) -> tuple[Multiaddr, ...]:
    """The addresses of a payload; each is ``/ip4|ip6/…/tcp/…/p2p/…`` with a secp256k1 PeerID.

    :raises DecodeError: another form, too many, too long, or bytes left over.
    """
    if not payload or payload[0] > ADDRESSES_PER_PAYLOAD_MAX:
        raise DecodeError("a payload of addresses without a proper count")
    addresses = []
    rest = payload[1:]
    for _ in range(payload[0]):
        length = int.from_bytes(rest[:_LENGTH_BYTES])
        raw = rest[_LENGTH_BYTES : _LENGTH_BYTES + length]
        if not 0 < length <= ADDRESS_BYTES_MAX or len(raw) != length:
            raise DecodeError("an address of a wrong length")
        addresses.append(_address(raw))
        rest = rest[_LENGTH_BYTES + length :]
    if rest:
        raise DecodeError("bytes after the last address")
    return tuple(addresses)


def peer_of(address: Multiaddr) -> PeerId:
    """The peer that an address ends in. :raises PeerIdentityError: it names none with a secp256k1 key."""
    text = address.get_peer_id()
    if text is None:
        raise PeerIdentityError("the address names no peer")
    return peer_id_from_text(text)


def is_plausible(address: Multiaddr, heard_from_ip: str | None) -> bool:
    """Whether an address may be dialled, given the IP address of whoever told it.

    Public ones may; private and loopback ones only if the teller is there too; unspecified, multicast and
    port 0 never.
    """
    ip = _ip(address)
    if ip.is_unspecified or ip.is_multicast or address.value_for_protocol("tcp") in (0, "0"):
        return False
    if ip.is_global:
        return True
    try:
        teller = ipaddress.ip_address(heard_from_ip or "")
    except ValueError:
        return False
    return teller.is_loopback if ip.is_loopback else not teller.is_global


class AddressBook:
    """Addresses of peers, in the order in which they were learned.

    :ivar evicted: peers that gave way because the book was full.
    """

    def __init__(self, own_peer: PeerId, peers_max: int = BOOK_PEERS_MAX) -> None:
        self._own_peer = own_peer
        self._peers_max = peers_max
        self._confirmed: OrderedDict[PeerId, tuple[Multiaddr, ...]] = OrderedDict()
        self._hearsay: OrderedDict[PeerId, tuple[Multiaddr, ...]] = OrderedDict()
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._confirmed) + len(self._hearsay)

    def confirm(self, peer: PeerId, addresses: Iterable[Multiaddr]) -> None:
        """Take what a connected peer says of itself. :raises InvalidMessage: it speaks for somebody else."""
        own = tuple(addresses)[:ADDRESSES_PER_PEER_MAX]
        if any(peer_of(address) != peer for address in own):
            raise InvalidMessage("a peer gave an address of another peer as its own")
        self._hearsay.pop(peer, None)
        self._confirmed.pop(peer, None)
        if own:
            self._confirmed[peer] = own
            self._make_room()

    def hear(self, addresses: Iterable[Multiaddr]) -> None:
        """Take what a peer says of others; never over what those said of themselves."""
        for address in addresses:
            peer = peer_of(address)
            if peer == self._own_peer or peer in self._confirmed:
                continue
            known = self._hearsay.get(peer, ())
            if address not in known and len(known) < ADDRESSES_PER_PEER_MAX:
                self._hearsay[peer] = (*known, address)
        self._make_room()

    def forget(self, peer: PeerId) -> None:
        """Drop a peer that could not be reached."""
        self._confirmed.pop(peer, None)
        self._hearsay.pop(peer, None)

    def addresses(self, peer: PeerId) -> tuple[Multiaddr, ...]:
        """What is known of a peer, maybe nothing."""
        return self._confirmed.get(peer) or self._hearsay.get(peer, ())

    def to_tell(self, asker: PeerId, connected: Collection[PeerId], rng: random.Random) -> list[Multiaddr]:
        """A random choice of at most 16 connected peers' first addresses, by their own word."""
        known = [
            addresses[0] for peer, addresses in self._confirmed.items() if peer != asker and peer in connected
        ]
        return rng.sample(known, min(len(known), ADDRESSES_PER_PAYLOAD_MAX))

    def candidates(self, connected: Collection[PeerId]) -> list[PeerId]:
        """Peers to try: known, and not connected. Those that were once connected come first."""
        return [peer for peer in (*self._confirmed, *self._hearsay) if peer not in connected]

    def _make_room(self) -> None:
        while len(self) > self._peers_max:
            (self._hearsay or self._confirmed).popitem(last=False)
            self.evicted += 1


class PeerExchange:
    """Asks and answers ``/cuckoo/peers/1`` over a host. Answers from the moment it is made.

    :ivar counts: ``asked``, ``answered``, ``ask_failed``.
    """

    def __init__(self, host: Host, book: AddressBook, rng: random.Random) -> None:
        self._host = host
        self._book = book
        self._rng = rng
        self.counts: Counter[str] = Counter()
        host.handle_direct_streams(PEERS_PROTOCOL, self._answer)

    async def ask(self, peer: PeerId) -> None:
        """Tell a connected peer our addresses and take those it knows. Failure is counted, not raised."""
        self.counts["asked"] += 1
        try:
            async with self._host.open_direct_stream(peer, PEERS_PROTOCOL) as stream:
                own = self._host.listen_addresses()[:ADDRESSES_PER_PEER_MAX]
                await stream.send(encode_addresses(own), timeout_ms=EXCHANGE_TIMEOUT_MS)
                await stream.finish(timeout_ms=EXCHANGE_TIMEOUT_MS)
                payload = await stream.receive(timeout_ms=EXCHANGE_TIMEOUT_MS)
                self._book.hear(self._plausible(decode_addresses(payload or b""), peer))
        except (Refusal, DecodeError, InvalidMessage) as error:
            self.counts["ask_failed"] += 1
            _log.debug("asking %s for peers failed: %r", peer, error)

    async def _answer(self, stream: DirectStream, peer: PeerId) -> None:
        payload = await stream.receive(timeout_ms=EXCHANGE_TIMEOUT_MS)
        said = [self._seen_from_here(item, peer) for item in decode_addresses(payload or b"")]
        self._book.confirm(peer, self._plausible(said, peer))
        known = self._book.to_tell(peer, self._host.connected_peers(), self._rng)
        self.counts["answered"] += 1
        await stream.send(encode_addresses(known), timeout_ms=EXCHANGE_TIMEOUT_MS)

    def _plausible(self, addresses: Iterable[Multiaddr], teller: PeerId) -> list[Multiaddr]:
        ip = self._host.remote_ip(teller)
        return [address for address in addresses if is_plausible(address, ip)]

    def _seen_from_here(self, address: Multiaddr, peer: PeerId) -> Multiaddr:
        # Whoever listens on all interfaces does not know its own address; we see it.
        ip = self._host.remote_ip(peer)
        if ip is None or not _ip(address).is_unspecified:
            return address
        version = "ip6" if ":" in ip else "ip4"
        return Multiaddr(f"/{version}/{ip}/tcp/{address.value_for_protocol('tcp')}/p2p/{peer}")


def _address(raw: bytes) -> Multiaddr:
    try:
        address = Multiaddr(raw)
        names = [protocol.name for protocol in address.protocols()]
        peer_of(address)
        _ip(address)
        str(address)
    except Exception as error:  # the multiaddr library raises what it likes on a stranger's bytes
        raise DecodeError("not an address") from error
    if names not in (["ip4", "tcp", "p2p"], ["ip6", "tcp", "p2p"]):
        raise DecodeError("not an address of IP, TCP and peer")
    return address


def _ip(address: Multiaddr) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    name = next(iter(address.protocols())).name
    return ipaddress.ip_address(str(address.value_for_protocol(name)))
