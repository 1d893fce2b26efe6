"""Deadlines that are looked for: each kind for itself, bounded, the newest first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inference.traces.trace_store import TraceStore
from node.peer import beacon_wishes
from node.peer.beacon_wishes import (
    DOUBT_LOOKS_MAX,
    QUESTIONS_OF,
    QUESTIONS_PER_LOOK_MAX,
    SERVED_PER_LOOK_MAX,
    WISHES_MAX,
    BeaconWishes,
    Wish,
)
from protocol.audit_draw import BeaconBlock
from protocol.keeping import WORKS_MAX
from protocol.rules.view import SEEN_TASKS_MAX

BLOCK = BeaconBlock(1, bytes(32), 1_000)


@pytest.fixture
def wishes():
    return BeaconWishes()


def test_as_many_deadlines_are_looked_for_and_remembered_as_works_are_kept(tmp_path):
    """A smaller table would forget what the traces still need, and look for it again and again."""
    assert WISHES_MAX[Wish.KEPT] == TraceStore(tmp_path)._traces_max == WORKS_MAX
    assert WISHES_MAX[Wish.FRESH] >= SEEN_TASKS_MAX


def test_strangers_have_the_smallest_share():
    assert set(QUESTIONS_OF) == set(Wish)
    assert all(QUESTIONS_OF[Wish.ASKED] < QUESTIONS_OF[kind] for kind in (Wish.FRESH, Wish.KEPT))
    assert 8 * QUESTIONS_OF[Wish.ASKED] <= QUESTIONS_PER_LOOK_MAX


@pytest.mark.parametrize("kind", Wish)
def test_more_than_are_looked_for(wishes, kind, monkeypatch):
    monkeypatch.setattr(beacon_wishes, "WISHES_MAX", {**WISHES_MAX, kind: 2})
    for deadline_ms in (5, 3, 4, 9):
        wishes.want(deadline_ms, kind)
    assert wishes.due(kind, 10) == [9, 5]
    assert (wishes.given_up, len(wishes)) == (2, 2)
    assert all(wishes.due(other, 10) == [] for other in Wish if other is not kind)


def test_more_than_are_served_in_one_look(wishes):
    for deadline_ms in range(SERVED_PER_LOOK_MAX + 2):
        wishes.want(deadline_ms, Wish.KEPT)
    due = wishes.due(Wish.KEPT, 10**6)
    assert due == list(range(SERVED_PER_LOOK_MAX + 1, 1, -1))
    assert wishes.due(Wish.KEPT, 7) == list(range(7, -1, -1))


def test_what_is_found_is_found_for_all_who_want_it(wishes):
    wishes.want(5, Wish.FRESH)
    wishes.want(5, Wish.KEPT)
    assert len(wishes) == 2
    wishes.find(5, BLOCK)
    assert (len(wishes), wishes.found) == (0, {5: BLOCK})
    wishes.want(5, Wish.ASKED)
    assert len(wishes) == 0


def test_what_was_found_is_looked_for_anew_for_the_same_reasons(wishes):
    assert not wishes.forget_found()
    wishes.want(5, Wish.KEPT)
    wishes.find(5, BLOCK)
    assert wishes.forget_found()
    assert (wishes.found, wishes.due(Wish.KEPT, 5), wishes.due(Wish.FRESH, 5)) == ({}, [5], [])


@given(st.integers(1, 12))
def test_a_doubted_one_waits_twice_as_long_each_time(times):
    wishes, waited = BeaconWishes(), []
    wishes.want(5, Wish.FRESH)
    for _ in range(times):
        wishes.begin_look()
        wishes.put_off(5)
        looks = 1
        wishes.begin_look()
        while not wishes.due(Wish.FRESH, 5):
            wishes.begin_look()
            looks += 1
        waited.append(looks)
    assert waited == [min(2**time, DOUBT_LOOKS_MAX) for time in range(times)]
    wishes.find(5, BLOCK)
    wishes.forget_found()
    assert wishes.due(Wish.FRESH, 5) == [5]
