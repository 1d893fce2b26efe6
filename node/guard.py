"""The equivocation guard: no key of ours ever signs two different statements in one slot.

Is: check and record in one exclusive transaction of a SQLite file, and only then sign. The same body again
is safe; another body, or any failure to read or write, means *do not sign*. The shape of EIP-3076.
Is not: protection of one key run on two machines, each with a file of its own. Don't do that.

Called synchronously on purpose: 0.2 ms, and no await can come between the check and the signature.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.files import OWNER_ONLY, OWNER_ONLY_FOLDER
from node.keys import Key
from protocol.errors import LocalError
from protocol.messages import Kind
from protocol.signature import sign_digest
from protocol.statement import Unsigned

_SCHEMA = """
CREATE TABLE IF NOT EXISTS signed (
    signer BLOB NOT NULL, kind INTEGER NOT NULL, slot BLOB NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (signer, kind, slot)
) WITHOUT ROWID
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
                self._connection.execute("BEGIN IMMEDIATE")
                row = self._connection.execute(
                    "SELECT body FROM signed WHERE signer = ? AND kind = ? AND slot = ?", slot
                ).fetchone()
                if row is None:
                    self._connection.execute(
                        "INSERT INTO signed VALUES (?, ?, ?, ?)", (*slot, statement.body)
                    )
        except sqlite3.Error as error:
            message = f"the equivocation guard failed ({error}); nothing was signed"
            raise MustNotSign(message) from error
        if row is not None and row[0] != statement.body:
            message = f"another {statement.kind.name.lower()} was signed in slot {statement.slot.hex()}"
            raise MustNotSign(message)

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
    path.parent.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        message = f"the equivocation guard at {path} does not open: {error}"
        raise GuardUnavailable(message) from error
    try:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(_SCHEMA)
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            message = f"the equivocation guard at {path} is held by another process or broken: {error}"
            raise GuardUnavailable(message) from error
        yield Guard(connection, key)
    finally:
        connection.close()
