"""The coordinator's journal: one SQLite file with every order, what it came to, and the ledger of vouchers.

Is: records in their order, written before their effect; each live order's snapshot, for a later engine; and
the epochs of receipts.
Is not: a decision; reading it draws, signs and promises nothing. Nor orders that are over (`ended_orders`).

One writer, write-ahead log, full synchronisation (`signing/held_database`). A restart applies the records
again; a file of another engine's is taken over by its snapshots, since its records may not be lawful any
more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from node.coordinator.ended_orders import EndedOrders
from node.coordinator.journal_file import SCHEMA, JournalUnavailable, read_row, transaction
from node.coordinator.records import Record, decode_record
from node.coordinator.snapshots import OrderSnapshot, order_of
from node.coordinator.told import TOLD_SCHEMA, Told
from node.signing.held_database import hold_database
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.draw import EpochView, Snapshot
from protocol.errors import DecodeError
from protocol.messages import TaskAnnouncement
from protocol.statement import Domain
from protocol.task import IllegalTransition

if TYPE_CHECKING:
    from node.coordinator.orders import Book

SCHEMA_VERSION: Final = 1
"""Of the tables; a file of a later one is not touched."""
ENGINE_VERSION: Final = 2
"""Of the transitions that records go through; raise it whenever the same records would lead elsewhere."""


@dataclass(frozen=True, slots=True)
class JournalSnapshot:
    """How full it is.

    :ivar live: orders that are not over.
    :ivar ended: orders that are.
    :ivar receipts: of those that were delivered.
    :ivar blob_bytes: of sources and results.
    """

    live: int
    ended: int
    receipts: int
    blob_bytes: int


class Journal:
    """The journal on an open database. Made by `open_journal`.

    :ivar ended: orders that are over. :ivar told: what happened to tasks, in words.
    """

    def __init__(self, connection: sqlite3.Connection, domain: Domain, coordinator: bytes) -> None:
        """:raises JournalUnavailable: it is of a later version."""
        self._connection = connection
        self._domain = domain
        self._coordinator = coordinator
        self._epochs: set[int] = set()
        self.ended = EndedOrders(connection, domain, self.epoch)
        self.told = Told(connection)
        with transaction(self._connection):
            versions = dict(connection.execute("SELECT name, value FROM meta").fetchall())
            schema = versions.setdefault("schema", SCHEMA_VERSION)
            if schema != SCHEMA_VERSION:
                message = (
                    f"the journal has tables of version {schema}, this program knows {SCHEMA_VERSION}: "
                    "start the newer program again"
                )
                raise JournalUnavailable(message)
            self._is_of_another_engine = versions.setdefault("engine", ENGINE_VERSION) != ENGINE_VERSION
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", versions.items())
            self._epochs = {row[0] for row in connection.execute("SELECT number FROM epochs")}

    # `JournalPort`

    def write(self, record: Record, snapshot: OrderSnapshot | None, blobs: Mapping[bytes, bytes]) -> None:
        """See `ports.JournalPort`."""
        with transaction(self._connection):
            for digest, data in blobs.items():
                self._connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (digest, data))
                self._connection.execute(
                    "INSERT OR IGNORE INTO uses VALUES (?, ?)", (digest, record.order_id)
                )
            if snapshot is None:
                self._end(record)
                return
            self._connection.execute(
                "INSERT INTO records (order_id, record) VALUES (?, ?)", (record.order_id, record.encode())
            )
            self._connection.execute(
                "INSERT INTO live (order_id, snapshot) VALUES (?, ?) "
                "ON CONFLICT (order_id) DO UPDATE SET snapshot = excluded.snapshot",
                (record.order_id, snapshot.encode()),
            )

    def keep_epoch(self, epoch: EpochView) -> None:
        """See `ports.JournalPort`."""
        if epoch.number in self._epochs:
            return
        weight = str(epoch.coordinators.weight_of(self._coordinator))
        with transaction(self._connection):
            self._connection.execute(
                "INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?)",
                (epoch.number, epoch.seed, epoch.miners.addresses, epoch.miners.weight_bytes, weight),
            )
        self._epochs.add(epoch.number)

    def epoch(self, number: int) -> EpochView:
        """See `ports.JournalPort`. :raises JournalUnavailable: it was not kept."""
        row = read_row(
            self._connection,
            "SELECT seed, addresses, weights, coordinator_weight FROM epochs WHERE number = ?",
            (number,),
        )
        if row is None:
            message = f"the journal lacks epoch {number}"
            raise JournalUnavailable(message)
        seed, addresses, weights, coordinator_weight = row
        miners = Snapshot.of_arrays(addresses, np.frombuffer(weights, dtype=np.uint64))
        coordinators = Snapshot.of([(self._coordinator, int(coordinator_weight) * WEI_PER_MICRO_CAI)])
        return EpochView(number, seed, miners, coordinators)

    def forget(self, task_id: bytes) -> None:
        """Forget a delivered task: its order, result and receipt. :raises JournalUnavailable: it failed."""
        with transaction(self._connection):
            self.ended.forget(task_id)
            self._prune_epochs()

    # Reading

    def load(self, book: Book) -> None:
        """Put all live orders into `book`, as they were after the last record.

        :raises JournalUnavailable: the file holds what no engine wrote.
        """
        try:
            with transaction(self._connection):
                if self._is_of_another_engine:
                    self._take_over()
                rows = self._connection.execute("SELECT base FROM live WHERE base IS NOT NULL").fetchall()
                for (base,) in rows:
                    book.take_over(order_of(OrderSnapshot.decode(base), self._domain))
                for (record,) in self._connection.execute("SELECT record FROM records ORDER BY number"):
                    book.apply(decode_record(record))
        except (DecodeError, IllegalTransition, ValueError, KeyError) as error:
            message = f"the journal cannot be read: {error}"
            raise JournalUnavailable(message) from error

    def source(self, digest: bytes) -> bytes:
        """Bytes of a source by its SHA-256. :raises JournalUnavailable: they are not kept."""
        row = read_row(self._connection, "SELECT bytes FROM blobs WHERE hash = ?", (digest,))
        if row is None:
            message = "the journal lacks a source of a live order"
            raise JournalUnavailable(message)
        return bytes(row[0])

    def statistics(self) -> JournalSnapshot:
        """How full it is."""
        counts = [
            self._connection.execute(f"SELECT {what}").fetchone()[0]
            for what in (
                "count(*) FROM live",
                "count(*) FROM ended",
                "count(commitment) FROM ended",
                "coalesce(sum(length(bytes)), 0) FROM blobs",
            )
        ]
        return JournalSnapshot(*counts)

    # Internals

    def _end(self, record: Record) -> None:
        row = read_row(self._connection, "SELECT snapshot FROM live WHERE order_id = ?", (record.order_id,))
        if row is None:
            message = "an order ended that the journal does not know"
            raise JournalUnavailable(message)
        self._connection.execute("DELETE FROM records WHERE order_id = ?", (record.order_id,))
        self._connection.execute("DELETE FROM live WHERE order_id = ?", (record.order_id,))
        self.ended.add(record, OrderSnapshot.decode(row[0]))
        self._prune_epochs()

    def _prune_epochs(self) -> None:
        unused = sorted(self._epochs - self.ended.epochs())[:-2]  # the latest two may still be drawn from
        if unused:
            kept = self._epochs_of_live_tasks()
        for number in unused:
            if number in kept:
                continue
            self._connection.execute("DELETE FROM epochs WHERE number = ?", (number,))
            self._epochs.discard(number)

    def _take_over(self) -> None:
        """Forget the records of another engine; its snapshots are where this one begins."""
        self._connection.execute("DELETE FROM records")
        self._connection.execute("UPDATE live SET base = snapshot")
        self._connection.execute("UPDATE meta SET value = ? WHERE name = 'engine'", (ENGINE_VERSION,))

    def _epochs_of_live_tasks(self) -> set[int]:
        snapshots = (
            OrderSnapshot.decode(row[0]) for row in self._connection.execute("SELECT snapshot FROM live")
        )
        return {TaskAnnouncement.decode(one.task_body).epoch for one in snapshots if one.task_body}


@contextmanager
def open_journal(
    path: Path, domain: Domain, coordinator: bytes, more_schema: str = ""
) -> Iterator[tuple[Journal, sqlite3.Connection]]:
    """The journal on the file at `path`, held exclusively until the context ends, and its connection.

    :param more_schema: tables of others in the same file: the ledger's.
    :raises JournalUnavailable: another process holds it, or it is not a journal.
    """
    schema = SCHEMA + TOLD_SCHEMA + more_schema
    with hold_database(path, schema, "the journal of orders", JournalUnavailable) as connection:
        yield Journal(connection, domain, coordinator), connection
