"""p2p/gossip/params.py and score_params.py: values that contradict each other are refused, and ours hold."""

import dataclasses

import pytest

from p2p.gossip.params import WITHOUT_MESH, GossipParams
from p2p.gossip.score_params import RARE, STEADY, ScoreParams, TopicScoreParams
from protocol.errors import LocalError


@pytest.mark.parametrize(
    "changes",
    [
        {"d": 5},
        {"d": 0},
        {"d_high": 7},
        {"d_out": 5},
        {"d_out": 6, "d": 14, "d_high": 15},
        {"d_score": 9},
        {"history_gossip": 87},
        {"gossip_percent": 101},
        {"message_bytes_max": 10**6},
        {"px_peers_max": 12},
        {"px_peers_max": 257},
        {"ihave_ids_max": 1_025},
        {"seen_ttl_ms": 1},
        {"prune_backoff_ms": 10**9},
        {"opportunistic_graft_heartbeats": 0},
    ],
)
def test_contradicting_parameters__are_refused(changes):
    with pytest.raises(LocalError):
        GossipParams(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"gossip_threshold": 1.0},
        {"publish_threshold": -1.0},
        {"graylist_threshold": -8_000.0},
        {"accept_px_threshold": 50.0},
        {"opportunistic_graft_threshold": -1.0},
        {"topic_score_max": -1.0},
        {"colocation_weight": 1.0},
        {"colocation_threshold": 0},
        {"colocation_exempt": ("localhost",)},
        {"behaviour_weight": 0.0},
        {"behaviour_threshold": -1.0},
        {"decay_interval_ms": 0},
        {"decay_to_zero": 1.0},
        {"retained_max": 0},
    ],
)
def test_contradicting_score_parameters__are_refused(changes):
    with pytest.raises(LocalError):
        ScoreParams(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": -1.0},
        {"first_deliveries_weight": -1.0},
        {"mesh_deliveries_weight": 1.0},
        {"mesh_failures_weight": 1.0},
        {"invalid_weight": 1.0},
        {"time_in_mesh_max": -1.0},
        {"mesh_deliveries_threshold": 41.0},
        {"mesh_deliveries_share": 1.1},
        {"mesh_deliveries_activation_ms": 59_999},
        {"invalid_decay_ms": 0},
    ],
)
def test_contradicting_topic_parameters__are_refused(changes):
    with pytest.raises(LocalError):
        TopicScoreParams(**changes)


def test_invalid_messages__graylist_the_best_of_peers_within_five_in_a_topic_or_ten_over_all_five():
    score = ScoreParams()
    best = score.topic_score_max + score.application_score_max
    one_topic = STEADY.weight * STEADY.invalid_weight * 5**2
    all_topics = (3 * STEADY.weight * STEADY.invalid_weight + 2 * RARE.weight * RARE.invalid_weight) * 2**2
    assert best + one_topic < score.graylist_threshold
    assert best + all_topics < score.graylist_threshold


def test_a_peer_that_stops_forwarding__loses_more_than_conduct_and_a_small_stake_bring():
    deficit = STEADY.weight * STEADY.mesh_deliveries_weight * STEADY.mesh_deliveries_threshold**2
    earned = STEADY.weight * (STEADY.time_in_mesh_weight * STEADY.time_in_mesh_max)
    earned += STEADY.weight * STEADY.first_deliveries_weight * STEADY.first_deliveries_max
    assert earned + 5 + deficit < 0


def test_every_parameter__has_its_paragraph():
    import inspect

    for record in (GossipParams, ScoreParams, TopicScoreParams):
        lines = inspect.getsource(record).splitlines()
        for field in dataclasses.fields(record):
            at = next(index for index, line in enumerate(lines) if line.startswith(f"    {field.name}:"))
            assert any(line.strip().startswith('"""') for line in lines[at + 1 : at + 4]), field.name


def test_without_a_mesh__differs_in_degrees_and_gossips_to_all():
    differing = {
        field.name
        for field in dataclasses.fields(GossipParams)
        if getattr(WITHOUT_MESH, field.name) != getattr(GossipParams(), field.name)
    }
    assert differing == {"d", "d_low", "d_high", "d_out", "d_score", "gossip_percent"}
