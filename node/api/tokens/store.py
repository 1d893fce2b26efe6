"""The file of tokens: their hashes and limits, what each has used by day, and whose each task is.

Is: `tokens.sqlite` in a coordinator's data directory, each table bounded. A token itself stands nowhere.
Is not: a decision whether a request may pass (`desk`).
"""

from __future__ import annotations

import hmac
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from node.api.tokens.caller import Caller, Limits
from node.signing.held_database import hold_database
from protocol.errors import LocalError, Refusal
from protocol.hashing import sha256

TOKENS_FILE: Final = "tokens.sqlite"
TOKENS_MAX: Final = 256
"""Tokens, revoked ones among them, of which the oldest goes for a new one."""
MODELS_MAX: Final = 64
"""Models that one token may be restricted to."""
TASKS_MAX: Final = 20_000
"""Tasks whose owner is remembered; the oldest is forgotten first, and then seen by the operator alone."""
PAYS_MAX: Final = 60_000
"""Promises to a miner for a task, so that one told again counts once; the oldest is forgotten first."""
DAYS_MAX: Final = 400
"""Days of which use is remembered."""
DAY_MS: Final = 24 * 60 * 60 * 1000
EPOCH: Final = date(1970, 1, 1)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tokens (
    token_id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, made_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER NOT NULL DEFAULT 0,
    images_per_day INTEGER NOT NULL, requests_per_minute INTEGER NOT NULL, micro_cai_per_day INTEGER NOT NULL,
    price_max_micro_cai INTEGER NOT NULL, models TEXT NOT NULL, expires_at_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS used (
    token_id TEXT NOT NULL, day INTEGER NOT NULL, requests INTEGER NOT NULL DEFAULT 0,
    images INTEGER NOT NULL DEFAULT 0, spent_wei TEXT NOT NULL DEFAULT '0', PRIMARY KEY (token_id, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, task_id BLOB NOT NULL UNIQUE, token_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS pays (
    number INTEGER PRIMARY KEY AUTOINCREMENT, task_id BLOB NOT NULL, miner BLOB NOT NULL,
    paid_wei TEXT NOT NULL, UNIQUE (task_id, miner)
);
"""


class TokensUnavailable(LocalError):
    """The file of tokens cannot be opened, read or written."""


class TokenRefused(Refusal):
    """A token cannot be made, or there is no such token."""


@dataclass(frozen=True, slots=True)
class Used:
    """A token's use of one day. :ivar day: days since 1970, UTC."""

    day: int
    requests: int = 0
    images: int = 0
    spent_wei: int = 0

    @property
    def date(self) -> str:
        """The day as people write it: 2026-11-30."""
        return (EPOCH + timedelta(days=self.day)).isoformat()


@dataclass(frozen=True, slots=True)
class TokensStatus:
    """:ivar working: tokens. :ivar tasks_owned: tasks whose owner is remembered. :ivar pays: promises that
    are remembered.
    """

    working: int
    tasks_owned: int
    pays: int


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A token as the operator sees it. :ivar revoked_at_ms: 0 for one that works."""

    caller: Caller
    made_at_ms: int
    revoked_at_ms: int


class TokenStore:
    """The store on an open database. Made by `open_tokens`.

    :ivar when_revoked: called with the id of a token that was revoked.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.when_revoked: Callable[[str], None] = lambda _: None
        self._connection = connection
        # A lost count after a power cut is no matter; tokens are synchronised by themselves.
        connection.execute("PRAGMA synchronous = NORMAL")
        self._callers: list[tuple[bytes, Caller]] = []
        self._load()

    # Tokens

    def new(self, name: str, limits: Limits, now_ms: int) -> str:
        """Make a token; returns it, and keeps its hash.

        :raises TokenRefused: the name is of another form or taken, or there are too many.
        """
        if not _NAME.fullmatch(name):
            raise TokenRefused(f"a token's name is up to 64 of A-Z a-z 0-9 . _ -, and {name!a} is not")
        if any(caller.name == name for _, caller in self._callers):
            raise TokenRefused(f"there is a token named {name}; revoke it first, or choose another name")
        if len(limits.models) > MODELS_MAX:
            raise TokenRefused(f"a token is restricted to {MODELS_MAX} models at most")
        if len(self._callers) >= TOKENS_MAX:
            raise TokenRefused(f"there are {TOKENS_MAX} tokens; revoke one first")
        token_id, secret = secrets.token_hex(8), f"ck_{secrets.token_urlsafe(32)}"
        images, rate, spending, price, models, expires = astuple(limits)
        with self._transaction():
            self._connection.execute(
                "DELETE FROM tokens WHERE token_id IN (SELECT token_id FROM tokens WHERE revoked_at_ms != 0 "
                "ORDER BY revoked_at_ms DESC LIMIT -1 OFFSET ?)",
                (TOKENS_MAX - 1 - len(self._callers),),
            )
            self._connection.execute(
                "INSERT INTO tokens VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)",
                (
                    *(token_id, name, sha256(secret.encode()), now_ms),
                    *(images, rate, spending, price, ",".join(models), expires),
                ),
            )
        self._synchronise()
        self._load()
        return secret

    def revoke(self, name: str, now_ms: int) -> None:
        """Let a token be none from now on. :raises TokenRefused: there is no such token."""
        found = [caller for _, caller in self._callers if caller.name == name]
        if not found:
            raise TokenRefused(f"there is no token named {name!a}")
        # Before the file: a request that is under way is refused whatever the disk takes or says.
        self._callers = [item for item in self._callers if item[1].name != name]
        found[0].ended.set()
        try:
            with self._transaction():
                self._connection.execute(
                    "UPDATE tokens SET revoked_at_ms = ?, hash = x'' WHERE token_id = ?",
                    (now_ms, found[0].token_id),
                )
            self._synchronise()
        finally:
            self.when_revoked(found[0].token_id)

    def find(self, secret: bytes, now_ms: int) -> Caller | None:
        """The caller whose token this is, in a time that says nothing of any token."""
        digest, found = sha256(secret), None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found if found is not None and found.works_at(now_ms) else None

    def named(self, name: str, now_ms: int) -> Caller | None:
        """The token of a name, if it works."""
        found = (caller for _, caller in self._callers if caller.name == name)
        return next((caller for caller in found if caller.works_at(now_ms)), None)

    def listed(self) -> list[ListedToken]:
        """All tokens, the newest last."""
        rows = self._connection.execute("SELECT * FROM tokens ORDER BY made_at_ms, token_id").fetchall()
        return [ListedToken(_caller(row), row[3], row[4]) for row in rows]

    def status(self) -> TokensStatus:
        """How full it is."""
        tasks, pays = (
            self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
            for table in ("tasks", "pays")
        )
        return TokensStatus(len(self._callers), tasks, pays)

    # Use

    def count(self, token_id: str, now_ms: int, *, requests: int = 0, images: int = 0) -> None:
        """Count requests and pictures of today; negative numbers take back."""
        with self._transaction():
            self._count(token_id, now_ms // DAY_MS, requests, images, 0)

    def used(self, token_id: str, now_ms: int) -> Used:
        """A token's use of today."""
        day = now_ms // DAY_MS
        return next((item for item in self.used_by_day(token_id, 1) if item.day == day), Used(day))

    def used_by_day(self, token_id: str, days: int) -> list[Used]:
        """A token's use of the last days that had any, the latest first."""
        rows = self._connection.execute(
            "SELECT day, requests, images, spent_wei FROM used WHERE token_id = ? ORDER BY day DESC LIMIT ?",
            (token_id, days),
        )
        return [Used(day, requests, images, int(spent)) for day, requests, images, spent in rows]

    def all_used(self, days: int) -> list[tuple[str, Used]]:
        """Use of all tokens on the last days that had any, by token's id, the latest day first."""
        rows = self._connection.execute(
            "SELECT token_id, day, requests, images, spent_wei FROM used WHERE day IN "
            "(SELECT DISTINCT day FROM used ORDER BY day DESC LIMIT ?) ORDER BY day DESC, token_id",
            (days,),
        )
        return [(row[0], Used(row[1], row[2], row[3], int(row[4]))) for row in rows]

    def note_paid(self, task_id: bytes, miner: bytes, paid_wei: int, now_ms: int) -> None:
        """A miner was promised `paid_wei` for a task in all. Told again, it is not counted again."""
        with self._transaction():
            row = self._connection.execute(
                "SELECT paid_wei FROM pays WHERE task_id = ? AND miner = ?", (task_id, miner)
            ).fetchone()
            more_wei = paid_wei - (int(row[0]) if row else 0)
            if more_wei <= 0:
                return
            run = self._connection.execute
            values = (str(paid_wei), task_id, miner)
            if row:
                # No new number: else one task of many payments would push others out.
                run("UPDATE pays SET paid_wei = ? WHERE task_id = ? AND miner = ?", values)
            else:
                number = run("INSERT INTO pays (paid_wei, task_id, miner) VALUES (?, ?, ?)", values).lastrowid
                run("DELETE FROM pays WHERE number <= ?", ((number or 0) - PAYS_MAX,))
            self._count(self.owner(task_id) or "", now_ms // DAY_MS, 0, 0, more_wei)

    # Whose things are

    def own(self, task_id: bytes, token_id: str) -> None:
        """A task is of a token's order. The first word stands."""
        if self.owner(task_id) is not None:
            return
        with self._transaction():
            run = self._connection.execute
            number = run("INSERT INTO tasks (task_id, token_id) VALUES (?, ?)", (task_id, token_id)).lastrowid
            run("DELETE FROM tasks WHERE number <= ?", ((number or 0) - TASKS_MAX,))

    def owner(self, task_id: bytes) -> str | None:
        """Token of a task's order; None if it is not known."""
        row = self._connection.execute("SELECT token_id FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
        return None if row is None else str(row[0])

    def may_see(self, caller: Caller, task_id: bytes) -> bool:
        """Whether a task is the caller's; all are the operator's."""
        return caller.is_operator or self.owner(task_id) == caller.token_id

    # Internals

    def _load(self) -> None:
        known = {caller.token_id: caller for _, caller in self._callers}
        rows = self._connection.execute("SELECT * FROM tokens WHERE revoked_at_ms = 0").fetchall()
        self._callers = [(bytes(row[2]), known.get(row[0]) or _caller(row)) for row in rows]

    def _count(self, token_id: str, day: int, requests: int, images: int, more_wei: int) -> None:
        run = self._connection.execute
        if not run("SELECT 1 FROM used WHERE token_id = ? AND day = ?", (token_id, day)).fetchone():
            run("INSERT INTO used (token_id, day) VALUES (?, ?)", (token_id, day))
            run("DELETE FROM used WHERE day <= ?", (day - DAYS_MAX,))
        row = run("SELECT spent_wei FROM used WHERE token_id = ? AND day = ?", (token_id, day)).fetchone()
        run(
            "UPDATE used SET requests = requests + ?, images = max(0, images + ?), spent_wei = ? "
            "WHERE token_id = ? AND day = ?",
            (requests, images, str(int(row[0]) + more_wei), token_id, day),
        )

    def _synchronise(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(FULL)")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing. :raises TokensUnavailable: the file failed."""
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            message = f"the file of tokens failed: {error}"
            raise TokensUnavailable(message) from error


def _caller(row: tuple[Any, ...]) -> Caller:
    images, rate, spending, price, models, expires = row[5:]
    limits = Limits(images, rate, spending, price, tuple(models.split(",")) if models else (), expires)
    return Caller(row[0], row[1], limits)


@contextmanager
def open_tokens(path: Path) -> Iterator[TokenStore]:
    """The store on the file at `path`, held until the context ends.

    :raises TokensUnavailable: another process holds it, or it is no such file.
    """
    with hold_database(path, SCHEMA, "the file of tokens", TokensUnavailable) as connection:
        yield TokenStore(connection)
