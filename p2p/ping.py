"""Is a connected peer alive: libp2p's ping, ``/ipfs/ping/1.0.0``.

Is: one question with a deadline. A process that is stopped, and a machine that vanished without a farewell,
keep their connections; only a question finds them out.
Is not: a schedule of them, which is :mod:`p2p.connections`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from p2p.host_streams import NotConnected, StreamRefused
from p2p.library.streams import reset_stream
from p2p.streams import TRANSPORT_ERRORS

if TYPE_CHECKING:
    from p2p.host import Host
    from p2p.identity import PeerId

PING_PROTOCOL: Final = "/ipfs/ping/1.0.0"
PING_BYTES: Final = 32


async def ping(host: Host, peer: PeerId, sent: bytes, *, timeout_ms: int) -> bool:
    """Whether a connected peer answers in time with what it was sent.

    :param sent: PING_BYTES bytes that it cannot guess.
    """
    try:
        with trio.fail_after(timeout_ms / 1000):
            stream = await host.open_stream(peer, [PING_PROTOCOL], timeout_ms=timeout_ms)
            try:
                await stream.write(sent)
                heard = b""
                while len(heard) < PING_BYTES:
                    piece = await stream.read(PING_BYTES - len(heard))
                    if not piece:
                        return False
                    heard += piece
                return heard == sent
            finally:
                await reset_stream(stream)
    except (NotConnected, StreamRefused, trio.TooSlowError, *TRANSPORT_ERRORS):
        return False
