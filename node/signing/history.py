"""The history of what a key has signed: export, import, and taking in what was not known.

Is: whole histories as documents (`interchange`), each change one transaction.
Is not: signing, which is `guard`'s. Everything here is for a stopped node.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node.signing.guard import GuardMissing
from node.signing.guard_file import (
    GuardUnavailable,
    SignerRow,
    begin_anew,
    find_body,
    highest_number,
    hold_guard_file,
    raise_watermark,
    read_signer,
    read_watermark,
    write_signer,
)
from node.signing.interchange import BadHistory, Record, SignerHistory, from_document, to_document
from protocol.guard import NUMBERED_KINDS, TaskTimes
from protocol.messages import Kind
from protocol.statement import Unsigned


def export_history(path: Path) -> dict[str, Any]:
    """Everything that the guard at `path` knows, as an interchange document.

    Only while no node holds the guard; and that node must not run again where it was.

    :raises GuardUnavailable: a node holds it, or it is not a guard's file.
    """
    with _changing(path, "nothing was exported") as connection:
        signers = [bytes(row[0]) for row in connection.execute("SELECT signer FROM signer ORDER BY signer")]
        return to_document([_history(connection, signer) for signer in signers])


def import_history(path: Path, document: object) -> int:
    """Take a history into the guard at `path`, made if it is not there, all of it or nothing.

    Everything that either knows stays known, and the stricter bound of each counts. Per numbered kind, the
    highest number of both becomes a watermark: at or below it, only what is recorded may be signed again.

    :returns: how many statements were new here.
    :raises BadHistory: not a history, or it contradicts what was signed here.
    :raises GuardUnavailable: a node holds the guard, or its file failed; nothing was imported.
    """
    histories = from_document(document)
    with _changing(path, "nothing was imported") as connection:
        return sum(_take(connection, history) for history in histories)


def adopt_statement(
    path: Path, signer: bytes, statement: Unsigned, task: TaskTimes | None, now_ms: int
) -> None:
    """Take in a statement of the key that its guard did not know, and begin anew above all that may exist.

    From then on nothing is signed that another holder of the key may have signed until now.

    :param task: of the task that the statement is about, if it is about one.
    :raises GuardMissing: there is no guard of the key.
    :raises GuardUnavailable: a node holds the guard, or its file failed; nothing was changed.
    """
    if not path.exists():
        raise GuardMissing(f"there is no guard at {path}")
    with _changing(path, "nothing was adopted") as connection:
        if read_signer(connection, signer) is None:
            raise GuardMissing(f"the guard at {path} was not made for 0x{signer.hex()}")
        if find_body(connection, signer, statement.kind, statement.slot) is None:
            times = (task.announced_at_ms, task.deadline_ms) if task is not None else (0, 0)
            _insert(connection, signer, Record(statement.kind, statement.slot, statement.body, *times))
        if statement.kind is Kind.OFFER:
            raise_watermark(connection, signer, Kind.OFFER, int.from_bytes(statement.slot, "big"))
        begin_anew(connection, signer, now_ms)


def _history(connection: sqlite3.Connection, signer: bytes) -> SignerHistory:
    row = read_signer(connection, signer) or SignerRow()
    rows = connection.execute(
        "SELECT kind, slot, body, announced_at_ms, deadline_ms FROM signed WHERE signer = ?", (signer,)
    )
    marks = {kind: read_watermark(connection, signer, kind) for kind in sorted(NUMBERED_KINDS)}
    return SignerHistory(
        signer,
        row.made_at_ms,
        row.first_epoch,
        row.horizon_ms,
        {kind: number for kind, number in marks.items() if number is not None},
        tuple(Record(Kind(kind), slot, body, *times) for kind, slot, body, *times in rows),
    )


def _take(connection: sqlite3.Connection, history: SignerHistory) -> int:
    known = read_signer(connection, history.signer)
    merged = SignerRow(history.made_at_ms, history.first_epoch, history.horizon_ms)
    if known is not None:
        unknown_epoch = known.first_epoch is None or history.first_epoch is None
        merged = SignerRow(
            max(known.made_at_ms, history.made_at_ms),
            None if unknown_epoch else max(known.first_epoch or 0, history.first_epoch or 0),
            max(known.horizon_ms, history.horizon_ms),
        )
    write_signer(connection, history.signer, merged)
    new = sum(_take_record(connection, history.signer, record) for record in history.records)
    for kind in NUMBERED_KINDS:
        highest = highest_number(connection, history.signer, kind)
        for number in (highest, history.watermarks.get(kind)):
            if number is not None:
                raise_watermark(connection, history.signer, kind, number)
    return new


def _take_record(connection: sqlite3.Connection, signer: bytes, record: Record) -> bool:
    body = find_body(connection, signer, record.kind, record.slot)
    if body is None:
        _insert(connection, signer, record)
    elif body != record.body:
        message = f"another {record.kind.name.lower()} was signed here in slot {record.slot.hex()}"
        raise BadHistory(message)
    return body is None


def _insert(connection: sqlite3.Connection, signer: bytes, record: Record) -> None:
    connection.execute(
        "INSERT INTO signed VALUES (?, ?, ?, ?, ?, ?)",
        (
            signer,
            int(record.kind),
            record.slot,
            record.body,
            record.announced_at_ms,
            record.deadline_ms,
        ),
    )


@contextmanager
def _changing(path: Path, nothing: str) -> Iterator[sqlite3.Connection]:
    """The guard's file in one transaction.

    :raises GuardUnavailable: a node holds it, or its file failed.
    """
    with hold_guard_file(path) as connection:
        try:
            with connection:
                connection.execute("BEGIN EXCLUSIVE")
                yield connection
        except sqlite3.Error as error:
            message = f"the equivocation guard at {path} failed ({error}); {nothing}"
            raise GuardUnavailable(message) from error
