import itertools

import pytest

from protocol.errors import LocalError
from protocol.task import (
    AUDITOR,
    COORDINATOR,
    MINER,
    ORDER,
    TURN,
    AuditorEvent,
    AuditorState,
    CoordinatorEvent,
    CoordinatorState,
    IllegalTransition,
    Life,
    MinerEvent,
    MinerState,
    OrderState,
    TurnState,
    after,
    mermaid,
)

TABLES = {"order": ORDER, "coordinator": COORDINATOR, "turn": TURN, "miner": MINER, "auditor": AUDITOR}
EVERY_TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def states_of(table):
    return list(type(table.start))


def pairs_of(table):
    events = type(next(iter(table.transitions))[1])
    return list(itertools.product(states_of(table), events))


EVERY_PAIR = pytest.mark.parametrize(
    ("table", "state", "event"),
    [
        pytest.param(table, state, event, id=f"{name}: {state.value}, {event.value}")
        for name, table in TABLES.items()
        for state, event in pairs_of(table)
    ],
)


def reachable(table, start):
    found, new = set(), {start}
    while new:
        found |= new
        new = {target for (state, _), target in table.transitions.items() if state in found} - found
    return found


@EVERY_PAIR
def test_a_pair_of_the_table_leads_on_and_every_other_is_our_own_bug(table, state, event):
    if (state, event) in table.transitions:
        assert after(table, state, event) is table.transitions[state, event]
        assert after(table, state, event) is not state
        return
    with pytest.raises(IllegalTransition) as caught:
        after(table, state, event)
    assert (caught.value.state, caught.value.event) == (state, event)
    assert str(caught.value) == f"a task that is {state.value} cannot {event.value}"
    assert isinstance(caught.value, LocalError)


def test_the_ended_states():
    assert COORDINATOR.ended == {
        CoordinatorState.DELIVERED,
        CoordinatorState.EXHAUSTED,
        CoordinatorState.EXPIRED,
        CoordinatorState.CANCELLED,
    }
    assert ORDER.ended == {OrderState.DELIVERED, OrderState.FAILED, OrderState.CANCELLED}
    assert TURN.ended == {TurnState.ENDED, TurnState.DELIVERED}
    assert MINER.ended == {
        MinerState.DELIVERED,
        MinerState.NOT_NEEDED,
        MinerState.DECLINED,
        MinerState.GIVEN_UP,
    }
    assert AUDITOR.ended == {AuditorState.PUBLISHED, AuditorState.PASSED, AuditorState.EXPIRED}


@EVERY_TABLE
def test_nothing_leads_out_of_an_ended_state_and_an_end_can_be_reached_from_every_other(table):
    for state in states_of(table):
        if state in table.ended:
            assert reachable(table, state) == {state}
        else:
            assert reachable(table, state) & table.ended


@EVERY_TABLE
def test_everything_can_happen_in_a_new_life(table):
    assert reachable(table, table.start) == set(states_of(table))


@pytest.mark.parametrize(
    "state", [CoordinatorState.ANNOUNCED, CoordinatorState.RUNNING, CoordinatorState.FAILED_OVER]
)
def test_a_published_task_always_has_a_way_to_expire(state):
    """Its deadline passes whatever the state; no table may be surprised by that."""
    assert after(COORDINATOR, state, CoordinatorEvent.EXPIRE) is CoordinatorState.EXPIRED


def test_a_miner_can_always_give_up_and_always_be_told_that_it_is_not_needed():
    for state in set(MinerState) - MINER.ended:
        assert after(MINER, state, MinerEvent.GIVE_UP) is MinerState.GIVEN_UP
        assert after(MINER, state, MinerEvent.HEAR_NOT_NEEDED) is MinerState.NOT_NEEDED


def test_no_verdict_is_published_before_it_is_written_down():
    assert [state for state, event in AUDITOR.transitions if event is AuditorEvent.PUBLISH] == [
        AuditorState.NOTED
    ]
    assert [state for (_, event), state in AUDITOR.transitions.items() if event is AuditorEvent.NOTE] == [
        AuditorState.NOTED
    ]


def test_an_audit_without_a_verdict_always_expires():
    for state in set(AuditorState) - AUDITOR.ended:
        assert after(AUDITOR, state, AuditorEvent.EXPIRE) is AuditorState.EXPIRED


def test_a_task_is_exhausted_only_while_nobody_works():
    before = {state for state, event in COORDINATOR.transitions if event is CoordinatorEvent.EXHAUST}
    assert before == {CoordinatorState.ANNOUNCED, CoordinatorState.FAILED_OVER}


def test_no_work_is_delivered_without_a_commitment():
    assert [state for (state, event) in MINER.transitions if event is MinerEvent.HEAR_RECEIVED] == [
        MinerState.COMMITTED
    ]


def test_a_life_moves_by_its_table():
    life = Life(MINER)
    for event in (
        MinerEvent.TRUST,
        MinerEvent.ACCEPT,
        MinerEvent.GET_INPUT,
        MinerEvent.COMMIT,
        MinerEvent.HEAR_RECEIVED,
    ):
        assert not life.over
        life.move(event)
    assert life.over
    assert life.state is MinerState.DELIVERED
    with pytest.raises(IllegalTransition):
        life.move(MinerEvent.GIVE_UP)


@EVERY_TABLE
def test_the_diagram_has_every_transition_once(table):
    lines = mermaid(table).splitlines()
    assert lines[:2] == ["stateDiagram-v2", f"    [*] --> {table.start.value}"]
    assert len(lines) == 2 + len(table.transitions) + len(table.ended)
    assert len(set(lines)) == len(lines)


def test_states_of_two_words_are_one_name():
    assert "    running --> failed_over: end turn" in mermaid(COORDINATOR).splitlines()
