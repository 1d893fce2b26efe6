"""An auditor's memory: the audits that it was drawn for, and its verdicts before they are signed.

Is: an SQLite file with a row for each audit that is not over, which survives `kill -9`.
Is not: what was signed; that is the guard's. Nor what was opened: it is asked for again.

Called synchronously on purpose, as the guard is: nothing comes between a note and what follows from it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from node.auditor.actions import Drawing, Note, Subject, WorkId
from node.signing.held_database import hold_database
from protocol.audit import AuditVerdict
from protocol.errors import CuckooError, LocalError
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.statement import Domain, open_statement

AUDITS_FILE: Final = "audits.sqlite"
"""In a data directory."""
NOTES_MAX: Final = 1024
"""Audits in the file, four times what an engine takes; beyond it none is noted."""
_STEP_BYTES: Final = 2
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS audits (
    task_id BLOB NOT NULL, miner BLOB NOT NULL, task BLOB NOT NULL, commitment BLOB NOT NULL,
    block_hash BLOB NOT NULL, dice BLOB NOT NULL, steps BLOB NOT NULL, verdict BLOB NOT NULL,
    PRIMARY KEY (task_id, miner)
) WITHOUT ROWID;
"""
_WRITE: Final = """
INSERT INTO audits VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (task_id, miner) DO UPDATE SET
    task = excluded.task, commitment = excluded.commitment, block_hash = excluded.block_hash,
    dice = excluded.dice, steps = excluded.steps, verdict = excluded.verdict
WHERE audits.verdict IN (x'', excluded.verdict)
"""
_DELETE: Final = "DELETE FROM audits WHERE task_id = ? AND miner = ?"

log = structlog.get_logger()


class JournalFailed(LocalError):
    """The file of audits cannot be opened, read or written."""


@dataclass(slots=True)
class JournalCounts:
    """Since the start.

    :ivar failed: notes that were not taken. :ivar damaged: rows that could not be read, and are gone.
    """

    failed: int = 0
    damaged: int = 0


class AuditJournal:
    """The audits of one node. Made by `open_audits`. :ivar counts: see `JournalCounts`."""

    def __init__(self, connection: sqlite3.Connection, domain: Domain) -> None:
        self.counts = JournalCounts()
        self._connection, self._domain = connection, domain

    def noted(self) -> list[Note]:
        """All that is written down; a row that cannot be read goes.

        :raises JournalFailed: the file cannot be read.
        """
        try:
            rows = self._connection.execute("SELECT * FROM audits LIMIT ?", (NOTES_MAX,)).fetchall()
        except sqlite3.Error as error:
            raise JournalFailed(f"the file of audits cannot be read: {error}") from error
        notes = []
        for task_id, miner, *parts in rows:
            try:
                notes.append(self._read((task_id, miner), *parts))
            except (CuckooError, ValueError, TypeError) as error:
                self.counts.damaged += 1
                log.warning("an audit that was written down cannot be read", error=str(error))
                self.drop((task_id, miner))
        return notes

    def note(self, note: Note) -> None:
        """Write down, or write anew; but a verdict never after another one on the same work.

        :raises JournalFailed: it is not on the disk.
        """
        subject, drawing = note.subject, note.drawing
        steps = b"".join(step.to_bytes(_STEP_BYTES, "big") for step in drawing.steps)
        verdict = b"" if note.verdict is None else note.verdict.encode()
        signed = subject.task.encoded, subject.commitment.encoded
        row = (*subject.id, *signed, drawing.block_hash, drawing.dice, steps, verdict)
        try:
            with self._connection:
                self._connection.execute("BEGIN EXCLUSIVE")
                written = self._connection.execute(_WRITE, row).rowcount
                if self._connection.execute("SELECT count(*) FROM audits").fetchone()[0] > NOTES_MAX:
                    self._connection.execute(_DELETE, subject.id)
                    written = 0
        except sqlite3.Error as error:
            self.counts.failed += 1
            raise JournalFailed(f"the file of audits failed: {error}") from error
        if not written:
            self.counts.failed += 1
            raise JournalFailed("the file of audits is full, or holds another verdict on this work")

    def drop(self, work_id: WorkId) -> None:
        """Forget an audit; if that fails, it is tried once more after a restart."""
        try:
            with self._connection:
                self._connection.execute(_DELETE, work_id)
        except sqlite3.Error as error:
            self.counts.failed += 1
            log.warning("an audit that is over stays written down", error=str(error))

    def _read(
        self,
        work_id: WorkId,
        task: bytes,
        commitment: bytes,
        block_hash: bytes,
        dice: bytes,
        steps: bytes,
        verdict: bytes,
    ) -> Note:
        """:raises CuckooError, ValueError, TypeError: the row is damaged."""
        subject = Subject(
            open_statement(self._domain, task, TaskAnnouncement),
            open_statement(self._domain, commitment, ResultCommitment),
        )
        numbers = tuple(
            int.from_bytes(steps[at : at + _STEP_BYTES], "big") for at in range(0, len(steps), _STEP_BYTES)
        )
        units = subject.task.message.work.units
        if subject.id != work_id or not numbers or numbers[-1] >= units or len(steps) % _STEP_BYTES:
            raise ValueError("a row is of other work than it says")
        said = AuditVerdict.decode(verdict) if verdict else None
        return Note(subject, Drawing(block_hash, dice, numbers), said)


@contextmanager
def open_audits(path: Path, domain: Domain) -> Iterator[AuditJournal]:
    """The audits in the file at `path`, held until the context ends.

    :raises JournalFailed: another process holds it, or it is no such file.
    """
    with hold_database(path, _SCHEMA, "the file of audits", JournalFailed) as connection:
        yield AuditJournal(connection, domain)
