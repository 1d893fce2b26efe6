"""Pay of auditors: laws of the sum, of what is set aside, and which verdicts earn anything."""

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.audit import SKETCH_BYTES, AuditReason, Audits, CheckedStep, Verdict
from protocol.audit_draw import AUDITORS_PER_WORK, drawn_steps, steps_each
from protocol.audit_pay import audit_fee_wei, reserve_wei, shows_work
from protocol.terms import PPM, AuditTerms
from tests.protocol import builders
from tests.protocol.strategies import lawful

prices = st.integers(0, 10**30) | st.integers(0, 50)
counts = st.integers(1, 65_535) | st.integers(1, 20)
ks = st.integers(1, 16)


@lawful
@given(prices, counts, ks)
def test_the_fee_is_the_sum_rounded_down_and_at_most_the_price(price_wei, steps, checked):
    exact = min(Fraction(price_wei), Fraction(price_wei * (checked + 2), steps) * Fraction(5, 4))
    assert 0 <= exact - audit_fee_wei(price_wei, steps, checked) < 1


@lawful
@given(prices, counts, ks)
def test_more_steps_to_check_earn_no_less_and_of_longer_work_no_more(price_wei, steps, checked):
    fee_wei = audit_fee_wei(price_wei, steps, checked)
    assert (
        audit_fee_wei(price_wei, steps, checked + 1)
        >= fee_wei
        >= audit_fee_wei(price_wei, steps + 1, checked)
    )


@lawful
@given(st.integers(0, 2**64 - 1), counts, st.data())
def test_what_is_set_aside_pays_all_auditors_of_work_of_any_length(price_micro_cai, units, data):
    done = data.draw(st.integers(1, units))
    price_wei = price_micro_cai * WEI_PER_MICRO_CAI
    fees = [
        audit_fee_wei(price_wei, units, len(drawn_steps(bytes(32), done, place)))
        for place in range(AUDITORS_PER_WORK)
    ]
    assert sum(fees) <= reserve_wei(price_wei, units, Audits.PUBLIC) <= AUDITORS_PER_WORK * price_wei


def test_of_a_task_that_is_its_buyers_alone_to_audit_nothing_is_set_aside():
    assert reserve_wei(10**16, 20, Audits.PUBLIC) == 2 * audit_fee_wei(10**16, 20, 3)
    assert reserve_wei(10**16, 20, Audits.BUYER_ONLY) == 0


def test_at_the_usual_rate_audits_add_an_eightieth_to_what_pictures_cost():
    price_wei, steps = 10_000 * WEI_PER_MICRO_CAI, 20
    fee_wei = audit_fee_wei(price_wei, steps, steps_each(steps))
    cost_wei = Fraction(AuditTerms().selected_ppm, PPM) * AUDITORS_PER_WORK * fee_wei
    assert (fee_wei, cost_wei / price_wei) == (3_125 * WEI_PER_MICRO_CAI, Fraction(1, 80))


@pytest.mark.parametrize(
    ("verdict", "sketches", "earns"),
    [
        (Verdict.HONEST, (SKETCH_BYTES, SKETCH_BYTES), True),
        (Verdict.FAULT, (SKETCH_BYTES,), True),
        (Verdict.FAULT, (0,), False),
        (Verdict.FAULT, (), False),
        (Verdict.NO_OPENING, (), False),
    ],
)
def test_a_verdict_without_sketches_earns_nothing(verdict, sketches, earns):
    made = dataclasses.replace(
        builders.verdict(),
        verdict=verdict,
        reason=AuditReason.MODEL_OUTPUT if verdict == Verdict.FAULT else AuditReason.NONE,
        checked=tuple(CheckedStep(step, bytes(length)) for step, length in enumerate(sketches)),
    )
    assert shows_work(made) is earns
