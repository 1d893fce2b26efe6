"""Others at the far end of a session: a raw one that sends what it likes, and the library's own host."""

from contextlib import asynccontextmanager

import trio
from libp2p import new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.tcp.tcp import TCP

from p2p.identity import key_pair_from_secret
from p2p.library.swarm import SessionUpgrader
from p2p.session.yamux_frames import HEADER
from tests.limits import HANG_S
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, secret, until


class RawPeer:
    """A peer that has agreed on noise and yamux, and from then on does what the test says."""

    def __init__(self, secured):
        self.secured = secured

    async def send(self, *frames):
        """Send frames, each (type, flags, stream, length or body)."""
        await self.secured.write(b"".join(packed(*one) for one in frames))

    async def send_sealed(self, data):
        """Send bytes below noise."""
        await self.secured.wire.send(data)

    async def read_until_end(self):
        heard = b""
        while data := await self.secured.read():
            heard += data
        return heard


def packed(kind, flags, stream_id, length_or_body):
    if isinstance(length_or_body, int):
        return HEADER.pack(0, kind, flags, stream_id, length_or_body)
    return HEADER.pack(0, kind, flags, stream_id, len(length_or_body)) + length_or_body


@asynccontextmanager
async def raw_peer_of(host, number=40):
    """A raw peer connected to a host of ours."""
    address = host.listen_addresses()[0]
    info = info_from_p2p_addr(address)
    upgrader = SessionUpgrader(key_pair_from_secret(secret(number)))
    raw = await TCP().dial(info.addrs[0])
    secured = await upgrader.upgrade_security(raw, True, info.peer_id)
    await upgrader.muxer_multistream._selector.select(secured, True, 5)
    try:
        await until(lambda: bool(host.connected_peers()))
        yield RawPeer(secured)
    finally:
        await secured.close()


@asynccontextmanager
async def two_ends(protocol="/test/1"):
    """A stream between two hosts of ours: our end, the other end, and the hosts."""
    send, receive = trio.open_memory_channel(1)

    async def serve(stream, _peer):
        await send.send(stream)
        await trio.sleep_forever()

    async with open_hosts(2) as (one, other):
        other.handle_streams(protocol, serve)
        await connect(one, other)
        stream = await one.open_stream(other.peer_id, [protocol])
        with trio.fail_after(HANG_S):
            yield stream, await receive.receive(), one, other


def session_between(host, peer_id):
    """The session that a host has with a peer."""
    return host._swarm.get_connections(peer_id)[0].muxed_conn


@asynccontextmanager
async def open_stock_host(number):
    """A host as the library builds it, with its own noise and yamux."""
    key_pair = create_new_key_pair(secret(number))
    host = new_host(
        key_pair=key_pair,
        sec_opt={NOISE_PROTOCOL: NoiseTransport(key_pair, create_noise_key_pair().private_key)},
        muxer_opt={TProtocol(YAMUX_PROTOCOL): Yamux},
        listen_addrs=LOOPBACK,
    )
    async with host.run(LOOPBACK):
        yield host
        await host.close()
