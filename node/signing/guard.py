"""The equivocation guard: no key of ours ever signs two different statements in one slot.

Is: check and record in one exclusive transaction of a SQLite file, and only then sign. The same body again
is safe; another body, or any failure to read or write, means *do not sign*. What may be signed is decided in
`protocol/guard`; a history moves to another machine by `history`.
Is not: protection of one key run on two machines, each with a file of its own. Don't do that; a node that
hears of another with its key stops (`node/peer/own_statements`, `node/peer/doppelganger`).

The file is bounded: old numbers go below a watermark, tasks that are over behind a horizon, and neither ever
sinks. Called synchronously on purpose: 0.2 ms, and no await can come between the check and the signature.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from node.signing.guard_file import (
    GUARD_FILE,
    GuardUnavailable,
    SignerRow,
    begin_anew,
    begin_instance,
    choose_first_epoch,
    find_body,
    find_task_times,
    highest_number,
    hold_guard_file,
    note_record,
    raise_watermark,
    read_memory,
    read_signer,
    read_watermark,
    write_signer,
)
from node.signing.keys import Key
from node.system.moved import require_not_moved
from protocol.errors import LocalError
from protocol.guard import NUMBERED_KINDS, Decision, Heard, TaskTimes, decide, judge_heard
from protocol.messages import Kind
from protocol.signature import sign_digest
from protocol.statement import Unsigned

__all__ = [
    "GUARD_FILE",
    "AlreadySigned",
    "Guard",
    "GuardMissing",
    "GuardUnavailable",
    "MustNotSign",
    "make_guard",
    "open_guard",
]

NUMBERED_KEPT: Final = 256
"""Statements of each numbered kind that stay when the older ones go; twice as many are recorded at most."""
TASK_KEPT_MS: Final = 60 * 60 * 1000
"""Statements about a task stay so long after its end; clocks of other nodes may be slow by less."""
TASK_STATEMENTS_MAX: Final = 100_000
"""Statements about tasks that are recorded at most; beyond it nothing is signed until some tasks are over."""

_TASK_KINDS = tuple(kind for kind in Kind if kind.slashable and kind not in NUMBERED_KINDS)


class MustNotSign(LocalError):
    """Signing would contradict an earlier statement, or the guard cannot tell. Nothing was signed."""


class AlreadySigned(MustNotSign):
    """Another body was signed in the slot, or may have been: this statement is never to be signed."""


class GuardMissing(LocalError):
    """There is no guard for this key."""


class Guard:
    """Signs statements of one key, each slot once. Made by `open_guard`."""

    def __init__(self, connection: sqlite3.Connection, key: Key) -> None:
        self._connection = connection
        self._key = key
        self._first_epoch: int | None = None
        self._numbered = {kind: self._count(kind) for kind in NUMBERED_KINDS}
        self._about_tasks = sum(map(self._count, _TASK_KINDS))

    def sign(self, statement: Unsigned, task: TaskTimes | None = None) -> bytes:
        """65-byte signature; kinds that are not slashable are signed without a record.

        :param task: of the task that the statement is about; needed for slashable kinds without a number.
        :raises AlreadySigned: another body was signed in this slot, or may have been.
        :raises MustNotSign: the task's times are missing; too much is recorded; or the file failed.
        """
        if statement.kind.slashable:
            self._record(statement, task)
        return sign_digest(self._key.secret, statement.digest)

    def judge_heard(self, statement: Unsigned, task: TaskTimes | None) -> Heard:
        """Whose a statement is that bears our signature and was heard.

        :param task: as for `sign`; None for a task that this node does not know.
        :raises MustNotSign: the file failed.
        """
        about = (self._key.address, statement.kind, statement.slot)
        with self._reading() as connection:
            previous = find_body(connection, *about)
            memory = read_memory(connection, *about[:2])
            known_times = find_task_times(connection, *about)
        place = _number(statement) if statement.kind in NUMBERED_KINDS else task or known_times
        return judge_heard(previous, statement.body, place, memory)

    def last_statement(self, kind: Kind) -> bytes | None:
        """Body of the statement with the highest number signed for a numbered kind; None before the first.

        :raises MustNotSign: the file failed.
        """
        with self._reading() as connection:
            row = connection.execute(
                "SELECT body FROM signed WHERE signer = ? AND kind = ? ORDER BY slot DESC LIMIT 1",
                (self._key.address, int(kind)),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def next_sequence(self, kind: Kind) -> int:
        """Number after the highest one signed for a numbered kind; 0 at first. Survives `kill -9`.

        :raises MustNotSign: the file failed.
        """
        with self._reading() as connection:
            highest = highest_number(connection, self._key.address, kind)
            watermark = read_watermark(connection, self._key.address, kind)
        return 1 + max(-1 if number is None else number for number in (highest, watermark))

    def first_epoch(self, epoch: int) -> int:
        """First epoch in which this key may announce: 0 for a guard as old as its key.

        :param epoch: the latest now; from it two whole epochs are sat out, counted once.
        :raises MustNotSign: the file failed.
        """
        if self._first_epoch is None:
            with self._writing() as connection:
                chosen = choose_first_epoch(connection, self._key.address, epoch)
            self._first_epoch = chosen
        return self._first_epoch

    def begin_instance(self, number: int) -> dict[int, int]:
        """Remember the number of this start of a node.

        :returns: by the numbers of the starts before it, the sequence of the last peer record of each.
        :raises MustNotSign: the file failed.
        """
        with self._writing() as connection:
            return begin_instance(connection, self._key.address, number)

    def note_record(self, number: int, sequence: int) -> None:
        """Remember the sequence of an instance's peer record, before anybody gets it.

        :raises MustNotSign: the file failed.
        """
        with self._writing() as connection:
            note_record(connection, self._key.address, number, sequence)

    def prune(self, now_ms: int) -> int:
        """Forget statements about tasks that ended more than `TASK_KEPT_MS` ago; call it now and then.

        The horizon rises to the latest end among them and not to `now_ms`: a clock that was once years ahead
        must not keep the key from signing for years.

        :returns: how many went.
        :raises MustNotSign: the file failed.
        """
        with self._writing() as connection:
            address, until_ms = self._key.address, now_ms - TASK_KEPT_MS
            # Numbered kinds have the end 0.
            latest = connection.execute(
                "SELECT max(deadline_ms) FROM signed WHERE signer = ? AND deadline_ms BETWEEN 1 AND ?",
                (address, until_ms),
            ).fetchone()[0]
            row = read_signer(connection, address)
            if latest is None or row is None:
                return 0
            horizon_ms = max(row.horizon_ms, latest)
            write_signer(connection, address, SignerRow(row.made_at_ms, row.first_epoch, horizon_ms))
            gone = connection.execute(
                "DELETE FROM signed WHERE signer = ? AND deadline_ms BETWEEN 1 AND ?", (address, until_ms)
            ).rowcount
        self._about_tasks = sum(map(self._count, _TASK_KINDS))
        return gone

    def _record(self, statement: Unsigned, task: TaskTimes | None) -> None:
        is_numbered = statement.kind in NUMBERED_KINDS
        if not is_numbered and task is None:
            raise MustNotSign("a statement about a task is signed only with the task's times")
        with self._writing() as connection:
            decision = self._decide(connection, statement, task)
            if decision is Decision.SIGN and not is_numbered and self._about_tasks >= TASK_STATEMENTS_MAX:
                message = f"the guard is full: {TASK_STATEMENTS_MAX} statements about tasks are recorded"
                raise MustNotSign(message)
            if decision is Decision.SIGN:
                times = (task.announced_at_ms, task.deadline_ms) if task is not None else (0, 0)
                connection.execute(
                    "INSERT INTO signed VALUES (?, ?, ?, ?, ?, ?)",
                    (self._key.address, int(statement.kind), statement.slot, statement.body, *times),
                )
                if is_numbered and self._numbered[statement.kind] + 1 >= 2 * NUMBERED_KEPT:
                    self._forget_numbers(connection, statement.kind)
        if decision is Decision.REFUSE:
            message = (
                f"another {statement.kind.name.lower()} was or may have been signed in slot "
                f"{statement.slot.hex()}"
            )
            raise AlreadySigned(message)
        if decision is Decision.SIGN and is_numbered:
            self._numbered[statement.kind] = self._count(statement.kind)
        elif decision is Decision.SIGN:
            self._about_tasks += 1

    def _decide(
        self, connection: sqlite3.Connection, statement: Unsigned, task: TaskTimes | None
    ) -> Decision:
        previous = find_body(connection, self._key.address, statement.kind, statement.slot)
        memory = read_memory(connection, self._key.address, statement.kind)
        if statement.kind in NUMBERED_KINDS or task is None:
            return decide(previous, statement.body, _number(statement), memory)
        return decide(previous, statement.body, task, memory)

    def _forget_numbers(self, connection: sqlite3.Connection, kind: Kind) -> None:
        """Leave the highest `NUMBERED_KEPT` of a kind, and so the announcement that the next one names."""
        about = (self._key.address, int(kind))
        highest_gone = connection.execute(
            "SELECT slot FROM signed WHERE signer = ? AND kind = ? ORDER BY slot DESC LIMIT 1 OFFSET ?",
            (*about, NUMBERED_KEPT),
        ).fetchone()
        if highest_gone is not None:
            raise_watermark(connection, self._key.address, kind, int.from_bytes(highest_gone[0], "big"))
            connection.execute(
                "DELETE FROM signed WHERE signer = ? AND kind = ? AND slot <= ?", (*about, highest_gone[0])
            )

    def _count(self, kind: Kind) -> int:
        with self._reading() as connection:
            row = connection.execute(
                "SELECT count(*) FROM signed WHERE signer = ? AND kind = ?", (self._key.address, int(kind))
            ).fetchone()
        return int(row[0])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """:raises MustNotSign: the file failed."""
        try:
            yield self._connection
        except sqlite3.Error as error:
            message = f"the equivocation guard failed ({error}); nothing was signed"
            raise MustNotSign(message) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One exclusive transaction. :raises MustNotSign: the file failed."""
        with self._reading() as connection, connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield connection


