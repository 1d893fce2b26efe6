"""p2p/gossip/overlay.py: who is grafted, pruned and kept away."""

import random

import pytest

from p2p.gossip.actions import Connect, Count, Disconnect
from p2p.gossip.params import WITHOUT_MESH
from p2p.gossip.router import Router
from p2p.gossip.wire import Prune, PxPeer, encode_control, encode_subscriptions
from protocol.errors import LocalError
from tests.p2p.gossip.routers import TOPIC, judge, make_router, of_kind, peer, sent, spoil

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


def test_a_mesh_that_callers_filled__makes_room_for_our_own_dials_and_for_callers_in_the_same_straits():
    router = router_with(12, outbound=3, grafting=True)
    mesh = router.overlay.mesh[TOPIC]
    for number in (12, 13, 14):  # as if they had come when it was full
        router.overlay.prune(peer(number), TOPIC, 1_000, 0)
    assert len(mesh) == router.params.d_high
    router.heartbeat(5_000)
    assert sum(state.outbound for state in mesh.values()) == router.params.d_out
    assert len(mesh) < router.params.d_high


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
    (prune,) = sent(router.rpc_received(peer(50), GRAFT, 0))[-1][1].prune
    assert (prune.topic, prune.backoff_s) == (TOPIC, 60)
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
    router.heartbeat(cap_ms + router.params.backoff_slack_ms - 1)
    assert not router.overlay.mesh[TOPIC]
    router.heartbeat(cap_ms + router.params.backoff_slack_ms)
    assert peer(0) in router.overlay.mesh[TOPIC]


def test_a_graft_in_backoff__is_a_misdeed_and_two_when_it_is_a_flood():
    router = router_with(12, grafting=True)
    router.peer_connected(peer(50), outbound=False, now_ms=0)
    router.rpc_received(peer(50), GRAFT, 0)
    standing = router.overlay.peers[peer(50)].standing
    router.rpc_received(peer(50), GRAFT, router.params.graft_flood_ms)
    assert standing.behaviour == 1
    router.rpc_received(peer(50), GRAFT, router.params.graft_flood_ms + 1)
    assert standing.behaviour == 3
    assert router.counts[Count.GRAFT_IN_BACKOFF] == 2


def test_a_node_that_is_restarted_again_and_again__is_not_graylisted_for_what_it_has_forgotten():
    """Its bootstrap peers, which are in no mesh, refuse its GRAFTs, and it grafts anew after each start."""
    router = router_with(12, grafting=True)
    for start in range(100):
        now_ms = 5_000 * start
        assert not of_kind(router.peer_connected(peer(50), outbound=False, now_ms=now_ms), Disconnect)
        (prune,) = sent(router.rpc_received(peer(50), GRAFT, now_ms + 100))[-1][1].prune
        assert (prune.topic, prune.backoff_s) == (TOPIC, 60)
        router.peer_disconnected(peer(50))
    assert router.counts[Count.GRAFT_IN_BACKOFF] == 0
    assert router.scores.score(peer(50)) == 0


def test_a_second_graft_on_a_connection__is_a_misdeed_whatever_the_one_before_has_heard():
    router = router_with(12, grafting=True)
    for now_ms in (0, 5_000):
        router.peer_connected(peer(50), outbound=False, now_ms=now_ms)
        router.rpc_received(peer(50), GRAFT, now_ms + 100)
        router.peer_disconnected(peer(50))
    router.peer_connected(peer(50), outbound=False, now_ms=10_000)
    for now_ms in (10_000, 30_000):
        router.rpc_received(peer(50), GRAFT, now_ms)
    assert router.overlay.peers[peer(50)].standing.behaviour == 1


def test_attack_graft_spam__ends_graylisted():
    router = router_with(12, grafting=True)
    router.peer_connected(peer(50), outbound=False, now_ms=0)
    actions = [action for now_ms in range(20) for action in router.rpc_received(peer(50), GRAFT, now_ms)]
    assert of_kind(actions, Disconnect) == [Disconnect(peer(50), "graylisted")]


def test_a_graft_for_an_unknown_topic_or_from_a_mesh_peer__is_passed_over():
    router = router_with(1)
    assert router.rpc_received(peer(0), GRAFT, 0) == []
    assert router.rpc_received(peer(0), encode_control(graft=["other"]), 0) == []
    assert router.scores.score(peer(0)) == 0


def test_a_peer_with_a_negative_score__is_pruned_and_not_taken_back():
    router = router_with(3)
    spoil(router, peer(0), 1)
    assert (peer(0), (Prune(TOPIC, 60),)) in [(name, rpc.prune) for name, rpc in sent(router.heartbeat(700))]
    router.heartbeat(1400)
    assert peer(0) not in router.overlay.mesh[TOPIC]
    spoil(router, peer(0), 1)
    assert sent(router.rpc_received(peer(0), GRAFT, 100_000))[0][1].prune == (Prune(TOPIC, 60),)


