"""p2p/discovery.py: addresses from strangers, kept few and tried with care."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr

from p2p import discovery
from p2p.discovery import (
    PEERS_PROTOCOL,
    AddressBook,
    PeerExchange,
    decode_addresses,
    encode_addresses,
    is_plausible,
    peer_of,
)
from p2p.identity import PeerIdentityError, peer_id_from_secret
from p2p.streams import ERROR_PROTOCOL, RemoteAborted
from protocol.errors import DecodeError, InvalidMessage, LocalError
from tests.p2p.nodes import connect, open_hosts, secret

PEERS = [peer_id_from_secret(secret(number)) for number in range(30)]


def address(number: int, ip: str = "8.8.8.8", port: int = 4001) -> Multiaddr:
    version = "ip6" if ":" in ip else "ip4"
    return Multiaddr(f"/{version}/{ip}/tcp/{port}/p2p/{PEERS[number]}")


@given(st.lists(st.builds(address, st.integers(0, 29), st.sampled_from(["1.2.3.4", "::1"])), max_size=16))
def test_addresses_round_trip(addresses):
    assert decode_addresses(encode_addresses(addresses)) == tuple(addresses)


@given(st.binary(max_size=120))
def test_any_bytes__give_addresses_or_a_decode_error(data):
    try:
        found = decode_addresses(data)
    except DecodeError:
        return
    assert encode_addresses(found) == data


@given(st.binary(max_size=60).map(lambda raw: b"\x01" + len(raw).to_bytes(2) + raw))
def test_any_bytes_as_an_address__give_one_or_a_decode_error(data):
    with suppress(DecodeError):
        decode_addresses(data)


def payload(*raws: bytes) -> bytes:
    return bytes((len(raws),)) + b"".join(len(raw).to_bytes(2) + raw for raw in raws)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes((17,)),
        payload(address(1).to_bytes())[:-1],
        payload(address(1).to_bytes()) + b"x",
        payload(b""),
        payload(bytes(129)),
        payload(Multiaddr("/ip4/1.2.3.4/tcp/1").to_bytes()),
        payload(Multiaddr(f"/dns4/example.org/tcp/1/p2p/{PEERS[0]}").to_bytes()),
        payload(Multiaddr(f"/ip4/1.2.3.4/udp/1/p2p/{PEERS[0]}").to_bytes()),
        payload(
            Multiaddr("/ip4/1.2.3.4/tcp/1/p2p/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG").to_bytes()
        ),
    ],
)
def test_a_payload_of_another_form__is_refused(data):
    with pytest.raises(DecodeError):
        decode_addresses(data)


def test_too_much_to_encode__is_our_own_fault():
    with pytest.raises(LocalError):
        encode_addresses([address(1)] * 17)
    with pytest.raises(LocalError):
        encode_addresses([Multiaddr("/dns4/" + "a.b" * 50 + "/tcp/1")])


def test_an_address_without_a_peer__names_none():
    with pytest.raises(PeerIdentityError):
        peer_of(Multiaddr("/ip4/1.2.3.4/tcp/1"))


@pytest.mark.parametrize(
    ("ip", "port", "teller", "plausible"),
    [
        ("8.8.8.8", 1, "9.9.9.9", True),
        ("8.8.8.8", 1, None, True),
        ("8.8.8.8", 0, "9.9.9.9", False),
        ("0.0.0.0", 1, "127.0.0.1", False),
        ("224.0.0.1", 1, "9.9.9.9", False),
        ("127.0.0.1", 1, "127.0.0.1", True),
        ("127.0.0.1", 1, "192.168.1.2", False),
        ("127.0.0.1", 1, "9.9.9.9", False),
        ("192.168.1.2", 1, "192.168.1.9", True),
        ("192.168.1.2", 1, "127.0.0.1", True),
        ("192.168.1.2", 1, "9.9.9.9", False),
        ("10.0.0.1", 1, None, False),
        ("::1", 1, "::1", True),
    ],
)
def test_a_private_address__counts_only_from_its_own_network(ip, port, teller, plausible):
    assert is_plausible(address(1, ip, port), teller) is plausible


def test_a_book__takes_a_peers_own_word_over_hearsay_and_passes_only_that_on():
    book = AddressBook(PEERS[0])
    book.hear([address(1), address(2), address(0)])
    assert book.addresses(PEERS[0]) == ()
    book.confirm(PEERS[1], [address(1, "1.1.1.1")])
    book.hear([address(1)])
    assert book.addresses(PEERS[1]) == (address(1, "1.1.1.1"),)
    assert book.candidates([]) == [PEERS[1], PEERS[2]]
    assert book.to_tell(PEERS[5], PEERS, random.Random(0)) == [address(1, "1.1.1.1")]
    assert book.to_tell(PEERS[1], PEERS, random.Random(0)) == []
    assert book.to_tell(PEERS[5], [], random.Random(0)) == []
    book.forget(PEERS[1])
    assert book.candidates([PEERS[2]]) == []


def test_a_book__refuses_a_peer_that_speaks_for_another():
    with pytest.raises(InvalidMessage):
        AddressBook(PEERS[0]).confirm(PEERS[1], [address(2)])


def test_a_book__is_bounded_and_hearsay_gives_way_first():
    book = AddressBook(PEERS[0], peers_max=3)
    book.confirm(PEERS[1], [address(1)])
    book.hear(address(number) for number in range(2, 8))
    assert len(book) == 3
    assert book.addresses(PEERS[1])
    assert book.evicted == 4
    for number in range(2, 8):
        book.confirm(PEERS[number], [address(number)])
    assert len(book) == 3
    book.hear(address(9, "8.8.8.8", port) for port in range(1, 9))
    assert len(book.addresses(PEERS[9])) in (0, discovery.ADDRESSES_PER_PEER_MAX)
    book.confirm(PEERS[7], [])
    assert book.addresses(PEERS[7]) == ()


async def test_asking__teaches_both_sides():
    async with open_hosts(3) as hosts:
        books = [AddressBook(host.peer_id) for host in hosts]
        exchanges = [
            PeerExchange(host, book, random.Random(0)) for host, book in zip(hosts, books, strict=True)
        ]
        for host, exchange in zip(hosts[1:], exchanges[1:], strict=True):
            await connect(host, hosts[0])
            await exchange.ask(hosts[0].peer_id)
        assert books[0].addresses(hosts[1].peer_id) == hosts[1].listen_addresses()
        assert books[2].addresses(hosts[1].peer_id) == hosts[1].listen_addresses()
        assert books[1].candidates([]) == []


async def test_asking_one_that_does_not_answer__is_counted():
    async with open_hosts(2) as (alice, bob):
        exchange = PeerExchange(bob, AddressBook(bob.peer_id), random.Random(0))
        await connect(bob, alice)
        await exchange.ask(alice.peer_id)
        alice.handle_direct_streams(PEERS_PROTOCOL, lambda stream, _peer: stream.send(b"\xff"))
        await exchange.ask(alice.peer_id)
        assert exchange.counts == {"asked": 2, "ask_failed": 2}


async def test_lies_to_a_host__end_the_liars_stream():
    async with open_hosts(2) as (alice, bob):
        book = AddressBook(alice.peer_id)
        PeerExchange(alice, book, random.Random(0))
        await connect(bob, alice)
        for lie in (b"\xff", payload(address(5).to_bytes())):
            async with bob.open_direct_stream(alice.peer_id, PEERS_PROTOCOL) as stream:
                await stream.send(lie)
                with pytest.raises(RemoteAborted) as caught:
                    await stream.receive()
            assert caught.value.code == ERROR_PROTOCOL
        assert len(book) == 0


async def test_a_peer_that_listens_everywhere__is_known_by_where_it_calls_from():
    async with open_hosts(2) as (alice, bob):
        book = AddressBook(alice.peer_id)
        PeerExchange(alice, book, random.Random(0))
        await connect(bob, alice)
        async with bob.open_direct_stream(alice.peer_id, PEERS_PROTOCOL) as stream:
            await stream.send(encode_addresses([Multiaddr(f"/ip4/0.0.0.0/tcp/99/p2p/{bob.peer_id}")]))
            await stream.receive()
        assert book.addresses(bob.peer_id) == (Multiaddr(f"/ip4/127.0.0.1/tcp/99/p2p/{bob.peer_id}"),)
