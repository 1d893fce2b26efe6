"""The story of each task, kept in the coordinator's journal file for whoever asks why after a restart.

Is: documents by task, bounded by count and size; whoever follows the node's events makes and reads them
(`node/api/histories`). Is not: what an order is resumed from; those are the records (`journal`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from node.coordinator.journal_file import read_row, read_rows, transaction

TOLD_MAX: Final = 10_000
"""Tasks that are told of, as many as outcomes; what was written first is forgotten first."""
TOLD_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of all documents together; one with 64 turns of the longest words has some 40 kB."""
ORDER_TASKS_MAX: Final = 64
"""Tasks of one order that are listed."""

TOLD_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS told (
    number INTEGER PRIMARY KEY AUTOINCREMENT, task_id BLOB NOT NULL UNIQUE, order_id BLOB NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS told_by_order ON told (order_id);
"""


@dataclass(frozen=True, slots=True)
class ToldTask:
    """One task's. :ivar task_id, order_id: 32 bytes each; the order's empty if it is not known."""

    task_id: bytes
    order_id: bytes
    document: bytes


@dataclass(frozen=True, slots=True)
class ToldSnapshot:
    """How full it is. :ivar tasks: that are told of. :ivar size_bytes: of their documents."""

    tasks: int
    size_bytes: int


class Told:
    """The documents of one journal."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """:param connection: of a file with `TOLD_SCHEMA`."""
        self._connection = connection
        query = "SELECT count(*), coalesce(sum(length(document)), 0) FROM told"
        self._count, self._bytes = read_row(connection, query, ()) or (0, 0)

    def keep(self, items: Iterable[ToldTask]) -> None:
        """Write documents, in the place of those that their tasks had, in one transaction.

        :raises JournalUnavailable: the file failed.
        """
        with transaction(self._connection):
            for item in items:
                row = self._connection.execute(
                    "SELECT length(document) FROM told WHERE task_id = ?", (item.task_id,)
                ).fetchone()
                if row is None:
                    self._count += 1
                else:
                    self._bytes -= row[0]
                self._bytes += len(item.document)
                self._connection.execute(
                    "INSERT INTO told (task_id, order_id, document) VALUES (?, ?, ?) ON CONFLICT (task_id) "
                    "DO UPDATE SET order_id = excluded.order_id, document = excluded.document",
                    (item.task_id, item.order_id, item.document),
                )
            while self._count > TOLD_MAX or self._bytes > TOLD_BYTES_MAX:
                self._forget_first()

    def find(self, task_id: bytes) -> bytes | None:
        """The document of a task. :raises JournalUnavailable: the file failed."""
        row = read_row(self._connection, "SELECT document FROM told WHERE task_id = ?", (task_id,))
        return None if row is None else bytes(row[0])

    def tasks_of(self, order_id: bytes) -> list[bytes]:
        """Tasks of an order, in the order in which they were written first.

        :raises JournalUnavailable: the file failed.
        """
        query = "SELECT task_id FROM told WHERE order_id = ? ORDER BY number LIMIT ?"
        return [bytes(row[0]) for row in read_rows(self._connection, query, (order_id, ORDER_TASKS_MAX))]

    def statistics(self) -> ToldSnapshot:
        """How full it is."""
        return ToldSnapshot(self._count, self._bytes)

    def _forget_first(self) -> None:
        number, size = self._connection.execute(
            "SELECT number, length(document) FROM told ORDER BY number LIMIT 1"
        ).fetchone()
        self._connection.execute("DELETE FROM told WHERE number = ?", (number,))
        self._count -= 1
        self._bytes -= size
