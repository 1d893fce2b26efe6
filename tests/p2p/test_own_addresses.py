"""p2p/own_addresses.py: what we say about where we are."""

import pytest
from multiaddr import Multiaddr

from p2p import own_addresses
from p2p.own_addresses import OwnAddresses
from protocol.errors import LocalError
from tests.p2p.nodes import connect, open_hosts, until

EVERYWHERE = [Multiaddr("/ip4/0.0.0.0/tcp/4001")]
INTERFACES = ["127.0.0.1", "10.0.0.5", "fd00::5", "169.254.1.1"]


def texts(addresses):
    return [str(address) for address in addresses]


def test_what_the_operator_announces__is_believed():
    announced = [Multiaddr("/ip4/192.0.2.7/tcp/4001")]
    assert OwnAddresses(announced).choose(EVERYWHERE, INTERFACES) == tuple(announced)


def test_a_listener_on_one_address__announces_it():
    own = OwnAddresses()
    own.observe("1.1.1.1", "9.9.9.9")
    own.observe("2.2.2.2", "9.9.9.9")
    assert texts(own.choose([Multiaddr("/ip4/10.0.0.5/tcp/7")], INTERFACES)) == ["/ip4/10.0.0.5/tcp/7"]


def test_a_listener_on_all_addresses__announces_the_machines_own_and_what_two_peers_see():
    own = OwnAddresses()
    local = ["/ip4/10.0.0.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001"]
    assert texts(own.choose(EVERYWHERE, INTERFACES)) == local
    own.observe("1.1.1.1", "9.9.9.9")
    own.observe("1.1.1.1", "9.9.9.9")
    assert texts(own.choose(EVERYWHERE, INTERFACES)) == local
    own.observe("2.2.2.2", "9.9.9.9")
    assert own.observed() == {"9.9.9.9": 2}
    assert texts(own.choose(EVERYWHERE, INTERFACES)) == ["/ip4/9.9.9.9/tcp/4001", *local]
    everywhere_6 = [Multiaddr("/ip6/::/tcp/4001")]
    assert texts(own.choose(everywhere_6, INTERFACES)) == ["/ip6/fd00::5/tcp/4001"]


def test_private_observations__are_shown_and_not_announced():
    own = OwnAddresses()
    own.observe("10.0.0.1", "172.17.0.1")
    own.observe("10.0.0.2", "172.17.0.1")
    assert own.observed() == {"172.17.0.1": 2}
    assert texts(own.choose(EVERYWHERE, [])) == []


def test_observers__are_bounded(monkeypatch):
    monkeypatch.setattr(own_addresses, "OBSERVERS_MAX", 2)
    own = OwnAddresses()
    for number in range(5):
        own.observe(f"1.1.1.{number}", "9.9.9.9")
    assert own.observed() == {"9.9.9.9": 2}


@pytest.mark.parametrize(
    "announced", [["/dns4/a.b/tcp/1"], ["/ip4/1.2.3.4/udp/1"], [f"/ip4/1.2.3.4/tcp/{n}" for n in range(1, 6)]]
)
def test_what_others_could_not_dial__is_not_announced(announced):
    with pytest.raises(LocalError):
        OwnAddresses([Multiaddr(text) for text in announced])


async def test_a_host__learns_from_identify_where_it_is_seen():
    async with open_hosts(2) as (alice, bob):
        await connect(bob, alice)
        await until(lambda: bob.own_addresses.observed() == {"127.0.0.1": 1})


async def test_a_host__announces_what_it_is_told_to():
    announced = Multiaddr("/ip4/192.0.2.7/tcp/4001")
    async with open_hosts(1, announce=[announced]) as (host,):
        assert host.addresses() == (Multiaddr(f"{announced}/p2p/{host.peer_id}"),)
        assert host.listen_addresses()[0] != host.addresses()[0]
    async with open_hosts(1) as (host,):
        assert host.addresses() == host.listen_addresses()


def test_who_is_reached_through_relays__announces_them_first_and_what_leads_here_from_nearby():
    own = OwnAddresses()
    relayed = Multiaddr("/ip4/9.9.9.9/tcp/4001/p2p-circuit")
    for observer in ("1.1.1.1", "2.2.2.2"):
        own.observe(observer, "8.8.8.8")
    listening = [Multiaddr("/ip4/0.0.0.0/tcp/7")]
    assert Multiaddr("/ip4/8.8.8.8/tcp/7") in own.choose(listening, ["192.168.1.2", "127.0.0.1"])
    own.relayed = (relayed,)
    assert own.choose(listening, ["192.168.1.2", "127.0.0.1", "8.8.8.8"]) == (
        relayed,
        Multiaddr("/ip4/192.168.1.2/tcp/7"),
    )
    assert own.choose([Multiaddr("/ip4/127.0.0.1/tcp/7")], []) == (relayed,)
    assert own.choose([Multiaddr("/ip4/10.0.0.1/tcp/7")], []) == (relayed, Multiaddr("/ip4/10.0.0.1/tcp/7"))
    assert OwnAddresses([relayed.decapsulate_code(0x122)]).is_announced
    assert not own.is_announced
