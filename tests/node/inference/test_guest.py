"""When a miner keeps still: its hours, over midnight too, and the load, without flapping."""

import pytest

from node.inference.guest import BadHours, Guest, parse_hours

IDLE = 0.0


@pytest.mark.parametrize(
    ("hours", "working"),
    [
        ((22, 7), {22, 23, 0, 1, 2, 3, 4, 5, 6}),
        ((9, 17), set(range(9, 17))),
        ((0, 0), set(range(24))),
        ((5, 5), set(range(24))),
        (None, set(range(24))),
    ],
)
def test_hours(hours, working):
    assert {hour for hour in range(24) if not Guest(hours).why_paused(hour, IDLE)} == working
    assert Guest((22, 7)).why_paused(12, IDLE) == "outside its hours"


def test_load_pauses_at_the_limit_and_resumes_well_below_it():
    guest = Guest(load_max=1.0)
    said = [bool(guest.why_paused(0, load)) for load in (0.5, 1.0, 1.01, 0.9, 0.81, 0.8, 0.9, 1.0, 2.0)]
    assert said == [False, False, True, True, True, False, False, False, True]
    assert guest.why_paused(0, 2.0) == "the machine is busy"


def test_without_a_limit_no_load_is_too_much():
    assert Guest().why_paused(0, 1000.0) == ""


@pytest.mark.parametrize(
    ("text", "hours"), [("", None), ("22-7", (22, 7)), ("0-24", (0, 0)), ("08-17", (8, 17))]
)
def test_text(text, hours):
    assert parse_hours(text) == hours


@pytest.mark.parametrize("text", ["22", "22-25", "a-b", "1-2-3", "-1-5", "1 - 2", "٣-٤"])
def test_no_hours(text):
    with pytest.raises(BadHours):
        parse_hours(text)
