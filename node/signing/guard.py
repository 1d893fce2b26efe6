"""The equivocation guard: no key of ours ever signs two different statements in one slot.

Is: check and record in one exclusive transaction of a SQLite file, and only then sign. The same body again
is safe; another body, or any failure to read or write, means *do not sign*. What may be signed is decided in
`protocol/guard`; a history moves to another machine by `export_history` and `import_history`.
Is not: protection of one key run on two machines, each with a file of its own. Don't do that.

Called synchronously on purpose: 0.2 ms, and no await can come between the check and the signature.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node.signing.held_database import hold_database
from node.signing.interchange import BadHistory, Record, from_document, to_document
from node.signing.keys import Key
from protocol.errors import LocalError
from protocol.guard import NUMBERED_KINDS, Decision, decide
from protocol.messages import Kind
from protocol.signature import sign_digest
from protocol.statement import Unsigned

GUARD_FILE = "guard.sqlite"
"""In a node's data directory."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS signed (
    signer BLOB NOT NULL, kind INTEGER NOT NULL, slot BLOB NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (signer, kind, slot)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watermark (
    signer BLOB NOT NULL, kind INTEGER NOT NULL, slot BLOB NOT NULL, PRIMARY KEY (signer, kind)
) WITHOUT ROWID;
"""
_FIND = "SELECT body FROM signed WHERE signer = ? AND kind = ? AND slot = ?"
_RAISE_WATERMARK = """
INSERT INTO watermark VALUES (?, ?, ?)
ON CONFLICT (signer, kind) DO UPDATE SET slot = max(slot, excluded.slot)
"""


class MustNotSign(LocalError):
    """Signing would contradict an earlier statement, or the guard cannot tell. Nothing was signed."""


class GuardUnavailable(LocalError):
    """The guard's file cannot be opened, or another process holds it."""


class Guard:
    """Signs statements of one key, each slot once. Made by `open_guard`."""

    def __init__(self, connection: sqlite3.Connection, key: Key) -> None:
        self._connection = connection
        self._key = key

    def sign(self, statement: Unsigned) -> bytes:
        """65-byte signature; kinds that are not slashable are signed without a record.

        :raises MustNotSign: another body was signed in this slot, or the file failed.
        """
        if statement.kind.slashable:
            self._record(statement)
        return sign_digest(self._key.secret, statement.digest)

    def _record(self, statement: Unsigned) -> None:
        slot = (self._key.address, int(statement.kind), statement.slot)
        try:
            with self._connection:
                self._connection.execute("BEGIN EXCLUSIVE")
                decision = self._decide(statement, slot)
                if decision is Decision.SIGN:
                    self._connection.execute(
                        "INSERT INTO signed VALUES (?, ?, ?, ?)", (*slot, statement.body)
                    )
        except sqlite3.Error as error:
            message = f"the equivocation guard failed ({error}); nothing was signed"
            raise MustNotSign(message) from error
        if decision is Decision.REFUSE:
            message = (
                f"another {statement.kind.name.lower()} was or may have been signed in slot "
                f"{statement.slot.hex()}"
            )
            raise MustNotSign(message)

    def _decide(self, statement: Unsigned, slot: tuple[bytes, int, bytes]) -> Decision:
        row = self._connection.execute(_FIND, slot).fetchone()
        previous = None if row is None else row[0]
        if statement.kind not in NUMBERED_KINDS:
            return decide(previous, statement.body)
        mark = self._connection.execute(
            "SELECT slot FROM watermark WHERE signer = ? AND kind = ?", slot[:2]
        ).fetchone()
        watermark = None if mark is None else int.from_bytes(mark[0], "big")
        return decide(previous, statement.body, int.from_bytes(statement.slot, "big"), watermark)

    def last_statement(self, kind: Kind) -> bytes | None:
        """Body of the statement with the highest number signed for a numbered kind; None before the first.

        :raises MustNotSign: the file failed.
        """
        try:
            row = self._connection.execute(
                "SELECT body FROM signed WHERE signer = ? AND kind = ? ORDER BY slot DESC LIMIT 1",
                (self._key.address, int(kind)),
            ).fetchone()
        except sqlite3.Error as error:
            message = f"the equivocation guard failed ({error}); nothing was signed"
            raise MustNotSign(message) from error
        return None if row is None else bytes(row[0])

    def next_sequence(self, kind: Kind) -> int:
        """Number after the highest one signed for a numbered kind; 0 at first. Survives `kill -9`.

        :raises MustNotSign: the file failed.
        """
        try:
            row = self._connection.execute(
                "SELECT max(slot) FROM signed WHERE signer = ? AND kind = ?", (self._key.address, int(kind))
            ).fetchone()
        except sqlite3.Error as error:
            message = f"the equivocation guard failed ({error}); nothing was signed"
            raise MustNotSign(message) from error
        return 0 if row[0] is None else int.from_bytes(row[0], "big") + 1


