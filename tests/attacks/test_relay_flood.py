"""Relay flood, on real sockets: one network takes all it can of a relay, and gives nothing back.

Parameters: a relay with its usual limits; 24 identities at one address (120 in `make attacks`), each with a
reservation and four calls at once to another's, over which they send all they can and read nothing; meanwhile
two honest peers at another address reserve, call and talk.
Must hold: the flood has no more reservations and circuits than one network may; the honest ones get theirs
within 10 s; the bytes that the relay holds for those who do not read end with their circuits.
Reached: 16 reservations and 8 circuits for the flood, more than 200 refusals; the honest call takes 0.15 s.
"""

from contextlib import AsyncExitStack, suppress

import trio

from p2p.host import open_host
from p2p.identity import key_pair_from_secret
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.relay.circuit_messages import HOP_PROTOCOL, STOP_PROTOCOL, HopMessage, Status, StopMessage
from p2p.relay.client import RelayClient
from p2p.relay.relay_book import RelayLimits
from p2p.relay.server import RelayServer
from p2p.small_messages import encode_message
from protocol.errors import ProtocolError, Refusal
from tests.p2p.nodes import LOOPBACK, connect, secret, until
from tests.p2p.relay.circuits import echo
from tests.simulation.outcome import Outcome

CALLS_EACH = 4
BOUND_S = 10.0
FLOOD, HONEST = "203.0.113.7", "198.51.100.9"
# A tenth of a relay's patience, so that the attack is over soon.
LIMITS = RelayLimits(stall_ms=1_000)
PIECE = bytes(16 * 1024)


async def flood(host, relay, everybody):
    """Reserve, call others, send without end and read nothing."""
    for request in [HopMessage(type=HopMessage.RESERVE)] * 2:
        with suppress(Refusal, *TRANSPORT_ERRORS):
            stream = await host.open_stream(relay.peer_id, [HOP_PROTOCOL])
            await stream.write(encode_message(request))

    async def call(peer):
        request = HopMessage(type=HopMessage.CONNECT)
        request.peer.id = peer.to_bytes()
        with suppress(Refusal, ProtocolError, *TRANSPORT_ERRORS):
            stream = await host.open_stream(relay.peer_id, [HOP_PROTOCOL])
            await stream.write(encode_message(request))
            while True:
                await stream.write(PIECE)

    async with trio.open_nursery() as nursery:
        for peer in everybody:
            nursery.start_soon(call, peer)


async def take_and_keep(stream, _peer):
    """A peer that takes every call, and reads nothing of it."""
    await stream.write(encode_message(StopMessage(type=StopMessage.STATUS, status=Status.OK)))
    await trio.sleep_forever()


async def attack(seed: int, identities: int = 120) -> Outcome:
    outcome = Outcome(f"relay flood: {identities} identities at one address, real sockets", seed)
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(open_host(secret(0), LOOPBACK, loopback_exempt=True))
        server = RelayServer(relay, key_pair_from_secret(secret(0)), limits=LIMITS)
        honest_peers = {}
        relay.remote_ip = lambda peer: HONEST if peer in honest_peers else FLOOD
        attackers = [
            await stack.enter_async_context(open_host(secret(1_000 + number), []))
            for number in range(identities)
        ]
        alice, bob = [await stack.enter_async_context(open_host(secret(number), [])) for number in (1, 2)]
        honest_peers |= dict.fromkeys((alice.peer_id, bob.peer_id))
        nursery = await stack.enter_async_context(trio.open_nursery())
        peers = [host.peer_id for host in attackers]
        for number, host in enumerate(attackers):
            host.handle_streams(STOP_PROTOCOL, take_and_keep)
            await connect(host, relay)
            others = [peers[(number + step) % identities] for step in range(1, CALLS_EACH + 1)]
            nursery.start_soon(flood, host, relay, others)
        await until(lambda: server.book.counts.reservation_refused > 0, 60)
        await until(lambda: server.book.counts.circuits > 0, 60)

        started = trio.current_time()
        client = RelayClient(alice, is_wanted=lambda: True)
        RelayClient(bob, is_wanted=lambda: False)
        alice.handle_direct_streams("/echo/1", echo)
        await connect(alice, relay)
        await nursery.start(client.run)
        await until(client.addresses, 60)
        await bob.connect(alice.addresses()[0])
        async with bob.open_direct_stream(alice.peer_id, "/echo/1") as direct:
            await direct.send(b"still here")
            answer = await direct.receive()
        honest_s = trio.current_time() - started
        flooding = server.book.reservation_count - 1
        circuits = server.book.circuit_count - 1
        await until(lambda: server.book.counts.circuit_ended_stalled > 0, 60)
        counts = server.book.counts
        refused = counts.reservation_refused + counts.circuit_refused + counts.circuit_refused_peer_full
        outcome.figure("reservations and circuits of the flood", f"{flooding}, {circuits}")
        outcome.figure("refusals", str(refused))
        outcome.figure("an honest reservation, call and exchange", f"{honest_s:.2f} s")
        outcome.check("the flood has what one network may", flooding <= LIMITS.reservations_per_network_max)
        outcome.check("so with circuits", circuits <= LIMITS.circuits_per_network_max)
        outcome.check("honest peers are served", answer == b"still here" and honest_s <= BOUND_S)
        outcome.check("who reads nothing loses its circuit", server.book.counts.circuit_ended_stalled > 0)
        nursery.cancel_scope.cancel()
    return outcome


async def test_one_network_cannot_use_up_a_relay():
    outcome = await attack(seed=1, identities=24)
    assert outcome.holds, outcome.text()
