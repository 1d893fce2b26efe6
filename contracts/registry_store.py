"""The list of nodes on disk, from one run to the next: an SQLite file to which each batch adds its own.

Is: `Entry`, and a file that is written as far as it changes. Its methods take the disk's time: call them from
a thread.
Is not: to be trusted more than a file: what does not fit together is `BadCursor`, and is read anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.events import BadCursor, BlockMark, Cursor
from contracts.records import Role
from protocol.errors import LocalError
from protocol.signature import ADDRESS_BYTES

_FORMAT: Final = "cuckoo-registry/2"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS about (format TEXT NOT NULL, staking BLOB NOT NULL, first_block INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS marks (number INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS nodes (
    block_number INTEGER NOT NULL, log_index INTEGER NOT NULL,
    address BLOB NOT NULL, owner BLOB NOT NULL, role INTEGER NOT NULL,
    PRIMARY KEY (block_number, log_index)
) STRICT, WITHOUT ROWID;
"""
_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class StoreFailed(LocalError):
    """The file cannot be read or written: a full disk, for example."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A registration. :ivar address: of the node key, 20 bytes. :ivar owner: 20 bytes."""

    block_number: int
    log_index: int
    address: bytes
    owner: bytes
    role: Role

    def __post_init__(self) -> None:
        """:raises ValueError: an address that is not one."""
        if len(self.address) != ADDRESS_BYTES or len(self.owner) != ADDRESS_BYTES:
            message = "not an address"
            raise ValueError(message)


class RegistryStore:
    """The registrations of one staking contract, with the cursor up to which they are complete."""

    def __init__(self, path: Path, staking: bytes) -> None:
        """:param staking: 20 bytes; a file of another contract is begun anew."""
        self._path = path
        self._staking = staking

    def load(self, first_block: int) -> tuple[Cursor, list[Entry]]:
        """The registrations kept; none, from `first_block` on, if there is no file.

        :raises BadCursor: a file of something else, or broken.
        :raises StoreFailed: it cannot be read.
        """
        if not self._path.exists():
            return Cursor(first_block), []
        with self._opened() as connection:
            abouts = connection.execute("SELECT format, staking, first_block FROM about").fetchall()
            if abouts != [(_FORMAT, self._staking, first_block)]:
                message = "a registry of another contract or format"
                raise BadCursor(message)
            marks = connection.execute("SELECT number, hash FROM marks ORDER BY number").fetchall()
            rows = connection.execute("SELECT * FROM nodes ORDER BY block_number, log_index").fetchall()
        try:
            cursor = Cursor(first_block, tuple(BlockMark(*mark) for mark in marks))
            entries = [
                Entry(at, index, address, owner, Role(role)) for at, index, address, owner, role in rows
            ]
        except (TypeError, ValueError) as error:
            message = f"not a registry: {error}"
            raise BadCursor(message) from error
        if any(not first_block <= entry.block_number < cursor.next_block for entry in entries):
            message = "not a registry: it knows more than it has read"
            raise BadCursor(message)
        return cursor, entries

    def apply(self, undone_after: int | None, entries: Iterable[Entry], cursor: Cursor) -> None:
        """Write what a batch has changed, all of it or nothing.

        :raises StoreFailed: it cannot be written.
        """
        with self._opened() as connection, connection:
            if connection.execute("SELECT count(*) FROM about").fetchone() == (0,):
                about = (_FORMAT, self._staking, cursor.first_block)
                connection.execute("INSERT INTO about VALUES (?, ?, ?)", about)
            if undone_after is not None:
                connection.execute("DELETE FROM nodes WHERE block_number > ?", (undone_after,))
            connection.execute("DELETE FROM marks")
            marks = [(mark.number, mark.hash) for mark in cursor.marks]
            connection.executemany("INSERT INTO marks VALUES (?, ?)", marks)
            rows = [(e.block_number, e.log_index, e.address, e.owner, int(e.role)) for e in entries]
            connection.executemany("INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?)", rows)

    def forget(self) -> None:
        """Begin anew. :raises StoreFailed: the file stays."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreFailed(str(error)) from error

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, _MODE))
            with closing(sqlite3.connect(self._path)) as connection:
                connection.executescript(_SCHEMA)
                yield connection
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise StoreFailed(str(error)) from error
            message = f"not a registry: {error}"
            raise BadCursor(message) from error
        except OSError as error:
            raise StoreFailed(str(error)) from error
