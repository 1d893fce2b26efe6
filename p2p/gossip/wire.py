"""Gossip on the wire: RPCs as protobuf under strict limits, framed by a varint length.

Is: a total function from any bytes to an :class:`Rpc` or DecodeError, and its inverse; an incremental framer.
Is not: a judge of content; signature fields and unknown topics are the router's business.

The schema is the pubsub RPC of libp2p in py-libp2p's generated classes; every peer reads it with the same
field numbers. Its parser is in C and linear in the input, so the limit on an RPC's size bounds memory before
the counts are looked at.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError as ProtobufError
from libp2p.pubsub.pb import rpc_pb2 as pb

from protocol.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from p2p.gossip.params import GossipParams

MESSAGE_ID_BYTES: Final = 20
MESSAGE_ID_BYTES_MAX: Final = 64
"""Longest foreign message id that is looked at; ours have 20."""
VARINT_BYTES_MAX: Final = 4
"""Bytes of a length prefix: 2^28, beyond any limit here."""
RPC_MESSAGE_OVERHEAD_BYTES: Final = 32
"""Upper bound on what protobuf adds to one message's data and topic."""

_VARINT_CONTINUES: Final = 0x80
_MILLISECONDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """One published message. :ivar signed: whether it has any of the fields that StrictNoSign forbids."""

    topic: str
    data: bytes
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Prune:
    """A PRUNE. :ivar backoff_s: seconds asked for, 0 if none was given."""

    topic: str
    backoff_s: int = 0


@dataclass(frozen=True, slots=True)
class Rpc:
    """One decoded RPC; every field within the limits of the parameters it was decoded under."""

    subscriptions: tuple[tuple[str, bool], ...] = ()
    messages: tuple[Message, ...] = ()
    ihave: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    iwant: tuple[bytes, ...] = ()
    graft: tuple[str, ...] = ()
    prune: tuple[Prune, ...] = ()


def message_id(topic: str, data: bytes) -> bytes:
    """The id of a message: first 20 bytes of SHA-256(length of topic, 8 bytes big-endian | topic | data).

    The length keeps two splits of the same bytes apart; with a hash of the plain concatenation, topic ``a``
    with data ``bc`` would shadow topic ``ab`` with data ``c``.
    """
    name = topic.encode()
    return hashlib.sha256(len(name).to_bytes(8) + name + data).digest()[:MESSAGE_ID_BYTES]


def encode_messages(messages: Iterable[tuple[str, bytes]]) -> bytes:
    """An RPC that publishes messages, in the anonymous envelope: topic and data, nothing else."""
    rpc = pb.RPC()
    for topic, data in messages:
        rpc.publish.add(topicIDs=[topic], data=data)
    return rpc.SerializeToString()


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
        rpc.control.prune.add(topicID=entry.topic, backoff=entry.backoff_s)
    return rpc.SerializeToString()


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
    control = rpc.control
    for entries in (control.ihave, control.iwant, control.graft, control.prune):
        _within(len(entries), params.rpc_control_max, "control messages")
    ids = sum(len(offer.messageIDs) for offer in control.ihave)
    ids += sum(len(wish.messageIDs) for wish in control.iwant)
    _within(ids, params.rpc_message_ids_max, "message ids")
    return Rpc(
        subscriptions=tuple((_topic(item.topicid, params), item.subscribe) for item in rpc.subscriptions),
        messages=tuple(_message(item, params) for item in rpc.publish),
        ihave=tuple((_topic(item.topicID, params), _ids(item.messageIDs)) for item in control.ihave),
        iwant=tuple(identifier for item in control.iwant for identifier in _ids(item.messageIDs)),
        graft=tuple(_topic(item.topicID, params) for item in control.graft),
        prune=tuple(Prune(_topic(item.topicID, params), item.backoff) for item in control.prune),
    )


def frame(rpc: bytes) -> bytes:
    """An RPC with its length before it, as an unsigned varint."""
    length, prefix = len(rpc), bytearray()
    while length >= _VARINT_CONTINUES:
        prefix.append(length & 0x7F | _VARINT_CONTINUES)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + rpc


class FrameSplitter:
    """Cuts a stream of bytes into RPCs, however the bytes come. After a DecodeError it is useless."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._buffer = bytearray()
        self._frame_bytes_max = frame_bytes_max

    @property
    def pending_bytes(self) -> int:
        """Bytes held that do not make a whole RPC yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the RPCs they complete, in order.

        :raises DecodeError: a length that is over the limit, or not the shortest spelling of itself.
        """
        self._buffer += data
        frames: list[bytes] = []
        start = 0
        while (header := self._length(start)) is not None:
            body, length = header
            if len(self._buffer) - body < length:
                break
            frames.append(bytes(self._buffer[body : body + length]))
            start = body + length
        del self._buffer[:start]
        return frames

    def _length(self, start: int) -> tuple[int, int] | None:
        length = 0
        for index, byte in enumerate(self._buffer[start : start + VARINT_BYTES_MAX]):
            length |= (byte & 0x7F) << (7 * index)
            if byte < _VARINT_CONTINUES:
                if byte == 0 and index > 0:
                    raise DecodeError("a length with a needless byte")
                if length > self._frame_bytes_max:
                    raise DecodeError("a frame over the limit")
                return start + index + 1, length
        if len(self._buffer) - start >= VARINT_BYTES_MAX:
            raise DecodeError("a length without end")
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


def _message(item: pb.Message, params: GossipParams) -> Message:
    if len(item.topicIDs) != 1:
        raise DecodeError("a message without exactly one topic")
    if len(item.data) > params.message_bytes_max:
        raise DecodeError("a message that is too large")
    signed = any(item.HasField(name) for name in ("from_id", "seqno", "signature", "key"))
    return Message(_topic(item.topicIDs[0], params), item.data, signed)
