"""p2p/limits.py: how many strangers, first by themselves, then on sockets."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2p.dialling import DialFailed
from p2p.host import open_host
from p2p.limits import InboundLimits, LimitCounts, network_of
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, secret, until


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.2.3.4", "1.2.3.4", True),
        ("1.2.3.4", "1.2.3.5", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:1.2.3.4", "1.2.3.4", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_one_customer__is_one_network(one, other, same):
    assert (network_of(one) == network_of(other)) is same


def test_connections_of_one_network__are_bounded_and_slots_come_back():
    limits = InboundLimits(100, per_network_max=2)
    assert [limits.enter("1.1.1.1") for _ in range(3)] == [True, True, False]
    assert limits.enter("2.2.2.2")
    limits.leave("1.1.1.1")
    assert limits.enter("1.1.1.1")
    assert limits.counts == LimitCounts(refused_network_full=1)
    assert limits.open_count == 3


def test_connections_in_all__leave_a_quarter_for_our_own_dials():
    limits = InboundLimits(8)
    assert [limits.enter(f"1.1.1.{number}") for number in range(8)] == [True] * 6 + [False] * 2
    assert limits.counts == LimitCounts(refused_full=2)


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine__is_exempt_only_if_it_shall_be_and_from_the_total_never(ip):
    assert [InboundLimits(8, per_network_max=1, loopback_exempt=True).enter(ip) for _ in range(2)] == [
        True
    ] * 2
    strict, lax = (InboundLimits(8, per_network_max=1, loopback_exempt=exempt) for exempt in (False, True))
    assert [strict.enter(ip), strict.enter(ip)] == [True, False]
    assert [lax.enter(ip) for _ in range(7)] == [True] * 6 + [False]
    assert not InboundLimits(8, per_network_max=0, loopback_exempt=True).enter("8.8.8.8")


@given(st.lists(st.sampled_from(["1.1.1.1", "2.2.2.2", "::1", "?"])))
def test_whoever_entered_and_left__has_left_nothing(ips):
    limits = InboundLimits(10, per_network_max=3)
    for ip in [ip for ip in ips if limits.enter(ip)]:
        limits.leave(ip)
    assert limits.open_count == 0
    assert not limits._open


async def test_a_ninth_connection_from_one_address__is_refused_until_another_ends():
    async with open_host(secret(50), LOOPBACK, loopback_exempt=False) as server, open_hosts(10) as clients:
        for client in clients[:8]:
            await connect(client, server)
        for client in clients[8:]:
            with pytest.raises(DialFailed):
                await client.connect(server.listen_addresses()[0], timeout_ms=2_000)
        assert len(server.connected_peers()) == 8
        assert server.statistics().inbound.refused_network_full == 2
        await clients[0].disconnect(server.peer_id)
        await until(lambda: len(server.connected_peers()) == 7)
        await connect(clients[8], server)


async def test_connections_that_never_shake_hands__count_and_give_their_slots_back():
    async with open_host(secret(50), LOOPBACK) as server, open_hosts(1) as (client,):
        port = int(server.listen_addresses()[0].value_for_protocol("tcp"))
        silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(8)]
        await until(lambda: server._swarm.limits.open_count == 8)
        with pytest.raises(DialFailed):
            await client.connect(server.listen_addresses()[0], timeout_ms=2_000)
        for stream in silent:
            await stream.aclose()
        await until(lambda: server._swarm.limits.open_count == 0)
        await connect(client, server)
