"""Signed peer records: a peer's own word, anybody's to pass on, on where it can be dialled.

Is: pure functions between the bytes of a libp2p envelope and a checked :class:`PeerRecord`.
Is not: a store of them (:mod:`p2p.record_store`), and no proof that anybody answers there; noise proves that.

The envelope is libp2p's (RFC 0002 "Signed Envelopes" and 0003 "Peer Routing Records"), as go, js and
py-libp2p make and check it:

    Envelope   = public_key 1 (key type 1, key data 2) | payload_type 2 | payload 3 | signature 5
    PeerRecord = peer_id 1 | seq 2 | addresses 3 (multiaddr 1) | instance 1000 (fixed64)

The instance is ours; other implementations pass over it.

The signature is DER over SHA-256 of three fields, each after its length as a varint: the domain
``libp2p-peer-record``, the payload type 0x0301, the payload. Records are of secp256k1 peers alone: only their
keys are addresses on the chain. A record may name addresses that we cannot dial; they are left out.
"""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.unknown_fields import UnknownFieldSet
from libp2p.crypto.keys import KeyType
from libp2p.peer.pb import envelope_pb2, peer_record_pb2
from multiaddr import Multiaddr

from p2p.identity import (
    PeerId,
    PeerIdentityError,
    address_of_peer,
    key_pair_from_secret,
    peer_id_from_public_key,
    peer_id_from_text,
    verify_by_peer,
)
from p2p.multiaddrs import parse_multiaddr
from p2p.varints import encode_varint
from protocol.errors import DecodeError, InvalidMessage, LocalError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD_DOMAIN: Final = b"libp2p-peer-record"
RECORD_PAYLOAD_TYPE: Final = bytes.fromhex("0301")
RECORD_BYTES_MAX: Final = 2_048
"""Bytes of one envelope: sixteen addresses of the usual length, and the signature."""
ADDRESSES_PER_RECORD_MAX: Final = 16
"""Addresses in one record, those that we cannot dial included."""
ADDRESSES_KEPT_MAX: Final = 4
"""Addresses of one peer that we would dial; the first ones."""
ADDRESS_BYTES_MAX: Final = 128
"""Bytes of one binary multiaddr."""
SEQUENCE_MAX: Final = (1 << 64) - 1
INSTANCE_FIELD: Final = 1_000
"""Number of the instance's field in the record's protobuf; high, so that the standard may grow below it."""
INSTANCE_MAX: Final = (1 << 64) - 1
SIGNING_BIT: Final = 1
"""Bit of the instance, the last, which says that its node may sign; the others are drawn at each start."""
_FIXED64: Final = 1
"""Protobuf's wire type of eight bytes, little-endian."""

DIRECT: Final = (["ip4", "tcp"], ["ip6", "tcp"])
"""The parts of an address that we can dial ourselves, before its ``/p2p/``."""
DIALLABLE: Final = (*DIRECT, *([*names, "p2p", "p2p-circuit"] for names in DIRECT))
"""The parts of an address that we can dial: those, or a relay's, through which we can."""


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """A peer's word about itself.

    :ivar peer: who said it.
    :ivar sequence: grows with each record of a peer; the highest counts.
    :ivar addresses: at most ADDRESSES_KEPT_MAX that we could dial, each ending in ``/p2p/<peer>``.
    :ivar envelope: the signed bytes, to be passed on as they came.
    :ivar instance: drawn at each start of a node, so that two that run with one key can be told apart, and
        the `SIGNING_BIT`; 0 if the record does not say.
    """

    peer: PeerId
    sequence: int
    addresses: tuple[Multiaddr, ...]
    envelope: bytes
    instance: int = 0

    @property
    def account(self) -> bytes:
        """The peer's on-chain address, 20 bytes."""
        return address_of_peer(self.peer)

    @property
    def start(self) -> int:
        """The instance without the bit: the same in all records of one start of a node."""
        return self.instance & ~SIGNING_BIT

    @property
    def may_sign(self) -> bool:
        """Whether its node may sign by now; also if the record does not say."""
        return self.instance == 0 or bool(self.instance & SIGNING_BIT)


def seal_record(
    node_secret: bytes, sequence: int, addresses: Sequence[Multiaddr], instance: int = 0
) -> PeerRecord:
    """Sign where we can be dialled.

    :param sequence: 0 to 2^64 - 1, above that of our last record.
    :param addresses: with or without our ``/p2p/``, which is not part of them in the record.
    :param instance: 0 to 2^64 - 1; 0 is left out.
    :raises LocalError: too many addresses, too many bytes, or the secret is not a key.
    """
    pair = key_pair_from_secret(node_secret)
    peer = peer_id_from_public_key(pair.public_key.to_bytes())
    if len(addresses) > ADDRESSES_PER_RECORD_MAX or not 0 <= sequence <= SEQUENCE_MAX:
        raise LocalError("too many addresses, or no sequence, for a peer record")
    body = peer_record_pb2.PeerRecord(peer_id=peer.to_bytes(), seq=sequence)
    for address in addresses:
        body.addresses.add(multiaddr=without_peer(address).to_bytes())
    payload = body.SerializeToString()
    if instance:
        payload += encode_varint(INSTANCE_FIELD << 3 | _FIXED64) + instance.to_bytes(8, "little")
    envelope = envelope_pb2.Envelope(
        payload_type=RECORD_PAYLOAD_TYPE,
        payload=payload,
        signature=pair.private_key.sign(signed_bytes(RECORD_DOMAIN, RECORD_PAYLOAD_TYPE, payload)),
    )
    envelope.public_key.Type = KeyType.Secp256k1.value
    envelope.public_key.Data = pair.public_key.to_bytes()
    encoded = envelope.SerializeToString()
    if len(encoded) > RECORD_BYTES_MAX:
        raise LocalError("the addresses are too long for a peer record")
    return open_record(encoded)


