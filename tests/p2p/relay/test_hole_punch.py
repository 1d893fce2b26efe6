"""p2p/relay/hole_punch.py: who says what when, and what strangers cannot have dialled."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.relay.circuit_v2.pb.dcutr_pb2 import HolePunch
from multiaddr import Multiaddr

from p2p.library.streams import TRANSPORT_ERRORS
from p2p.relay import hole_punch as module
from p2p.relay.hole_punch import DCUTR_PROTOCOL, HolePunchCounts, HolePuncher, addresses_of
from p2p.small_messages import encode_message, read_message
from protocol.errors import DecodeError, ProtocolError, Refusal
from tests.p2p.nodes import connect, open_hosts, until
from tests.p2p.relay.circuits import open_hidden, open_relay

PUBLIC = Multiaddr("/ip4/8.8.8.8/tcp/4001")
BROKEN = (Refusal, ProtocolError, *TRANSPORT_ERRORS)


def connect_message(*addresses):
    return HolePunch(type=HolePunch.CONNECT, ObsAddrs=[Multiaddr(item).to_bytes() for item in addresses])


def test_addresses__are_public_and_few():
    numbers = [f"/ip4/8.8.8.{number}/tcp/4001" for number in range(9)]
    assert addresses_of(connect_message(*numbers)) == [Multiaddr(text) for text in numbers[:2]]
    private = ["/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1", "/ip4/8.8.8.8/tcp/0", "/ip4/8.8.8.8/udp/1"]
    assert addresses_of(connect_message(*private, str(PUBLIC))) == [PUBLIC]


@pytest.mark.parametrize(
    "message", [HolePunch(type=HolePunch.SYNC), connect_message(), connect_message("/ip4/192.168.0.1/tcp/80")]
)
def test_attack_what_leads_nowhere_or_into_our_own_network__is_refused(message):
    with pytest.raises(DecodeError):
        addresses_of(message)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes__are_addresses_or_refused(raw):
    try:
        assert len(addresses_of(HolePunch(type=HolePunch.CONNECT, ObsAddrs=raw))) <= module.ADDRESSES_MAX
    except DecodeError:
        return


class Log:
    """Stands where a host dials, and writes down what it is asked to."""

    def __init__(self, host, *, succeeding=False):
        self.calls, self.host, self.succeeding = [], host, succeeding
        host.public_addresses = lambda: (PUBLIC,)
        host.dialler.punch, host.dialler.add_direct = self.punch, self.add_direct
        host.dialler.drop_circuits = self.drop_circuits

    async def add_direct(self, address, peer):
        self.calls.append(("dial", address))
        return False

    async def punch(self, address, peer, *, initiator):
        self.calls.append(("punch", address, initiator))
        await trio.sleep(0.05)
        return self.succeeding

    def drop_circuits(self, peer):
        self.calls.append(("drop", peer))


async def test_who_was_called__tries_first_then_both_dial_in_their_roles_and_the_circuit_goes(
    monkeypatch,
):
    monkeypatch.setattr(module, "LETTING_GO_MS", 10)
    async with (
        open_relay() as (relay, _),
        open_hidden(relay, 2) as (alice, bob),
        trio.open_nursery() as nursery,
    ):
        at_alice, at_bob = Log(alice.host, succeeding=True), Log(bob.host, succeeding=True)
        punchers = [HolePuncher(peer.host) for peer in (alice, bob)]
        for puncher in punchers:
            await nursery.start(puncher.run)
        await bob.host.connect(alice.host.addresses()[0])
        await until(lambda: len(at_alice.calls) == 3)
        assert at_alice.calls == [("dial", PUBLIC), ("punch", PUBLIC, False), ("drop", bob.host.peer_id)]
        assert at_bob.calls == [("punch", PUBLIC, True)]
        assert punchers[0].counts == HolePunchCounts(tried=1, punched=1)
        nursery.cancel_scope.cancel()


async def test_routers_that_let_nobody_in__cost_a_few_attempts_and_the_circuit_stays():
    async with (
        open_relay() as (relay, _),
        open_hidden(relay, 2) as (alice, bob),
        trio.open_nursery() as nursery,
    ):
        at_alice, at_bob = Log(alice.host), Log(bob.host)
        puncher = HolePuncher(alice.host)
        HolePuncher(bob.host)
        await nursery.start(puncher.run)
        await bob.host.connect(alice.host.addresses()[0])
        await until(lambda: puncher.counts.failed)
        assert [call[0] for call in at_alice.calls] == ["dial"] + ["punch"] * module.ROUNDS_MAX
        assert len(at_bob.calls) == module.ROUNDS_MAX
        assert bob.host.is_relayed(alice.host.peer_id)
        nursery.cancel_scope.cancel()


async def test_who_knows_no_public_address_of_its_own__does_not_try():
    async with (
        open_relay() as (relay, _),
        open_hidden(relay, 2) as (alice, bob),
        trio.open_nursery() as nursery,
    ):
        puncher = HolePuncher(alice.host)
        await nursery.start(puncher.run)
        await bob.host.connect(alice.host.addresses()[0])
        await until(lambda: puncher.counts == HolePunchCounts(left_out=1))
        nursery.cancel_scope.cancel()


async def test_attack_over_a_direct_connection__nobody_is_made_to_dial():
    async with open_hosts(2) as (alice, bob):
        log, puncher = Log(alice), HolePuncher(alice)
        await connect(bob, alice)
        stream = await bob.open_stream(alice.peer_id, [DCUTR_PROTOCOL])
        with pytest.raises(BROKEN):  # noqa: PT012 - by how soon the reset comes
            await stream.write(encode_message(connect_message(str(PUBLIC))))
            await read_message(stream, HolePunch)
        assert log.calls == []
        assert puncher.counts == HolePunchCounts(left_out=1)


@pytest.mark.parametrize(
    "messages",
    [
        [b"\xff\xff\xff\xff"],
        [encode_message(connect_message("/ip4/10.0.0.1/tcp/22"))],
        [encode_message(connect_message(str(PUBLIC))), encode_message(connect_message(str(PUBLIC)))],
    ],
)
async def test_attack_other_messages_than_those_to_come__make_nobody_dial(messages):
    async with open_relay() as (relay, _), open_hidden(relay, 2) as (alice, bob):
        log, puncher = Log(alice.host), HolePuncher(alice.host)
        await bob.host.connect(alice.host.addresses()[0])
        stream = await bob.host.open_stream(alice.host.peer_id, [DCUTR_PROTOCOL])
        with pytest.raises(BROKEN):  # noqa: PT012 - likewise
            for message in messages:
                await stream.write(message)
            while True:
                await read_message(stream, HolePunch)
        assert log.calls == []
        await until(lambda: puncher._running == 0)
        assert bob.host.is_connected(alice.host.peer_id)
        assert alice.host.statistics().streams.handler_failed == 0


async def test_attempts_beyond_the_limit__are_left_out():
    async with open_relay() as (relay, _), open_hidden(relay, 2) as (alice, bob):
        log, puncher = Log(alice.host), HolePuncher(alice.host)
        puncher._running = module.PUNCHES_MAX
        await bob.host.connect(alice.host.addresses()[0])
        stream = await bob.host.open_stream(alice.host.peer_id, [DCUTR_PROTOCOL])
        with pytest.raises(BROKEN):  # noqa: PT012 - by how soon the reset comes
            await stream.write(encode_message(connect_message(str(PUBLIC))))
            await read_message(stream, HolePunch)
        await puncher._improve(bob.host.peer_id)
        assert log.calls == []
        assert puncher.counts == HolePunchCounts(left_out=2)
