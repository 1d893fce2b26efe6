"""p2p/reachability.py: who can be dialled learns so, on real sockets; nobody is made to knock elsewhere."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.host.autonat.pb.autonat_pb2 import Message
from multiaddr import Multiaddr

from p2p import dial_back as dial_back_module
from p2p import reachability as module
from p2p.dial_back import AUTONAT_PROTOCOL, DialBack, DialBackCounts, ports_of
from p2p.host import open_host
from p2p.reachability import Opinions, Reachability, ReachabilityCounts
from p2p.small_messages import encode_message, read_message
from tests.limits import HANG_S
from tests.p2p.nodes import LOOPBACK, connect, open_hosts, secret, until


def test_most_opinions__count_one_for_each_network_and_half_is_not_most():
    opinions = Opinions()
    assert opinions.verdict() is None
    opinions.note("a", reachable=True)
    assert opinions.verdict() is True
    opinions.note("b", reachable=False)
    assert opinions.verdict() is False
    for _ in range(5):
        opinions.note("b", reachable=False)
    opinions.note("c", reachable=True)
    assert opinions.verdict() is True
    opinions.note("b", reachable=True)
    opinions.note("a", reachable=False)
    assert opinions.verdict() is True


def test_old_opinions__give_way():
    opinions = Opinions()
    for number in range(50):
        opinions.note(str(number), reachable=False)
    for number in range(module.OPINIONS_MAX):
        opinions.note(f"new {number}", reachable=True)
    assert opinions.verdict() is True
    assert len(opinions._opinions) == module.OPINIONS_MAX


def test_ports__are_few_and_each_once():
    addresses = [f"/ip4/{ip}/tcp/{port}" for ip in ("1.2.3.4", "10.0.0.1") for port in (1, 2, 3)]
    assert ports_of(Multiaddr(text).to_bytes() for text in addresses) == [1, 2][: dial_back_module.PORTS_MAX]
    assert (
        ports_of([Multiaddr("/ip4/1.2.3.4/udp/5").to_bytes(), Multiaddr("/ip4/1.2.3.4/tcp/0").to_bytes()])
        == []
    )


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes__are_ports_or_none(addresses):
    assert len(ports_of(addresses)) <= dial_back_module.PORTS_MAX


async def test_a_listener__learns_that_it_can_be_dialled_and_is_connected_no_more_than_before():
    async with open_hosts(2) as (server, host), trio.open_nursery() as nursery:
        dial_back = DialBack(server, loopback_exempt=True)
        await connect(host, server)
        reachability = Reachability(host)
        assert reachability.describe() == "unknown"
        nursery.start_soon(reachability.run)
        await until(lambda: reachability.reachable is not None)
        assert reachability.describe() == "yes"
        assert dial_back.counts == DialBackCounts(reached=1)
        assert host.connected_peers() == (server.peer_id,)
        assert server.connected_peers() == (host.peer_id,)
        assert not host.is_relayed(server.peer_id)
        nursery.cancel_scope.cancel()


async def test_a_listener_whose_port_is_closed_to_others__learns_that_it_cannot(monkeypatch):
    async with open_hosts(2) as (server, host), trio.open_nursery() as nursery:
        DialBack(server, loopback_exempt=True)
        await connect(host, server)
        closed = [Multiaddr(f"/ip4/127.0.0.1/tcp/1/p2p/{host.peer_id}")]
        monkeypatch.setattr(host, "listen_addresses", lambda: closed)
        reachability = Reachability(host)
        nursery.start_soon(reachability.run)
        await until(lambda: reachability.reachable is False)
        nursery.cancel_scope.cancel()


async def test_a_peer_that_does_not_speak_the_protocol__is_not_asked_again_in_every_round(monkeypatch):
    monkeypatch.setattr(module, "FIRST_ROUNDS_S", 0.01)
    async with open_hosts(2) as (silent, host), trio.open_nursery() as nursery:
        await connect(host, silent)
        reachability, rounds, connected_peers = Reachability(host), [0], host.connected_peers

        def count_rounds():
            rounds[0] += 1
            return connected_peers()

        monkeypatch.setattr(host, "connected_peers", count_rounds)
        nursery.start_soon(reachability.run)
        await until(lambda: rounds[0] >= 6)
        assert reachability.counts == ReachabilityCounts(asked=1)
        monkeypatch.setattr(module, "ASKED_AGAIN_S", 0.0)
        await until(lambda: reachability.counts.asked >= 3)
        assert reachability.reachable is None
        nursery.cancel_scope.cancel()


async def test_what_the_operator_says__is_believed_and_nobody_asked():
    announce = [Multiaddr("/ip4/8.8.8.8/tcp/4001")]
    async with (
        open_host(secret(0), LOOPBACK) as host,
        open_host(secret(1), []) as silent,
        open_host(secret(2), LOOPBACK, announce=announce) as announced,
    ):
        assert Reachability(host, mode="yes").reachable is True
        assert Reachability(host, mode="no").reachable is False
        assert Reachability(silent).reachable is False
        assert Reachability(announced).reachable is True
        assert Reachability(announced, mode="no").reachable is False
        await Reachability(silent).run()


async def ask(host, server, question):
    stream = await host.open_stream(server.peer_id, [AUTONAT_PROTOCOL])
    await stream.write(question if isinstance(question, bytes) else encode_message(question))
    with trio.fail_after(HANG_S):
        answer = await read_message(stream, Message)
    await stream.reset()
    return answer.dialResponse.status


def question_of(*addresses):
    question = Message(type=Message.DIAL)
    question.dial.peer.addrs.extend(Multiaddr(address).to_bytes() for address in addresses)
    return question


async def test_attack_addresses_of_others__are_not_dialled(monkeypatch):
    """Only the port counts; and whoever answers there must be the asker."""
    dialled = []
    async with open_hosts(3) as (server, host, victim):
        dial_back = DialBack(server, loopback_exempt=True)
        is_at = server.dialler.is_at

        async def note(address, peer):
            dialled.append(str(address))
            return await is_at(address, peer)

        monkeypatch.setattr(server.dialler, "is_at", note)
        await connect(host, server)
        port = victim.listen_addresses()[0].value_for_protocol("tcp")
        status = await ask(host, server, question_of(f"/ip4/8.8.8.8/tcp/{port}"))
        assert status == Message.E_DIAL_ERROR
        assert dialled == [f"/ip4/127.0.0.1/tcp/{port}"]
        assert dial_back.counts == DialBackCounts(not_reached=1)


async def test_attack_many_questions__are_answered_one_in_a_while():
    async with open_hosts(2) as (server, host):
        dial_back = DialBack(server)
        await connect(host, server)
        address = str(host.listen_addresses()[0])
        assert [await ask(host, server, question_of(address)) for _ in range(3)] == [
            Message.OK,
            Message.E_DIAL_REFUSED,
            Message.E_DIAL_REFUSED,
        ]
        assert dial_back.counts == DialBackCounts(reached=1, refused=2)


async def test_the_networks_that_are_remembered__are_bounded(monkeypatch):
    monkeypatch.setattr(dial_back_module, "ASKERS_MAX", 4)
    async with open_hosts(1) as (server,):
        dial_back = DialBack(server)
        assert all(dial_back._may_ask(f"8.8.8.{number}") for number in range(10))
        assert len(dial_back._asked_s) == 4
        assert not dial_back._may_ask("8.8.8.9")


@pytest.mark.parametrize(
    ("question", "status"),
    [
        (b"\x02\xff\xff", Message.E_BAD_REQUEST),
        (question_of(), Message.E_DIAL_REFUSED),
        (question_of("/ip4/1.2.3.4/udp/4"), Message.E_DIAL_REFUSED),
    ],
)
async def test_questions_that_are_none__are_answered_so(question, status):
    async with open_hosts(2) as (server, host):
        DialBack(server, loopback_exempt=True)
        await connect(host, server)
        assert await ask(host, server, question) == status


async def test_servers_that_do_not_know__are_passed_over():
    async def shrug(stream, _peer):
        await read_message(stream, Message)
        answer = Message(type=Message.DIAL_RESPONSE)
        answer.dialResponse.status = Message.E_INTERNAL_ERROR
        await stream.write(encode_message(answer))

    async def rave(stream, _peer):
        await stream.write(b"\xff\xff\xff\xff")

    for handler in (shrug, rave):
        async with open_hosts(2) as (server, host):
            server.handle_streams(AUTONAT_PROTOCOL, handler)
            await connect(host, server)
            reachability = Reachability(host)
            await reachability._ask_round()
            assert reachability.reachable is None
            assert reachability.counts == ReachabilityCounts(asked=1)


async def test_being_dialled_back__is_nothing_to_log(caplog):
    async with open_hosts(2) as (server, host):
        await connect(host, server)
        assert await server.dialler.is_at(host.listen_addresses()[0], host.peer_id)
        await until(lambda: host._swarm.limits.open_count == 0)
        assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
