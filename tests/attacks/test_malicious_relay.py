"""Malicious relay, on real sockets: the peer that leads others to us lies, and changes what it carries.

Parameters: a relay that answers every call with itself as the peer that was called; then one that carries
honestly but for one flipped bit in every piece after the handshake; then one that leads 60 strangers at once
to whoever reserved with it, and names peers that they are not.
Must hold: nobody is taken for somebody else; nothing that was changed is delivered; who reserved has no more
inbound circuits than one relay may lead to it, and still answers; nobody's node ends.
Reached: no connection to the impostor, none of 20 payloads delivered changed, 16 circuits of 60.
"""

from contextlib import suppress

import trio
from multiaddr import Multiaddr

from p2p.dialling import DialFailed
from p2p.host import open_host
from p2p.identity import peer_id_from_secret
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.limits import CIRCUITS_PER_RELAY_MAX
from p2p.relay.circuit_messages import (
    HOP_PROTOCOL,
    STOP_PROTOCOL,
    HopMessage,
    Status,
    StopMessage,
)
from p2p.relay.client import RelayClient
from p2p.small_messages import encode_message, read_message
from protocol.errors import ProtocolError, Refusal
from tests.p2p.nodes import connect, open_hosts, secret, until
from tests.p2p.relay.circuits import echo, open_hidden, open_relay
from tests.simulation.outcome import Outcome

ECHO = "/echo/1"
PAYLOADS = 20
STRANGERS = 60
BROKEN = (Refusal, ProtocolError, *TRANSPORT_ERRORS)


async def impersonate(outcome: Outcome) -> None:
    """The relay says that it has led the caller to the victim, and shakes hands itself."""
    async with open_hosts(2) as (relay, victim), open_host(secret(9), []) as caller:

        async def serve(stream, peer):
            await read_message(stream, HopMessage)
            await stream.write(encode_message(HopMessage(type=HopMessage.STATUS, status=Status.OK)))
            with suppress(*BROKEN):
                await relay.accept_circuit(stream, Multiaddr(f"/p2p/{relay.peer_id}/p2p-circuit"), peer)

        relay.handle_streams(HOP_PROTOCOL, serve)
        RelayClient(caller, is_wanted=lambda: False)
        address = Multiaddr(f"{relay.listen_addresses()[0]}/p2p-circuit/p2p/{victim.peer_id}")
        try:
            await caller.connect(address)
        except DialFailed:
            refused = True
        else:
            refused = False
        outcome.check("an impostor is not connected", refused and not caller.is_connected(victim.peer_id))


async def tamper(outcome: Outcome) -> None:
    """The relay flips one bit of each piece that it carries, once both sides know each other."""
    delivered = []
    async with open_relay() as (relay, server), open_hidden(relay, 2) as (alice, bob):
        tampering = False
        pump = server._pump

        class Tampering:
            def __init__(self, source):
                self.source = source

            async def read(self, n):
                data = bytearray(await self.source.read(n))
                if tampering and data:
                    data[len(data) // 2] ^= 1
                return bytes(data)

        server._pump = lambda source, sink: pump(Tampering(source), sink)

        async def keep(stream, _peer):
            while (payload := await stream.receive()) is not None:
                delivered.append(payload)
                await stream.send(payload)

        alice.host.handle_direct_streams(ECHO, keep)
        sent = [bytes([number]) * 1_000 for number in range(PAYLOADS)]
        for number, payload in enumerate(sent):
            with suppress(*BROKEN):
                tampering = False
                await bob.host.connect(alice.host.addresses()[0])
                async with bob.host.open_direct_stream(alice.host.peer_id, ECHO) as stream:
                    tampering = bool(number % 2)
                    await stream.send(payload, timeout_ms=2_000)
                    await stream.receive(timeout_ms=2_000)
            if tampering:
                await until(lambda: not bob.host.is_connected(alice.host.peer_id))
        outcome.figure("payloads sent, delivered", f"{PAYLOADS}, {len(delivered)}")
        outcome.check("what is delivered was sent", set(delivered) <= set(sent))
        outcome.check("what was not touched is delivered", set(sent[::2]) <= set(delivered))
        outcome.check("what was touched is not", not set(sent[1::2]) & set(delivered))


async def lead_many(outcome: Outcome) -> None:
    """The relay calls on behalf of strangers that it makes up, who never shake hands."""
    async with (
        open_relay() as (relay, _),
        open_hidden(relay, 2) as (alice, bob),
        trio.open_nursery() as nursery,
    ):
        alice.host.handle_direct_streams(ECHO, echo)
        taken = 0

        async def lead(number):
            nonlocal taken
            with suppress(*BROKEN):
                stream = await relay.open_stream(alice.host.peer_id, [STOP_PROTOCOL])
                call = StopMessage(type=StopMessage.CONNECT)
                call.peer.id = peer_id_from_secret(secret(3_000 + number)).to_bytes()
                await stream.write(encode_message(call))
                if (await read_message(stream, StopMessage)).status == Status.OK:
                    taken += 1
                    await trio.sleep_forever()

        most = 0

        def all_were_tried():
            nonlocal most
            most = max(most, alice.host._swarm.circuit_limits.open_count)
            refused = alice.host.statistics().circuits.refused_network_full
            return refused >= STRANGERS - CIRCUITS_PER_RELAY_MAX

        for number in range(STRANGERS):
            nursery.start_soon(lead, number)
        await until(all_were_tried)
        outcome.figure("strangers led to one peer, circuits at most", f"{STRANGERS}, {most}")
        outcome.check("a relay leads so many to a peer at most", 0 < most <= CIRCUITS_PER_RELAY_MAX)
        nursery.cancel_scope.cancel()
    async with open_relay() as (relay, _), open_hidden(relay, 2) as (alice, bob):
        alice.host.handle_direct_streams(ECHO, echo)
        await bob.host.connect(alice.host.addresses()[0])
        await connect(alice.host, relay)
        outcome.check("a peer still takes calls", bob.host.is_connected(alice.host.peer_id))


async def attack(seed: int) -> Outcome:
    outcome = Outcome("malicious relay, real sockets", seed)
    await impersonate(outcome)
    await tamper(outcome)
    await lead_many(outcome)
    return outcome


async def test_a_relay_can_only_hang_up():
    outcome = await attack(seed=1)
    assert outcome.holds, outcome.text()
