"""Messages around a circuit: HOP, STOP and voucher, between bytes and checked values.

Is: the library's protobufs, read from a stream by :mod:`p2p.small_messages`.
Is not: a conversation; :mod:`p2p.relay.server` and :mod:`p2p.relay.client` have those.

    HOP    client to relay: RESERVE, or CONNECT with a peer; back: STATUS, for RESERVE with a reservation
    STOP   relay to the peer that is wanted: CONNECT with the peer that wants it; back: STATUS
    after an OK of both, the streams carry the two peers' bytes and nothing else
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libp2p.crypto.serialization import deserialize_public_key
from libp2p.peer.id import ID
from libp2p.peer.pb import envelope_pb2
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Limit, Status, StopMessage, Voucher

from p2p.records import signed_bytes
from protocol.errors import DecodeError, SignatureError

if TYPE_CHECKING:
    from libp2p.crypto.keys import KeyPair

    from p2p.identity import PeerId

HOP_PROTOCOL: Final = "/libp2p/circuit/relay/0.2.0/hop"
STOP_PROTOCOL: Final = "/libp2p/circuit/relay/0.2.0/stop"
VOUCHER_DOMAIN: Final = b"libp2p-relay-rsvp"
VOUCHER_PAYLOAD_TYPE: Final = bytes.fromhex("0302")

__all__ = ["HopMessage", "Limit", "Status", "StopMessage", "Voucher"]


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
