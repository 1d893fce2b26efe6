"""Sketches: equal for whoever ran the model, by whatever kernels, and not to be guessed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inference.audit.sketch import (
    AGREEING_MIN,
    SketchRule,
    asked_about,
    positions,
    sketch,
    sketches_agree,
)
from protocol.audit import TraceTensor
from protocol.sketch import BINS, PLACES, pack_bins, unpack_bins
from tests.cheats.miner import draw

RULE = SketchRule(1, circular=False)
SHAPE = (4, 8, 8)


def single(seed):
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def sketched(step, found, expected, places=draw, *, own=False):
    """The sketch of a step without guidance."""
    return sketch(step, {TraceTensor.CONDITIONAL: (found, expected)}, places, own=own)


def test_a_position_is_where_the_auditor_lies_between_two_roundings():
    found = np.array([1.0, 1.0, 1.0, 1.0, -2.0], np.float16)
    unit = 2.0**-10
    expected = np.array([1.0, 1 - unit / 2, 1 + unit * 0.49, 1 + 9 * unit, -2.0], np.float32)
    assert positions(found, expected, own=False).tolist() == [8, 0, 15, 15, 8]
    assert positions(found, expected, own=True).tolist() == [8, 8, 15, 8, 8]


def test_positions_are_as_good_as_uniform():
    expected = single(1).repeat(100) * np.random.default_rng(2).uniform(1, 2, 25_600).astype(np.float32)
    counts = np.bincount(positions(expected.astype(np.float16), expected, own=False), minlength=BINS)
    shares = counts / counts.sum()
    assert -(shares * np.log2(shares)).sum() > 3.99


def test_what_is_not_finite_has_a_position_like_any_other():
    found = np.array([np.nan, np.inf, 1.0], np.float16)
    assert positions(found, np.array([1.0, 1.0, np.nan], np.float32), own=False).shape == (3,)


def test_small_numbers_are_not_asked_about():
    assert asked_about(np.array([8.0, 0.1, 4.0, -4.1, 0.0], np.float16)).tolist() == [0, 2, 3]
    # Exactly half of the root mean square is enough.
    assert asked_about(np.array([10, 2, 2, 2, 0, 0, 0], np.float16)).tolist() == [0, 1, 2, 3]
    assert asked_about(np.zeros(3, np.float16)).size == 3


@given(st.permutations(range(64)))
def test_no_order_of_summing_changes_what_is_asked_about(order):
    numbers = np.random.default_rng(3).standard_normal(64).astype(np.float16) * np.float16(100)
    found = asked_about(numbers[list(order)])
    assert {order[place] for place in found} == set(asked_about(numbers).tolist())


def test_attack_one_large_number_stops_no_auditor():
    found = np.full(SHAPE, 1e-3, np.float16)
    found[0, 0, 0] = 65504
    assert len(sketched(0, found, found.astype(np.float32))) == PLACES
    found[0, 0, 0] = np.inf
    assert len(sketched(0, found, found.astype(np.float32))) == PLACES


def test_half_of_the_places_are_in_each_output():
    one, other = single(6), single(7)
    seen = []

    def told(step, tensor, count, wanted):
        seen.append((step, tensor, wanted))
        return draw(step, tensor, count, wanted)

    outputs = {
        TraceTensor.UNCONDITIONAL: (one.astype(np.float16), one),
        TraceTensor.CONDITIONAL: (other.astype(np.float16), other),
    }
    both = sketch(5, outputs, told, own=False)
    assert seen == [(5, TraceTensor.UNCONDITIONAL, 16), (5, TraceTensor.CONDITIONAL, 16)]
    assert unpack_bins(pack_bins(both)) == both
    wrong = outputs | {TraceTensor.CONDITIONAL: (other.astype(np.float16), other + np.float32(0.01))}
    assert sketch(5, wrong, draw, own=False)[:16] == both[:16]
    assert sketch(5, wrong, draw, own=False)[16:] != both[16:]


def test_drawn_places_are_among_the_numbers_asked_about():
    found = np.ones(SHAPE, np.float16)
    found[0] = 1e-3
    expected = found.astype(np.float32) + np.arange(256).reshape(SHAPE) * np.float32(2.0**-20)
    asked = asked_about(found)
    assert asked.tolist() == list(range(64, 256))
    bins = sketched(1, found, expected)
    drawn = asked[list(draw(1, TraceTensor.CONDITIONAL, 192, PLACES))]
    assert bins == tuple(positions(found, expected, own=False)[drawn].tolist())


def test_two_auditors_agree_and_a_sketch_has_a_bin_for_every_place():
    expected = single(4)
    found = expected.astype(np.float16)
    other = expected * (1 + 5e-6 * np.random.default_rng(5).standard_normal(SHAPE)).astype(np.float32)
    one, two = sketched(3, found, expected), sketched(3, found, other)
    assert len(one) == PLACES
    assert all(0 <= place < BINS for place in one)
    assert sketches_agree(one, two, RULE)


@pytest.mark.parametrize("guess", ["middle", "random", "rounded miner"])
def test_attack_a_guessed_sketch_does_not_agree(guess):
    agreed = 0
    for seed in range(500):
        expected = single(seed)
        found = expected.astype(np.float16)
        true = sketched(seed, found, expected)
        if guess == "middle":
            guessed = [8] * PLACES
        elif guess == "random":
            guessed = np.random.default_rng(seed + 1).integers(0, BINS, PLACES).tolist()
        else:
            guessed = sketched(seed, found, found.astype(np.float32))
        agreed += sketches_agree(guessed, true, RULE)
    assert agreed == 0


def test_guessing_is_hopeless_at_one_bin_and_poor_at_two():
    """The sum of a binomial distribution's end, here by another way."""
    rule = SketchRule(1, circular=False)
    hit = 3 / 16
    by_logarithm = sum(
        math.exp(
            math.lgamma(33)
            - math.lgamma(n + 1)
            - math.lgamma(33 - n)
            + n * math.log(hit)
            + (32 - n) * math.log(1 - hit)
        )
        for n in range(28, 33)
    )
    assert rule.guess == pytest.approx(by_logarithm)
    assert rule.guess < 1e-16
    assert 1e-12 < SketchRule(2, circular=False).guess < 1e-9


