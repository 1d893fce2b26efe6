"""A key's history moves whole, the stricter bound of each counts, and what was not known can be taken in."""

import json

import pytest

from node.signing.guard import GuardMissing, GuardUnavailable, MustNotSign, make_guard, open_guard
from node.signing.history import adopt_statement, export_history, import_history
from node.signing.interchange import BadHistory, to_document
from node.signing.keys import Key
from protocol.guard import Heard
from protocol.messages import Kind
from tests.node.signing.test_guard import KEY, MADE_AT_MS, TASK, acceptance, offer, task, times_of


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "guard.sqlite"
    make_guard(path, KEY.address)
    return path


@pytest.fixture
def moved(path, tmp_path):
    """The guard of a new machine, after the history of an old one came."""
    with open_guard(path, KEY) as guard:
        for statement in (offer(3), offer(7), task(5), acceptance(0)):
            guard.sign(statement, TASK)
    new = tmp_path / "new" / "guard.sqlite"
    assert import_history(new, json.loads(json.dumps(export_history(path)))) == 4
    return new


def test_a_moved_history_is_all_there(path, moved):
    old, new = (export_history(where)["data"][0] for where in (path, moved))
    assert new | {"watermarks": {}} == old
    assert new["watermarks"] == {"1": "7", "2": str(int.from_bytes(task(5).slot, "big"))}
    with open_guard(moved, KEY) as guard:
        guard.sign(offer(7))
        guard.sign(acceptance(0), TASK)
        assert guard.last_statement(Kind.TASK_ANNOUNCEMENT) == task(5).body
        for statement in (acceptance(1), task(5, steps=2)):
            with pytest.raises(MustNotSign):
                guard.sign(statement, TASK)


def test_nothing_new_is_signed_at_or_below_an_imported_number(moved):
    """The history may be incomplete: somebody may have cut it, or copied it before the last signature."""
    with open_guard(moved, KEY) as guard:
        for statement in (offer(0), offer(5), task(4)):
            with pytest.raises(MustNotSign):
                guard.sign(statement)
        guard.sign(offer(8))
        guard.sign(task(6))
        guard.sign(acceptance(1, task=8), TASK)


def test_an_import_takes_the_maximum_and_is_idempotent(path, moved):
    with open_guard(path, KEY) as guard:
        guard.sign(offer(2))
    assert import_history(moved, export_history(path)) == 1
    assert import_history(moved, export_history(path)) == 0
    with open_guard(moved, KEY) as guard, pytest.raises(MustNotSign):
        guard.sign(offer(6))


def test_an_import_that_contradicts_changes_nothing(path, moved):
    with open_guard(path, KEY) as guard:
        guard.sign(acceptance(0, task=11), TASK)
        guard.sign(acceptance(0, task=12), TASK)
    with open_guard(moved, KEY) as guard:
        guard.sign(acceptance(1, task=12), TASK)
    before = export_history(moved)
    with pytest.raises(BadHistory, match="another task_acceptance was signed here"):
        import_history(moved, export_history(path))
    assert export_history(moved) == before


def test_a_history_moves_only_while_nobody_holds_the_guard(path):
    with open_guard(path, KEY):
        with pytest.raises(GuardUnavailable):
            export_history(path)
        with pytest.raises(GuardUnavailable):
            import_history(path, to_document([]))


def test_bounds_move_too_and_the_stricter_of_both_count(path, tmp_path):
    other = tmp_path / "other" / "guard.sqlite"
    make_guard(other, KEY.address, made_at_ms=MADE_AT_MS)
    with open_guard(path, KEY) as guard:
        guard.sign(acceptance(0), times_of(0))
        guard.prune(1 << 45)
        assert guard.first_epoch(7) == 0
    assert import_history(path, export_history(other)) == 0
    with open_guard(path, KEY) as guard:
        assert guard.first_epoch(7) == 10
        for statement, times in (
            (offer(MADE_AT_MS), None),
            (acceptance(0), times_of(0)),
            (acceptance(0), TASK),
        ):
            with pytest.raises(MustNotSign):
                guard.sign(statement, times)
    assert import_history(other, export_history(path)) == 0
    with open_guard(other, KEY) as guard:
        assert guard.first_epoch(8) == 11  # it had not counted yet


def test_an_adopted_statement_stops_nobody_again_and_nothing_beside_it_is_signed(path):
    number = MADE_AT_MS + 60_000
    with open_guard(path, KEY) as guard:
        guard.sign(task(5))
        guard.sign(acceptance(0), TASK)
        assert guard.judge_heard(offer(number), None) is Heard.FOREIGN
        assert guard.judge_heard(acceptance(1), TASK) is Heard.FOREIGN
    adopt_statement(path, KEY.address, offer(number), None, MADE_AT_MS)
    adopt_statement(path, KEY.address, acceptance(1), TASK, MADE_AT_MS)
    with open_guard(path, KEY) as guard:
        assert guard.judge_heard(offer(number), None) is Heard.OURS
        assert guard.judge_heard(offer(number - 1), None) is Heard.FORGOTTEN
        assert guard.judge_heard(acceptance(1), TASK) is Heard.FORGOTTEN
        assert guard.judge_heard(acceptance(0), TASK) is Heard.OURS
        assert guard.judge_heard(task(6), None) is Heard.FORGOTTEN
        assert guard.next_sequence(Kind.OFFER) == number + 1
        with pytest.raises(MustNotSign):
            guard.sign(task(6))
        assert guard.first_epoch(7) == 10


def test_nothing_is_adopted_without_a_guard(path, tmp_path):
    with pytest.raises(GuardMissing):
        adopt_statement(tmp_path / "none", KEY.address, offer(1), None, 1)
    with pytest.raises(GuardMissing):
        adopt_statement(path, Key.of(b"\x02" * 32).address, offer(1), None, 1)
