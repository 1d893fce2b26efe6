"""p2p/relay/client.py: relays kept, renewed and replaced, and what lying ones achieve."""

import pytest
import trio
from multiaddr import Multiaddr

from p2p.dialling import DialFailed
from p2p.host import open_host
from p2p.identity import key_pair_from_secret
from p2p.relay import client as module
from p2p.relay.circuit_messages import (
    HOP_PROTOCOL,
    STOP_PROTOCOL,
    HopMessage,
    Status,
    StopMessage,
    seal_voucher,
)
from p2p.relay.client import RelayClient
from p2p.relay.relay_book import RelayLimits
from p2p.relay.server import RelayServer
from p2p.small_messages import encode_message, read_message
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, secret, until
from tests.p2p.relay.circuits import open_hidden, open_relay


async def test_relays__are_two_the_preferred_one_first_and_the_lost_one_is_replaced():
    async with open_hosts(4) as hosts, open_host(secret(9), []) as host, trio.open_nursery() as nursery:
        plain, *relays = hosts
        for number, relay in enumerate(relays, start=1):
            RelayServer(relay, key_pair_from_secret(secret(number)), loopback_exempt=True)
        client = RelayClient(host, is_wanted=lambda: True, preferred=[relays[2].peer_id])
        for other in (plain, *relays):
            await connect(host, other)
        await nursery.start(client.run)
        await until(lambda: len(client.addresses()) == 2)
        assert client.is_relay(relays[2].peer_id)
        assert not client.is_relay(plain.peer_id)
        assert len(host.addresses()) == 2
        assert all(str(address).endswith(f"/p2p-circuit/p2p/{host.peer_id}") for address in host.addresses())

        await host.disconnect(relays[2].peer_id)
        await until(lambda: not client.is_relay(relays[2].peer_id))
        await until(lambda: len(client.addresses()) == 2)
        assert not client.is_relay(relays[2].peer_id)
        assert client.counts.reservation_lost == 1
        nursery.cancel_scope.cancel()
    assert host.own_addresses.relayed == ()


class Clock:
    """A client's, which it reads each time that it looks after its reservations."""

    def __init__(self):
        self.now_s, self.reads = 1_000_000, 0

    def read(self):
        self.reads += 1
        return self.now_s

    async def looked_at(self):
        """The client has looked from begin to end since now."""
        reads = self.reads
        await until(lambda: self.reads >= reads + 2)


