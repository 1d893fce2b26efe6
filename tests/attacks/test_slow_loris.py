"""Slow loris, on real sockets: many connections that never finish what they begin.

Parameters: 100 TCP connections to one host, each of which sends one byte of a handshake every 200 ms; and a
gossip peer that sends one RPC byte by byte. Meanwhile honest hosts connect and gossip.
Must hold: an honest host connects within 5 s and its message passes within 5 s; the peer that dribbles loses
nothing and gains nothing.
Reached: an honest host connects in 14 ms, and its message passes in a millisecond.
"""

import itertools
from contextlib import suppress

import trio

from p2p.gossip.framing import frame
from p2p.gossip.service import PROTOCOLS
from p2p.gossip.wire import encode_messages
from p2p.host import open_host
from p2p.library.streams import TRANSPORT_ERRORS
from tests.p2p.nodes import connect, hear, open_gossip, secret, until
from tests.simulation.outcome import Outcome

TOPIC = "tasks"
CONNECTIONS = 100
GREETING = b"\x13/multistream/1.0.0\n"
BOUND_S = 5.0


async def dribble(port: int) -> None:
    """Begin a handshake, a byte at a time, and never end it."""
    with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            for byte in itertools.chain(GREETING, itertools.repeat(0)):
                await stream.send_all(bytes([byte]))
                await trio.sleep(0.2)


async def dribble_gossip(slow, victim) -> None:
    """Send a valid RPC, a byte at a time."""
    with suppress(*TRANSPORT_ERRORS):
        stream = await slow.open_stream(victim.peer_id, PROTOCOLS)
        for byte in frame(encode_messages([(TOPIC, b"slow")])):
            await stream.write(bytes([byte]))
            await trio.sleep(0.02)


async def attack(seed: int) -> Outcome:
    outcome = Outcome(f"slow loris, {CONNECTIONS} connections, real sockets", seed)
    async with (
        open_gossip(2) as (hosts, services),
        open_host(secret(9), []) as slow,
        trio.open_nursery() as nursery,
    ):
        channels = [hear(service, TOPIC) for service in services]
        port = int(hosts[0].listen_addresses()[0].value_for_protocol("tcp"))
        for _ in range(CONNECTIONS):
            nursery.start_soon(dribble, port)
        await slow.connect(hosts[0].listen_addresses()[0])
        nursery.start_soon(dribble_gossip, slow, hosts[0])
        await trio.sleep(0.5)
        started = trio.current_time()
        with trio.move_on_after(4 * BOUND_S):
            await connect(hosts[1], hosts[0])
        connected_s = trio.current_time() - started
        await until(lambda: hosts[0].peer_id in services[1].mesh_peers(TOPIC), 30)
        started = trio.current_time()
        await services[1].publish(TOPIC, b"good")
        found = set()
        with trio.move_on_after(4 * BOUND_S):
            while b"good" not in found:
                found.add(await channels[0].receive())
        passed_s = trio.current_time() - started
        with trio.move_on_after(4 * BOUND_S):
            while b"slow" not in found:
                found.add(await channels[0].receive())
        score = services[0].score(slow.peer_id)
        nursery.cancel_scope.cancel()
    outcome.figure("an honest host connects in", f"{connected_s * 1000:.1f} ms")
    outcome.figure("an honest message passes in", f"{passed_s * 1000:.1f} ms")
    outcome.check(f"an honest host connects within {BOUND_S:.0f} s", connected_s < BOUND_S)
    outcome.check(f"an honest message passes within {BOUND_S:.0f} s", passed_s < BOUND_S)
    outcome.check("what comes slowly comes all the same, and costs nothing", b"slow" in found and score >= 0)
    return outcome


async def test_those_who_never_finish_hold_nobody_up():
    outcome = await attack(seed=1)
    assert outcome.holds, outcome.text()
