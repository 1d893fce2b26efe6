"""p2p/gossip/overlay.py: who is grafted, pruned and kept away."""

import pytest

from p2p.gossip.actions import Count, Disconnect
from p2p.gossip.params import GossipParams
from p2p.gossip.wire import Prune, encode_control, encode_subscriptions
from protocol.errors import LocalError
from tests.p2p.gossip.routers import TOPIC, make_router, of_kind, peer, sent

ALICE = peer(1)
GRAFT = encode_control(graft=[TOPIC])


def router_with(inbound: int, outbound: int = 0, *, grafting: bool = False, **changes):
    """A router on TOPIC with peers that announce it, or graft us too."""
    router = make_router(**changes)
    router.subscribe(TOPIC, 0)
    for number in range(inbound + outbound):
        router.peer_connected(peer(number), outbound=number >= inbound, now_ms=0)
        router.rpc_received(peer(number), encode_subscriptions([(TOPIC, True)]), 0)
        if grafting:
            router.rpc_received(peer(number), GRAFT, 0)
    return router


def test_announcing__fills_a_thin_mesh_at_once_and_the_heartbeat_does_the_rest():
    router = router_with(20)
    assert len(router.overlay.mesh[TOPIC]) == router.params.d_low
    for name in list(router.overlay.mesh[TOPIC])[:2]:
        router.peer_disconnected(name)
    grafted = [name for name, rpc in sent(router.heartbeat(700)) if rpc.graft == (TOPIC,)]
    assert len(router.overlay.mesh[TOPIC]) == router.params.d
    assert set(grafted) <= router.overlay.mesh[TOPIC].keys()


def test_joining__announces_and_grafts_up_to_d():
    router = make_router()
    for number in range(20):
        router.peer_connected(peer(number), outbound=False, now_ms=0)
        router.rpc_received(peer(number), encode_subscriptions([(TOPIC, True)]), 0)
    rpcs = sent(router.subscribe(TOPIC, 0))
    assert [rpc.subscriptions for _, rpc in rpcs if rpc.subscriptions] == [((TOPIC, True),)] * 20
    assert len([rpc for _, rpc in rpcs if rpc.graft]) == router.params.d
    with pytest.raises(LocalError):
        router.subscribe(TOPIC, 0)


def test_leaving__prunes_with_a_short_backoff_and_says_so():
    router = router_with(3)
    rpcs = sent(router.unsubscribe(TOPIC, 0))
    assert [rpc.subscriptions for _, rpc in rpcs if rpc.subscriptions] == [((TOPIC, False),)] * 3
    assert [rpc.prune for _, rpc in rpcs if rpc.prune] == [(Prune(TOPIC, 10),)] * 3
    assert router.unsubscribe(TOPIC, 0) == []
    assert not [rpc for _, rpc in sent(router.subscribe(TOPIC, 9_999)) if rpc.graft]
    router.unsubscribe(TOPIC, 9_999)
    assert len([rpc for _, rpc in sent(router.subscribe(TOPIC, 30_000)) if rpc.graft]) == 3


def test_a_full_mesh__refuses_strangers_but_takes_those_we_dialled():
    router = router_with(12, grafting=True)
    assert len(router.overlay.mesh[TOPIC]) == router.params.d_high
    router.peer_connected(peer(50), outbound=False, now_ms=0)
    assert sent(router.rpc_received(peer(50), GRAFT, 0))[-1][1].prune == (Prune(TOPIC, 60),)
    assert router.counts[Count.GRAFT_REFUSED] == 1
    assert router.scores.score(peer(50)) == 0
    router.peer_connected(peer(51), outbound=True, now_ms=0)
    router.rpc_received(peer(51), GRAFT, 0)
    assert peer(51) in router.overlay.mesh[TOPIC]


def test_an_overfull_mesh__is_pruned_to_d_and_keeps_outbound_peers():
    router = router_with(12, 4, grafting=True)
    assert len(router.overlay.mesh[TOPIC]) > router.params.d_high
    rpcs = sent(router.heartbeat(700))
    mesh = router.overlay.mesh[TOPIC]
    assert len(mesh) == router.params.d
    assert sum(router.overlay.peers[name].outbound for name in mesh) >= router.params.d_out
    assert len([rpc for _, rpc in rpcs if rpc.prune]) == 16 - router.params.d


def test_a_mesh_of_strangers__takes_in_those_we_dialled():
    router = router_with(8, grafting=True)
    for number in range(20, 24):
        router.peer_connected(peer(number), outbound=True, now_ms=0)
        router.rpc_received(peer(number), encode_subscriptions([(TOPIC, True)]), 0)
    router.heartbeat(700)
    assert (
        sum(router.overlay.peers[name].outbound for name in router.overlay.mesh[TOPIC]) == router.params.d_out
    )


