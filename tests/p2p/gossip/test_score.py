"""p2p/gossip/score.py: what is counted for whom, what neighbours cost, and who is remembered."""

import pytest

from p2p.gossip.score import PeerScores
from p2p.gossip.score_params import STEADY, ScoreParams
from tests.p2p.gossip.routers import peer

TOPIC = "topic"
ALICE, BOB, CAROL = peer(1), peer(2), peer(3)


def make(*peers, **changes):
    """Scores with these peers connected, and their standings."""
    scores = PeerScores(ScoreParams(**changes))
    return scores, *[scores.connected(name, None) for name in peers]


def contested(_topic):
    return True


def uncontested(_topic):
    return False


def pass_time(scores, start_ms, end_ms, is_contested=contested):
    for now_ms in range(start_ms, end_ms + 1, 3_500):
        scores.refresh(now_ms, is_contested)
    return now_ms


# Deliveries


def test_the_first_forwarder__gets_p2_and_those_in_the_mesh_p3():
    scores, alice, bob, carol = make(ALICE, BOB, CAROL)
    for standing in (alice, bob):
        scores.grafted(standing, TOPIC, 0)
    scores.accepted(TOPIC, {alice: None, bob: None, carol: None})
    assert (alice.topics[TOPIC].first_deliveries, alice.topics[TOPIC].mesh_deliveries) == (1, 1)
    assert (bob.topics[TOPIC].first_deliveries, bob.topics[TOPIC].mesh_deliveries) == (0, 1)
    assert TOPIC not in carol.topics
    assert scores.score(ALICE) == 0.5


def test_a_reward__is_in_the_score_when_asked_for_and_in_the_kept_one_with_the_next_refresh():
    scores, alice = make(ALICE)
    scores.refresh(0, contested)
    scores.accepted(TOPIC, {alice: None})
    assert (alice.score, alice.stale) == (0, True)
    scores.refresh(3_500, contested)
    assert 0.4 < alice.score < 0.5


def flood(scores, giver, now_ms, messages=30):
    for _ in range(messages):
        scores.accepted(TOPIC, {giver: None})
    scores.refresh(now_ms, contested)


def test_p3__begins_after_the_activation_and_ends_with_the_traffic():
    scores, alice, bob = make(ALICE, BOB)
    for standing in (alice, bob):
        scores.grafted(standing, TOPIC, 0)
    seen = []
    for now_ms in range(0, 3 * STEADY.mesh_deliveries_activation_ms, 3_500):
        flood(scores, alice, now_ms)
        seen.append((now_ms, scores.score(BOB)))
    before = [score for now_ms, score in seen if now_ms <= STEADY.mesh_deliveries_activation_ms]
    after = [score for now_ms, score in seen if now_ms > STEADY.mesh_deliveries_activation_ms]
    assert min(before) >= 0
    assert max(after) < -50
    assert scores.score(ALICE) > 0
    pass_time(scores, now_ms, now_ms + 60_000)
    assert scores.score(BOB) >= 0


def test_p3__asks_nothing_where_nobody_could_take_the_place():
    scores, alice, bob = make(ALICE, BOB)
    scores.grafted(bob, TOPIC, 0)
    for now_ms in range(0, 120_000, 3_500):
        for _ in range(30):
            scores.accepted(TOPIC, {alice: None})
        scores.refresh(now_ms, uncontested)
    assert scores.score(BOB) > 0


def test_p3__asks_nothing_in_a_quiet_topic():
    scores, alice, bob = make(ALICE, BOB)
    scores.grafted(bob, TOPIC, 0)
    for now_ms in range(0, 120_000, 3_500):
        flood(scores, alice, now_ms, messages=7)  # two a second
    assert scores.score(BOB) > 0


def test_p3b__follows_a_peer_that_leaves_the_mesh_or_the_network():
    for leave in (lambda scores, bob: scores.pruned(bob, TOPIC), lambda scores, _: scores.disconnected(BOB)):
        scores, alice, bob = make(ALICE, BOB)
        scores.grafted(bob, TOPIC, 0)
        for now_ms in range(0, 70_000, 3_500):
            flood(scores, alice, now_ms)
        due = scores.score(BOB)
        leave(scores, bob)
        assert scores.score(BOB) == pytest.approx(due, abs=1)
        assert bob.topics[TOPIC].mesh_failures > 0


def test_a_topic_that_carries_nothing_any_more__is_forgotten():
    scores, alice = make(ALICE)
    scores.accepted(TOPIC, {alice: None})
    pass_time(scores, 0, 120_000)
    assert scores._carried == {}


# Penalties


def test_penalties__are_in_the_kept_score_at_once():
    scores, alice, bob = make(ALICE, BOB)
    scores.invalid(alice, TOPIC)
    scores.misbehaved(bob, 7)
    assert alice.score == -820
    assert bob.score == pytest.approx(-15.9)


def test_the_application__may_speak_of_known_peers_within_bounds():
    scores, _ = make(ALICE)
    for value, expected in ((7.5, 7.5), (10**9, 100), (-(10**9), -100), (float("nan"), -100)):
        scores.set_application_score(ALICE, value)
        assert scores.score(ALICE) == expected
    scores.set_application_score(BOB, 50)
    assert scores.score(BOB) == 0
    assert len(scores) == 1


