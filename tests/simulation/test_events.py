"""tests/simulation/events.py"""

import pytest

from tests.simulation.events import Events


def test_things_happen_in_order_of_time_and_then_of_asking():
    events, happened = Events(), []
    for time_ms, name in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        events.at(time_ms, happened.append, name)
    events.run_until(3.0)
    assert happened == ["first", "second", "late"]
    assert (events.now_ms, events.handled) == (3.0, 3)


def test_what_is_not_due_waits():
    events, happened = Events(), []
    events.after(5.0, happened.append, 1)
    events.run_until(4.9)
    assert happened == []
    assert len(events) == 1


def test_the_past_cannot_be_changed():
    events = Events()
    events.run_until(10.0)
    with pytest.raises(ValueError, match="past"):
        events.at(9.0, print)
