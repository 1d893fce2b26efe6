"""p2p/lookup.py on real sockets: found by address alone, across peers that do not know each other."""

import random
from contextlib import asynccontextmanager

import pytest
import trio
from multiaddr import Multiaddr

from p2p import lookup as module
from p2p.connections import ConnectionKeeper
from p2p.dialling import DialFailed
from p2p.discovery import encode_records
from p2p.identity import address_of_peer, peer_id_from_secret
from p2p.lookup import FIND_PROTOCOL, Lookup
from p2p.record_store import PeerRecords
from p2p.records import seal_record
from p2p.stream_errors import ERROR_PROTOCOL, RemoteAborted
from tests.limits import HANG_S
from tests.p2p.nodes import connect, open_hosts, secret

NOWHERE = Multiaddr("/ip4/127.0.0.1/tcp/1")
STRANGER = address_of_peer(peer_id_from_secret(secret(99)))


@asynccontextmanager
async def open_lookups(count, **options):
    """Hosts with lookups and address books, whose keepers do not run: nobody dials but us."""
    async with open_hosts(count) as hosts:
        lookups = []
        for number, host in enumerate(hosts):
            records = PeerRecords(secret(number), **options)
            records.renew_own(host.addresses(), 1)
            keeper = ConnectionKeeper(host, records, [], random.Random(number))
            lookups.append(Lookup(host, keeper))
        yield hosts, lookups


def account(host):
    return address_of_peer(host.peer_id)


async def test_a_peer__is_found_along_a_chain_of_acquaintances():
    async with open_lookups(6) as (hosts, lookups):
        # Each knows the next, and nobody else.
        for number in range(5):
            await connect(hosts[number], hosts[number + 1])
            await lookups[number]._exchange.ask(hosts[number + 1].peer_id)
            lookups[number]._records.confirm(
                hosts[number + 1].peer_id,
                lookups[number + 1]._records.own.envelope,
                heard_from_ip="127.0.0.1",
            )
        assert await lookups[0].find(account(hosts[5])) == hosts[5].peer_id
        assert not hosts[0].is_connected(hosts[5].peer_id)
        assert await lookups[0].connect(account(hosts[5])) == hosts[5].peer_id
        assert hosts[0].is_connected(hosts[5].peer_id)
        assert lookups[0].statistics().found == 2


async def test_twelve_peers_that_published__are_all_found_by_each_other():
    async with open_lookups(12, records_max=6) as (hosts, lookups):
        for host, lookup in zip(hosts[1:], lookups[1:], strict=True):
            await connect(host, hosts[0])
            await lookup._exchange.ask(hosts[0].peer_id)
        found, everybody = [], [host.peer_id for host in hosts]
        with trio.move_on_after(HANG_S):
            # Twice on a machine that has time; on a busy one a peer may be late with an answer.
            while found != everybody:
                for lookup in (*lookups, *lookups):
                    await lookup.publish()
                found = [await lookups[1].find(account(host)) for host in hosts]
        assert found == everybody
        assert max(len(lookup._records) for lookup in lookups) <= 6


async def test_nobody__is_found_by_nobody():
    async with open_lookups(3) as (hosts, lookups):
        assert await lookups[0].find(STRANGER) is None
        await connect(hosts[0], hosts[1])
        await connect(hosts[1], hosts[2])
        assert await lookups[0].find(STRANGER) is None
        with pytest.raises(DialFailed):
            await lookups[0].connect(STRANGER)
        assert lookups[0].statistics().not_found == 3


async def test_a_peer_that_is_known_and_gone__cannot_be_connected_to():
    async with open_lookups(1) as (_, (lookup,)):
        gone = seal_record(secret(99), 1, [NOWHERE])
        lookup._records.accept(gone.envelope, heard_from_ip="127.0.0.1")
        assert await lookup.find(STRANGER) == peer_id_from_secret(secret(99))
        with pytest.raises(DialFailed):
            await lookup.connect(STRANGER)


async def test_questions_that_are_none__end_their_streams():
    async with open_lookups(2) as (hosts, _):
        await connect(hosts[1], hosts[0])
        for question in (b"x", bytes(19), bytes(21)):
            async with hosts[1].open_direct_stream(hosts[0].peer_id, FIND_PROTOCOL) as stream:
                await stream.send(question)
                with pytest.raises(RemoteAborted) as caught:
                    await stream.receive()
            assert caught.value.code == ERROR_PROTOCOL


async def test_liars_without_end__cost_a_lookup_its_time_and_no_more(monkeypatch):
    """Each answer names eight more peers, nearer ones, that nobody can reach."""
    monkeypatch.setattr(module, "ASKED_MAX", 12)
    monkeypatch.setattr(module, "DIAL_TIMEOUT_MS", 100)
    told = [0]

    async def lie(stream, _peer):
        await stream.receive()
        told[0] += 8
        await stream.send(
            encode_records([seal_record(secret(1_000 + told[0] + n), 1, [NOWHERE]) for n in range(8)])
        )

    async with open_lookups(3) as (hosts, lookups):
        for host in hosts[1:]:
            host.handle_direct_streams(FIND_PROTOCOL, lie)
            await connect(hosts[0], host)
        with trio.fail_after(HANG_S):
            assert await lookups[0].find(STRANGER) is None
        assert lookups[0].statistics().asked <= 12


async def test_garbage_and_silence__are_counted_and_passed_over(monkeypatch):
    monkeypatch.setattr(module, "EXCHANGE_TIMEOUT_MS", 200)

    async def rave(stream, _peer):
        await stream.send(b"\xff\xff")

    async def sulk(_stream, _peer):
        await trio.sleep_forever()

    async with open_lookups(4) as (hosts, lookups):
        hosts[1].handle_direct_streams(FIND_PROTOCOL, rave)
        hosts[2].handle_direct_streams(FIND_PROTOCOL, sulk)
        for host in hosts[1:]:
            await connect(hosts[0], host)
        assert await lookups[0].find(account(hosts[3])) == hosts[3].peer_id
        assert lookups[0].statistics().ask_failed == 2


async def test_a_peer_that_asks_for_itself__is_told_its_newest_record_and_its_neighbours():
    async with open_lookups(4) as (hosts, lookups):
        for host, lookup in zip(hosts[1:], lookups[1:], strict=True):
            await connect(host, hosts[0])
            await lookup._exchange.ask(hosts[0].peer_id)
        double = seal_record(secret(1), 1_000, hosts[1].addresses(), 8)
        lookups[0]._records.accept(double.envelope, heard_from_ip="127.0.0.1")
        assert lookups[1]._records.double is None
        await lookups[1].publish()
        assert lookups[1]._records.double == double
        assert lookups[1]._records.peer_of_account(account(hosts[2])) == hosts[2].peer_id
