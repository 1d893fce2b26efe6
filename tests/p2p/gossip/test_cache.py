"""p2p/gossip/cache.py and score.py: bounded memory, and what leaves when it is full."""

from p2p.gossip.cache import ExpiringMap, MessageCache
from p2p.gossip.params import GossipParams
from p2p.gossip.score import PeerScores
from tests.p2p.gossip.routers import peer


def test_expiring_map__forgets_by_time_in_order():
    found = ExpiringMap(10, 100)
    for now_ms in range(5):
        found.add(now_ms, "x", now_ms)
    found.sweep(12)
    assert [key in found for key in range(5)] == [False, False, False, True, True]
    found.discard(3)
    found.discard(3)
    assert found.get(3) is None


def test_expiring_map__pushes_the_oldest_out_and_counts_it():
    found = ExpiringMap(10, 2)
    for key in range(5):
        found.add(key, "x", 0)
    assert len(found) == 2
    assert 4 in found
    assert found.evicted == 3


def test_expiring_map__keeps_the_time_of_a_key_that_changes_its_value():
    found = ExpiringMap(10, 2)
    found.add(1, "a", 0)
    found.add(1, "b", 9)
    assert found.get(1) == "b"
    found.sweep(10)
    assert 1 not in found


def test_message_cache__forgets_after_its_windows():
    cache = MessageCache(3, 2, 100, 1000)
    cache.put(b"1", "t", b"data")
    cache.put(b"1", "t", b"data")
    assert cache.data_bytes == 4
    offered = []
    for _ in range(3):
        offered.append(cache.gossip_ids("t"))
        assert cache.get(b"1") is not None
        cache.shift()
    assert offered == [[b"1"], [b"1"], []]
    assert cache.get(b"1") is None
    assert cache.data_bytes == 0
    assert cache.gossip_ids("other") == []


def test_message_cache__is_bounded_in_messages_and_bytes():
    cache = MessageCache(3, 2, 4, 10)
    for number in range(8):
        cache.put(bytes((number,)), "t", b"")
    assert len(cache) == 4
    cache.put(b"large", "t", bytes(10))
    cache.put(b"one more", "t", b"x")
    assert cache.data_bytes <= 10
    assert cache.get(b"large") is None
    assert cache.evicted > 4
    cache.shift()
    cache.shift()
    cache.shift()
    assert len(cache) == 0


def test_scores__are_bounded_and_the_smallest_penalty_gives_way():
    scores = PeerScores(GossipParams(scores_max=2))
    scores.penalise(peer(1), 50)
    scores.penalise(peer(2), 1)
    scores.penalise(peer(3), 20)
    assert [scores.score(peer(number)) for number in (1, 2, 3)] == [-50, 0, -20]
    assert scores.evicted == 1
    scores.penalise(peer(3), 20)
    assert scores.score(peer(3)) == -40
