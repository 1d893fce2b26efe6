"""p2p/relay/server.py on real sockets: peers that nobody can dial reach each other, within its limits."""

import pytest
import trio
from multiaddr import Multiaddr

from p2p.dialling import DialFailed
from p2p.identity import key_pair_from_secret
from p2p.library.streams import TRANSPORT_ERRORS
from p2p.relay.circuit_messages import HOP_PROTOCOL, HopMessage, Status, open_voucher
from p2p.relay.relay_book import RelayCounts, RelayLimits
from p2p.relay.server import RelayServer
from p2p.small_messages import encode_message, read_message
from protocol.errors import ProtocolError, Refusal
from tests.limits import HANG_S
from tests.p2p.nodes import connect, secret, until
from tests.p2p.relay.circuits import echo, open_hidden, open_relay

ECHO = "/echo/1"
BROKEN = (Refusal, ProtocolError, *TRANSPORT_ERRORS)


async def ask(host, relay, request):
    """The relay's answer to one request, and what is left of its stream."""
    stream = await host.open_stream(relay.peer_id, [HOP_PROTOCOL])
    await stream.write(request if isinstance(request, bytes) else encode_message(request))
    with trio.fail_after(HANG_S):
        answer = await read_message(stream, HopMessage)
    await stream.reset()
    return answer


def call(peer_id):
    request = HopMessage(type=HopMessage.CONNECT)
    request.peer.id = peer_id.to_bytes()
    return request


async def test_two_peers_that_nobody_can_dial__speak_through_a_relay_that_understands_nothing(monkeypatch):
    secret_words = b"what is said between the two of us" * 100
    async with open_relay() as (relay, server), open_hidden(relay, 2) as (alice, bob):
        carried = []
        pump = server._pump

        class Tap:
            def __init__(self, source):
                self.source = source

            async def read(self, n):
                carried.append(await self.source.read(n))
                return carried[-1]

        monkeypatch.setattr(server, "_pump", lambda source, sink: pump(Tap(source), sink))
        alice.host.handle_direct_streams(ECHO, echo)
        (address,) = alice.host.addresses()
        assert await bob.host.connect(address) == alice.host.peer_id
        await until(lambda: alice.host.is_connected(bob.host.peer_id))
        assert bob.host.is_relayed(alice.host.peer_id)
        assert not bob.host.is_relayed(relay.peer_id)
        assert alice.host.remote_ip(bob.host.peer_id) is None
        assert alice.host.source_of(bob.host.peer_id) == f"/p2p/{relay.peer_id}"
        async with bob.host.open_direct_stream(alice.host.peer_id, ECHO) as stream:
            await stream.send(secret_words)
            assert await stream.receive() == secret_words
        assert sum(map(len, carried)) > 2 * len(secret_words)
        assert not any(secret_words[:34] in piece for piece in (b"".join(carried), *carried))
        assert server.statistics().circuits_now == 1
        assert server.statistics().counts.carried_bytes == sum(map(len, carried))

        await bob.host.disconnect(alice.host.peer_id)
        await until(lambda: not alice.host.is_connected(bob.host.peer_id))
        await until(lambda: server.book.circuit_count == 0)
        assert alice.host.is_connected(relay.peer_id)


async def test_a_large_transfer__goes_through_a_circuit_whole():
    payloads = [bytes([number]) * 1_000_000 for number in range(4)]
    async with open_relay() as (relay, _), open_hidden(relay, 2) as (alice, bob):
        alice.host.handle_direct_streams(ECHO, echo)
        await bob.host.connect(alice.host.addresses()[0])
        async with bob.host.open_direct_stream(alice.host.peer_id, ECHO) as stream:
            for payload in payloads:
                await stream.send(payload)
                assert await stream.receive() == payload


