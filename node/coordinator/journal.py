"""The coordinator's journal: one SQLite file with every order, what it came to, and the ledger of vouchers.

Is: records in their order, written before their effect; each live order's snapshot, for a later engine;
results, receipts and the names that apps gave their orders, bounded by count, size and age.
Is not: a decision. Reading it draws, signs and promises nothing.

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
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from node.coordinator.orders import task_id_of
from node.coordinator.outcomes import Delivered
from node.coordinator.records import (
    FailureKind,
    OrderCancelled,
    OrderFailed,
    OrderSnapshot,
    Record,
    ResultReceived,
    decode_record,
)
from node.signing.held_database import hold_database
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.draw import EpochView, Snapshot
from protocol.errors import DecodeError, LocalError
from protocol.messages import ResultCommitment, TaskAcceptance, TaskAnnouncement
from protocol.receipt import Receipt
from protocol.statement import Domain, open_statement
from protocol.task import IllegalTransition

if TYPE_CHECKING:
    from node.coordinator.orders import Book

JOURNAL_FILE: Final = "journal.sqlite"
"""In a coordinator's data directory. It moves with the node's key, by the backup of SQLite, not by
copying."""
SCHEMA_VERSION: Final = 1
"""Of the tables; a file of a later one is not touched."""
ENGINE_VERSION: Final = 2
"""Of the transitions that records go through; raise it whenever the same records would lead elsewhere."""
OUTCOMES_MAX: Final = 10_000
"""Ended orders that are remembered, with their receipts; the oldest is forgotten first."""
OUTPUTS_BYTES_MAX: Final = 1 << 30
"""Results and sources kept together; of ended orders the oldest results go first, their receipts stay."""
OUTPUT_AGE_MS_MAX: Final = 24 * 60 * 60 * 1000
"""How long a result is kept for an app that asks again."""

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
_CANCELLED: Final = -1
"""In the column `failure`: the app did not want it any more."""


class JournalUnavailable(LocalError):
    """The journal cannot be opened, read or written; nothing follows from what could not be written down."""


@dataclass(frozen=True, slots=True)
class EndedOrder:
    """An ended order, and its outcome.

    :ivar body_hash: of the app's request.
    :ivar delivered: its result, if it has one and its bytes are still kept.
    :ivar receipt: of its result, if it had one.
    :ivar failure: why there is none; None for a delivered or cancelled one.
    """

    order_id: bytes
    body_hash: bytes
    delivered: Delivered | None
    receipt: Receipt | None
    failure: FailureKind | None
    reason: str


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
    """The journal on an open database. Made by `open_journal`."""

    def __init__(self, connection: sqlite3.Connection, domain: Domain, coordinator: bytes) -> None:
        """:raises JournalUnavailable: it is of a later version."""
        self._connection = connection
        self._domain = domain
        self._coordinator = coordinator
        self._epochs: set[int] = set()
        with self._transaction():
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
        with self._transaction():
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
        with self._transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?)",
                (epoch.number, epoch.seed, epoch.miners.addresses, epoch.miners.weight_bytes, weight),
            )
        self._epochs.add(epoch.number)

    def epoch(self, number: int) -> EpochView:
        """See `ports.JournalPort`. :raises JournalUnavailable: it was not kept."""
        row = self._row(
            "SELECT seed, addresses, weights, coordinator_weight FROM epochs WHERE number = ?", (number,)
        )
        if row is None:
            message = f"the journal lacks epoch {number}"
            raise JournalUnavailable(message)
        seed, addresses, weights, coordinator_weight = row
        miners = Snapshot.of_arrays(addresses, np.frombuffer(weights, dtype=np.uint64))
        coordinators = Snapshot.of([(self._coordinator, int(coordinator_weight) * WEI_PER_MICRO_CAI)])
        return EpochView(number, seed, miners, coordinators)

    # Reading

    def load(self, book: Book) -> None:
        """Put all live orders into `book`, as they were after the last record.

        :raises JournalUnavailable: the file holds what no engine wrote.
        """
        try:
            with self._transaction():
                if self._is_of_another_engine:
                    self._take_over()
                rows = self._connection.execute("SELECT base FROM live WHERE base IS NOT NULL").fetchall()
                for (base,) in rows:
                    book.restore(
                        OrderSnapshot.decode(base), lambda message: task_id_of(self._domain, message)
                    )
                for (record,) in self._connection.execute("SELECT record FROM records ORDER BY number"):
                    book.apply(decode_record(record))
        except (DecodeError, IllegalTransition, ValueError, KeyError) as error:
            message = f"the journal cannot be read: {error}"
            raise JournalUnavailable(message) from error

    def source(self, digest: bytes) -> bytes:
        """Bytes of a source by its SHA-256. :raises JournalUnavailable: they are not kept."""
        row = self._row("SELECT bytes FROM blobs WHERE hash = ?", (digest,))
        if row is None:
            message = "the journal lacks a source of a live order"
            raise JournalUnavailable(message)
        return bytes(row[0])

    def find_key(self, key: str) -> EndedOrder | None:
        """The last ended order under the name that an app gave it."""
        row = self._row("SELECT order_id FROM ended WHERE key = ? ORDER BY rowid DESC LIMIT 1", (key,))
        return None if row is None else self.find(bytes(row[0]))

    def find(self, order_id: bytes) -> EndedOrder | None:
        """An ended order."""
        return self._ended("order_id = ?", order_id)

    def find_task(self, task_id: bytes) -> EndedOrder | None:
        """The order that a task delivered."""
        return self._ended("task_id = ?", task_id)

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

    def _take_over(self) -> None:
        """Forget the records of another engine; its snapshots are where this one begins."""
        self._connection.execute("DELETE FROM records")
        self._connection.execute("UPDATE live SET base = snapshot")
        self._connection.execute("UPDATE meta SET value = ? WHERE name = 'engine'", (ENGINE_VERSION,))

    def _end(self, record: Record) -> None:
        row = self._row("SELECT snapshot FROM live WHERE order_id = ?", (record.order_id,))
        if row is None:
            message = "an order ended that the journal does not know"
            raise JournalUnavailable(message)
        last = OrderSnapshot.decode(row[0])
        self._connection.execute("DELETE FROM records WHERE order_id = ?", (record.order_id,))
        self._connection.execute("DELETE FROM live WHERE order_id = ?", (record.order_id,))
        for source in last.sources:
            self._connection.execute(
                "DELETE FROM uses WHERE hash = ? AND order_id = ?", (source.hash, record.order_id)
            )
        task_id = epoch = announcement = acceptance = commitment = output_hash = failure = None
        reason, at_ms = "", 0
        match record:
            case ResultReceived(rank=rank):
                opened = open_statement(self._domain, last.announcement, TaskAnnouncement)
                task_id, epoch, announcement = opened.digest, opened.message.epoch, last.announcement
                acceptance, commitment = last.turns[rank].acceptance, record.commitment
                output_hash = open_statement(self._domain, commitment, ResultCommitment).message.output_hash
                at_ms = record.delivered_at_ms
            case OrderFailed():
                failure, reason, at_ms = record.failure, record.reason, record.ended_at_ms
            case OrderCancelled():
                failure, reason, at_ms = _CANCELLED, record.reason, record.ended_at_ms
        self._connection.execute(
            "INSERT OR REPLACE INTO ended VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(record.order_id, last.key, last.body_hash, at_ms, failure, reason),
                *(task_id, epoch, announcement, acceptance, commitment, output_hash),
            ),
        )
        self._prune(at_ms)

    def _prune(self, now_ms: int) -> None:
        """Forget what is beyond the bounds, the oldest first."""
        run = self._connection.execute
        # By the order of their writing: the clock may have been set back between them.
        oldest = "SELECT order_id FROM ended ORDER BY rowid DESC LIMIT -1 OFFSET ?"
        run(f"DELETE FROM uses WHERE order_id IN ({oldest})", (OUTCOMES_MAX,))  # noqa: S608 - a fixed text
        run(f"DELETE FROM ended WHERE order_id IN ({oldest})", (OUTCOMES_MAX,))  # noqa: S608 - likewise
        run(
            "DELETE FROM uses WHERE order_id IN (SELECT order_id FROM ended WHERE ended_at_ms < ?)",
            (now_ms - OUTPUT_AGE_MS_MAX,),
        )
        run("DELETE FROM blobs WHERE hash NOT IN (SELECT hash FROM uses)")
        while self.statistics().blob_bytes > OUTPUTS_BYTES_MAX:
            row = run(
                "SELECT ended.order_id FROM ended JOIN uses USING (order_id) ORDER BY ended.rowid LIMIT 1"
            ).fetchone()
            if row is None:
                break  # what is left belongs to live orders, which are bounded by themselves
            run("DELETE FROM uses WHERE order_id = ?", row)
            run("DELETE FROM blobs WHERE hash NOT IN (SELECT hash FROM uses)")
        kept = {row[0] for row in run("SELECT DISTINCT epoch FROM ended WHERE epoch IS NOT NULL")}
        unused = sorted(self._epochs - kept)[:-2]  # the latest two may still be drawn from
        if unused:
            kept = self._epochs_of_live_tasks()
        for number in unused:
            if number in kept:
                continue
            run("DELETE FROM epochs WHERE number = ?", (number,))
            self._epochs.discard(number)

    def _epochs_of_live_tasks(self) -> set[int]:
        snapshots = (
            OrderSnapshot.decode(row[0]) for row in self._connection.execute("SELECT snapshot FROM live")
        )
        return {TaskAnnouncement.decode(one.task_body).epoch for one in snapshots if one.task_body}

    def _ended(self, where: str, value: bytes) -> EndedOrder | None:
        columns = (
            "order_id, body_hash, failure, reason, epoch, announcement, acceptance, commitment, output_hash"
        )
        query = f"SELECT {columns} FROM ended WHERE {where}"  # noqa: S608 - fixed texts
        row = self._row(query, (value,))
        if row is None:
            return None
        order_id, body_hash, failure, reason, epoch, announcement, acceptance, commitment, output_hash = row
        if announcement is None:
            kind = None if failure in (None, _CANCELLED) else FailureKind(failure)
            return EndedOrder(order_id, body_hash, None, None, kind, reason)
        receipt = Receipt(
            self._domain,
            self.epoch(epoch),
            open_statement(self._domain, announcement, TaskAnnouncement),
            open_statement(self._domain, acceptance, TaskAcceptance),
            open_statement(self._domain, commitment, ResultCommitment),
        )
        found = self._row("SELECT bytes FROM blobs WHERE hash = ?", (output_hash,))
        delivered = None if found is None else Delivered(bytes(found[0]), receipt)
        return EndedOrder(order_id, body_hash, delivered, receipt, None, "")

    def _row(self, query: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        except sqlite3.Error as error:
            message = f"the journal cannot be read: {error}"
            raise JournalUnavailable(message) from error
        return row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing. :raises JournalUnavailable: the file failed."""
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            message = f"the journal of orders failed ({error}); nothing follows from what it did not take"
            raise JournalUnavailable(message) from error


@contextmanager
def open_journal(
    path: Path, domain: Domain, coordinator: bytes, more_schema: str = ""
) -> Iterator[tuple[Journal, sqlite3.Connection]]:
    """The journal on the file at `path`, held exclusively until the context ends, and its connection.

    :param more_schema: tables of others in the same file: the ledger's.
    :raises JournalUnavailable: another process holds it, or it is not a journal.
    """
    with hold_database(path, SCHEMA + more_schema, "the journal of orders", JournalUnavailable) as connection:
        yield Journal(connection, domain, coordinator), connection
