"""How likely an honest miner is ever accused: the counts, the fits and their laws."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inference.audit.false_accusations import (
    MAXIMA_MIN,
    YEAR_MS,
    Blocks,
    _beyond,
    audited_outputs,
    risk_of,
)
from protocol.terms import PPM
from tests.protocol.strategies import lawful

MEASURED = Blocks((59, 100, 96, 102, 88, 72, 71, 91, 151, 73), 320, 10_000)
YEAR = audited_outputs(1_000, 20, 20_000, 50_000)


def test_outputs_of_a_year_of_pictures_a_second():
    # 2 % by two auditors and 5 % by the buyer, three steps each, two outputs a step.
    assert YEAR == 365 * 86_400 * (2 * 2 + 5) * 3 * 2 // 100
    assert audited_outputs(YEAR_MS, 1, PPM, PPM) == 6
    assert audited_outputs(YEAR_MS, 20, 0, 0) == 0


def test_of_the_embedded_models_calibration():
    light, heavy = (risk_of(MEASURED, YEAR, heavy=heavy) for heavy in (False, True))
    assert light.bound < 1e-90
    # Ten maxima do not bound a power law.
    assert 1e-6 < heavy.estimate < 1e-5 < heavy.bound


def test_the_bound_of_a_known_tail_holds_in_nearly_all_samples():
    mean, outputs, samples, threshold = 20_000.0, 100, 100, 260_000
    true = 10**3 * math.exp(-threshold / mean)
    holds = 0
    for seed in range(50):
        source = random.Random(seed)
        maxima = [round(max(source.expovariate(1 / mean) for _ in range(outputs))) for _ in range(samples)]
        found = risk_of(Blocks(tuple(maxima), outputs, threshold), 10**3, heavy=False)
        assert true / 100 < found.estimate < 100 * true
        holds += found.bound >= true
    assert holds >= 45


@lawful
@given(st.lists(st.integers(1, 2_000), min_size=MAXIMA_MIN, max_size=20, unique=True), st.booleans())
def test_a_bound_is_a_chance_and_no_less_than_the_estimate_and_rises_with_outputs(maxima, heavy):
    blocks = Blocks(tuple(maxima), 320, 10_000)
    fewer, more = (risk_of(blocks, outputs, heavy=heavy) for outputs in (10**3, 10**6))
    assert 0 <= fewer.estimate <= fewer.bound <= 1
    assert fewer.bound <= more.bound
    assert fewer.estimate <= more.estimate


def test_a_gumbel_variable_exceeds_its_mean_in_43_of_100_cases():
    assert _beyond(5.0, 5.0, 2.0) == pytest.approx(0.4296, abs=1e-4)


@pytest.mark.parametrize("maxima", [(), (1, 2, 3, 4, 5), (5,) * MAXIMA_MIN])
def test_from_too_little_nothing_is_extrapolated(maxima):
    with pytest.raises(ValueError, match="nothing can be extrapolated"):
        risk_of(Blocks(maxima, 320, 10_000), YEAR, heavy=False)