def _number(statement: Unsigned) -> int:
    return int.from_bytes(statement.slot, "big")


def make_guard(path: Path, address: bytes, *, made_at_ms: int = 0) -> None:
    """Make the guard of a key, which has none yet.

    :param made_at_ms: now, if the key may have signed before; 0 for one that certainly has not.
    :raises GuardUnavailable: it has one here, a node holds the file, or it failed.
    """
    with hold_guard_file(path) as connection:
        try:
            with connection:
                connection.execute("BEGIN EXCLUSIVE")
                if read_signer(connection, address) is not None:
                    message = f"{path} is a guard of 0x{address.hex()} already"
                    raise GuardUnavailable(message)
                if made_at_ms:
                    begin_anew(connection, address, made_at_ms)
                else:
                    write_signer(connection, address, SignerRow())
        except sqlite3.Error as error:
            message = f"the equivocation guard at {path} cannot be made: {error}"
            raise GuardUnavailable(message) from error


@contextmanager
def open_guard(path: Path, key: Key) -> Iterator[Guard]:
    """The guard on the file at `path`, held exclusively until the context ends.

    :raises GuardMissing: there is no file, or it was not made for this key.
    :raises GuardUnavailable: another process holds it, or it is not a guard's file.
    :raises MustStop: the node has moved away from here.
    """
    if not path.exists():
        raise GuardMissing(f"there is no guard at {path}")
    with hold_guard_file(path) as connection:
        require_not_moved(path.parent)
        if read_signer(connection, key.address) is None:
            raise GuardMissing(f"the guard at {path} was not made for 0x{key.address.hex()}")
        yield Guard(connection, key)
