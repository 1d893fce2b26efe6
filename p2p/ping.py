"""Is a connected peer alive: libp2p's ping, ``/ipfs/ping/1.0.0``.

Is: one question with a deadline, now and then. A process that is stopped, and a machine that vanished without
a farewell, keep their connections; only a question finds them out.
Is not: a decision whom to ask, which is :mod:`p2p.connections`'s.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from p2p.host_streams import NotConnected, StreamRefused
from p2p.library.streams import TRANSPORT_ERRORS, reset_stream

if TYPE_CHECKING:
    import random

    from p2p.connection_params import ConnectionParams
    from p2p.host import Host
    from p2p.identity import PeerId

PING_PROTOCOL: Final = "/ipfs/ping/1.0.0"
PING_BYTES: Final = 32
OWN_DELAY_MS: Final = 200
"""A deadline noticed this late says more about us than about the peer, milliseconds."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PingCounts:
    """Pings without an answer since the start.

    :ivar frozen: peers let go because they did not answer.
    :ivar own_delay: pings that count for nothing because we were late ourselves.
    """

    frozen: int = 0
    own_delay: int = 0


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


async def keep_pinging(
    host: Host, peer: PeerId, rng: random.Random, params: ConnectionParams, counts: PingCounts
) -> None:
    """Ping a peer from time to time until cancelled, and disconnect it when it is frozen."""
    failures = 0
    while True:
        # Up to a tenth early, so that a node with many peers does not ping them all at once.
        await trio.sleep(params.ping_interval_ms * rng.uniform(0.9, 1) / 1000)
        sent = rng.randbytes(PING_BYTES)
        deadline = trio.current_time() + params.ping_timeout_ms / 1000
        answered = await ping(host, peer, sent, timeout_ms=params.ping_timeout_ms)
        if not answered and trio.current_time() - deadline > OWN_DELAY_MS / 1000:
            # We ourselves are that late: a node without time must not blame its peers for it, and drop
            # them all at the worst moment.
            counts.own_delay += 1
            continue
        failures = 0 if answered else failures + 1
        if failures >= params.ping_failures_max:
            counts.frozen += 1
            _log.info("disconnecting %s: no answer to pings", peer)
            await host.disconnect(peer)
            failures = 0
