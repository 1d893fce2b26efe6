"""Ended orders in a coordinator's journal: outcomes, results and receipts, by the names that apps gave them.

Is: what is kept of an order that is over, bounded by count, size and age.
Is not: live orders and their records (`journal`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.coordinator.journal_file import read_row, read_rows
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FailureKind, OrderCancelled, OrderFailed, Record, ResultReceived
from node.coordinator.snapshots import OrderSnapshot
from protocol.draw import EpochView
from protocol.messages import ResultCommitment, TaskAcceptance, TaskAnnouncement
from protocol.receipt import Receipt
from protocol.statement import Domain, Statement, open_statement

OUTCOMES_MAX: Final = 10_000
"""Ended orders that are remembered, with their receipts; the oldest is forgotten first."""
OUTPUTS_BYTES_MAX: Final = 1 << 30
"""Results and sources kept together; of ended orders the oldest results go first, their receipts stay."""
OUTPUT_AGE_MS_MAX: Final = 24 * 60 * 60 * 1000
"""How long a result is kept for an app that asks again."""
_CANCELLED: Final = -1
"""In the column `failure`: the app did not want it any more."""
_NAMED: Final = "key != '' AND substr(key, 1, ?) = ? AND task_id IS NOT NULL"
"""Of delivered orders whose names begin with a text, after its length."""


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


class EndedOrders:
    """The ended orders of one journal. Its methods are called within the journal's transactions."""

    def __init__(
        self, connection: sqlite3.Connection, domain: Domain, epoch: Callable[[int], EpochView]
    ) -> None:
        """:param epoch: an epoch that the journal has kept."""
        self._connection = connection
        self._domain = domain
        self._epoch = epoch

    def add(self, record: Record, last: OrderSnapshot) -> None:
        """An order has ended, within a transaction. :param last: the order before that record."""
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

    def find_key(self, key: str) -> EndedOrder | None:
        """The last ended order under the name that an app gave it."""
        row = read_row(
            self._connection, "SELECT order_id FROM ended WHERE key = ? ORDER BY rowid DESC LIMIT 1", (key,)
        )
        return None if row is None else self.find(bytes(row[0]))

    def find(self, order_id: bytes) -> EndedOrder | None:
        """An ended order."""
        return self._ended("order_id = ?", order_id)

    def find_task(self, task_id: bytes) -> EndedOrder | None:
        """The order that a task delivered."""
        return self._ended("task_id = ?", task_id)

    def named_tasks(self, prefix: str, offset: int, limit: int) -> list[bytes]:
        """Ids of delivered tasks of orders whose names begin so, the newest first.

        :raises JournalUnavailable: the file failed.
        """
        rows = read_rows(
            self._connection,
            f"SELECT task_id FROM ended WHERE {_NAMED} ORDER BY rowid DESC LIMIT ? OFFSET ?",  # noqa: S608
            (len(prefix), prefix, limit, offset),
        )
        return [bytes(row[0]) for row in rows]

    def is_named(self, prefix: str, task_id: bytes) -> bool:
        """Whether a task was delivered for an order whose name begins so."""
        query = f"SELECT 1 FROM ended WHERE {_NAMED} AND task_id = ?"  # noqa: S608 - a fixed text
        return read_row(self._connection, query, (len(prefix), prefix, task_id)) is not None

    def forget(self, task_id: bytes) -> None:
        """Forget the order that a task delivered, with its result and its receipt, within a transaction."""
        run = self._connection.execute
        run("DELETE FROM uses WHERE order_id IN (SELECT order_id FROM ended WHERE task_id = ?)", (task_id,))
        run("DELETE FROM ended WHERE task_id = ?", (task_id,))
        run("DELETE FROM blobs WHERE hash NOT IN (SELECT hash FROM uses)")

    def delivered_since(
        self, since_ms: int, most: int
    ) -> list[tuple[Statement[TaskAnnouncement], Statement[ResultCommitment]]]:
        """Announcements and commitments of orders that were delivered since then, the newest first.

        :param since_ms: Unix milliseconds. :param most: so many.
        :raises JournalUnavailable: the file failed.
        """
        query = (
            "SELECT announcement, commitment FROM ended WHERE announcement IS NOT NULL AND ended_at_ms >= ? "
            "ORDER BY rowid DESC LIMIT ?"
        )
        rows = read_rows(self._connection, query, (since_ms, most))
        return [
            (
                open_statement(self._domain, announcement, TaskAnnouncement),
                open_statement(self._domain, commitment, ResultCommitment),
            )
            for announcement, commitment in rows
        ]

    def epochs(self) -> set[int]:
        """Epochs that receipts need."""
        rows = self._connection.execute("SELECT DISTINCT epoch FROM ended WHERE epoch IS NOT NULL")
        return {row[0] for row in rows}

    # Internals

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
        while self._blob_bytes() > OUTPUTS_BYTES_MAX:
            row = run(
                "SELECT ended.order_id FROM ended JOIN uses USING (order_id) ORDER BY ended.rowid LIMIT 1"
            ).fetchone()
            if row is None:
                break  # what is left belongs to live orders, which are bounded by themselves
            run("DELETE FROM uses WHERE order_id = ?", row)
            run("DELETE FROM blobs WHERE hash NOT IN (SELECT hash FROM uses)")

    def _blob_bytes(self) -> int:
        (count,) = self._connection.execute("SELECT coalesce(sum(length(bytes)), 0) FROM blobs").fetchone()
        return int(count)

    def _ended(self, where: str, value: bytes) -> EndedOrder | None:
        columns = (
            "order_id, body_hash, failure, reason, epoch, announcement, acceptance, commitment, output_hash"
        )
        query = f"SELECT {columns} FROM ended WHERE {where}"  # noqa: S608 - fixed texts
        row = read_row(self._connection, query, (value,))
        if row is None:
            return None
        order_id, body_hash, failure, reason, epoch, announcement, acceptance, commitment, output_hash = row
        if announcement is None:
            kind = None if failure in (None, _CANCELLED) else FailureKind(failure)
            return EndedOrder(order_id, body_hash, None, None, kind, reason)
        receipt = Receipt(
            self._domain,
            self._epoch(epoch),
            open_statement(self._domain, announcement, TaskAnnouncement),
            open_statement(self._domain, acceptance, TaskAcceptance),
            open_statement(self._domain, commitment, ResultCommitment),
        )
        found = read_row(self._connection, "SELECT bytes FROM blobs WHERE hash = ?", (output_hash,))
        delivered = None if found is None else Delivered(bytes(found[0]), receipt)
        return EndedOrder(order_id, body_hash, delivered, receipt, None, "")
