"""p2p/gossip/snapshot.py: what operators see is what is."""

from dataclasses import astuple

from p2p.gossip.actions import Count
from p2p.gossip.params import GossipParams
from p2p.gossip.score_params import ScoreParams
from p2p.gossip.snapshot import Evictions, ScoreClass, classify, limits
from tests.p2p.gossip.routers import TOPIC, judge, peer, spoil, subscribed


def test_scores__are_put_in_classes_by_the_thresholds():
    scores = (-16_001, -16_000, -8_000, -4_000, -1, 0, 9, 10, 60, 150)
    assert list(classify(scores, ScoreParams()).values()) == [1, 1, 1, 2, 2, 1, 2]
    assert list(classify((), ScoreParams())) == list(ScoreClass)


def test_a_snapshot__shows_meshes_scores_tables_and_counts():
    router = subscribed(*[peer(number) for number in range(10)])
    judge(router, peer(0), b"data")
    spoil(router, peer(9), 5)
    found = router.snapshot()
    assert found.topics[TOPIC].peers == 10
    assert (found.topics[TOPIC].mesh, found.topics[TOPIC].mesh_outbound) == (6, 0)
    assert found.score_classes[ScoreClass.NEGATIVE] == 1
    assert found.score_classes[ScoreClass.MODEST] == 9
    assert (found.tables.seen, found.tables.cache, found.tables.peers) == (1, 1, 10)
    assert found.evicted == Evictions(seen=0, cache=0, backoffs=0, standings=0)
    assert found.counts[Count.ACCEPTED] == 1
    judge(router, peer(1), b"more data")
    assert found.counts[Count.ACCEPTED] == 1  # a moment's


def test_every_table__has_its_limit():
    assert min(astuple(limits(GossipParams()))) > 0
