import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import draw
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.draw import Snapshot, follows_draw, rank_for_task, ranking, task_seed
from protocol.hashing import keccak256
from protocol.messages import RANKING_MAX, PassedOver, RankedMiner
from tests.protocol.builders import everybody
from tests.protocol.strategies import lawful

seeds = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20)
stakes = st.dictionaries(addresses, st.integers(1, 10**6) | st.integers(1, 10**15), min_size=1, max_size=25)


def snapshot_of(weights: dict[bytes, int]) -> Snapshot:
    return Snapshot.of((miner, weight * WEI_PER_MICRO_CAI) for miner, weight in weights.items())


def naive_ranking(weights: dict[bytes, int], seed: bytes) -> list[bytes]:
    """The definition: line up those that are left, by address, and walk to the point."""
    left, drawn = sorted(weights), []
    while left:
        point = int.from_bytes(keccak256(seed + len(drawn).to_bytes(4, "big")), "big") % sum(
            weights[miner] for miner in left
        )
        for miner in left:
            if point < weights[miner]:
                break
            point -= weights[miner]
        left.remove(miner)
        drawn.append(miner)
    return drawn


@lawful
@given(stakes, seeds)
def test_the_ranking_is_that_of_the_definition(weights, seed):
    assert list(ranking(snapshot_of(weights), seed)) == naive_ranking(weights, seed)


@lawful
@given(stakes, seeds)
def test_everybody_is_ranked_once(weights, seed):
    ranked = list(ranking(snapshot_of(weights), seed))
    assert len(ranked) == len(weights)
    assert set(ranked) == set(weights)


@lawful
@given(stakes, seeds, st.randoms(use_true_random=False))
def test_the_order_of_input_does_not_matter(weights, seed, random):
    pairs = list(weights.items())
    random.shuffle(pairs)
    assert snapshot_of(dict(pairs)) == snapshot_of(weights)
    assert list(ranking(snapshot_of(dict(pairs)), seed)) == list(ranking(snapshot_of(weights), seed))


@lawful
@given(stakes, seeds)
def test_a_part_of_the_ranking_is_its_beginning(weights, seed):
    snapshot = snapshot_of(weights)
    assert list(itertools.islice(ranking(snapshot, seed), 3)) == list(ranking(snapshot, seed))[:3]


def chi_square(counts: Counter, shares: dict) -> float:
    """Distance of counts from what the shares predict."""
    trials = counts.total()
    return sum((counts[one] - share * trials) ** 2 / (share * trials) for one, share in shares.items())


def test_first_place_follows_stake():
    weights = {bytes([number]) * 20: weight for number, weight in enumerate((1, 2, 3, 4, 10, 20))}
    snapshot = snapshot_of(weights)
    first = Counter(next(ranking(snapshot, keccak256(trial.to_bytes(4, "big")))) for trial in range(4_000))
    shares = {miner: weight / 40 for miner, weight in weights.items()}
    assert (
        chi_square(first, shares) < 20.5
    )  # 5 degrees of freedom: an honest draw exceeds it once in a thousand


def test_each_further_place_follows_the_stake_of_those_left():
    """All six orders of three miners, each as likely as stakes say (Plackett and Luce)."""
    weights = {b"a" * 20: 1, b"b" * 20: 2, b"c" * 20: 3}
    shares = {
        order: weights[order[0]] / 6 * weights[order[1]] / (6 - weights[order[0]])
        for order in itertools.permutations(weights)
    }
    snapshot = snapshot_of(weights)
    orders = Counter(tuple(ranking(snapshot, keccak256(trial.to_bytes(4, "big")))) for trial in range(4_000))
    assert sum(shares.values()) == pytest.approx(1)
    assert chi_square(orders, shares) < 20.5


def test_the_seed_is_the_hash_of_60_bytes():
    assert task_seed(b"e" * 32, b"c" * 20, 258) == keccak256(b"e" * 32 + b"c" * 20 + bytes(6) + b"\x01\x02")
    assert len({task_seed(b"e" * 32, b"c" * 20, sequence) for sequence in range(100)}) == 100


ALL_SEVEN = {bytes([number]) * 20: number + 1 for number in range(7)}
SNAPSHOT = snapshot_of(ALL_SEVEN)
SEED = keccak256(b"a task")


def only(live):
    """A judge that has bad experience with all others."""
    return lambda miner: PassedOver.ASSIGNED if miner in live else PassedOver.EXPERIENCE


def test_a_ranking_for_a_task_stops_at_the_last_wanted_miner_that_may_work():
    drawn = list(ranking(SNAPSHOT, SEED))
    live = {drawn[0], drawn[2], drawn[3], drawn[5]}
    places = rank_for_task(SNAPSHOT, SEED, only(live), 3)
    assert [place.miner for place in places] == drawn[:4]
    assert [place.passed_over for place in places] == [0, 4, 0, 0]


def test_a_ranking_for_a_task_ends_with_the_snapshot():
    assert rank_for_task(SNAPSHOT, SEED, everybody, 99) == tuple(
        RankedMiner(miner, 0) for miner in ranking(SNAPSHOT, SEED)
    )
    assert rank_for_task(SNAPSHOT, SEED, everybody, 0) == ()
    assert rank_for_task(Snapshot.of([]), SEED, everybody, 3) == ()


def test_a_ranking_for_a_task_gives_up_at_its_limit():
    many = snapshot_of({bytes([number]) * 20: 1 for number in range(RANKING_MAX + 6)})
    places = rank_for_task(many, SEED, only(set()), 3)
    assert len(places) == RANKING_MAX
    assert all(place.passed_over for place in places)