async def test_a_reservation__ends_with_its_connection():
    async with open_relay() as (relay, server), open_hidden(relay, 2) as (alice, bob):
        (address,) = alice.host.addresses()
        await alice.host.disconnect(relay.peer_id)
        await until(lambda: server.book.reservation_count == 0)
        with pytest.raises(DialFailed):
            await bob.host.connect(address)
        assert server.book.counts.no_reservation == 1
        assert alice.host.addresses() == ()
        assert bob.host.is_connected(relay.peer_id)


async def test_a_peer_that_reserved_nothing__is_not_called():
    async with open_relay() as (relay, server), open_hidden(relay, 2, reserving=0) as (alice, bob):
        answer = await ask(bob.host, relay, call(alice.host.peer_id))
        assert (answer.type, answer.status) == (HopMessage.STATUS, Status.NO_RESERVATION)
        assert alice.client.counts.not_taken == 0
        assert server.book.circuit_count == 0


async def test_a_reservation_in_another_peers_name__is_for_who_asks():
    async with open_relay() as (relay, server), open_hidden(relay, 2, reserving=0) as (alice, bob):
        request = HopMessage(type=HopMessage.RESERVE)
        request.peer.id = alice.host.peer_id.to_bytes()
        answer = await ask(bob.host, relay, request)
        assert answer.status == Status.OK
        assert server.book.expires_at_s(bob.host.peer_id) == answer.reservation.expire
        assert (await ask(bob.host, relay, call(alice.host.peer_id))).status == Status.NO_RESERVATION


async def test_what_is_no_request__is_answered_and_counted():
    async with open_relay() as (relay, server), open_hidden(relay, 1, reserving=0) as (bob,):
        assert (await ask(bob.host, relay, b"\x02\xff\xff")).status == Status.MALFORMED_MESSAGE
        assert (await ask(bob.host, relay, b"\xff\xff\xff\x7f")).status == Status.MALFORMED_MESSAGE
        status = HopMessage(type=HopMessage.STATUS, status=Status.OK)
        assert (await ask(bob.host, relay, status)).status == Status.UNEXPECTED_MESSAGE
        assert server.book.counts == RelayCounts(malformed=2, unexpected=1)
        assert relay.statistics().streams.handler_failed == 0


async def test_over_a_circuit__there_is_neither_reservation_nor_circuit():
    async with open_relay() as (relay, _), open_hidden(relay, 2) as (alice, bob):
        # Alice relays too, but can be reached through a relay only.
        server = RelayServer(alice.host, key_pair_from_secret(secret(1)))
        await bob.host.connect(alice.host.addresses()[0])
        for request in (HopMessage(type=HopMessage.RESERVE), call(bob.host.peer_id)):
            assert (await ask(bob.host, alice.host, request)).status == Status.PERMISSION_DENIED
        assert server.book.counts == RelayCounts(permission_denied=2)
        nested = Multiaddr(f"{relay.listen_addresses()[0]}/p2p-circuit/p2p/{alice.host.peer_id}")
        assert nested == alice.host.addresses()[0]


async def test_one_network__has_so_many_circuits_and_reservations():
    limits = RelayLimits(reservations_per_network_max=1, circuits_per_network_max=1)
    async with (
        open_relay(limits=limits, loopback_exempt=False) as (relay, server),
        open_hidden(relay, 3) as (alice, bob, carol),
    ):
        assert (await ask(bob.host, relay, HopMessage())).status == Status.RESERVATION_REFUSED
        await bob.host.connect(alice.host.addresses()[0])
        with pytest.raises(DialFailed):
            await carol.host.connect(alice.host.addresses()[0])
        assert server.book.counts.circuit_refused == 1
        await bob.host.disconnect(alice.host.peer_id)
        await until(lambda: server.book.circuit_count == 0)
        await carol.host.connect(alice.host.addresses()[0])


