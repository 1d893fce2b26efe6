"""Oversize frames, on real sockets: a peer announces RPCs longer than any may be, and sends them.

Parameters: two honest hosts in one mesh, one attacker; each of its gossip streams begins with a length of
300 kB, of 128 MiB, or one that never ends, and goes on with 100 kB; a new stream for each.
Must hold: nothing of it is kept, the attacker is graylisted and cut off after at most five streams, and an
honest message passes while it goes on.
Reached: cut off after four streams.
"""

from contextlib import suppress

import trio

from p2p.gossip.actions import Count
from p2p.gossip.framing import frame
from p2p.gossip.service import PROTOCOLS
from p2p.host import open_host
from p2p.library.streams import TRANSPORT_ERRORS
from protocol.errors import Refusal
from tests.p2p.nodes import connect, hear, open_gossip, secret, until
from tests.simulation.outcome import Outcome

TOPIC = "tasks"
STREAMS_MAX = 5
HEADERS = (frame(bytes(300_000))[:3], b"\x80\x80\x80\x40", b"\xff" * 100)


async def send_oversize(rude, victim) -> int:
    """Open streams and send, until the victim has had enough. Returns how many it took."""
    for count in range(4 * STREAMS_MAX):
        if not rude.is_connected(victim.peer_id):
            return count
        with suppress(Refusal, *TRANSPORT_ERRORS):
            stream = await rude.open_stream(victim.peer_id, PROTOCOLS)
            await stream.write(HEADERS[count % len(HEADERS)] + bytes(100_000))
            await trio.sleep(0.05)
    return 4 * STREAMS_MAX


async def attack(seed: int) -> Outcome:
    outcome = Outcome("oversize frames, real sockets", seed)
    async with (
        open_gossip(2) as (hosts, services),
        open_host(secret(9), []) as rude,
        trio.open_nursery() as nursery,
    ):
        channels = [hear(service, TOPIC) for service in services]
        await connect(hosts[1], hosts[0])
        await until(lambda: all(service.mesh_peers(TOPIC) for service in services))
        await rude.connect(hosts[0].listen_addresses()[0])
        await until(lambda: hosts[0].is_connected(rude.peer_id))
        found = []

        async def take() -> None:
            found.append(await channels[0].receive())

        nursery.start_soon(take)
        streams = await send_oversize(rude, hosts[0])
        await services[1].publish(TOPIC, b"good")
        await until(lambda: found)
        await until(lambda: not hosts[0].is_connected(rude.peer_id))
        counts = services[0].router.counts
        nursery.cancel_scope.cancel()
    outcome.figure("streams until it was cut off", str(streams))
    outcome.figure("frames refused", str(counts[Count.DROPPED_MALFORMED]))
    outcome.check(f"cut off within {STREAMS_MAX} streams", streams <= STREAMS_MAX)
    outcome.check("graylisted", counts[Count.GRAYLISTED] == 1)
    outcome.check("an honest message passes", found == [b"good"])
    return outcome


async def test_frames_over_the_limit_end_in_the_graylist():
    outcome = await attack(seed=1)
    assert outcome.holds, outcome.text()