async def test_reservations__are_renewed_before_they_end_and_dropped_when_not_wanted(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    wanted, clock = [True], Clock()
    async with (
        open_relay(limits=RelayLimits(reservation_s=100), wall_clock_s=lambda: clock.now_s) as (
            relay,
            server,
        ),
        open_host(secret(1), []) as host,
        trio.open_nursery() as nursery,
    ):
        client = RelayClient(host, is_wanted=lambda: wanted[0], wall_clock_s=clock.read)
        await connect(host, relay)
        await nursery.start(client.run)
        await until(client.addresses)
        clock.now_s += 74
        await clock.looked_at()
        assert server.book.counts.renewed == 0
        clock.now_s += 1
        await until(lambda: server.book.counts.renewed == 1)
        assert server.book.expires_at_s(host.peer_id) == clock.now_s + 100
        wanted[0] = False
        await until(lambda: host.addresses() == ())
        nursery.cancel_scope.cancel()


async def test_nobody_who_refused__is_asked_again_at_once(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    clock = Clock()
    async with open_hosts(1) as (plain,), open_host(secret(1), []) as host, trio.open_nursery() as nursery:
        client = RelayClient(host, is_wanted=lambda: True, wall_clock_s=clock.read)
        await connect(host, plain)
        await nursery.start(client.run)
        await until(lambda: client.counts.reservation_failed == 1)
        await clock.looked_at()
        assert client.counts.reservation_failed == 1
        clock.now_s += module.ASKED_AGAIN_S
        await until(lambda: client.counts.reservation_failed == 2)
        nursery.cancel_scope.cancel()


def answers(make):
    """A relay's handler that answers every reservation with what `make` makes of the peer."""

    async def serve(stream, peer):
        await read_message(stream, HopMessage)
        await stream.write(encode_message(make(peer)))
        await stream.close()

    return serve


def promise(*, expire=1 << 40, voucher=None, addresses=(), status=Status.OK):
    answer = HopMessage(type=HopMessage.STATUS, status=status)
    answer.reservation.expire = expire
    answer.reservation.addrs.extend(addresses)
    if voucher is not None:
        answer.reservation.voucher = voucher
    return answer


FAR = 1 << 40
LIES = [
    lambda peer: promise(voucher=b"garbage"),
    lambda peer: promise(voucher=seal_voucher(key_pair_from_secret(secret(7)), peer, FAR)),
    lambda peer: promise(expire=1),
    lambda peer: promise(status=Status.RESERVATION_REFUSED),
    lambda peer: HopMessage(type=HopMessage.CONNECT),
]


@pytest.mark.parametrize("lie", LIES)
async def test_a_promise_that_is_none__is_not_announced(lie):
    async with open_hosts(1) as (relay,), open_host(secret(1), []) as host, trio.open_nursery() as nursery:
        relay.handle_streams(HOP_PROTOCOL, answers(lie))
        client = RelayClient(host, is_wanted=lambda: True)
        await connect(host, relay)
        await nursery.start(client.run)
        await until(lambda: client.counts.reservation_failed == 1)
        assert client.addresses() == ()
        nursery.cancel_scope.cancel()


async def test_addresses_that_a_relay_tells__count_only_where_it_is():
    victim = Multiaddr("/ip4/8.8.8.8/tcp/53").to_bytes()
    other_port = Multiaddr("/ip4/127.0.0.1/tcp/7").to_bytes()
    for told, expected in (([victim, b"\xff", b""], None), ([victim, other_port], "/ip4/127.0.0.1/tcp/7")):
        async with open_hosts(1) as (relay,), open_host(secret(1), []) as host:
            relay.handle_streams(HOP_PROTOCOL, answers(lambda _peer, told=told: promise(addresses=told)))
            client = RelayClient(host, is_wanted=lambda: True)
            async with trio.open_nursery() as nursery:
                await connect(host, relay)
                await nursery.start(client.run)
                await until(client.addresses)
                where = expected or str(relay.listen_addresses()[0]).partition("/p2p/")[0]
                assert [str(item) for item in client.addresses()] == [
                    f"{where}/p2p/{relay.peer_id}/p2p-circuit"
                ]
                nursery.cancel_scope.cancel()


async def test_a_call_from_a_relay_that_we_asked_for_nothing__is_not_taken():
    async with open_relay() as (relay, _), open_hidden(relay, 1, first=5) as (alice,):
        alice.client.is_wanted = lambda: False
        alice.client._changed.notify()
        await until(lambda: not alice.client.addresses())
        stream = await relay.open_stream(alice.host.peer_id, [STOP_PROTOCOL])
        call = StopMessage(type=StopMessage.CONNECT)
        call.peer.id = relay.peer_id.to_bytes()
        await stream.write(encode_message(call))
        answer = await read_message(stream, StopMessage)
        assert (answer.type, answer.status) == (StopMessage.STATUS, Status.PERMISSION_DENIED)
        assert alice.client.counts.not_taken == 1


async def test_a_relay_that_is_somebody_else_or_nobody__is_not_gone_through():
    async with open_hosts(2) as (relay, stranger), open_host(secret(9), LOOPBACK) as host:
        RelayClient(host, is_wanted=lambda: False)
        at_relay = relay.listen_addresses()[0]
        for circuit in (
            f"{at_relay}/p2p-circuit/p2p/{stranger.peer_id}",  # it does not relay
            f"/ip4/127.0.0.1/tcp/1/p2p/{relay.peer_id}/p2p-circuit/p2p/{stranger.peer_id}",  # nobody there
            f"{host.listen_addresses()[0]}/p2p-circuit/p2p/{stranger.peer_id}",  # ourselves
            f"{at_relay}/p2p-circuit/p2p/{relay.peer_id}",  # through a peer to itself
        ):
            with pytest.raises(DialFailed):
                await host.connect(Multiaddr(circuit))
            # Whom we dialled for nothing is let go.
            await until(lambda: not host.connected_peers())


async def test_without_a_client__no_circuit_is_dialled():
    async with open_hosts(2) as (host, relay):
        address = f"{relay.listen_addresses()[0]}/p2p-circuit/p2p/{host.peer_id}"
        with pytest.raises(DialFailed):
            await relay.connect(Multiaddr(address))


async def test_those_who_refused__are_remembered_within_limits(monkeypatch):
    monkeypatch.setattr(module, "ASKED_MAX", 2)
    async with open_hosts(4) as (*plain, last), open_host(secret(9), []) as host:
        client = RelayClient(host, is_wanted=lambda: True)
        for other in (*plain, last):
            await connect(host, other)
        await client._look_after()
        assert client.counts.reservation_failed == 4
        assert len(client._asked_s) == 2
        assert last.peer_id in client._asked_s