def open_record(envelope: bytes) -> PeerRecord:
    """Check an envelope from anybody.

    :raises DecodeError: no envelope of a peer record, or over a limit.
    :raises PeerIdentityError: the key is not one of secp256k1.
    :raises SignatureError: the signature is not that key's.
    :raises InvalidMessage: the key speaks for another peer.
    """
    if not 0 < len(envelope) <= RECORD_BYTES_MAX:
        raise DecodeError("an envelope of a wrong length")
    try:
        outer = envelope_pb2.Envelope.FromString(envelope)
        inner = peer_record_pb2.PeerRecord.FromString(outer.payload)
    except (ProtobufError, UnicodeDecodeError) as error:
        raise DecodeError("not an envelope") from error
    if outer.payload_type != RECORD_PAYLOAD_TYPE:
        raise DecodeError("an envelope of something else")
    if len(inner.addresses) > ADDRESSES_PER_RECORD_MAX:
        raise DecodeError("a peer record of too many addresses")
    if outer.public_key.Type != KeyType.Secp256k1.value:
        raise PeerIdentityError("the envelope's key is not one of secp256k1")
    peer = peer_id_from_public_key(outer.public_key.Data)
    if inner.peer_id != peer.to_bytes():
        raise InvalidMessage("a peer record speaks for another peer")
    signed = signed_bytes(RECORD_DOMAIN, RECORD_PAYLOAD_TYPE, outer.payload)
    if not verify_by_peer(peer, signed, outer.signature):
        raise SignatureError("the signature of a peer record is wrong")
    # Not one more is looked at than is kept: addresses through relays are long, and reading them costs most.
    found = (_diallable(item.multiaddr, peer) for item in inner.addresses)
    addresses = itertools.islice((address for address in found if address is not None), ADDRESSES_KEPT_MAX)
    return PeerRecord(peer, inner.seq, tuple(addresses), envelope, _instance_of(inner))


def _instance_of(record: peer_record_pb2.PeerRecord) -> int:
    """The last field of that number and type, as protobuf reads its own; 0 without one."""
    unknown = UnknownFieldSet(record)
    for index in reversed(range(len(unknown))):
        item = unknown[index]
        if item.field_number == INSTANCE_FIELD and item.wire_type == _FIXED64:
            return int(item.data)
    return 0


def signed_bytes(domain: bytes, payload_type: bytes, payload: bytes) -> bytes:
    """The bytes that the signature of an envelope is over (RFC 0002)."""
    return b"".join(encode_varint(len(part)) + part for part in (domain, payload_type, payload))


def peer_of(address: Multiaddr) -> PeerId:
    """The peer that an address ends in. :raises PeerIdentityError: it names none with a secp256k1 key."""
    text = address.get_peer_id()
    if text is None:
        raise PeerIdentityError("the address names no peer")
    return peer_id_from_text(text)


def without_peer(address: Multiaddr) -> Multiaddr:
    """An address less the ``/p2p/`` at its end, if it has one."""
    peer = address.get_peer_id()
    return address if peer is None else address.decapsulate(Multiaddr(f"/p2p/{peer}"))


def names_of(address: Multiaddr) -> list[str]:
    """The names of an address's parts."""
    return [protocol.name for protocol in address.protocols()]


def is_circuit(address: Multiaddr) -> bool:
    """Whether an address leads through a relay."""
    return "p2p-circuit" in names_of(address)


def relay_of(address: Multiaddr) -> PeerId | None:
    """The relay that an address leads through, if it does. :raises ValueError: it names none that is one."""
    if not is_circuit(address):
        return None
    return PeerId.from_string(str(address.value_for_protocol("p2p")))


def relay_address_of(address: Multiaddr) -> Multiaddr:
    """Where the relay is, with its ``/p2p/``, that a circuit's address leads through."""
    text, _, _ = str(address).partition("/p2p-circuit")
    return Multiaddr(text)


def ip_of(address: Multiaddr) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IP address that a multiaddr begins with. :raises ValueError: it begins otherwise."""
    name = next(iter(address.protocols())).name
    if name not in ("ip4", "ip6"):
        raise ValueError("the address does not begin with an IP address")
    return ipaddress.ip_address(str(address.value_for_protocol(name)))


def is_plausible(address: Multiaddr, heard_from_ip: str | None) -> bool:
    """Whether an address may be dialled, given the IP address of whoever told it.

    Public ones may; private and loopback ones only if the teller is there too; unspecified, multicast and
    port 0 never. Else a stranger could have us knock at our own network's doors.
    """
    ip = ip_of(address)
    if ip.is_unspecified or ip.is_multicast or int(str(address.value_for_protocol("tcp"))) == 0:
        return False
    if ip.is_global:
        return True
    try:
        teller = ipaddress.ip_address(heard_from_ip or "")
    except ValueError:
        return False
    return teller.is_loopback if ip.is_loopback else not teller.is_global


def _diallable(raw: bytes, peer: PeerId) -> Multiaddr | None:
    if not 0 < len(raw) <= ADDRESS_BYTES_MAX:
        return None
    try:
        address = parse_multiaddr(raw)
        if names_of(address) not in DIALLABLE or relay_of(address) == peer:
            return None
    except (DecodeError, ValueError):
        return None
    return Multiaddr(f"{address}/p2p/{peer}")
