"""The guard's decision: whatever is asked in whatever order, a slot has one body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.guard import NUMBERED_KINDS, Decision, decide
from protocol.messages import Kind
from tests.protocol.strategies import lawful


@pytest.mark.parametrize(
    ("previous", "number", "watermark", "decision"),
    [
        (None, None, None, Decision.SIGN),
        (b"a", None, None, Decision.SAME),
        (b"b", None, None, Decision.REFUSE),
        (None, 5, None, Decision.SIGN),
        (None, 5, 4, Decision.SIGN),
        (None, 5, 5, Decision.REFUSE),
        (None, 5, 6, Decision.REFUSE),
        (None, 0, 0, Decision.REFUSE),
        (b"a", 5, 6, Decision.SAME),
        (b"b", 5, 4, Decision.REFUSE),
        (b"", None, None, Decision.REFUSE),
        (None, None, 5, Decision.SIGN),
    ],
)
def test_examples(previous, number, watermark, decision):
    assert decide(previous, b"a", number, watermark) is decision


requests = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([b"a", b"b", b"c"])), max_size=30)


@lawful
@given(requests, st.none() | st.integers(0, 4))
def test_no_order_of_requests_signs_two_bodies_in_a_slot(asked, watermark):
    recorded: dict[int, bytes] = {}
    signed: dict[int, set[bytes]] = {}
    for number, body in asked:
        decision = decide(recorded.get(number), body, number, watermark)
        if decision is Decision.SIGN:
            assert watermark is None or number > watermark
            recorded[number] = body
        if decision is not Decision.REFUSE:
            signed.setdefault(number, set()).add(body)
    assert all(len(bodies) == 1 for bodies in signed.values())


def test_numbered_kinds_are_those_whose_slot_is_a_number():
    assert {Kind.OFFER, Kind.TASK_ANNOUNCEMENT} == NUMBERED_KINDS
    assert all(kind.slashable for kind in NUMBERED_KINDS)
