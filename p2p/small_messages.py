"""Small messages of libp2p's own protocols: a protobuf after its length as a varint.

Is: reading one from a stream, with a limit and not a byte beyond it, and writing one.
Is not: for our own protocols, which use direct streams (:mod:`p2p.streams`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message

from p2p.varints import encode_varint
from protocol.errors import DecodeError

if TYPE_CHECKING:
    from p2p.library.streams import Stream

MESSAGE_BYTES_MAX: Final = 4_096
"""Bytes of one message, as other implementations limit it."""

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
    return encode_varint(len(body)) + body
