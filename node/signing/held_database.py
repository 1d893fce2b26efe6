"""An SQLite file that one holder has: what the guard and the ledger of vouchers stand on.

Is: opening with mode 0600, write-ahead log, full synchronisation, and a lock against everybody else.
Is not: what is in it.

A lock on another file beside it decides which process may touch the file at all. SQLite's own locks do not do
for that: of several that open a file at once each can keep the others from it, so that nobody gets it; and
they are a process's, which loses all of them when it closes any descriptor of the file. They are taken as
well, against tools that know nothing of ours.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from node.system.files import OWNER_ONLY, OWNER_ONLY_FOLDER
from protocol.errors import LocalError

LOCK_SUFFIX: Final = ".lock"
"""Of the empty file beside the database whose lock says who holds it."""


@contextmanager
def hold_database(
    path: Path, schema: str, what: str, unavailable: type[LocalError]
) -> Iterator[sqlite3.Connection]:
    """The file at `path`, open and locked against everybody else until the context ends.

    :param schema: statements that make what is missing of its tables.
    :param what: what it is, for the error's text.
    :param unavailable: raised when another process holds it, or it is no such file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
    try:
        lock = os.open(path.with_name(path.name + LOCK_SUFFIX), os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    except OSError as error:
        message = f"{what} at {path} does not open: {error}"
        raise unavailable(message) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"{what} at {path} is held by another process: {error}"
            raise unavailable(message) from error
        with closing(_opened(path, what, unavailable)) as connection:
            try:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.executescript(schema)
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                message = f"{what} at {path} is in use by another program or broken: {error}"
                raise unavailable(message) from error
            yield connection
    finally:
        os.close(lock)  # and so released. The file stays: who removes one, removes the next holder's.


def _opened(path: Path, what: str, unavailable: type[LocalError]) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        return sqlite3.connect(path, timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        message = f"{what} at {path} does not open: {error}"
        raise unavailable(message) from error
