"""The guard's decisions: asked in any order, a slot has one body, and strangers hold no switch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.guard import (
    NUMBERED_KINDS,
    Decision,
    Heard,
    Memory,
    TaskTimes,
    decide,
    first_epoch,
    judge_heard,
    last_number_before,
)
from protocol.messages import Kind, integer_slot
from protocol.rules.view import CLOCK_DISPARITY_MS_MAX
from tests.protocol import builders
from tests.protocol.strategies import lawful

EVERYTHING = Memory()


@pytest.mark.parametrize(
    ("previous", "place", "memory", "decision"),
    [
        (None, 5, EVERYTHING, Decision.SIGN),
        (b"a", 5, EVERYTHING, Decision.SAME),
        (b"b", 5, EVERYTHING, Decision.REFUSE),
        (b"", 5, EVERYTHING, Decision.REFUSE),
        (None, 5, Memory(watermark=4), Decision.SIGN),
        (None, 5, Memory(watermark=5), Decision.REFUSE),
        (None, 5, Memory(watermark=6), Decision.REFUSE),
        (None, 0, Memory(watermark=0), Decision.REFUSE),
        (b"a", 5, Memory(watermark=6), Decision.SAME),
        (b"b", 5, Memory(watermark=4), Decision.REFUSE),
        (None, TaskTimes(0, 10), EVERYTHING, Decision.SIGN),
        (None, TaskTimes(0, 10), Memory(horizon_ms=9), Decision.SIGN),
        (None, TaskTimes(0, 10), Memory(horizon_ms=10), Decision.REFUSE),
        (b"a", TaskTimes(0, 10), Memory(horizon_ms=10), Decision.SAME),
        (None, TaskTimes(1_000 + CLOCK_DISPARITY_MS_MAX, 9_000), Memory(made_at_ms=1_000), Decision.REFUSE),
        (None, TaskTimes(1_001 + CLOCK_DISPARITY_MS_MAX, 9_000), Memory(made_at_ms=1_000), Decision.SIGN),
    ],
)
def test_examples(previous, place, memory, decision):
    assert decide(previous, b"a", place, memory) is decision


places = st.integers(0, 4) | st.builds(TaskTimes, st.integers(0, 3), st.integers(3, 6))
memories = st.builds(
    Memory, st.none() | st.integers(0, 4), horizon_ms=st.integers(0, 6), made_at_ms=st.integers(0, 2)
)
requests = st.lists(st.tuples(places, st.sampled_from([b"a", b"b", b"c"])), max_size=30)


@lawful
@given(requests, memories)
def test_no_order_of_requests_signs_two_bodies_in_a_slot(asked, memory):
    recorded: dict[object, bytes] = {}
    signed: dict[object, set[bytes]] = {}
    for place, body in asked:
        decision = decide(recorded.get(place), body, place, memory)
        if decision is Decision.SIGN:
            assert memory.reaches(place)
            recorded[place] = body
        if decision is not Decision.REFUSE:
            signed.setdefault(place, set()).add(body)
    assert all(len(bodies) == 1 for bodies in signed.values())


@lawful
@given(st.none() | st.just(b"a"), places, memories)
def test_what_is_foreign_is_what_this_guard_would_still_decide_about(previous, place, memory):
    """So whatever a stranger can replay of an older guard of the key, it stops nobody."""
    heard = judge_heard(previous, b"b", place, memory)
    assert (heard is Heard.FOREIGN) == memory.reaches(place)
    assert judge_heard(b"b", b"b", place, memory) is Heard.OURS
    assert judge_heard(previous, b"b", None, memory) is Heard.FORGOTTEN


def test_two_whole_epochs_are_sat_out():
    assert first_epoch(7) == 10
    mark = Memory(watermark=last_number_before(10))
    for epoch, number, reached in ((9, (1 << 64) - 1, False), (10, 0, True)):
        slot = builders.announcement(number, epoch=epoch).slot()
        assert slot == integer_slot(epoch << 64 | number)
        assert mark.reaches(int.from_bytes(slot, "big")) is reached


def test_numbered_kinds_are_those_whose_slot_is_a_number():
    assert {Kind.OFFER, Kind.TASK_ANNOUNCEMENT} == NUMBERED_KINDS
    assert all(kind.slashable for kind in NUMBERED_KINDS)
