"""node/peer/network_status.py and finding.py: networks on this machine, as commands see them."""

import pytest
import trio

from node.peer.finding import FindPeer, FoundPeer, PeerUnknown, answer_finding
from node.peer.network_status import observe_network
from node.settings import BootstrapSettings
from node.system.context import open_context
from node.system.events import PeerJoined, PeerLeft
from node.system.observable import to_document
from p2p.gossip.actions import Count
from p2p.identity import address_of_peer
from p2p.mesh import Validation
from p2p.session.counts import Violation
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
    assert (seen["connections"]["connected_peers"], seen["connections"]["dials"]["begun"]) == (1, 1)
    assert (seen["discovery"]["connections"]["connected"], seen["lookup"]["lookups"]) == (1, 0)
    assert (seen["relay"]["relays"], seen["relay"]["relaying"]) == (0, None)
    assert seen["gossip"]["router"]["topics"] == {"topic": {"peers": 0, "mesh": 0, "mesh_outbound": 0}}
    assert context.observable.document()["network"]["peers"] == 0


async def test_a_snapshot__stays_as_it_was_when_it_was_taken(context):
    async with open_networks(1) as (network,):
        observe_network(context, network, bytes(20))
        before = context.observable.snapshot()
        document = context.observable.document()
        network.host._upgrader.counts.violations[Violation.NOISE_TAG] += 1
        network.host._upgrader.counts.streams.late_frames += 1
        network.host._gate.counts.strangers.accepted += 1
        network.records.counts.accepted += 1
        network.gossip.router.counts[Count.ACCEPTED] += 1
        assert {name: to_document(item) for name, item in before.items()} == document
        seen = context.observable.document()
        assert seen["connections"]["sessions"]["violations"] == {"noise_tag": 1}
        assert seen["connections"]["sessions"]["streams"]["late_frames"] == 1
        assert seen["connections"]["direct_streams"]["strangers"]["accepted"] == 1
        assert seen["discovery"]["records"]["accepted"] == 1
        assert seen["gossip"]["router"]["counts"] == {"accepted": 1}


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