def test_unsubscribing_peers__leave_the_mesh():
    router = router_with(2)
    router.rpc_received(peer(0), encode_subscriptions([(TOPIC, False), ("unknown", False)]), 0)
    assert list(router.overlay.mesh[TOPIC]) == [peer(1)]
    assert list(router.overlay.topic_peers(TOPIC)) == [peer(1)]


# Choosing by score


def scored_mesh(scores, outbound=0, **changes):
    """A router whose mesh peers have these scores, the first ones called by strangers."""
    router = router_with(len(scores) - outbound, outbound, grafting=True, **changes)
    for number, score in enumerate(scores):
        router.set_application_score(peer(number), score)
    return router


def test_pruning__keeps_the_best_and_draws_the_rest():
    kept = []
    for seed in range(20):
        router = scored_mesh(range(20), d_high=12, seed=seed)
        assert len(router.overlay.mesh[TOPIC]) == 12
        for number in range(12, 20):  # the mesh is full for them, so we dial
            router.overlay._enter(TOPIC, [peer(number)], 0)
        router.heartbeat(700)
        mesh = router.overlay.mesh[TOPIC]
        assert len(mesh) == router.params.d
        assert mesh.keys() >= {peer(number) for number in range(16, 20)}
        kept.append(frozenset(mesh))
    assert len(set(kept)) > 10
    assert any(peer(0) in mesh for mesh in kept)


def test_pruning__keeps_d_out_we_dialled_though_others_score_better():
    for seed in range(20):
        router = scored_mesh([50] * 12 + [0] * 3, outbound=3, seed=seed)
        router.heartbeat(700)
        mesh = router.overlay.mesh[TOPIC]
        assert len(mesh) == router.params.d
        assert sum(state.outbound for state in mesh.values()) >= router.params.d_out
        assert sum(not state.outbound for state in mesh.values()) >= router.params.d_score


def opportunity(mesh_score, other_score, brought=1, **changes):
    """A mesh of eight with one score, and eight others with another who brought messages; who is grafted."""
    router = make_router(opportunistic_graft_heartbeats=3, **changes)
    router.subscribe(TOPIC, 0)
    for number in range(16):
        router.peer_connected(peer(number), outbound=True, now_ms=0)
        router.rpc_received(peer(number), encode_subscriptions([(TOPIC, True)]), 0)
    router.heartbeat(700)
    mesh = set(router.overlay.mesh[TOPIC])
    for number in range(16):
        router.set_application_score(peer(number), mesh_score if peer(number) in mesh else other_score)
        if peer(number) not in mesh:
            for _ in range(brought):
                judge(router, peer(number), b"%d %d" % (number, brought), now_ms=700)
    grafted = []
    for beat in (2, 3):
        grafted.append({name for name, rpc in sent(router.heartbeat(beat * 700)) if rpc.graft})
        assert not grafted[-1] & mesh
    return router, grafted


def test_opportunistic_grafting__takes_two_better_peers_into_a_poor_mesh_at_its_time():
    router, (before, at) = opportunity(1, 5)
    assert not before
    assert len(at) == router.params.opportunistic_graft_peers
    assert router.counts[Count.GRAFT_OPPORTUNISTIC] == 2


@pytest.mark.parametrize(
    ("mesh_score", "other_score", "brought"), [(11, 20, 1), (5, 4.5, 1), (5, 1, 1), (1, 5, 0)]
)
def test_opportunistic_grafting__leaves_a_good_mesh_worse_peers_and_silent_ones_alone(
    mesh_score, other_score, brought
):
    _, (before, at) = opportunity(mesh_score, other_score, brought)
    assert not before | at


def test_filling_a_mesh__takes_half_of_those_who_brought_most_and_draws_the_rest():
    chosen = []
    for seed in range(20):
        router = make_router(seed=seed)
        router.subscribe(TOPIC, 0)
        for number in range(30):
            router.peer_connected(peer(number), outbound=False, now_ms=0)
        for number in range(6):
            for copy in range(1 + number):
                judge(router, peer(number), b"%d %d" % (number, copy))
        router.unsubscribe(TOPIC, 0)
        for number in range(30):
            router.rpc_received(peer(number), encode_subscriptions([(TOPIC, True)]), 0)
        router.subscribe(TOPIC, 1)
        mesh = router.overlay.mesh[TOPIC]
        assert len(mesh) == router.params.d
        assert mesh.keys() >= {peer(number) for number in (2, 3, 4, 5)}
        chosen.append(frozenset(mesh))
    assert len(set(chosen)) > 10


