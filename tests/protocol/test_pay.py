"""Pay by the step: laws of the schedule, and both sides of a task played against each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.pay import (
    SLICES_PER_TASK,
    WEI_MAX,
    PaySchedule,
    SignedVoucher,
    task_price_micro_cai,
)
from tests.protocol.strategies import lawful

prices = st.integers(0, 10**30) | st.integers(0, 50)
steps = st.integers(1, 65_535) | st.integers(1, 20)


@pytest.mark.parametrize(
    ("price", "default_work", "work", "expected"),
    [
        (10_000, 20 * 32 * 32, 20 * 32 * 32, 10_000),
        (10_000, 20 * 32 * 32, 100 * 32 * 32, 50_000),
        (10_000, 20 * 32 * 32, 1 * 32 * 32, 500),
        (10_000, 20 * 32 * 32, 20 * 64 * 64, 40_000),
        (1, 20, 1, 1),
        (0, 20, 1, 0),
        (3, 2, 1, 2),
    ],
)
def test_price_of_another_shape(price, default_work, work, expected):
    assert task_price_micro_cai(price, default_work, work) == expected


@pytest.mark.parametrize(
    ("steps", "slice_steps"), [(1, 1), (4, 1), (8, 1), (15, 1), (16, 2), (20, 2), (100, 12)]
)
def test_slices(steps, slice_steps):
    assert PaySchedule(10**16, steps).slice_steps == slice_steps


def test_an_announcements_price_is_in_micro_cai():
    schedule = PaySchedule.of_price(10_000, 3)
    assert [schedule.due_wei(step) for step in range(4)] == [0, 3_333333333333333, 6_666666666666666, 10**16]


@lawful
@given(prices, steps, st.data())
def test_pay_rises_with_the_steps_to_the_price(price, count, data):
    schedule = PaySchedule(price, count)
    step = data.draw(st.integers(0, count))
    assert schedule.due_wei(0) == 0
    assert schedule.due_wei(count) == price
    assert schedule.due_wei(max(0, step - 1)) <= schedule.due_wei(step)
    # Whole numbers: of so many wei a float leaves the last digits out.
    assert schedule.due_wei(step) * count <= price * step + count


@lawful
@given(prices, steps, st.data())
def test_steps_paid_is_the_last_step_that_the_pay_covers(price, count, data):
    schedule = PaySchedule(price, count)
    paid = data.draw(st.integers(0, price + 1))
    step = schedule.steps_paid(paid)
    assert schedule.due_wei(step) <= paid
    assert step == count or schedule.due_wei(step + 1) > paid


@lawful
@given(prices, steps, st.data())
def test_what_is_shown_and_unpaid_is_a_slice_at_most(price, count, data):
    schedule = PaySchedule(price, count)
    paid = data.draw(st.integers(0, price))
    unpaid = schedule.due_wei(schedule.step_limit(paid)) - paid
    assert unpaid <= -(-price * schedule.slice_steps // count)
    assert schedule.slice_steps * SLICES_PER_TASK <= count or schedule.slice_steps == 1


@lawful
@given(prices, st.integers(1, 40), st.lists(st.integers(0, 40), max_size=60), st.integers(0, 40))
def test_a_miner_that_climbs_and_a_coordinator_that_pays_reach_the_end(price, count, worked, paid_before):
    """The miner hears of steps with gaps, and never shows more than its limit."""
    schedule = PaySchedule(price, count)
    paid = schedule.due_wei(min(paid_before, count))
    shown, vouchers = 0, 0
    for step in [*sorted(min(step, count) for step in worked), count]:
        while shown < step:
            shown = min(step, max(shown + 1, schedule.step_limit(paid)))
            assert schedule.due_wei(shown) - paid <= -(-price * schedule.slice_steps // count)
            if shown >= schedule.step_limit(paid) and schedule.due_wei(shown) > paid:
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
