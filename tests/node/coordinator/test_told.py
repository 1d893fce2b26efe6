"""Stories of tasks in the journal's file: kept over a restart, and no more of them than there is room."""

import pytest

from node.coordinator import told as told_module
from node.coordinator.journal import open_journal
from node.coordinator.journal_file import JournalUnavailable
from node.coordinator.told import ToldSnapshot, ToldTask
from tests.node.coordinator.desk import COORDINATOR, DOMAIN


@pytest.fixture
def opened(tmp_path):
    """Opens the journal again, as a node that was restarted does."""
    return lambda: open_journal(tmp_path / "journal.sqlite", DOMAIN, COORDINATOR.address)


def test_a_story_is_there_after_a_restart_and_told_anew(opened):
    with opened() as (journal, _):
        journal.told.keep(
            [ToldTask(b"a", b"o", b"one"), ToldTask(b"b", b"o", b"two"), ToldTask(b"c", b"", b"")]
        )
        journal.told.keep([ToldTask(b"a", b"o", b"another")])
    with opened() as (journal, _):
        told = journal.told
        assert [told.find(task_id) for task_id in (b"a", b"b", b"c", b"d")] == [b"another", b"two", b"", None]
        assert (told.tasks_of(b"o"), told.statistics()) == ([b"a", b"b"], ToldSnapshot(3, 10))


def test_attack_so_many_tasks_that_the_first_are_forgotten(opened, monkeypatch):
    monkeypatch.setattr(told_module, "TOLD_MAX", 3)
    with opened() as (journal, _):
        journal.told.keep([ToldTask(bytes([number]), b"o", b"x") for number in range(5)])
        assert (journal.told.tasks_of(b"o"), journal.told.statistics()) == (
            [b"\2", b"\3", b"\4"],
            ToldSnapshot(3, 3),
        )


def test_attack_such_long_stories_that_the_first_are_forgotten(opened, monkeypatch):
    monkeypatch.setattr(told_module, "TOLD_BYTES_MAX", 10)
    with opened() as (journal, _):
        journal.told.keep([ToldTask(b"a", b"o", bytes(4)), ToldTask(b"b", b"o", bytes(4))])
        journal.told.keep([ToldTask(b"b", b"o", bytes(7))])
        assert (journal.told.tasks_of(b"o"), journal.told.statistics()) == ([b"b"], ToldSnapshot(1, 7))
        journal.told.keep([ToldTask(b"c", b"o", bytes(11))])
        assert journal.told.statistics() == ToldSnapshot(0, 0)


def test_tasks_of_an_order_are_bounded(opened, monkeypatch):
    monkeypatch.setattr(told_module, "ORDER_TASKS_MAX", 2)
    with opened() as (journal, _):
        journal.told.keep([ToldTask(bytes([number]), b"o", b"") for number in range(3)])
        assert journal.told.tasks_of(b"o") == [b"\0", b"\1"]


def test_tasks_of_an_order_in_a_file_that_fails(opened):
    with opened() as (journal, _):
        journal.told._connection.execute("DROP TABLE told")
        with pytest.raises(JournalUnavailable) as caught:
            journal.told.tasks_of(b"o")
    assert str(caught.value) == "the journal cannot be read: no such table: told"
