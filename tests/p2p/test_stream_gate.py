"""p2p/stream_gate.py on real sockets: strangers' streams take no room from others."""

from dataclasses import astuple

import pytest
import trio

from p2p import admission as admission_module
from p2p import stream_errors
from p2p.admission import CLOSED, Admission, Share
from p2p.identity import peer_id_from_secret
from p2p.stream_errors import RemoteAborted
from p2p.stream_gate import ClassCounts, DirectStreamCounts
from protocol.errors import LocalError
from tests.p2p.nodes import connect, open_hosts, secret, until

WAIT, ECHO = "/wait/1", "/echo/1"


async def wait(_stream, _peer):
    await trio.sleep_forever()


async def echo(stream, _peer):
    await stream.send(await stream.receive())


async def hold(host, peer_id, protocol):
    """Open a stream and say nothing, whatever becomes of it."""
    async with host.open_direct_stream(peer_id, protocol):
        await trio.sleep_forever()


async def is_busy(host, peer_id, protocol=WAIT):
    async with host.open_direct_stream(peer_id, protocol) as stream:
        with pytest.raises(RemoteAborted) as caught:
            await stream.receive()
        assert caught.value.reason == "too many streams"
        return caught.value.code == stream_errors.ERROR_BUSY


async def test_streams_beyond_their_shares__are_told_to_come_later_and_counted():
    async with open_hosts(3) as (alice, bob, carol), trio.open_nursery() as nursery:
        alice.handle_direct_streams(WAIT, wait, admission=Admission(strangers=Share(2, 3)))
        for host in (bob, carol):
            await connect(host, alice)
        for host in (bob, bob, carol):
            nursery.start_soon(hold, host, alice.peer_id, WAIT)
        await until(lambda: alice.statistics().direct_streams.strangers.accepted == 3)
        assert await is_busy(bob, alice.peer_id)
        assert await is_busy(carol, alice.peer_id)
        assert alice.statistics().direct_streams == DirectStreamCounts(
            strangers=ClassCounts(accepted=3, refused_peer_full=1, refused_full=1)
        )
        nursery.cancel_scope.cancel()


async def test_a_protocol_for_the_assigned_alone__refuses_staked_peers_and_strangers():
    bob_id, carol_id = (peer_id_from_secret(secret(number)) for number in (1, 2))
    admission = Admission(streams_awaited=bob_id.__eq__, staked=CLOSED, strangers=CLOSED)
    async with open_hosts(4, is_staked={bob_id, carol_id}.__contains__) as (alice, bob, *others):
        alice.handle_direct_streams(ECHO, echo, admission=admission)
        for host in (bob, *others):
            await connect(host, alice)
        for host in others:
            async with host.open_direct_stream(alice.peer_id, ECHO) as stream:
                with pytest.raises(RemoteAborted) as caught:
                    await stream.receive()
            reason = "this protocol is not for peers that are not waited for"
            assert (caught.value.code, caught.value.reason) == (stream_errors.ERROR_REFUSED, reason)
        async with bob.open_direct_stream(alice.peer_id, ECHO) as stream:
            await stream.send(b"x")
            assert await stream.receive() == b"x"


async def test_more_shares_than_a_host_bears__are_refused_when_they_are_registered(monkeypatch):
    monkeypatch.setattr("p2p.stream_gate.DIRECT_STREAMS_MAX", 30)
    twenty, fifteen = (Admission(staked=Share(1, 10), strangers=Share(1, number)) for number in (10, 5))
    async with open_hosts(1) as (host,):
        host.handle_direct_streams(WAIT, wait, admission=twenty)
        host.handle_direct_streams(WAIT, wait, admission=fifteen)
        with pytest.raises(LocalError, match="no room for the streams of /echo/1: all shares exceed 30"):
            host.handle_direct_streams(ECHO, echo, admission=twenty)
        host.handle_direct_streams(ECHO, echo, admission=fifteen)
    assert Admission().streams_max < admission_module.DIRECT_STREAMS_MAX


async def test_attack_strangers_hold_direct_streams():
    """32 keys that cost nothing hold 16 silent streams each; a drawn miner is served at once all the same."""
    strangers, per_stranger = 32, 16
    drawn = peer_id_from_secret(secret(1))
    async with open_hosts(strangers + 2) as (coordinator, miner, *others), trio.open_nursery() as nursery:

        async def serve(stream, peer):
            await (echo if peer == drawn else wait)(stream, peer)

        admission = Admission(streams_awaited=drawn.__eq__)
        coordinator.handle_direct_streams(ECHO, serve, admission=admission)

        async def attack(host):
            await host.connect(coordinator.listen_addresses()[0])
            async with trio.open_nursery() as streams_of_one:
                for _ in range(per_stranger):
                    streams_of_one.start_soon(hold, host, coordinator.peer_id, ECHO)

        for host in others:
            nursery.start_soon(attack, host)

        def answered():
            return coordinator.statistics().direct_streams.strangers

        await until(lambda: sum(astuple(answered())) == strangers * per_stranger, 60)
        assert answered().accepted == admission.strangers.total_max
        await connect(miner, coordinator)
        with trio.fail_after(60):  # some milliseconds; a busy machine has its time, too
            for _ in range(10):
                async with miner.open_direct_stream(coordinator.peer_id, ECHO) as stream:
                    await stream.send(b"x")
                    assert await stream.receive() == b"x"
        nursery.cancel_scope.cancel()
