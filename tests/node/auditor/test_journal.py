"""The file of audits: what stands in it after `kill -9`, and that no verdict replaces another."""

import sqlite3

import pytest

from node.auditor import journal as journal_module
from node.auditor.actions import Drawing, Note
from node.auditor.journal import AUDITS_FILE, JournalCounts, JournalFailed, open_audits
from node.system.files import OWNER_ONLY
from protocol import cbor
from tests.node.auditor.test_engine import DRAWING, SUBJECT, VERDICT, many
from tests.protocol.builders import DOMAIN, changed

DRAWN, JUDGED = Note(SUBJECT, DRAWING, None), Note(SUBJECT, DRAWING, VERDICT)


@pytest.fixture
def path(tmp_path):
    return tmp_path / AUDITS_FILE


def written(path):
    """What another start finds. It is on disk by now: nothing is closed in an orderly way here."""
    with open_audits(path, DOMAIN) as journal:
        return journal.noted()


def test_what_was_noted_is_found_word_for_word(path):
    with open_audits(path, DOMAIN) as journal:
        assert journal.noted() == []
        journal.note(DRAWN)
    assert path.stat().st_mode & 0o777 == OWNER_ONLY
    assert written(path) == [DRAWN]
    with open_audits(path, DOMAIN) as journal:
        journal.note(JUDGED)
    assert written(path) == [JUDGED]
    with open_audits(path, DOMAIN) as journal:
        journal.drop(SUBJECT.id)
        journal.drop(SUBJECT.id)
    assert written(path) == []


def test_other_dice_before_the_verdict_replace_the_drawing(path):
    other = Note(SUBJECT, Drawing(b"\1" * 32, b"\2" * 32, (0, 2)), None)
    with open_audits(path, DOMAIN) as journal:
        journal.note(DRAWN)
        journal.note(other)
    assert written(path) == [other]


def test_no_verdict_takes_the_place_of_another(path):
    with open_audits(path, DOMAIN) as journal:
        journal.note(JUDGED)
        journal.note(JUDGED)
        for other in (Note(SUBJECT, DRAWING, changed(VERDICT, worst_excess_ppb=1)), DRAWN):
            with pytest.raises(JournalFailed, match=r"is full, or holds another verdict on this work$"):
                journal.note(other)
        assert journal.counts == JournalCounts(failed=2)
    assert written(path) == [JUDGED]


def test_the_file_is_bounded(path, monkeypatch):
    monkeypatch.setattr(journal_module, "NOTES_MAX", 2)
    with open_audits(path, DOMAIN) as journal:
        for number in (30, 31):
            journal.note(Note(many(number), DRAWING, None))
        with pytest.raises(JournalFailed, match=r"is full, or"):
            journal.note(Note(many(32), DRAWING, None))
        # What is written down already can still get its verdict.
        judged = Note(many(30), DRAWING, VERDICT)
        journal.note(judged)
        assert judged in journal.noted()


@pytest.mark.parametrize("column", ["task", "commitment", "steps", "verdict"])
@pytest.mark.parametrize("data", [b"\0", b"\0\1\2", cbor.encode((1,)), None, "text"])
def test_a_row_that_is_damaged_goes_and_the_others_stay(path, column, data):
    with open_audits(path, DOMAIN) as journal:
        journal.note(JUDGED)
        journal.note(Note(many(30), DRAWING, None))
    connection = sqlite3.connect(path)
    with connection:
        if data is None:
            connection.execute("UPDATE audits SET task_id = x'00' WHERE task_id = ?", (SUBJECT.id[0],))
        else:
            connection.execute(f"UPDATE audits SET {column} = ? WHERE task_id = ?", (data, SUBJECT.id[0]))
    connection.close()
    with open_audits(path, DOMAIN) as journal:
        assert journal.noted() == [Note(many(30), DRAWING, None)]
        assert journal.counts.damaged == 1
        assert len(journal.noted()) == 1


def test_a_disk_that_is_full_is_said_and_the_node_goes_on(path):
    with open_audits(path, DOMAIN) as journal:
        journal.note(DRAWN)
        journal._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(JournalFailed, match=r"^the file of audits failed: "):
            journal.note(JUDGED)
        journal.drop(SUBJECT.id)
        assert journal.counts == JournalCounts(failed=2)
    assert written(path) == [DRAWN]


def test_one_process_at_a_time_and_no_file_of_another_kind(path):
    with open_audits(path, DOMAIN), pytest.raises(JournalFailed, match="held by another process"):
        written(path)
    path.write_bytes(b"no database at all, but long enough to be one" * 99)
    with pytest.raises(JournalFailed, match="in use by another program or broken"):
        written(path)