# Colocation


def colocated(count, ip="192.0.2.1", **changes):
    scores = PeerScores(ScoreParams(**changes))
    for number in range(count):
        scores.connected(peer(number), ip)
    return scores


@pytest.mark.parametrize(("count", "score"), [(8, 0), (9, -50), (11, -450)])
def test_attack_many_peers_of_one_address__costs_them_all(count, score):
    scores = colocated(count)
    assert {scores.score(peer(number)) for number in range(count)} == {score}


def test_colocation__ends_when_neighbours_leave():
    scores = colocated(10)
    for number in range(2):
        scores.disconnected(peer(number))
    assert {scores.score(peer(number)) for number in range(10)} == {0}
    assert len(scores._by_ip["192.0.2.1"]) == 8


def test_colocation__follows_a_peer_to_its_new_address():
    scores = colocated(9)
    scores.connected(peer(0), "192.0.2.2")
    assert {scores.score(peer(number)) for number in range(9)} == {0}
    for number in range(9):
        scores.disconnected(peer(number))
    assert scores._by_ip == {}


def test_colocation__does_not_count_those_the_application_vouches_for():
    scores = colocated(30)
    for number in range(30):
        scores.set_application_score(peer(number), 5)
    assert {scores.score(peer(number)) for number in range(30)} == {5}
    assert scores._by_ip == {}
    for number in range(9):
        scores.set_application_score(peer(number), 0)
    assert {scores.score(peer(number)) for number in range(9)} == {-50}
    assert scores.score(peer(9)) == 5
    for number in range(30):
        scores.set_application_score(peer(number), -1)
        scores.disconnected(peer(number))
    assert scores._by_ip == {}


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", None, "nonsense"])
def test_colocation__does_not_count_loopback_nor_what_is_unknown(ip):
    assert colocated(20, ip).score(peer(0)) == 0


def test_colocation__counts_other_networks_and_loopback_if_told_so():
    assert colocated(20, "10.0.0.1").score(peer(0)) < 0
    assert colocated(20, "10.0.0.1", colocation_exempt=("10.0.0.0/8",)).score(peer(0)) == 0
    assert colocated(20, "127.0.0.1", colocation_exempt=()).score(peer(0)) < 0


def test_colocation__takes_a_64_of_ipv6_for_one_address_and_a_mapped_one_for_what_it_is():
    scores = PeerScores(ScoreParams())
    for number in range(9):
        scores.connected(peer(number), f"2001:db8::{number:x}")
        scores.connected(peer(100 + number), f"2001:db8:1:{number:x}::1")
    assert scores.score(peer(0)) == -50
    assert scores.score(peer(101)) == 0
    mapped = colocated(8)
    mapped.connected(peer(8), "::ffff:192.0.2.1")
    assert mapped.score(peer(8)) == -50


# Memory


def test_a_peer_that_comes_back__is_what_it_was_and_nothing_decays_meanwhile():
    scores, alice, bob = make(ALICE, BOB)
    scores.invalid(alice, TOPIC)
    scores.accepted(TOPIC, {bob: None})
    scores.disconnected(ALICE)
    scores.disconnected(BOB)
    pass_time(scores, 0, 1_800_000)
    assert (scores.score(ALICE), scores.score(BOB)) == (-820, 0.5)
    assert scores.connected(ALICE, None) is alice
    assert alice.score == -820


def test_a_peer_that_stays_away__is_forgotten_after_its_time():
    scores, alice = make(ALICE)
    scores.invalid(alice, TOPIC)
    scores.disconnected(ALICE)
    scores.refresh(1_000, contested)
    scores.refresh(1_000 + 3_599_999, contested)
    assert scores.score(ALICE) == -820
    scores.refresh(1_000 + 3_600_000, contested)
    assert scores.score(ALICE) == 0
    assert len(scores) == 0


def test_attack_many_identities__do_not_wash_out_the_worst():
    scores, alice = make(ALICE, retained_max=50)
    scores.invalid(alice, TOPIC)
    scores.disconnected(ALICE)
    for number in range(1_000, 2_000):
        scores.connected(peer(number), None)
        scores.disconnected(peer(number))
        assert len(scores) <= 50
    assert scores.score(ALICE) == -820
    assert scores.evicted == 1_001 - len(scores)


def test_late_verdicts__find_a_peer_that_has_gone():
    scores, alice = make(ALICE)
    scores.disconnected(ALICE)
    scores.invalid(alice, TOPIC)
    scores.misbehaved(alice, 10)
    assert scores.score(ALICE) < -820
    scores.connected(ALICE, None)
    assert scores.score(ALICE) < -820


def test_a_clock_that_goes_back__takes_nothing_from_anybody():
    scores, alice = make(ALICE)
    scores.grafted(alice, TOPIC, 1_000_000)
    pass_time(scores, 0, 100_000)
    assert scores.score(ALICE) == 0


def test_refresh__says_whether_it_was_time():
    scores, _ = make(ALICE)
    assert [scores.refresh(now_ms, contested) for now_ms in (0, 700, 3_499, 3_500, 3_501, 7_000)] == [
        False,
        False,
        False,
        True,
        False,
        True,
    ]
