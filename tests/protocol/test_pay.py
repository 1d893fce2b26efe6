"""Pay by the unit: laws of prices and schedules, and both sides of a task played against each other."""

import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol import work
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.errors import DecodeError, InvalidMessage
from protocol.pay import (
    PRICE_MICRO_CAI_MAX,
    SLICES_PER_TASK,
    WEI_MAX,
    PaySchedule,
    Price,
    SignedVoucher,
    price_of,
    unit_price_wei,
)
from protocol.work import SPECS, ImageDetails, UnknownKind, Work
from tests.protocol import builders
from tests.protocol.strategies import lawful

DEFAULT = builders.work(20, width=32, height=32)
prices = st.integers(0, 10**30) | st.integers(0, 50)
counts = st.integers(1, 65_535) | st.integers(1, 20)
schedules = st.builds(
    lambda price, share, units: PaySchedule(price, price * share // 100, units),
    prices,
    st.integers(0, 100),
    counts,
)


@pytest.mark.parametrize(
    ("work_", "price"),
    [
        (DEFAULT, 10_000),
        (builders.work(100, width=32, height=32), 50_000),
        (builders.work(1, width=32, height=32), 500),
        (builders.work(20), 40_000),
    ],
)
def test_price_of_another_shape(work_, price):
    asked = unit_price_wei(10_000, DEFAULT)
    assert price_of(work_, (asked,)) == Price(price, 0)


@lawful
@given(st.integers(0, 10**9), st.integers(1, 200), st.integers(8, 2048), st.integers(8, 2048))
def test_the_price_of_a_unit_gives_the_price_of_the_whole_again(price, steps, width, height):
    whole = builders.work(steps, width=width, height=height)
    assert price_of(whole, (unit_price_wei(price, whole),)).whole_micro_cai == price


@lawful
@given(st.integers(0, 2**64 - 1), st.integers(1, 65_535), st.integers(1, 65_535), st.integers(1, 65_535))
def test_a_price_is_the_sum_rounded_up_or_is_refused(price_wei, units, width, height):
    wei = price_wei * units * width * height
    whole = builders.work(units, width=width, height=height)
    if wei > PRICE_MICRO_CAI_MAX * WEI_PER_MICRO_CAI:
        with pytest.raises(InvalidMessage, match="does not fit"):
            price_of(whole, (price_wei,))
    else:
        price = price_of(whole, (price_wei,))
        assert 0 <= price.whole_micro_cai * WEI_PER_MICRO_CAI - wei < WEI_PER_MICRO_CAI


@pytest.mark.parametrize(
    ("work_", "prices_wei", "error", "why"),
    [
        (DEFAULT, (), InvalidMessage, "offer does not have one price for each kind of unit"),
        (DEFAULT, (1, 1), InvalidMessage, "offer does not have one price for each kind of unit"),
        (
            builders.work(65_535, width=65_535, height=65_535),
            (2**64 - 1,),
            InvalidMessage,
            "price does not fit into an announcement",
        ),
        (Work(9, 1, b""), (1,), UnknownKind, "kind of work is not known"),
        (Work(0, 1, b""), (1,), DecodeError, "truncated"),
    ],
)
def test_offers_that_have_no_price_for_work(work_, prices_wei, error, why):
    with pytest.raises(error, match=why):
        price_of(work_, prices_wei)


TEXT = 7
"""A kind with two kinds of unit, the first owed upfront, that may end early: as text will be."""


@pytest.fixture
def text_kind(monkeypatch):
    spec = dataclasses.replace(
        SPECS[0],
        name="text",
        priced=("tokens read", "tokens written"),
        quantities=lambda units, details: (details.width, units),
        upfront=1,
        may_end_early=True,
    )
    monkeypatch.setattr(work, "SPECS", {**SPECS, TEXT: spec})


@pytest.mark.usefixtures("text_kind")
def test_a_kind_with_a_price_to_read_owes_it_with_the_first_unit():
    answer = Work(TEXT, 100, ImageDetails(3_000, 1).encode())
    price = price_of(answer, (10**12, 5 * 10**12))
    assert price == Price(3_500, 3_000)
    task = builders.announcement(
        work=answer, price_micro_cai=price.whole_micro_cai, upfront_micro_cai=price.upfront_micro_cai
    )
    schedule = PaySchedule.of_task(task)
    owed = [schedule.due_wei(units) // WEI_PER_MICRO_CAI for units in (0, 1, 2, 50, 100)]
    assert owed == [0, 3_005, 3_010, 3_250, 3_500]
    # What ends early costs what was made of it.
    assert work.may_be_all(answer, 50)
    assert work.may_be_all(answer, 1)
    assert not work.may_be_all(answer, 0)
    assert not work.may_be_all(answer, 101)


@pytest.mark.parametrize(
    ("units", "slice_units"), [(1, 1), (4, 1), (8, 1), (15, 1), (16, 2), (20, 2), (100, 12)]
)
def test_slices(units, slice_units):
    assert PaySchedule(10**16, 0, units).slice_units == slice_units


def test_an_announcements_price_is_in_micro_cai():
    task = builders.announcement(work=builders.work(3), price_micro_cai=10_000)
    schedule = PaySchedule.of_task(task)
    assert [schedule.due_wei(units) for units in range(4)] == [
        0,
        3_333333333333333,
        6_666666666666666,
        10**16,
    ]


@lawful
@given(schedules, st.data())
def test_pay_rises_with_the_units_to_the_price(schedule, data):
    units = data.draw(st.integers(1, schedule.units))
    assert schedule.due_wei(0) == 0
    assert schedule.due_wei(schedule.units) == schedule.price_wei
    assert schedule.due_wei(units - 1) <= schedule.due_wei(units)
    assert schedule.due_wei(units) >= schedule.upfront_wei


@lawful
@given(schedules, st.data())
def test_pay_is_even_beyond_what_is_owed_upfront(schedule, data):
    units = data.draw(st.integers(1, schedule.units))
    even = (schedule.due_wei(units) - schedule.upfront_wei) * schedule.units
    whole = (schedule.price_wei - schedule.upfront_wei) * units
    assert 0 <= whole - even < schedule.units


@lawful
@given(schedules, st.data())
def test_units_paid_are_the_most_that_the_pay_covers(schedule, data):
    paid = data.draw(st.integers(0, schedule.price_wei + 1))
    units = schedule.units_paid(paid)
    assert schedule.due_wei(units) <= paid
    assert units == schedule.units or schedule.due_wei(units + 1) > paid


@lawful
@given(schedules, st.data())
def test_what_is_shown_and_unpaid_is_a_slice_and_the_upfront_at_most(schedule, data):
    paid = data.draw(st.integers(0, schedule.price_wei))
    unpaid = schedule.due_wei(schedule.unit_limit(paid)) - paid
    even = schedule.price_wei - schedule.upfront_wei
    upfront = max(0, schedule.upfront_wei - paid)
    assert unpaid <= upfront + -(-even * schedule.slice_units // schedule.units)
    assert schedule.slice_units * SLICES_PER_TASK <= schedule.units or schedule.slice_units == 1


@lawful
@given(schedules, st.data())
def test_a_result_that_ends_early_is_paid_for_what_was_made(schedule, data):
    """At its last unit, and no later, what is owed is owed in full: nothing of what was not made is."""
    made = data.draw(st.integers(1, schedule.units))
    owed = schedule.due_wei(made)
    assert schedule.units_paid(owed) >= made
    assert made == schedule.units or owed <= schedule.due_wei(made + 1)
    assume(owed)
    assert schedule.units_paid(owed - 1) < made


whole_prices = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: Price(max(pair), min(pair)))


@lawful
@given(whole_prices, whole_prices, st.integers(1, 200))
def test_a_price_covers_another_just_if_as_much_is_owed_at_every_unit(one, other, extra):
    # Of more units than there are micro-CAI, so that the first unit alone hides no difference of the upfront.
    units = 64 + extra

    def due(price):
        schedule = PaySchedule(price.whole_micro_cai * units, price.upfront_micro_cai * units, units)
        return [schedule.due_wei(shown) for shown in range(1, units + 1)]

    dominates = all(mine >= theirs for mine, theirs in zip(due(one), due(other), strict=True))
    assert one.covers(other) == dominates
    raised = one.raised_to(other)
    assert raised.covers(one)
    assert raised.covers(other)
    assert raised in (one, other) or not (one.covers(other) or other.covers(one))


@lawful
@given(prices, st.integers(1, 40), st.lists(st.integers(0, 40), max_size=60), st.integers(0, 40))
def test_a_miner_that_climbs_and_a_coordinator_that_pays_reach_the_end(price, count, worked, paid_before):
    """The miner hears of steps with gaps, and never shows more than its limit."""
    schedule = PaySchedule(price, price // 3, count)
    paid = schedule.due_wei(min(paid_before, count))
    shown, vouchers = 0, 0
    for step in [*sorted(min(step, count) for step in worked), count]:
        while shown < step:
            shown = min(step, max(shown + 1, schedule.unit_limit(paid)))
            assert schedule.due_wei(shown) - paid <= price // 3 + -(-price * schedule.slice_units // count)
            if shown >= schedule.unit_limit(paid) and schedule.due_wei(shown) > paid:
                paid, vouchers = schedule.due_wei(shown), vouchers + 1
    assert paid == price
    assert vouchers <= 2 * SLICES_PER_TASK


def test_a_voucher_comes_back_as_it_was():
    voucher = SignedVoucher.of(0, WEI_MAX, b"s" * 65)
    assert SignedVoucher.decode(voucher.encode()) == voucher
    assert (voucher.task_wei, voucher.cumulative_wei) == (0, WEI_MAX)


@pytest.mark.parametrize("amount", [-1, WEI_MAX + 1])
def test_amounts_that_the_contract_cannot_keep(amount):
    with pytest.raises(OverflowError):
        SignedVoucher.of(0, amount, b"s" * 65)


@lawful
@given(st.binary(max_size=120))
def test_any_bytes_are_a_voucher_or_do_not_decode(data):
    try:
        voucher = SignedVoucher.decode(data)
    except DecodeError:
        return
    assert voucher.encode() == data
