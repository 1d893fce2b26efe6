"""The derivation of the rate of audits: as the specification has it in numbers, and its laws."""

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.amounts import WEI_PER_CAI, WEI_PER_MICRO_CAI
from protocol.audit_rate import detection_ppm, deterring_ppm, pictures_until_seen
from protocol.terms import PPM, AuditTerms
from tests.protocol.strategies import lawful

STAKE_WEI = 20_001 * WEI_PER_CAI
PRICE_WEI = 10_000 * WEI_PER_MICRO_CAI
chances = st.integers(1, PPM)


def test_the_specifications_numbers():
    terms = AuditTerms()
    one, every_second = detection_ppm(20, 1), detection_ppm(20, 10)
    assert (one, every_second // 10_000) == (300_000, 99)
    assert detection_ppm(20, 20) == PPM
    assert deterring_ppm(PRICE_WEI, STAKE_WEI, one, 900_000) == 2
    assert pictures_until_seen(terms.selected_ppm, PPM) == 50
    assert pictures_until_seen(terms.selected_ppm, one) == 167
    assert pictures_until_seen(terms.newcomer_ppm, PPM) == 5
    assert pictures_until_seen(terms.newcomer_ppm, one) == 17


@pytest.mark.parametrize(("steps", "false_steps"), [(1, 1), (4, 1), (6, 2), (7, 0), (8, 3)])
def test_detection_is_what_counting_all_draws_gives(steps, false_steps):
    opened = min(steps, 2 * max(1, min(3, steps // 6)))
    draws = list(combinations(range(steps), opened))
    seen = sum(any(step < false_steps for step in draw) for draw in draws)
    assert detection_ppm(steps, false_steps) == seen * PPM // len(draws)


@lawful
@given(st.integers(1, 200), st.data())
def test_more_false_steps_are_seen_no_less(steps, data):
    false_steps = data.draw(st.integers(0, steps - 1))
    assert 0 <= detection_ppm(steps, false_steps) <= detection_ppm(steps, false_steps + 1) <= PPM


@lawful
@given(st.integers(1, 10**24), st.integers(0, 10**26), chances, chances)
def test_at_the_rate_cheating_loses_and_just_below_it_does_not(gain_wei, stake_wei, detected, convicted):
    def loses(rate):
        caught = Fraction(rate * detected * convicted, PPM**3)
        return caught * stake_wei > (1 - caught) * gain_wei

    rate = deterring_ppm(gain_wei, stake_wei, detected, convicted)
    if rate is None:
        assert not loses(PPM)
    else:
        assert loses(rate)
        assert not loses(rate - 1)


def test_nothing_deters_where_nothing_is_seen_or_convicted_but_of_no_gain_nothing_need():
    assert deterring_ppm(1, 10**24, 0, PPM) is None
    assert deterring_ppm(1, 10**24, PPM, 0) is None
    assert deterring_ppm(1, 0, PPM, PPM) is None
    assert deterring_ppm(0, 0, PPM, PPM) == 0
    assert pictures_until_seen(20_000, 0) is None
