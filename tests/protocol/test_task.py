import itertools

import pytest

from protocol.errors import LocalError
from protocol.task import ENDED, TRANSITIONS, Event, IllegalTransition, State, after, mermaid

PAIRS = list(itertools.product(State, Event))


def reachable(start: State) -> set[State]:
    found, new = set(), {start}
    while new:
        found |= new
        new = {TRANSITIONS[pair] for pair in PAIRS if pair in TRANSITIONS and pair[0] in found} - found
    return found


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair in TRANSITIONS])
def test_each_pair_of_the_table_leads_on(state, event):
    assert after(state, event) is TRANSITIONS[state, event]
    assert after(state, event) is not state


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair not in TRANSITIONS])
def test_every_other_pair_is_our_own_bug(state, event):
    with pytest.raises(IllegalTransition) as caught:
        after(state, event)
    assert (caught.value.state, caught.value.event) == (state, event)
    assert str(caught.value) == f"a task that is {state.value} cannot {event.value}"
    assert isinstance(caught.value, LocalError)


def test_the_ended_states():
    assert {State.DELIVERED, State.EXPIRED, State.CANCELLED} == ENDED


@pytest.mark.parametrize("state", ENDED)
def test_nothing_leads_out_of_an_ended_state(state):
    assert reachable(state) == {state}


@pytest.mark.parametrize("state", set(State) - ENDED)
def test_from_everywhere_else_an_end_can_be_reached(state):
    assert reachable(state) & ENDED


def test_everything_can_happen_to_a_new_task():
    assert reachable(State.QUEUED) == set(State)


@pytest.mark.parametrize("state", [State.ANNOUNCED, State.RUNNING, State.FAILED_OVER])
def test_a_published_task_always_has_a_way_to_expire(state):
    """Its deadline passes whatever the state; no table may be surprised by that."""
    assert after(state, Event.EXPIRE) is State.EXPIRED


def test_a_result_that_was_committed_is_never_thrown_away():
    assert {event for state, event in TRANSITIONS if state is State.COMMITTED} == {Event.DELIVER}


def test_the_diagram_has_every_transition_once():
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> queued"]
    assert len(lines) == 2 + len(TRANSITIONS) + len(ENDED)
    assert len(set(lines)) == len(lines)
    assert "    running --> failed_over: lose miner" in lines
