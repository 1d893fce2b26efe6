"""p2p/discovery.py: what strangers say of others, kept little and tried with care."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr

from p2p.discovery import (
    PEERS_PROTOCOL,
    RECORDS_PAYLOAD_BYTES_MAX,
    ExchangeCounts,
    PeerExchange,
    encode_records,
    split_records,
)
from p2p.record_store import PeerRecords
from p2p.records import seal_record
from p2p.stream_errors import ERROR_PROTOCOL, RemoteAborted
from protocol.errors import DecodeError, LocalError
from tests.p2p.nodes import connect, open_hosts, secret

RECORDS = [seal_record(secret(number), 1, [Multiaddr("/ip4/8.8.8.8/tcp/1")]) for number in range(17)]


@given(st.lists(st.sampled_from(RECORDS), max_size=16))
def test_records_round_trip(records):
    payload = encode_records(records)
    assert split_records(payload) == tuple(record.envelope for record in records)
    assert len(payload) <= RECORDS_PAYLOAD_BYTES_MAX


@given(st.binary(max_size=120))
def test_any_bytes__give_envelopes_or_a_decode_error(data):
    try:
        found = split_records(data)
    except DecodeError:
        return
    assert bytes((len(found),)) + b"".join(len(raw).to_bytes(2) + raw for raw in found) == data


def payload(*raws: bytes) -> bytes:
    return bytes((len(raws),)) + b"".join(len(raw).to_bytes(2) + raw for raw in raws)


@pytest.mark.parametrize(
    "data",
    [b"", bytes((17,)), payload(b"abc")[:-1], payload(b"abc") + b"x", payload(b""), payload(bytes(2_049))],
)
def test_a_payload_of_another_form__is_refused(data):
    with pytest.raises(DecodeError):
        split_records(data)


def test_too_many_to_encode__is_our_own_fault():
    with pytest.raises(LocalError):
        encode_records(RECORDS)


def stores_of(hosts):
    stores = [PeerRecords(secret(number)) for number in range(len(hosts))]
    for host, store in zip(hosts, stores, strict=True):
        store.renew_own(host.addresses(), 1)
    return stores


async def test_asking__teaches_both_sides():
    async with open_hosts(3) as hosts:
        stores = stores_of(hosts)
        exchanges = [
            PeerExchange(host, store, random.Random(0)) for host, store in zip(hosts, stores, strict=True)
        ]
        for host, exchange in zip(hosts[1:], exchanges[1:], strict=True):
            await connect(host, hosts[0])
            await exchange.ask(hosts[0].peer_id)
        assert stores[0].addresses(hosts[1].peer_id) == hosts[1].listen_addresses()
        assert stores[2].addresses(hosts[1].peer_id) == hosts[1].listen_addresses()
        assert stores[2].record_of(hosts[1].peer_id) == stores[1].own.envelope
        assert stores[1].candidates([]) == []


async def test_asking_one_that_does_not_answer__is_counted():
    async with open_hosts(2) as (alice, bob):
        exchange = PeerExchange(bob, PeerRecords(secret(1)), random.Random(0))
        await connect(bob, alice)
        await exchange.ask(alice.peer_id)
        alice.handle_direct_streams(PEERS_PROTOCOL, lambda stream, _peer: stream.send(b"\xff"))
        await exchange.ask(alice.peer_id)
        alice.handle_direct_streams(PEERS_PROTOCOL, lambda stream, _peer: stream.send(payload(b"forged")))
        await exchange.ask(alice.peer_id)
        assert exchange.counts == ExchangeCounts(asked=3, ask_failed=3)


async def test_lies_to_a_host__end_the_liars_stream():
    async with open_hosts(2) as (alice, bob):
        store = PeerRecords(secret(0))
        PeerExchange(alice, store, random.Random(0))
        await connect(bob, alice)
        for lie in (b"\xff", payload(b"forged"), encode_records([RECORDS[5]])):
            async with bob.open_direct_stream(alice.peer_id, PEERS_PROTOCOL) as stream:
                await stream.send(lie)
                with pytest.raises(RemoteAborted) as caught:
                    await stream.receive()
            assert caught.value.code == ERROR_PROTOCOL
        assert len(store) == 0


async def test_a_peer_that_cannot_be_dialled__asks_without_a_record_of_its_own():
    async with open_hosts(2) as (alice, bob):
        store = PeerRecords(secret(0))
        exchange = PeerExchange(alice, store, random.Random(0))
        await connect(bob, alice)
        await PeerExchange(bob, PeerRecords(secret(1)), random.Random(0)).ask(alice.peer_id)
        assert exchange.counts == ExchangeCounts(answered=1)
        assert len(store) == 0
