"""The guard's file: its tables, and what is read and written in them.

Is: SQL, one function a question; the caller holds the transaction.
Is not: what may be signed, which is `protocol/guard`'s, nor when to ask, which is `guard`'s and `history`'s.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.signing.held_database import hold_database
from protocol.errors import LocalError
from protocol.guard import NUMBERED_KINDS, Memory, TaskTimes, first_epoch, last_number_before
from protocol.messages import Kind

GUARD_FILE = "guard.sqlite"
"""In a node's data directory."""
SLOT_BYTES: Final = 32
INSTANCES_MAX: Final = 64
"""Starts of a node that are remembered."""
INSTANCE_BYTES: Final = 8
NUMBER_MAX: Final = (1 << 128) - 1
"""Above any number of a slot: epochs and numbers have 64 bits each."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS signed (
    signer BLOB NOT NULL, kind INTEGER NOT NULL, slot BLOB NOT NULL, body BLOB NOT NULL,
    announced_at_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,
    PRIMARY KEY (signer, kind, slot)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watermark (
    signer BLOB NOT NULL, kind INTEGER NOT NULL, slot BLOB NOT NULL, PRIMARY KEY (signer, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signer (
    signer BLOB PRIMARY KEY, made_at_ms INTEGER NOT NULL, first_epoch INTEGER, horizon_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS instance (
    start INTEGER PRIMARY KEY AUTOINCREMENT,
    signer BLOB NOT NULL, number BLOB NOT NULL, sequence INTEGER NOT NULL
);
"""


class GuardUnavailable(LocalError):
    """The guard's file cannot be opened, or another process holds it."""


@dataclass(frozen=True, slots=True)
class SignerRow:
    """All that the guard knows of a key besides statements.

    :ivar made_at_ms: see `protocol.guard.Memory`.
    :ivar first_epoch: in which it may announce; None until the guard has seen an epoch, if it is younger than
        the key. Nothing is announced then.
    :ivar horizon_ms: see `protocol.guard.Memory`.
    """

    made_at_ms: int = 0
    first_epoch: int | None = 0
    horizon_ms: int = 0


@contextmanager
def hold_guard_file(path: Path) -> Iterator[sqlite3.Connection]:
    """The guard's file, made if it is not there, open and locked against everybody else.

    :raises GuardUnavailable: another process holds it, or it is not a guard's file.
    """
    with hold_database(path, _SCHEMA, "the equivocation guard", GuardUnavailable) as connection:
        yield connection


def find_body(connection: sqlite3.Connection, signer: bytes, kind: Kind, slot: bytes) -> bytes | None:
    """Body that was signed in a slot."""
    row = connection.execute(
        "SELECT body FROM signed WHERE signer = ? AND kind = ? AND slot = ?", (signer, int(kind), slot)
    ).fetchone()
    return None if row is None else bytes(row[0])


def find_task_times(
    connection: sqlite3.Connection, signer: bytes, kind: Kind, slot: bytes
) -> TaskTimes | None:
    """Times of the task that a recorded statement is about; of no meaning for a numbered kind."""
    row = connection.execute(
        "SELECT announced_at_ms, deadline_ms FROM signed WHERE signer = ? AND kind = ? AND slot = ?",
        (signer, int(kind), slot),
    ).fetchone()
    return None if row is None else TaskTimes(*row)


def read_signer(connection: sqlite3.Connection, signer: bytes) -> SignerRow | None:
    """The row of a key; None if this guard was not made for it."""
    row = connection.execute(
        "SELECT made_at_ms, first_epoch, horizon_ms FROM signer WHERE signer = ?", (signer,)
    ).fetchone()
    return None if row is None else SignerRow(*row)


def write_signer(connection: sqlite3.Connection, signer: bytes, row: SignerRow) -> None:
    """Write the row of a key."""
    values = (signer, row.made_at_ms, row.first_epoch, row.horizon_ms)
    connection.execute("INSERT OR REPLACE INTO signer VALUES (?, ?, ?, ?)", values)


