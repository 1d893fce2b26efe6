"""node/peer/network_status.py and finding.py: networks on this machine, as commands see them."""

import pytest
import trio

from node.peer.finding import FindPeer, FoundPeer, PeerUnknown, answer_finding
from node.peer.network_status import observe_network
from node.settings import BootstrapSettings
from node.system.context import open_context
from node.system.events import PeerJoined, PeerLeft
from p2p.identity import address_of_peer
from p2p.mesh import Validation
from protocol.errors import Refusal
from tests.limits import HANG_S
from tests.p2p.nodes import connect
from tests.p2p.test_network import open_networks


@pytest.fixture
async def context(tmp_path):
    async with open_context(BootstrapSettings(data_dir=tmp_path, health_address="")) as opened:
        yield opened


async def test_peers_that_come_and_go__are_seen_and_told_of(context):
    async with open_networks(2) as (network, other):
        observe_network(context, network, bytes(20))
        network.gossip.join("topic", lambda *_: Validation.ACCEPT)
        with context.events.subscribe() as subscription:
            await connect(network.host, other.host)
            seen = context.observable.document()
            multiaddrs = [str(item) for item in network.host.addresses()]
            other_id = str(other.host.peer_id)
            with trio.fail_after(HANG_S):
                assert (await subscription.receive()).event == PeerJoined(other_id, outbound=True)
                await network.host.disconnect(other.host.peer_id)
                assert (await subscription.receive()).event == PeerLeft(other_id)
    assert seen["network"]["address"] == "0x" + "00" * 20
    assert seen["network"]["peers"] == 1
    assert seen["network"]["multiaddrs"] == multiaddrs
    assert (seen["connections"]["connected_peers"], seen["connections"]["dialled"]) == (1, 1)
    assert (seen["discovery"]["connected"], seen["discovery"]["lookups"]) == (1, 0)
    assert seen["relay"]["relaying_circuits"] == 0
    assert seen["gossip"]["router"]["topics"] == {"topic": {"peers": 0, "mesh": 0, "mesh_outbound": 0}}
    assert context.observable.document()["network"]["peers"] == 0


async def test_every_count_of_the_services_is_shown_once(context):
    async with open_networks(1) as (network,):
        observe_network(context, network, bytes(20))
        network.keeper._counts["some_count"] += 3
        network.host.counts["some_count"] += 2
        seen = context.observable.document()
        assert seen["discovery"]["counts"]["some_count"] == 3
        assert seen["connections"]["counts"]["some_count"] == 2
        assert not set(seen["gossip"]["counts"]) & set(network.gossip.router.snapshot().flat())


async def test_a_command_has_the_node_find_a_peer(context):
    async with open_networks(2) as (network, other):
        answer_finding(context.control, network)
        await connect(network.host, other.host)
        find = context.control.acts["find_peer"].run
        found = await find(FindPeer(address_of_peer(other.host.peer_id)))
        assert isinstance(found, FoundPeer)
        assert (found.peer, found.reached, found.through_a_relay) == (str(other.host.peer_id), True, False)
        with pytest.raises(PeerUnknown, match="no peer with this on-chain address is known"):
            await find(FindPeer(b"\xab" * 20))
        with pytest.raises(Refusal, match="an on-chain address has 20 bytes"):
            await find(FindPeer(b"\xab"))
