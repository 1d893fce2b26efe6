"""What peers' answers say of our clock: exact where they can be, bounded where not, hard to lie about."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from node.peer.clocks import (
    CLOCK_WARNING_MS,
    HEAD_AHEAD_MS_MAX,
    OWNERS_MAX,
    OWNERS_WANTED,
    ROUND_TRIP_MS_MAX,
    SAMPLE_LIFE_MS,
    ClockEstimate,
    ClockSample,
    median,
)
from protocol.rules.view import CLOCK_DISPARITY_MS_MAX
from tests.protocol.strategies import lawful

NOW_MS = 1_800_000_000_000
STEADY_MS = 5_000_000
OFFSETS = st.integers(-10_000_000, 10_000_000)


def owner(number):
    return number.to_bytes(20)


def sample(offset_ms, round_trip_ms=0, taken_at_ms=STEADY_MS):
    return ClockSample(offset_ms, round_trip_ms, taken_at_ms)


def estimate_of(*samples):
    estimate = ClockEstimate()
    for number, one in enumerate(samples):
        estimate.add(owner(number), one if isinstance(one, ClockSample) else sample(one))
    return estimate


def status_of(*samples):
    return estimate_of(*samples).status(NOW_MS, STEADY_MS)


@lawful
@given(OFFSETS, st.integers(0, 500), st.integers(0, 500))
def test_a_sample_is_exact_over_equal_ways_and_within_half_of_the_round_trip_over_any(
    true_ms, there_ms, back_ms
):
    asked_at_ms = NOW_MS
    said_ms = asked_at_ms + there_ms + true_ms
    found = ClockSample.of(asked_at_ms, there_ms + back_ms, said_ms, STEADY_MS)
    assert abs(found.offset_ms - true_ms) <= found.error_ms
    assert found.error_ms <= (there_ms + back_ms) / 2 + 1
    if there_ms == back_ms:
        assert found.offset_ms == true_ms


@lawful
@given(st.lists(OFFSETS, min_size=1, max_size=20), st.lists(OFFSETS, max_size=19), st.randoms())
def test_a_minority_of_liars_stays_within_what_the_honest_say(honest, liars, random):
    assume(len(liars) < len(honest))
    said = honest + liars
    random.shuffle(said)
    status = status_of(*said)
    assert min(honest) <= status.offset_ms <= max(honest)
    in_bounds = all(abs(one) <= CLOCK_DISPARITY_MS_MAX for one in honest)
    assert not (in_bounds and status.reason_not_ready())


@lawful
@given(st.lists(st.integers(-600, 600), min_size=1), OFFSETS)
def test_the_verdict_turns_with_the_clock(offsets, shift_ms):
    """A clock that is set by so much is off by so much less."""
    before, after = status_of(*offsets), status_of(*(one + shift_ms for one in offsets))
    assert after.offset_ms == before.offset_ms + shift_ms


@lawful
@given(st.lists(st.tuples(OFFSETS, st.integers(0, ROUND_TRIP_MS_MAX)), min_size=1, max_size=20))
def test_not_ready_is_certain_and_never_without_a_warning(pairs):
    status = status_of(*(sample(*pair) for pair in pairs))
    assert status.least_offset_ms <= status.offset_ms <= status.most_offset_ms
    if status.reason_not_ready():
        assert status.is_worth_a_warning
        assert abs(status.offset_ms) > CLOCK_DISPARITY_MS_MAX


def test_nobody_asked_is_no_verdict():
    status = ClockEstimate().status(NOW_MS, STEADY_MS)
    assert (status.owners, status.offset_ms, status.reason_not_ready()) == (0, None, None)
    assert not status.is_worth_a_warning
    assert status.describe() == "no staked peer has told its time yet"


@pytest.mark.parametrize(
    ("offset_ms", "warns", "ready"),
    [
        (0, False, True),
        (CLOCK_WARNING_MS - 1, False, True),
        (CLOCK_WARNING_MS, True, True),
        (CLOCK_DISPARITY_MS_MAX, True, True),
        (CLOCK_DISPARITY_MS_MAX + 1, True, False),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_warned_from_half_of_the_disparity_and_not_ready_beyond_it(offset_ms, warns, ready, sign):
    status = status_of(*[sign * offset_ms] * OWNERS_WANTED)
    assert status.is_worth_a_warning is warns
    assert (status.reason_not_ready() is None) is ready


def test_the_reason_says_what_to_do():
    assert status_of(*[-3_012] * 5).reason_not_ready() == (
        "this clock is 3,012 ms fast by the nodes of 5 owners; "
        "beyond 500 ms peers ignore each other; set the clock (NTP)"
    )
    assert status_of(700).reason_not_ready() == (
        "this clock is 700 ms slow by the nodes of 1 owner (fewer than 5: not certain); "
        "beyond 500 ms peers ignore each other; set the clock (NTP)"
    )


def test_a_long_way_is_no_reason():
    """Six hundred milliseconds off, but the round trip took four hundred: it may be the way."""
    assert status_of(*[sample(600, 400)] * 5).reason_not_ready() is None
    assert status_of(*[sample(-600, 400)] * 5).reason_not_ready() is None
    assert status_of(*[sample(600, 100)] * 5).reason_not_ready() is not None


def test_attack_many_nodes_of_one_owner_are_one_voice():
    estimate = estimate_of(0, 0, 0)
    for _ in range(1_000):
        estimate.add(owner(99), sample(1_000_000))
    status = estimate.status(NOW_MS, STEADY_MS)
    assert (status.owners, status.offset_ms) == (4, 0)


def test_the_newest_answer_of_an_owner_counts():
    estimate = estimate_of(700)
    estimate.add(owner(0), sample(5))
    assert estimate.status(NOW_MS, STEADY_MS).offset_ms == 5


def test_answers_age_out():
    estimate = estimate_of(700)
    assert estimate.status(NOW_MS, STEADY_MS + SAMPLE_LIFE_MS).owners == 1
    assert estimate.status(NOW_MS, STEADY_MS + SAMPLE_LIFE_MS + 1).owners == 0


def test_slow_answers_are_counted_and_do_not_count():
    status = status_of(sample(900, ROUND_TRIP_MS_MAX + 1), sample(1, ROUND_TRIP_MS_MAX))
    assert (status.owners, status.offset_ms, status.slow_answers) == (1, 1, 1)


def test_the_oldest_owner_beyond_the_limit_is_forgotten_and_counted():
    status = status_of(*range(OWNERS_MAX + 3))
    assert (status.owners, status.owners_forgotten) == (OWNERS_MAX, 3)
    assert status.offset_ms == median(range(3, OWNERS_MAX + 3))


def test_a_clock_that_was_set_needs_new_answers():
    estimate = estimate_of(-3_000)
    estimate.forget()
    assert estimate.status(NOW_MS, STEADY_MS).owners == 0


def test_the_chains_head_is_a_coarse_bound():
    estimate = ClockEstimate()
    for ahead_ms in (-(10**9), 0, HEAD_AHEAD_MS_MAX):
        estimate.see_head(NOW_MS + ahead_ms)
        assert estimate.status(NOW_MS, STEADY_MS).reason_not_ready() is None
    estimate.see_head(NOW_MS + HEAD_AHEAD_MS_MAX + 1)
    assert estimate.status(NOW_MS, STEADY_MS).reason_not_ready() == (
        "this clock is slow: the chain's newest block is 300 s ahead of it; set the clock (NTP)"
    )