def read_watermark(connection: sqlite3.Connection, signer: bytes, kind: Kind) -> int | None:
    """Highest number at or below which only what is recorded is known."""
    row = connection.execute(
        "SELECT slot FROM watermark WHERE signer = ? AND kind = ?", (signer, int(kind))
    ).fetchone()
    return None if row is None else int.from_bytes(row[0], "big")


def raise_watermark(connection: sqlite3.Connection, signer: bytes, kind: Kind, number: int) -> None:
    """Let the watermark be `number` at least."""
    connection.execute(
        "INSERT INTO watermark VALUES (?, ?, ?) "
        "ON CONFLICT (signer, kind) DO UPDATE SET slot = max(slot, excluded.slot)",
        (signer, int(kind), number.to_bytes(SLOT_BYTES, "big")),
    )


def read_memory(connection: sqlite3.Connection, signer: bytes, kind: Kind) -> Memory:
    """Bounds of what the guard remembers of one key and kind: nothing, if it was not made for the key."""
    row = read_signer(connection, signer) or SignerRow(first_epoch=None)
    if kind not in NUMBERED_KINDS:
        return Memory(horizon_ms=row.horizon_ms, made_at_ms=row.made_at_ms)
    if kind is Kind.TASK_ANNOUNCEMENT and row.first_epoch is None:
        return Memory(watermark=NUMBER_MAX)
    return Memory(watermark=read_watermark(connection, signer, kind))


def highest_number(connection: sqlite3.Connection, signer: bytes, kind: Kind) -> int | None:
    """Highest number recorded for a numbered kind."""
    row = connection.execute(
        "SELECT max(slot) FROM signed WHERE signer = ? AND kind = ?", (signer, int(kind))
    ).fetchone()
    return None if row[0] is None else int.from_bytes(row[0], "big")


def begin_anew(connection: sqlite3.Connection, signer: bytes, now_ms: int) -> None:
    """Let nothing be signed that may have been signed until now without this guard's knowledge.

    Offers are numbered by time, tasks say when they were announced, and of epochs enough are sat out.
    """
    row = read_signer(connection, signer) or SignerRow()
    made_at_ms = max(row.made_at_ms, now_ms)
    write_signer(connection, signer, SignerRow(made_at_ms, None, row.horizon_ms))
    raise_watermark(connection, signer, Kind.OFFER, now_ms)


def choose_first_epoch(connection: sqlite3.Connection, signer: bytes, epoch: int) -> int:
    """First epoch in which the key may announce: fixed at the first time that an epoch is known."""
    row = read_signer(connection, signer) or SignerRow(first_epoch=None)
    if row.first_epoch is not None:
        return row.first_epoch
    chosen = first_epoch(epoch)
    write_signer(connection, signer, SignerRow(row.made_at_ms, chosen, row.horizon_ms))
    raise_watermark(connection, signer, Kind.TASK_ANNOUNCEMENT, last_number_before(chosen))
    return chosen


def begin_instance(connection: sqlite3.Connection, signer: bytes, number: int) -> dict[int, int]:
    """Remember the instance number of a start; those of the last `INSTANCES_MAX` starts before, each with the
    sequence of its last peer record.
    """
    rows = connection.execute("SELECT number, sequence FROM instance WHERE signer = ?", (signer,)).fetchall()
    connection.execute(
        "INSERT INTO instance (signer, number, sequence) VALUES (?, ?, 0)",
        (signer, number.to_bytes(INSTANCE_BYTES, "big")),
    )
    connection.execute(
        "DELETE FROM instance WHERE signer = ? AND start NOT IN "
        "(SELECT start FROM instance WHERE signer = ? ORDER BY start DESC LIMIT ?)",
        (signer, signer, INSTANCES_MAX),
    )
    return {int.from_bytes(known, "big"): sequence for known, sequence in rows}


def note_record(connection: sqlite3.Connection, signer: bytes, number: int, sequence: int) -> None:
    """Remember the sequence of an instance's newest peer record."""
    connection.execute(
        "UPDATE instance SET sequence = ? WHERE signer = ? AND number = ?",
        (sequence, signer, number.to_bytes(INSTANCE_BYTES, "big")),
    )