def test_a_prune__is_respected_for_its_backoff_but_never_longer_than_the_cap():
    router = router_with(1)
    router.rpc_received(peer(0), encode_control(prune=[Prune(TOPIC, 10**12)]), 0)
    cap_ms = router.params.prune_backoff_max_ms
    router.heartbeat(cap_ms - 1)
    assert not router.overlay.mesh[TOPIC]
    router.heartbeat(cap_ms + 1)
    assert peer(0) in router.overlay.mesh[TOPIC]


def test_a_graft_in_backoff__is_punished_and_twice_when_it_is_a_flood():
    router = router_with(12, grafting=True)
    router.peer_connected(peer(50), outbound=False, now_ms=0)
    router.rpc_received(peer(50), GRAFT, 0)
    router.rpc_received(peer(50), GRAFT, router.params.graft_flood_ms)
    assert router.scores.score(peer(50)) == -router.params.backoff_penalty
    router.rpc_received(peer(50), GRAFT, router.params.graft_flood_ms + 1)
    assert router.scores.score(peer(50)) == -3 * router.params.backoff_penalty
    assert router.counts[Count.GRAFT_IN_BACKOFF] == 2


def test_graft_spam__ends_graylisted():
    router = router_with(12, grafting=True)
    router.peer_connected(peer(50), outbound=False, now_ms=0)
    actions = [action for now_ms in range(20) for action in router.rpc_received(peer(50), GRAFT, now_ms)]
    assert of_kind(actions, Disconnect) == [Disconnect(peer(50), "graylisted")]


def test_a_graft_for_an_unknown_topic_or_from_a_mesh_peer__is_passed_over():
    router = router_with(1)
    assert router.rpc_received(peer(0), GRAFT, 0) == []
    assert router.rpc_received(peer(0), encode_control(graft=["other"]), 0) == []
    assert router.scores.score(peer(0)) == 0


def test_a_peer_with_a_bad_score__is_pruned_and_not_taken_back():
    router = router_with(3)
    router.scores.penalise(peer(0), 30)
    assert (peer(0), (Prune(TOPIC, 60),)) in [(name, rpc.prune) for name, rpc in sent(router.heartbeat(700))]
    router.heartbeat(1400)
    assert peer(0) not in router.overlay.mesh[TOPIC]
    assert sent(router.rpc_received(peer(0), GRAFT, 100_000))[0][1].prune


def test_unsubscribing_peers__leave_the_mesh():
    router = router_with(2)
    router.rpc_received(peer(0), encode_subscriptions([(TOPIC, False), ("unknown", False)]), 0)
    assert list(router.overlay.mesh[TOPIC]) == [peer(1)]
    assert list(router.overlay.topic_peers(TOPIC)) == [peer(1)]


# Limits


def test_topics_of_one_peer__are_bounded():
    router = make_router(topics_per_peer_max=3)
    router.peer_connected(ALICE, outbound=False, now_ms=0)
    router.rpc_received(ALICE, encode_subscriptions([(f"t{number}", True) for number in range(5)]), 0)
    assert len(router.overlay.peers[ALICE].topics) == 3
    assert router.counts[Count.DROPPED_TOPICS_FULL] == 2
    router.subscribe(TOPIC, 0)
    router.rpc_received(ALICE, GRAFT, 0)
    assert not router.overlay.mesh[TOPIC]


def test_peers__are_bounded():
    router = make_router(peers_max=2)
    found = [router.peer_connected(peer(number), outbound=False, now_ms=0) for number in range(3)]
    assert found == [[], [], [Disconnect(peer(2), "too many peers")]]
    assert router.counts[Count.REFUSED_PEERS_FULL] == 1


def test_messages_under_validation__are_bounded_and_may_come_again():
    router = router_with(1, pending_max=2)
    from p2p.gossip.actions import Validate
    from p2p.gossip.wire import encode_messages

    validates = []
    for number in range(3):
        actions = router.rpc_received(peer(0), encode_messages([(TOPIC, bytes((number,)))]), 0)
        validates += of_kind(actions, Validate)
    assert len(validates) == 2
    assert router.counts[Count.DROPPED_PENDING_FULL] == 1
    assert len(router._seen) == 2


def test_backoffs_and_fanouts__are_bounded():
    router = router_with(0, backoffs_max=3, fanout_topics_max=2, flood_publish=False)
    for number in range(6):
        router.overlay._back_off(TOPIC, peer(number), 0, 1000)
        router.publish(f"t{number}", b"x", 0)
    assert len(router.overlay._backoffs) == 3
    assert len(router.overlay._fanout) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"d": 5},
        {"d_high": 7},
        {"d_out": 5},
        {"d_out": 6, "d": 14, "d_high": 15},
        {"history_gossip": 7},
        {"gossip_percent": 101},
        {"message_bytes_max": 10**6},
        {"graylist_threshold": -1.0},
        {"score_decay": 1.0},
        {"reject_penalty": 0.0},
        {"seen_ttl_ms": 1},
        {"prune_backoff_ms": 10**9},
    ],
)
def test_contradicting_parameters__are_refused(changes):
    with pytest.raises(LocalError):
        GossipParams(**changes)
