"""Holes that were mended in py-libp2p, tried on our host: identify without end, records, and pings."""

import trio
from libp2p.identity.identify.pb.identify_pb2 import Identify

from p2p.identity import peer_id_from_secret
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.ping import PING_BYTES, PING_PROTOCOL, ping
from p2p.records import seal_record
from p2p.varints import encode_varint
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, secret, until

IDENTIFY, PUSH = "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0"
ENDLESS_BYTES = 32 << 20
TAKEN_BYTES_MAX = 2 << 20
"""Of a message that says it is longer than it may be: a window or two, never all."""
PINGS_AT_ONCE_MAX = 2
STALLED_S = 2.0
"""Long enough to push all of it through, if somebody took it: loopback moves 79 MB/s and more."""


class Endless:
    """Says that a terabyte follows, and sends what is taken of it. :ivar sent_bytes: taken so far."""

    def __init__(self):
        self.sent_bytes = 0
        self.is_over = False

    async def __call__(self, stream):
        try:
            with trio.move_on_after(STALLED_S):
                await stream.write(encode_varint(1 << 40))
                while self.sent_bytes < ENDLESS_BYTES:
                    await stream.write(bytes(64 * 1024))
                    self.sent_bytes += 64 * 1024
        except TRANSPORT_ERRORS:
            pass
        finally:
            self.is_over = True


async def answers(asker, peer):
    return await ping(asker, peer, bytes(range(PING_BYTES)), timeout_ms=5_000)


async def test_attack_an_identify_answer_without_end_is_not_read_to_its_end():
    async with open_hosts(2) as (alice, mallory):
        endless = Endless()
        mallory._basic.set_stream_handler(IDENTIFY, endless)
        await connect(alice, mallory)
        await until(lambda: endless.sent_bytes and not mallory._guard._open)
        assert endless.sent_bytes < TAKEN_BYTES_MAX
        assert await answers(alice, mallory.peer_id)


async def test_attack_an_identify_push_without_end_is_not_read_to_its_end():
    async with open_hosts(2) as (alice, mallory):
        await connect(mallory, alice)
        endless = Endless()
        await endless(await mallory.open_stream(alice.peer_id, [PUSH]))
        assert endless.sent_bytes < TAKEN_BYTES_MAX
        await until(lambda: not alice._guard._open)
        assert await answers(mallory, alice.peer_id)


async def test_attack_a_record_that_another_peer_signed_is_not_taken_for_the_senders():
    async with open_hosts(2) as (alice, mallory):
        await connect(mallory, alice)
        other = secret(77)
        message = Identify(signedPeerRecord=seal_record(other, 1, LOOPBACK).envelope)
        payload = message.SerializeToString()
        stream = await mallory.open_stream(alice.peer_id, [PUSH])
        await stream.write(encode_varint(len(payload)) + payload)
        await stream.close()
        await until(lambda: not alice._guard._open)
        known = alice._basic.get_peerstore()
        assert peer_id_from_secret(other) not in known.peers_with_addrs()
        assert known.get_peer_record(mallory.peer_id).record().peer_id == mallory.peer_id
        assert await answers(mallory, alice.peer_id)


async def test_attack_one_peer_has_so_many_ping_streams_and_no_more():
    async with open_hosts(2) as (alice, mallory):
        await connect(mallory, alice)
        streams = [
            await mallory.open_stream(alice.peer_id, [PING_PROTOCOL]) for _ in range(PINGS_AT_ONCE_MAX)
        ]
        for stream in streams:
            await stream.write(bytes(PING_BYTES))
            assert len(await stream.read(PING_BYTES)) == PING_BYTES
        assert not await answers(mallory, alice.peer_id)
        for stream in streams:
            await stream.close()
        await until(lambda: not alice._guard._open)
        assert await answers(mallory, alice.peer_id)