async def test_a_circuit__ends_with_its_bytes():
    limits = RelayLimits(circuit_bytes_max=100_000)
    async with open_relay(limits=limits) as (relay, server), open_hidden(relay, 2) as (alice, bob):
        alice.host.handle_direct_streams(ECHO, echo)
        await bob.host.connect(alice.host.addresses()[0])
        with pytest.raises(BROKEN):  # noqa: PT012 - by how soon the reset comes
            async with bob.host.open_direct_stream(alice.host.peer_id, ECHO) as stream:
                await stream.send(bytes(200_000))
                await stream.receive()
        await until(lambda: not bob.host.is_connected(alice.host.peer_id))
        assert server.book.counts.circuit_ended_bytes == 1
        assert server.book.circuit_count == 0
        await bob.host.connect(alice.host.addresses()[0])


async def test_a_circuit__ends_with_its_time():
    async with (
        open_relay(limits=RelayLimits(circuit_s=1)) as (relay, server),
        open_hidden(relay, 2) as (alice, bob),
    ):
        await bob.host.connect(alice.host.addresses()[0])
        await until(lambda: not bob.host.is_connected(alice.host.peer_id))
        assert server.book.counts.circuit_ended_time == 1
        await until(lambda: server.book.circuit_count == 0)


async def test_a_circuit_whose_end_takes_nothing__ends():
    async with (
        open_relay(limits=RelayLimits(stall_ms=100)) as (relay, server),
        open_hidden(relay, 2) as (alice, bob),
    ):
        # Alice takes the call and reads nothing of it; what she does not read piles up, as far as it may.
        alice.host._swarm.accept_circuit = never
        stream = await bob.host.open_stream(relay.peer_id, [HOP_PROTOCOL])
        await stream.write(encode_message(call(alice.host.peer_id)))
        assert (await read_message(stream, HopMessage)).status == Status.OK
        with pytest.raises(BROKEN):  # noqa: PT012 - once the windows are full
            for _ in range(100):
                await stream.write(bytes(64 * 1024))
        await until(lambda: server.book.circuit_count == 0)
        assert server.book.counts.circuit_ended_stalled == 1
        assert server.statistics().counts.carried_bytes < 1024 * 1024


async def never(*_arguments):
    await trio.sleep_forever()


async def test_a_peer_that_does_not_take_calls__is_not_connected():
    async with open_relay() as (relay, server), open_hidden(relay, 2) as (alice, bob):
        (address,) = alice.host.addresses()
        alice.client._reservations.clear()
        with pytest.raises(DialFailed):
            await bob.host.connect(address)
        assert server.book.counts.connection_failed == 1
        assert alice.client.counts.not_taken == 1


async def test_a_relay__tells_its_address_and_signs_what_it_promises():
    async with open_relay() as (relay, _), open_hidden(relay, 1, reserving=0) as (bob,):
        answer = await ask(bob.host, relay, HopMessage(type=HopMessage.RESERVE))
        assert [Multiaddr(raw) for raw in answer.reservation.addrs] == list(relay.addresses())
        assert answer.limit.duration == RelayLimits().circuit_s
        assert answer.limit.data == RelayLimits().circuit_bytes_max
        voucher = answer.reservation.voucher
        assert open_voucher(voucher, relay.peer_id, bob.host.peer_id) == answer.reservation.expire


async def test_two_callers_at_once__each_have_their_circuit():
    async with open_relay() as (relay, server), open_hidden(relay, 4) as (alice, *callers):
        alice.host.handle_direct_streams(ECHO, echo)

        async def talk(caller, number):
            await caller.host.connect(alice.host.addresses()[0])
            async with caller.host.open_direct_stream(alice.host.peer_id, ECHO) as stream:
                await stream.send(bytes([number]) * 50_000)
                assert await stream.receive() == bytes([number]) * 50_000

        async with trio.open_nursery() as nursery:
            for number, caller in enumerate(callers):
                nursery.start_soon(talk, caller, number)
        assert server.book.circuit_count == 3
        await connect(callers[0].host, relay)