@contextmanager
def open_guard(path: Path, key: Key) -> Iterator[Guard]:
    """The guard on the file at `path`, held exclusively until the context ends.

    :raises GuardUnavailable: another process holds it, or it is not a guard's file.
    """
    with _hold(path) as connection:
        yield Guard(connection, key)


def export_history(path: Path) -> dict[str, Any]:
    """Everything that was ever signed under the guard at `path`, as an interchange document.

    Only while no node holds the guard; and that node must not run again where it was.

    :raises GuardUnavailable: a node holds it, or it is not a guard's file.
    """
    with _hold(path) as connection:
        try:
            rows = connection.execute("SELECT signer, kind, slot, body FROM signed").fetchall()
        except sqlite3.Error as error:
            message = f"the equivocation guard at {path} cannot be read: {error}"
            raise GuardUnavailable(message) from error
    return to_document([Record(signer, Kind(kind), slot, body) for signer, kind, slot, body in rows])


def import_history(path: Path, document: object) -> int:
    """Take a history into the guard at `path`, all of it or nothing.

    Everything that either knows stays known. Per numbered kind, the highest number of both becomes a
    watermark: at or below it, only what is recorded may be signed again.

    :returns: how many statements were new here.
    :raises BadHistory: not a history, or it contradicts what was signed here.
    :raises GuardUnavailable: a node holds the guard, or its file failed; nothing was imported.
    """
    records = from_document(document)
    with _hold(path) as connection:
        try:
            with connection:
                connection.execute("BEGIN EXCLUSIVE")
                return sum(_take(connection, record) for record in records)
        except sqlite3.Error as error:
            message = f"the equivocation guard at {path} failed ({error}); nothing was imported"
            raise GuardUnavailable(message) from error


def _take(connection: sqlite3.Connection, record: Record) -> bool:
    slot = (record.signer, int(record.kind), record.slot)
    row = connection.execute(_FIND, slot).fetchone()
    decision = decide(None if row is None else row[0], record.body)
    if decision is Decision.REFUSE:
        message = f"another {record.kind.name.lower()} was signed here in slot {record.slot.hex()}"
        raise BadHistory(message)
    if decision is Decision.SIGN:
        connection.execute("INSERT INTO signed VALUES (?, ?, ?, ?)", (*slot, record.body))
    if record.kind in NUMBERED_KINDS:
        highest = connection.execute(
            "SELECT max(slot) FROM signed WHERE signer = ? AND kind = ?", slot[:2]
        ).fetchone()
        connection.execute(_RAISE_WATERMARK, (*slot[:2], highest[0]))
    return decision is Decision.SIGN


@contextmanager
def _hold(path: Path) -> Iterator[sqlite3.Connection]:
    """The guard's file, open and locked against everybody else.

    :raises GuardUnavailable: another process holds it, or it is not a guard's file.
    """
    with hold_database(path, _SCHEMA, "the equivocation guard", GuardUnavailable) as connection:
        yield connection
