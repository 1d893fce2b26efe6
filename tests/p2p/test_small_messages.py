"""p2p/small_messages.py: small protobufs, read with a limit and not a byte further."""

import pytest
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage

from p2p.small_messages import MESSAGE_BYTES_MAX, encode_message, read_message
from protocol.errors import DecodeError


class Bytes:
    """A stream that gives its bytes one by one."""

    def __init__(self, data):
        self.left = data

    async def read(self, n):
        piece, self.left = self.left[:1], self.left[1:]
        return piece


async def test_a_message__comes_back_and_what_follows_it_stays():
    message = HopMessage(type=HopMessage.CONNECT)
    message.peer.id = bytes(39)
    message.peer.addrs.extend([bytes(100), bytes(100)])
    encoded = encode_message(message)
    assert len(encoded) > 200
    stream = Bytes(encoded + b"noise")
    assert await read_message(stream, HopMessage) == message
    assert stream.left == b"noise"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05abc",
        (MESSAGE_BYTES_MAX + 1).to_bytes(1 + 1, "little"),
        b"\xff\xff\xff\xff\x7f",
        b"\x80" * 10,
        b"\x02\xff\xff",
    ],
)
async def test_what_is_no_message__is_refused_and_not_waited_for(data):
    with pytest.raises(DecodeError):
        await read_message(Bytes(data), HopMessage)


async def test_a_message_over_the_limit__is_not_read():
    message = HopMessage(type=HopMessage.CONNECT)
    message.peer.id = bytes(MESSAGE_BYTES_MAX)
    stream = Bytes(encode_message(message))
    with pytest.raises(DecodeError, match="too long"):
        await read_message(stream, HopMessage)
    assert len(stream.left) >= MESSAGE_BYTES_MAX