@lawful
@given(stakes, seeds, st.sets(st.integers(0, 24)), st.integers(1, 5))
def test_what_was_drawn_follows_the_draw_whoever_is_passed_over(weights, seed, away, wanted):
    snapshot = snapshot_of(weights)
    live = {miner for number, miner in enumerate(snapshot.miners) if number not in away}
    places = rank_for_task(snapshot, seed, only(live), wanted)
    assert follows_draw(snapshot, seed, places)


@lawful
@given(stakes, seeds, st.data())
def test_anything_else_does_not_follow_the_draw(weights, seed, data):
    snapshot = snapshot_of(weights)
    drawn = list(ranking(snapshot, seed))
    claimed = data.draw(st.lists(st.sampled_from(drawn) | addresses, min_size=1, max_size=len(drawn) + 2))
    places = tuple(RankedMiner(miner, 0) for miner in claimed)
    assert follows_draw(snapshot, seed, places) == (claimed == drawn[: len(claimed)])


def test_a_snapshot_is_sorted_and_leaves_out_dust():
    snapshot = Snapshot.of(
        [
            (b"b" * 20, 2 * WEI_PER_MICRO_CAI + 5),
            (b"c" * 20, WEI_PER_MICRO_CAI - 1),
            (b"a" * 20, WEI_PER_MICRO_CAI),
        ]
    )
    assert snapshot.miners == (b"a" * 20, b"b" * 20)
    assert (list(snapshot.weights), list(snapshot.cumulative), len(snapshot)) == ([1, 2], [1, 3], 2)
    assert snapshot.total == 3
    weights = {miner: snapshot.weight_of(miner * 20) for miner in (b"\x00", b"a", b"b", b"c")}
    assert weights == {b"\x00": 0, b"a": 1, b"b": 2, b"c": 0}


def test_an_empty_snapshot_draws_nobody():
    empty = Snapshot.of([])
    assert empty.total == 0
    assert list(ranking(empty, SEED)) == []
    assert not follows_draw(empty, SEED, (RankedMiner(bytes(20), 0),))


@pytest.mark.parametrize("miners", [[b"a" * 19], [b"a" * 21], [b"a" * 20, b"a" * 20]])
def test_a_snapshot_names_each_miner_once_by_its_address(miners):
    with pytest.raises(ValueError, match="a snapshot names each miner once, by its address"):
        Snapshot.of((miner, 10**18) for miner in miners)


@lawful
@given(
    st.dictionaries(
        st.builds(lambda start, end: bytes(start) + bytes([end]), st.just(19), st.integers(0, 255))
        | st.builds(lambda middle: bytes(8) + middle + bytes(4), st.binary(min_size=8, max_size=8))
        | addresses,
        st.integers(0, 10**12),
        max_size=40,
    )
)
def test_a_snapshot_is_that_of_its_plain_twin(weights):
    """Sorted and summed without numpy: the oracle of the vectorised one, also where addresses begin alike."""
    miners = sorted(miner for miner, weight in weights.items() if weight)
    sums = list(itertools.accumulate(weights[miner] for miner in miners))
    snapshot = snapshot_of(weights)
    assert list(snapshot.miners) == miners
    assert list(snapshot.weights) == [weights[miner] for miner in miners]
    assert list(snapshot.cumulative) == sums
    arrays = Snapshot.of_arrays(b"".join(weights), np.array(list(weights.values()), dtype=np.uint64))
    assert arrays == snapshot
    assert hash(arrays) == hash(snapshot)
    assert all(snapshot.weight_of(miner) == weight for miner, weight in weights.items())


def test_a_hundred_thousand_miners_are_drawn_as_by_the_definition():
    """The definition walks; it is slow, so few draws, but at the size that matters."""
    weights = {keccak256(number.to_bytes(4, "big"))[:20]: 1 + number**2 for number in range(100_000)}
    snapshot, seed = snapshot_of(weights), keccak256(b"many")
    left, expected = sorted(weights), []
    for j in range(5):
        point = int.from_bytes(keccak256(seed + j.to_bytes(4, "big")), "big")
        point %= sum(weights[miner] for miner in left)
        sums = itertools.accumulate(weights[miner] for miner in left)
        expected.append(next(miner for miner, upto in zip(left, sums, strict=True) if point < upto))
        left.remove(expected[-1])
    assert list(itertools.islice(ranking(snapshot, seed), 5)) == expected


def test_all_stakes_together_have_a_limit():
    most = 2**64 - 1
    assert snapshot_of({b"a" * 20: most - 1, b"b" * 20: 1}).total == most
    for stakes in ({b"a" * 20: most + 1}, {b"a" * 20: most, b"b" * 20: 1}, {b"a" * 20: -1}):
        with pytest.raises(ValueError, match="below 2\\^64 micro-CAI"):
            snapshot_of(stakes)


@pytest.mark.parametrize("length", [19, 21, 40])
def test_arrays_that_do_not_fit_each_other(length):
    with pytest.raises(ValueError, match="a snapshot names each miner once"):
        Snapshot.of_arrays(bytes(length), np.array([1], dtype=np.uint64))


def test_a_snapshot_has_a_limit(monkeypatch):
    monkeypatch.setattr(draw, "MINERS_MAX", 3)
    pairs = [(bytes([number]) * 20, 10**18) for number in range(4)]
    assert len(Snapshot.of(pairs[:3]).miners) == 3
    with pytest.raises(ValueError, match="4 miners where at most 3 are allowed"):
        Snapshot.of(pairs)