def test_a_mesh_of_sleepers__is_replaced_by_those_who_bring_messages():
    """A covert flash: the whole mesh forwards for two minutes, then nothing."""
    router = router_with(20, grafting=False)
    now_ms, number = 700, 0
    router.heartbeat(now_ms)
    sleepers = set(router.overlay.mesh[TOPIC])
    others = [peer(index) for index in range(20) if peer(index) not in sleepers]
    for beat in range(1, 2 * 171):  # four minutes
        now_ms += 700
        awake = sorted(sleepers, key=str) if beat <= 171 else others
        for _ in range(4):
            number += 1
            judge(router, awake[number % len(awake)], b"%d" % number, now_ms=now_ms)
        router.heartbeat(now_ms)
    assert not router.overlay.mesh[TOPIC].keys() & sleepers
    assert all(router.scores.score(name) >= 0 for name in others)


# Peer exchange and life without a mesh


def record_of(name):
    return PxPeer(name.to_bytes(), b"record of " + name.to_bytes())


def test_px__names_good_peers_of_the_topic_to_a_good_peer_that_is_pruned():
    router = router_with(13, grafting=True, records=record_of)
    spoil(router, peer(3), 1)
    router.peer_connected(peer(50), outbound=False, now_ms=0)
    router.rpc_received(peer(50), encode_subscriptions([(TOPIC, True)]), 0)
    (prune,) = sent(router.rpc_received(peer(50), GRAFT, 0))[0][1].prune
    assert 0 < len(prune.peers) <= router.params.px_peers_max
    assert all(item.record == b"record of " + item.peer_id for item in prune.peers)
    named = {item.peer_id for item in prune.peers}
    assert not named & {peer(3).to_bytes(), peer(50).to_bytes()}


def test_px__is_not_for_those_in_back_off_nor_for_bad_ones():
    router = router_with(13, grafting=True)
    router.peer_connected(peer(50), outbound=False, now_ms=0)
    router.rpc_received(peer(50), GRAFT, 0)
    assert sent(router.rpc_received(peer(50), GRAFT, 1))[0][1].prune[0].peers == ()
    spoil(router, peer(1), 1)
    pruned = [(name, rpc.prune[0].peers) for name, rpc in sent(router.heartbeat(700)) if rpc.prune]
    assert (peer(1), ()) in pruned


PX = encode_control(prune=[Prune(TOPIC, 60, tuple(PxPeer(bytes((n,)), b"r") for n in range(20)))])


def test_px__is_taken_from_a_trusted_peer_and_bounded_by_heartbeat():
    router = router_with(2)
    assert of_kind(router.rpc_received(peer(0), PX, 0), Connect) == []
    assert router.counts[Count.DROPPED_PX] == 1
    router.set_application_score(peer(1), router.params.score.accept_px_threshold)
    (connect,) = of_kind(router.rpc_received(peer(1), PX, 0), Connect)
    assert connect.from_peer == peer(1)
    assert connect.peers == tuple(PxPeer(bytes((n,)), b"r") for n in range(router.params.px_peers_max))
    assert of_kind(router.rpc_received(peer(1), PX, 0), Connect) == []
    router.heartbeat(700)
    assert of_kind(router.rpc_received(peer(1), PX, 700), Connect)


def test_without_a_mesh__a_graft_is_answered_with_others_and_nobody_is_grafted_or_blamed():
    router = Router(WITHOUT_MESH, random.Random(1), records=record_of)
    router.subscribe(TOPIC, 0)
    for number in range(20):
        router.peer_connected(peer(number), outbound=number % 2 == 0, now_ms=0)
        router.rpc_received(peer(number), encode_subscriptions([(TOPIC, True)]), 0)
    for number in range(2):
        (answer,) = sent(router.rpc_received(peer(number), GRAFT, 0))
        assert len(answer[1].prune[0].peers) == router.params.px_peers_max
    actions = judge(router, peer(0), b"data")
    actions += router.heartbeat(700)
    assert router.overlay.mesh[TOPIC] == {}
    assert not [rpc for _, rpc in sent(actions) if rpc.graft or rpc.messages]
    assert len([rpc for _, rpc in sent(actions) if rpc.ihave]) == 20
    assert router.scores.score(peer(0)) >= 0


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
    assert len(router._messages._seen) == 2


def test_backoffs_and_fanouts__are_bounded():
    router = router_with(0, backoffs_max=3, fanout_topics_max=2, flood_publish=False)
    for number in range(6):
        router.overlay.backoffs.add(TOPIC, peer(number), 0, 1000)
        router.publish(f"t{number}", b"x", 0)
    assert len(router.overlay.backoffs) == 3
    assert len(router.overlay.fanouts) == 2
