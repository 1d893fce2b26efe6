"""p2p/relay/messages.py: lengths, limits, and vouchers that nobody else can use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from p2p.identity import key_pair_from_secret, peer_id_from_secret
from p2p.relay.messages import (
    MESSAGE_BYTES_MAX,
    HopMessage,
    encode_message,
    open_voucher,
    read_message,
    seal_voucher,
)
from protocol.errors import DecodeError, ProtocolError, SignatureError
from tests.p2p.nodes import secret

RELAY, PEER, OTHER = (peer_id_from_secret(secret(number)) for number in range(3))
VOUCHER = seal_voucher(key_pair_from_secret(secret(0)), PEER, 1_000)


class Bytes:
    """A stream that gives its bytes one by one."""

    def __init__(self, data):
        self.left = data

    async def read(self, n):
        piece, self.left = self.left[:1], self.left[1:]
        return piece


async def test_a_message__comes_back_and_what_follows_it_stays():
    message = HopMessage(type=HopMessage.CONNECT)
    message.peer.id = PEER.to_bytes()
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


def test_a_voucher__counts_for_its_relay_and_peer_alone():
    assert open_voucher(VOUCHER, RELAY, PEER) == 1_000
    for relay, peer in ((RELAY, OTHER), (OTHER, PEER), (PEER, RELAY)):
        with pytest.raises(DecodeError):
            open_voucher(VOUCHER, relay, peer)


def test_a_voucher_of_another_kind_of_key__counts_too():
    pair = create_new_key_pair()
    assert open_voucher(seal_voucher(pair, PEER, 7), ID.from_pubkey(pair.public_key), PEER) == 7


def test_a_voucher_that_somebody_else_signed__is_refused():
    forged = bytearray(VOUCHER)
    forged[-1] ^= 1
    with pytest.raises(SignatureError):
        open_voucher(bytes(forged), RELAY, PEER)


@given(st.binary(max_size=300))
def test_any_bytes__are_a_voucher_or_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        open_voucher(data, RELAY, PEER)
