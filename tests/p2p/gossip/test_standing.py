"""p2p/gossip/standing.py: each part of the score by itself, and laws that hold of the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.gossip.score_params import RARE, STEADY, ScoreParams
from p2p.gossip.standing import PeerStanding, TopicRules, TopicStanding, decay_factor, decayed
from tests.p2p.gossip.routers import peer

PARAMS = ScoreParams()
RULES = TopicRules.of(STEADY, PARAMS.decay_interval_ms)
counts = st.floats(0, 1_000)


def standing(topic=None, *, surplus=0, **fields):
    """The score of a peer with these fields."""
    topics = {} if topic is None else {"topic": topic}
    return PeerStanding(peer(1), topics=topics, **fields).work_out(PARAMS, surplus)


def in_topic(**fields):
    return TopicStanding(RULES, **fields)


def test_nothing__is_nought():
    assert standing() == standing(in_topic()) == 0


# P1


def test_p1__grows_with_each_quantum_in_the_mesh_up_to_its_cap():
    values = [in_topic(in_mesh=True, mesh_ms=minutes * 60_000).value() for minutes in (0, 30, 60, 600)]
    assert values == pytest.approx([0, 2.5, 5, 5])


def test_p1__is_for_mesh_peers_alone():
    assert in_topic(in_mesh=False, mesh_ms=3_600_000).value() == 0


# P2


def test_p2__counts_first_deliveries_up_to_the_cap_also_of_peers_outside_the_mesh():
    found = in_topic()
    values = []
    for _ in range(50):
        found.first_delivery()
        values.append(found.value())
    assert values[:2] == [0.5, 1.0]
    assert values[39] == values[-1] == 20


# P3 and P3b


def test_p3__costs_the_square_of_the_part_that_is_missing():
    values = [in_topic(in_mesh=True, mesh_due=2, mesh_deliveries=made).value() for made in (0, 1, 2, 9)]
    assert values == [-60, -15, 0, 0]


def test_p3__weighs_the_same_in_a_quiet_topic_and_in_a_busy_one():
    assert in_topic(in_mesh=True, mesh_due=1).value() == in_topic(in_mesh=True, mesh_due=4).value() == -60


def test_p3__counts_only_what_is_brought_within_the_mesh_up_to_the_cap():
    outside = in_topic()
    outside.mesh_delivery()
    assert outside.mesh_deliveries == 0
    inside = in_topic(in_mesh=True)
    for _ in range(100):
        inside.mesh_delivery()
    assert inside.mesh_deliveries == STEADY.mesh_deliveries_max


def test_p3b__keeps_the_deficit_with_which_a_peer_left_the_mesh():
    found = in_topic(in_mesh=True, mesh_due=2, mesh_deliveries=0)
    before = found.value()
    found.leave_mesh()
    assert found.value() == before == -60
    assert (found.mesh_ms, found.mesh_due, found.in_mesh) == (0, 0, False)
    for _ in range(18):
        found.decay(PARAMS.decay_to_zero)
    assert -60 < found.value() < -30


def test_p3b__is_nothing_for_a_peer_that_left_without_a_deficit():
    found = in_topic(in_mesh=True, mesh_due=2, mesh_deliveries=2)
    found.leave_mesh()
    assert found.value() == 0


def test_a_rare_topic__expects_nothing():
    assert TopicStanding(TopicRules.of(RARE, 1_000), in_mesh=True, mesh_due=4).value() == 0


# P4


def test_p4__is_the_square_of_the_invalid_messages():
    assert [in_topic(invalid=count).value() for count in (0, 1, 2, 5)] == [0, -820, -3_280, -20_500]


# P5, P6, P7 and the sum


def test_p5__is_added_as_it_is():
    assert [standing(application=value) for value in (-100, 0, 20)] == [-100, 0, 20]


def test_p6__is_the_square_of_the_surplus():
    assert [standing(surplus=value) for value in (-3, 0, 1, 3)] == [0, 0, -50, -450]


def test_p7__is_the_square_of_the_misdeeds_above_the_threshold():
    assert [standing(behaviour=value) for value in (0, 6, 7, 16)] == pytest.approx([0, 0, -15.9, -1_590])


def test_topics__are_capped_together_before_the_rest_is_added():
    topics = {f"t{number}": in_topic(first_deliveries=40) for number in range(5)}
    found = PeerStanding(peer(1), topics=topics, application=7)
    assert found.work_out(PARAMS, 0) == PARAMS.topic_score_max + 7
    found.behaviour = 7
    assert found.work_out(PARAMS, 0) == pytest.approx(PARAMS.topic_score_max + 7 - 15.9)


topic_standings = st.builds(
    in_topic,
    in_mesh=st.booleans(),
    mesh_ms=st.integers(0, 10**8),
    mesh_due=st.floats(0, 4),
    first_deliveries=counts,
    mesh_deliveries=counts,
    mesh_failures=counts,
    invalid=counts,
)


@given(topic_standings, st.sampled_from(["mesh_ms", "first_deliveries", "mesh_deliveries"]), counts)
def test_law_what_is_good__never_lowers_a_score(found, field, more):
    before = found.value()
    setattr(found, field, getattr(found, field) + more)
    assert found.value() >= before - 1e-6


@given(topic_standings, st.sampled_from(["mesh_due", "mesh_failures", "invalid"]), counts)
def test_law_what_is_bad__never_raises_a_score(found, field, more):
    before = found.value()
    setattr(found, field, getattr(found, field) + more)
    assert found.value() <= before + 1e-6


@given(topic_standings, st.floats(-100, 100), counts, st.integers(-8, 500), counts, st.integers(0, 50))
def test_law_misdeeds_and_neighbours__never_raise_a_score(
    found, application, misdeeds, surplus, more, others
):
    before = standing(found, application=application, behaviour=misdeeds, surplus=surplus)
    assert standing(found, application=application, behaviour=misdeeds + more, surplus=surplus) <= before
    assert standing(found, application=application, behaviour=misdeeds, surplus=surplus + others) <= before


@given(topic_standings, st.floats(-100, 100), counts, st.integers(-8, 500))
def test_law_a_score__is_bounded_above(found, application, misdeeds, surplus):
    score = standing(found, application=application, behaviour=misdeeds, surplus=surplus)
    assert score <= PARAMS.topic_score_max + PARAMS.application_score_max


@given(topic_standings)
def test_law_decay__brings_every_count_to_nought(found):
    for _ in range(6_000):
        found.decay(PARAMS.decay_to_zero)
    assert found.first_deliveries == found.mesh_deliveries == found.mesh_failures == found.invalid == 0


def test_decay__leaves_a_hundredth_after_its_span():
    count = 100.0
    for _ in range(10):
        count = decayed(count, decay_factor(1_000, 10_000), 0.01)
    assert count == pytest.approx(1)
    assert decayed(0.0100001, 0.9, 0.01) == 0
