"""What is said around a circuit: HOP, STOP and voucher, between bytes and checked values.

Is: the library's protobufs, after their length as a varint, read from a stream with a limit.
Is not: a conversation; :mod:`p2p.relay.server` and :mod:`p2p.relay.client` have those.

    HOP    client to relay: RESERVE, or CONNECT with a peer; back: STATUS, for RESERVE with a reservation
    STOP   relay to the peer that is wanted: CONNECT with the peer that wants it; back: STATUS
    after an OK of both, the streams carry the two peers' bytes and nothing else
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message
from libp2p.crypto.serialization import deserialize_public_key
from libp2p.peer.id import ID
from libp2p.peer.pb import envelope_pb2
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Limit, Status, StopMessage, Voucher

from p2p.records import signed_bytes, varint
from protocol.errors import DecodeError, SignatureError

if TYPE_CHECKING:
    from libp2p.crypto.keys import KeyPair

    from p2p.identity import PeerId
    from p2p.swarm import Stream

HOP_PROTOCOL: Final = "/libp2p/circuit/relay/0.2.0/hop"
STOP_PROTOCOL: Final = "/libp2p/circuit/relay/0.2.0/stop"
MESSAGE_BYTES_MAX: Final = 4_096
"""Bytes of one message, as other implementations limit it."""
VOUCHER_DOMAIN: Final = b"libp2p-relay-rsvp"
VOUCHER_PAYLOAD_TYPE: Final = bytes.fromhex("0302")

__all__ = ["HopMessage", "Limit", "Status", "StopMessage", "Voucher"]
AnyMessage = TypeVar("AnyMessage", bound=Message)


async def read_message(stream: Stream, kind: type[AnyMessage]) -> AnyMessage:
    """The next message, and not a byte beyond it. The time for it is the caller's to bound.

    :raises DecodeError: none of that kind, too long, or the stream ended within it.
    :raises Refusal: the stream broke.
    """
    length = shift = 0
    while True:
        byte = (await read_exactly(stream, 1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint
            break
        if length > MESSAGE_BYTES_MAX or shift > 21:  # noqa: PLR2004 - three bytes of seven bits are enough
            raise DecodeError("a message that is too long")
    if length > MESSAGE_BYTES_MAX:
        raise DecodeError("a message that is too long")
    try:
        return kind.FromString(await read_exactly(stream, length))
    except (ProtobufError, UnicodeDecodeError) as error:
        raise DecodeError("not a message of its kind") from error


async def read_exactly(stream: Stream, count: int) -> bytes:
    """So many bytes. :raises DecodeError: the stream ended before; :raises Refusal: it broke."""
    data = b""
    while len(data) < count:
        piece = await stream.read(count - len(data))
        if not piece:
            raise DecodeError("the stream ended within a message")
        data += piece
    return data


def encode_message(message: Message) -> bytes:
    """A message after its length."""
    body = message.SerializeToString()
    return varint(len(body)) + body


def seal_voucher(relay: KeyPair, peer: PeerId, expires_at_s: int) -> bytes:
    """A relay's signature on a reservation of `peer` (specification, "Reservation Vouchers")."""
    voucher = Voucher(
        relay=ID.from_pubkey(relay.public_key).to_bytes(), peer=peer.to_bytes(), expiration=expires_at_s
    )
    payload = voucher.SerializeToString()
    envelope = envelope_pb2.Envelope(
        payload_type=VOUCHER_PAYLOAD_TYPE,
        payload=payload,
        signature=relay.private_key.sign(signed_bytes(VOUCHER_DOMAIN, VOUCHER_PAYLOAD_TYPE, payload)),
    )
    envelope.public_key.ParseFromString(relay.public_key.serialize())
    return bytes(envelope.SerializeToString())


def open_voucher(envelope: bytes, relay: PeerId, peer: PeerId) -> int:
    """When the reservation that `relay` gave to `peer` ends, in Unix seconds.

    :param relay: who must have signed it; its key may be of any type that libp2p knows.
    :raises DecodeError: no envelope of a voucher, or one of somebody else's.
    :raises SignatureError: the signature is not the relay's.
    """
    try:
        outer = envelope_pb2.Envelope.FromString(envelope)
        voucher = Voucher.FromString(outer.payload)
        key = deserialize_public_key(outer.public_key.SerializeToString())
        signer = ID.from_pubkey(key)
        signed = signed_bytes(VOUCHER_DOMAIN, VOUCHER_PAYLOAD_TYPE, outer.payload)
        valid = signer == relay and key.verify(signed, outer.signature)
    except Exception as error:  # protobuf and four libraries of cryptography raise what they like
        raise DecodeError("not an envelope of a voucher") from error
    if outer.payload_type != VOUCHER_PAYLOAD_TYPE:
        raise DecodeError("an envelope of something else")
    if (voucher.relay, voucher.peer) != (relay.to_bytes(), peer.to_bytes()):
        raise DecodeError("a voucher for somebody else")
    if not valid:
        raise SignatureError("the signature of a voucher is wrong")
    return int(voucher.expiration)
