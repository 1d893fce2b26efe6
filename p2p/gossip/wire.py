"""Gossip on the wire: RPCs as protobuf under strict limits.

Is: a total function from any bytes to an :class:`Rpc` or DecodeError, and its inverse.
Is not: a judge of content; signature fields and unknown topics are the router's business.

The schema is the pubsub RPC of libp2p in py-libp2p's generated classes; every peer reads it with the same
field numbers. Its parser is in C and linear in the input, so the limit on an RPC's size bounds memory before
the counts are looked at.

Nearly every RPC is one anonymous message, which all implementations spell alike, fields in order:

    12  length  12  length  data  22  length  topic

So that one is written and read here by hand, which is much faster; anything else goes to the general parser,
and the tests hold both against it. Several messages are their RPCs one after another, by protobuf's own rule.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError as ProtobufError
from libp2p.pubsub.pb import rpc_pb2 as pb

from p2p.gossip.framing import VARINT_BYTES_MAX
from p2p.varints import VARINT_CONTINUES, encode_varint
from protocol.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p2p.gossip.params import GossipParams

MESSAGE_ID_BYTES: Final = 20
MESSAGE_ID_BYTES_MAX: Final = 64
"""Longest foreign message id that is looked at; ours have 20."""

_TAG_PUBLISH: Final = 0x12
_TAG_DATA: Final = 0x12
_TAG_TOPIC: Final = 0x22


@dataclass(frozen=True, slots=True)
class Message:
    """One published message. :ivar signed: whether it has any of the fields that StrictNoSign forbids."""

    topic: str
    data: bytes
    signed: bool = False


@dataclass(frozen=True, slots=True)
class PxPeer:
    """A peer that another one names. :ivar record: its signed peer record, empty if there is none."""

    peer_id: bytes
    record: bytes = b""


@dataclass(frozen=True, slots=True)
class Prune:
    """A PRUNE. :ivar backoff_s: seconds asked for, 0 if none was given. :ivar peers: to go to instead."""

    topic: str
    backoff_s: int = 0
    peers: tuple[PxPeer, ...] = ()


@dataclass(frozen=True, slots=True)
class Rpc:
    """One decoded RPC; every field within the limits of the parameters it was decoded under."""

    subscriptions: tuple[tuple[str, bool], ...] = ()
    messages: tuple[Message, ...] = ()
    ihave: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    iwant: tuple[bytes, ...] = ()
    graft: tuple[str, ...] = ()
    prune: tuple[Prune, ...] = ()
    idontwant: tuple[bytes, ...] = ()


def message_id(topic: str, data: bytes) -> bytes:
    """The id of a message: first 20 bytes of SHA-256(length of topic, 8 bytes big-endian | topic | data).

    The length keeps two splits of the same bytes apart; with a hash of the plain concatenation, topic ``a``
    with data ``bc`` would shadow topic ``ab`` with data ``c``.
    """
    name = topic.encode()
    return hashlib.sha256(len(name).to_bytes(8) + name + data).digest()[:MESSAGE_ID_BYTES]


def encode_message(topic: str, data: bytes) -> bytes:
    """An RPC that publishes one message, in the anonymous envelope: topic and data, nothing else."""
    name = topic.encode()
    # Protobuf leaves an empty bytes field of proto2 in its place when it is set, and so do we.
    body = b"".join((b"\x12", encode_varint(len(data)), data, b"\x22", encode_varint(len(name)), name))
    return b"".join((b"\x12", encode_varint(len(body)), body))


def encode_messages(messages: Iterable[tuple[str, bytes]]) -> bytes:
    """An RPC that publishes messages, each as :func:`encode_message`."""
    return b"".join(encode_message(topic, data) for topic, data in messages)


def encode_subscriptions(topics: Iterable[tuple[str, bool]]) -> bytes:
    """An RPC that announces (topic, subscribed) pairs."""
    rpc = pb.RPC()
    for topic, subscribed in topics:
        rpc.subscriptions.add(topicid=topic, subscribe=subscribed)
    return rpc.SerializeToString()


def encode_control(
    *,
    ihave: Sequence[tuple[str, Sequence[bytes]]] = (),
    iwant: Sequence[bytes] = (),
    graft: Iterable[str] = (),
    prune: Iterable[Prune] = (),
    idontwant: Sequence[bytes] = (),
) -> bytes:
    """An RPC of control messages."""
    rpc = pb.RPC()
    for topic, ids in ihave:
        rpc.control.ihave.add(topicID=topic, messageIDs=ids)
    if iwant:
        rpc.control.iwant.add(messageIDs=iwant)
    for topic in graft:
        rpc.control.graft.add(topicID=topic)
    for entry in prune:
        added = rpc.control.prune.add(topicID=entry.topic, backoff=entry.backoff_s)
        for other in entry.peers:
            added.peers.add(peerID=other.peer_id, signedPeerRecord=other.record or None)
    if idontwant:
        rpc.control.idontwant.add(messageIDs=idontwant)
    return rpc.SerializeToString()


def decode_single(data: bytes, params: GossipParams) -> Message | None:
    """The message of an RPC that is exactly one anonymous message in its one spelling, else None.

    Bytes that give a message here give the same to :func:`decode_rpc`, and are those that
    :func:`encode_message` writes.
    """
    size = len(data)
    if size > params.rpc_bytes_max:
        return None
    body = _expect(data, 0, _TAG_PUBLISH)
    if body is None or body[0] + body[1] != size:
        return None
    content = _expect(data, body[0], _TAG_DATA)
    if content is None or content[1] > params.message_bytes_max:
        return None
    end = content[0] + content[1]
    name = _expect(data, end, _TAG_TOPIC)
    if name is None or name[0] + name[1] != size or not 0 < name[1] <= params.topic_bytes_max:
        return None
    try:
        topic = data[name[0] :].decode()
    except UnicodeDecodeError:
        return None
    return Message(topic, data[content[0] : end])


def decode_rpc(data: bytes, params: GossipParams) -> Rpc:
    """Decode an RPC without its length prefix. Unknown fields and kinds of control are passed over.

    :raises DecodeError: not protobuf, or any limit is exceeded, or a message without exactly one topic.
    """
    if len(data) > params.rpc_bytes_max:
        raise DecodeError("the RPC is too large")
    rpc = pb.RPC()
    try:
        rpc.ParseFromString(data)
    except ProtobufError as error:
        raise DecodeError("the RPC is not protobuf") from error
    _within(len(rpc.subscriptions), params.rpc_subscriptions_max, "subscriptions")
    _within(len(rpc.publish), params.rpc_messages_max, "messages")
    found = Rpc(
        subscriptions=tuple((_topic(item.topicid, params), item.subscribe) for item in rpc.subscriptions),
        messages=tuple(_message(item, params) for item in rpc.publish),
    )
    return _with_control(found, rpc.control, params) if rpc.HasField("control") else found


def _with_control(found: Rpc, control: pb.ControlMessage, params: GossipParams) -> Rpc:
    for entries in (control.ihave, control.iwant, control.graft, control.prune, control.idontwant):
        _within(len(entries), params.rpc_control_max, "control messages")
    ids = sum(len(offer.messageIDs) for offer in control.ihave)
    ids += sum(len(wish.messageIDs) for wish in control.iwant)
    ids += sum(len(notice.messageIDs) for notice in control.idontwant)
    _within(ids, params.rpc_message_ids_max, "message ids")
    _within(sum(len(item.peers) for item in control.prune), params.rpc_px_peers_max, "peers")
    return replace(
        found,
        ihave=tuple((_topic(item.topicID, params), _ids(item.messageIDs)) for item in control.ihave),
        iwant=tuple(identifier for item in control.iwant for identifier in _ids(item.messageIDs)),
        graft=tuple(_topic(item.topicID, params) for item in control.graft),
        prune=tuple(_prune(item, params) for item in control.prune),
        idontwant=tuple(identifier for item in control.idontwant for identifier in _ids(item.messageIDs)),
    )


def _expect(data: bytes, start: int, tag: int) -> tuple[int, int] | None:
    """Begin and length of the field at ``start``, if it has this tag and a length spelt the shortest way."""
    size = len(data)
    if size < start + 2 or data[start] != tag:
        return None
    length = data[start + 1]
    if length < VARINT_CONTINUES:
        return start + 2, length
    length &= 0x7F
    for index in range(start + 2, min(size, start + 1 + VARINT_BYTES_MAX)):
        byte = data[index]
        length |= (byte & 0x7F) << (7 * (index - start - 1))
        if byte < VARINT_CONTINUES:
            return None if byte == 0 else (index + 1, length)
    return None


def _within(count: int, count_max: int, what: str) -> None:
    if count > count_max:
        raise DecodeError(f"too many {what} in one RPC")


def _topic(topic: object, params: GossipParams) -> str:
    # The C parser hands out bytes where a text field is not UTF-8.
    if not isinstance(topic, str) or not topic:
        raise DecodeError("a topic that is no text")
    if len(topic.encode()) > params.topic_bytes_max:
        raise DecodeError("a topic that is too long")
    return topic


def _ids(identifiers: Iterable[bytes]) -> tuple[bytes, ...]:
    found = tuple(identifiers)
    if any(not 0 < len(identifier) <= MESSAGE_ID_BYTES_MAX for identifier in found):
        raise DecodeError("a message id of a wrong length")
    return found


def _prune(item: pb.ControlPrune, params: GossipParams) -> Prune:
    peers = tuple(PxPeer(other.peerID, other.signedPeerRecord) for other in item.peers)
    return Prune(_topic(item.topicID, params), item.backoff, peers)


def _message(item: pb.Message, params: GossipParams) -> Message:
    if len(item.topicIDs) != 1:
        raise DecodeError("a message without exactly one topic")
    if len(item.data) > params.message_bytes_max:
        raise DecodeError("a message that is too large")
    signed = any(item.HasField(name) for name in ("from_id", "seqno", "signature", "key"))
    return Message(_topic(item.topicIDs[0], params), item.data, signed)
