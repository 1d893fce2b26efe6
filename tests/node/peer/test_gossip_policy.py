"""node/peer/gossip_policy.py: stake as a score, who is believed, and what is passed on of whom."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr

from node.peer.gossip_policy import STAKE_SCORE_MAX, gossip_params, peer_policy, stake_of, stake_score
from node.peer.network import Network, read_parameters
from p2p.gossip.actions import Connect
from p2p.gossip.hooks import GossipHooks
from p2p.gossip.params import GossipParams
from p2p.gossip.router import Router
from p2p.gossip.score_params import RARE, STEADY
from p2p.gossip.wire import Prune, PxPeer, encode_control
from p2p.identity import PeerId, address_of_peer, peer_id_from_secret
from p2p.named_peers import name_peer, take_named_peers
from p2p.record_store import PeerRecords
from p2p.records import seal_record
from protocol.draw import EpochView, Snapshot
from protocol.rules import evidence, tasks, verdicts
from protocol.rules.view import View
from tests.node.peer.test_network import DEPLOYMENT, PARAMETERS
from tests.protocol.builders import DOMAIN, TERMS

CAI = 10**18
US, MINER, COORDINATOR, STRANGER, BOOTNODE = (
    peer_id_from_secret((number + 1).to_bytes(32)) for number in range(5)
)
VIEW = View(
    DOMAIN,
    {
        7: EpochView(
            7,
            bytes(32),
            Snapshot.of([(address_of_peer(MINER), 20_000 * CAI)]),
            Snapshot.of([(address_of_peer(COORDINATOR), 2_000_000 * CAI)]),
        )
    },
    TERMS,
)


def make(view=VIEW):
    records = PeerRecords((1).to_bytes(32))
    hooks = GossipHooks(
        application_score=peer_policy(lambda: view, {BOOTNODE}).score,
        record=name_peer(records),
        peers_named=take_named_peers(records, lambda _: "127.0.0.1"),
    )
    return records, hooks


def record_of(number):
    return seal_record((number + 1).to_bytes(32), 1, [Multiaddr("/ip4/127.0.0.1/tcp/4001")]).envelope


@pytest.mark.parametrize(
    ("stake_cai", "score"), [(0, 0), (2_000, 0), (20_000, 5), (2_000_000, 15), (10**9, 20), (10**12, 20)]
)
def test_stake_score__is_a_bounded_logarithm(stake_cai, score):
    assert stake_score(stake_cai * 10**6) == pytest.approx(score)


@given(st.integers(0, 2**64), st.integers(0, 2**64))
def test_law_stake_score__grows_with_the_stake_and_stays_in_bounds(one, other):
    low, high = sorted((one, other))
    assert 0 <= stake_score(low) <= stake_score(high) <= STAKE_SCORE_MAX


def test_application_score__is_of_the_stake_behind_the_peer_id():
    _, hooks = make()
    found = [round(hooks.application_score(peer), 3) for peer in (MINER, COORDINATOR, STRANGER, BOOTNODE)]
    assert found == [5, 15, 0, 100]
    assert stake_of(View(DOMAIN, {}, TERMS), MINER) == 0
    assert stake_of(VIEW, PeerId(b"no key inside")) == 0


def test_staked__are_those_whom_the_chain_knows_now():
    is_staked = peer_policy(lambda: VIEW, {BOOTNODE}).is_staked
    assert [is_staked(peer) for peer in (MINER, COORDINATOR)] == [True, True]
    assert [is_staked(peer) for peer in (STRANGER, BOOTNODE)] == [False, False]
    assert not peer_policy(lambda: View(DOMAIN, {}, TERMS), ()).is_staked(MINER)


def test_a_bootnode__is_believed_when_it_names_peers_and_a_miner_is_not_for_its_stake_alone():
    records, hooks = make()
    router = Router(GossipParams(), random.Random(1), records=hooks.record)
    router.subscribe("topic", 0)
    prune = encode_control(prune=[Prune("topic", 60, (PxPeer(STRANGER.to_bytes(), record_of(3)),))])
    found = {}
    for peer in (BOOTNODE, MINER):
        router.peer_connected(peer, outbound=True, now_ms=0)
        router.set_application_score(peer, hooks.application_score(peer))
        actions = router.rpc_received(peer, prune, 0)
        found[peer] = [action for action in actions if isinstance(action, Connect)]
    assert found[MINER] == []
    hooks.peers_named(found[BOOTNODE][0].peers, BOOTNODE)
    assert records.candidates(()) == [STRANGER]
    assert records.addresses(STRANGER)


def test_gossip_params__know_the_rare_topics_of_the_network():
    network = Network(read_parameters(PARAMETERS), DEPLOYMENT, ())
    params = gossip_params(network)
    topics = (tasks.TOPIC, verdicts.TOPIC, evidence.TOPIC)
    found = [params.score.of_topic(network.topic(topic)) for topic in topics]
    assert found == [STEADY, RARE, RARE]