def test_agreement_counts_places_within_the_bins():
    one = [8] * PLACES
    for wrong, agrees in ((PLACES - AGREEING_MIN, True), (PLACES - AGREEING_MIN + 1, False)):
        other = [10] * wrong + [9] * (PLACES - wrong)
        assert sketches_agree(one, other, RULE) is agrees
    assert sketches_agree(one, [10] * PLACES, SketchRule(2, circular=False))


def test_the_ends_are_neighbours_in_class_b_only():
    ends = [0] * PLACES, [BINS - 1] * PLACES
    assert not sketches_agree(*ends, RULE)
    assert sketches_agree(*ends, SketchRule(1, circular=True))
    # Beside a tie two auditors round apart.
    found = np.full(SHAPE, 1.1, np.float16)
    tie = np.float32(1 + 2.0**-11)
    near = [sketched(0, found, np.full(SHAPE, tie + away * 1e-6, np.float32), own=True) for away in (-1, 1)]
    assert near == [(BINS - 1,) * PLACES, (0,) * PLACES]


@pytest.mark.parametrize(
    "bad", [[], [8] * (PLACES - 1), [8] * (PLACES + 1), [16] + [8] * 31, [-1] + [8] * 31]
)
def test_attack_a_malformed_sketch_agrees_with_nothing(bad):
    assert not sketches_agree(bad, [8] * PLACES, RULE)
    assert not sketches_agree([8] * PLACES, bad, RULE)
    assert not sketches_agree(bad, bad, RULE)
