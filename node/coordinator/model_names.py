"""The model that a name stands for here, kept on disk: a name is its packager's word, which anybody may take.

Is: one small table, name -> model id, and the rule of who may change a row. Read at each use, so that what
the operator changes holds at once. Is not: what models there are (`catalogue`).
"""

from __future__ import annotations

import contextlib
import enum
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.system.files import OWNER_ONLY, OWNER_ONLY_FOLDER
from protocol.errors import LocalError
from protocol.model_card import is_model_name

NAMES_FILE: Final = "model-names.sqlite"
NAMES_MAX: Final = 1024
"""Most names that are kept; beyond, the oldest that was only ever listed goes."""
BUSY_TIMEOUT_S: Final = 1.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS names (
    name TEXT PRIMARY KEY, model_id BLOB NOT NULL, claim INTEGER NOT NULL, changed INTEGER NOT NULL
) STRICT
"""


class NamesUnavailable(LocalError):
    """The file of names cannot be opened, read or written."""


class BadName(LocalError):
    """The text is not a name that a card may have. :ivar name: it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!a} is not a name of a model: lower-case letters, digits, '.', '_' and '-'")
        self.name = name


class Claim(enum.IntEnum):
    """By what a name stands for a model; the higher, the more it takes to change it."""

    LISTED = 0
    """The first model of that name of which a card came."""
    USED = 1
    """A request named it."""
    FOLDER = 2
    """A package of the operator's own folders."""
    OPERATOR = 3
    """The operator said so."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A row. :ivar name: as cards have it. :ivar model_id: 32 bytes."""

    name: str
    model_id: bytes
    claim: Claim


class ModelNames:
    """The table. Several processes may have it open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """:param connection: in autocommit mode, with the table in it."""
        self._connection = connection

    @classmethod
    def in_memory(cls) -> ModelNames:
        """A table that is gone with the process."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute(_SCHEMA)
        return cls(connection)

    def get(self, name: str) -> Binding | None:
        """The row of a name; None also for text that no card may have as its name."""
        if not is_model_name(name):
            return None
        with _reported():
            row = self._connection.execute(
                "SELECT name, model_id, claim FROM names WHERE name = ?", (name,)
            ).fetchone()
        return None if row is None else Binding(row[0], row[1], Claim(row[2]))

    def all(self) -> list[Binding]:
        """All rows, by name."""
        with _reported():
            rows = self._connection.execute(
                "SELECT name, model_id, claim FROM names ORDER BY name"
            ).fetchall()
        return [Binding(name, model_id, Claim(claim)) for name, model_id, claim in rows]

    def bind(self, name: str, model_id: bytes, claim: Claim) -> bytes | None:
        """Let a name stand for a model, if nobody with a better claim was here before.

        :returns: the id that the name stands for now; None when the table is full of names in use.
        :raises BadName: no card may have such a name.
        :raises NamesUnavailable: the file cannot be written.
        """
        if not is_model_name(name):
            raise BadName(name)
        with _reported(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            held = self.get(name)
            if held is None:
                return model_id if self._insert(name, model_id, claim) else None
            # Cards that come by themselves never move a name; the operator's folders and words do.
            moves = claim >= Claim.FOLDER and claim >= held.claim
            if held.model_id != model_id and not moves:
                return held.model_id
            if held.model_id != model_id or claim > held.claim:
                self._connection.execute(
                    "UPDATE names SET model_id = ?, claim = ? WHERE name = ?", (model_id, int(claim), name)
                )
            return model_id

    def forget(self, name: str) -> bool:
        """Let a name stand for nothing; whether it did. The next card of that name takes it."""
        with _reported():
            return self._connection.execute("DELETE FROM names WHERE name = ?", (name,)).rowcount > 0

    def _insert(self, name: str, model_id: bytes, claim: Claim) -> bool:
        (count,) = self._connection.execute("SELECT COUNT(*) FROM names").fetchone()
        if count >= NAMES_MAX:
            removed = self._connection.execute(
                "DELETE FROM names WHERE name ="
                " (SELECT name FROM names WHERE claim = 0 ORDER BY changed, name LIMIT 1)"
            ).rowcount
            if not removed:
                return False
        self._connection.execute(
            "INSERT INTO names SELECT ?, ?, ?, COALESCE(MAX(changed), 0) + 1 FROM names",
            (name, model_id, int(claim)),
        )
        return True


@contextmanager
def open_model_names(data_dir: Path) -> Iterator[ModelNames]:
    """The table of a coordinator's data directory, mode 0600.

    :raises NamesUnavailable: the file cannot be opened, or is something else.
    """
    path = data_dir / NAMES_FILE
    with _reported():
        data_dir.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    with closing(connection):
        with _reported():
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_SCHEMA)
        yield ModelNames(connection)


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        message = f"the file of model names ({NAMES_FILE}) cannot be used: {error}"
        raise NamesUnavailable(message) from error
