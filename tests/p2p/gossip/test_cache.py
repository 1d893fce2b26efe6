"""p2p/gossip/cache.py: bounded memory, and what leaves when it is full."""

from p2p.gossip.cache import ExpiringMap, MessageCache, RecentRpcs


def test_expiring_map__forgets_by_time_in_order():
    found = ExpiringMap(10, 100)
    for now_ms in range(5):
        found.add(now_ms, "x", now_ms)
    assert found.sweep(12) == ["x"] * 3
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
    assert cache.held_bytes == 4
    offered = []
    for _ in range(3):
        offered.append(cache.gossip_ids("t"))
        assert cache.get(b"1") is not None
        cache.shift()
    assert offered == [[b"1"], [b"1"], []]
    assert cache.get(b"1") is None
    assert cache.held_bytes == 0
    assert cache.gossip_ids("other") == []


def test_message_cache__names_the_newest_it_holds_in_the_order_in_which_they_came():
    cache = MessageCache(3, 1, 100, 1000)
    for number in range(5):
        cache.put(bytes((number,)), "t" if number else "other", b"data")
        cache.shift()
    assert cache.held_ids("t", 10) == [b"\x03", b"\x04"]
    assert cache.held_ids("t", 1) == [b"\x04"]
    assert cache.held_ids("none", 10) == []


def test_message_cache__is_bounded_in_messages_and_bytes():
    cache = MessageCache(3, 2, 4, 10)
    for number in range(8):
        cache.put(bytes((number,)), "t", b"")
    assert len(cache) == 4
    cache.put(b"large", "t", bytes(10))
    cache.put(b"one more", "t", b"x")
    assert cache.held_bytes <= 10
    assert cache.get(b"large") is None
    assert cache.evicted > 4
    cache.shift()
    cache.shift()
    cache.shift()
    assert len(cache) == 0


def test_recent_rpcs__knows_equal_bytes_for_two_generations():
    recent = RecentRpcs(10_000)
    recent.add(b"rpc", 1)
    assert recent.get(bytes(bytearray(b"rpc"))) == 1
    recent.turn()
    assert recent.get(b"rpc") == 1
    recent.turn()
    assert recent.get(b"rpc") is None


def test_recent_rpcs__are_bounded_in_bytes_however_small_or_large_they_are():
    recent = RecentRpcs(10_000)
    for number in range(1_000):
        recent.add(number.to_bytes(2), number)
    assert len(recent) <= 10_000 // 256
    assert recent.get((999).to_bytes(2)) == 999
    recent.add(bytes(6_000), 0)
    assert recent.get(bytes(6_000)) is None
