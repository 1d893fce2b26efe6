"""The file of a coordinator's journal: its tables, its transactions, and how it fails.

Is not: what stands in it; that is `journal`'s, and `ended_orders`'.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from protocol.errors import LocalError

JOURNAL_FILE: Final = "journal.sqlite"
"""In a coordinator's data directory. It moves with the node's key, by the backup of SQLite, not by
copying."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY AUTOINCREMENT, order_id BLOB NOT NULL, record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS records_of_order ON records (order_id);
CREATE TABLE IF NOT EXISTS live (order_id BLOB PRIMARY KEY, snapshot BLOB NOT NULL, base BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (hash BLOB PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS uses (
    hash BLOB NOT NULL, order_id BLOB NOT NULL, PRIMARY KEY (hash, order_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs (
    number INTEGER PRIMARY KEY, seed BLOB NOT NULL, addresses BLOB NOT NULL, weights BLOB NOT NULL,
    coordinator_weight TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ended (
    order_id BLOB PRIMARY KEY, key TEXT NOT NULL, body_hash BLOB NOT NULL, ended_at_ms INTEGER NOT NULL,
    failure INTEGER, reason TEXT NOT NULL,
    task_id BLOB, epoch INTEGER, announcement BLOB, acceptance BLOB, commitment BLOB, output_hash BLOB
);
CREATE INDEX IF NOT EXISTS ended_by_key ON ended (key) WHERE key != '';
CREATE INDEX IF NOT EXISTS ended_by_task ON ended (task_id);
CREATE INDEX IF NOT EXISTS ended_by_time ON ended (ended_at_ms);
"""


class JournalUnavailable(LocalError):
    """The journal cannot be opened, read or written; nothing follows from what could not be written down."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing. :raises JournalUnavailable: the file failed."""
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
    except sqlite3.Error as error:
        message = f"the journal of orders failed ({error}); nothing follows from what it did not take"
        raise JournalUnavailable(message) from error


def read_row(
    connection: sqlite3.Connection, query: str, values: tuple[object, ...]
) -> tuple[Any, ...] | None:
    """The first row of an answer. :raises JournalUnavailable: the file failed."""
    try:
        row: tuple[Any, ...] | None = connection.execute(query, values).fetchone()
    except sqlite3.Error as error:
        message = f"the journal cannot be read: {error}"
        raise JournalUnavailable(message) from error
    return row


def read_rows(
    connection: sqlite3.Connection, query: str, values: tuple[object, ...]
) -> list[tuple[Any, ...]]:
    """All rows of an answer. :raises JournalUnavailable: the file failed."""
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.Error as error:
        message = f"the journal cannot be read: {error}"
        raise JournalUnavailable(message) from error
