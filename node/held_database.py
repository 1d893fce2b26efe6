"""An SQLite file that one process holds: what the guard and the ledger of vouchers stand on.

Is: opening with mode 0600, write-ahead log, full synchronisation, and a lock against everybody else.
Is not: what is in it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.files import OWNER_ONLY, OWNER_ONLY_FOLDER
from protocol.errors import LocalError


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
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        message = f"{what} at {path} does not open: {error}"
        raise unavailable(message) from error
    try:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(schema)
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            message = f"{what} at {path} is held by another process or broken: {error}"
            raise unavailable(message) from error
        yield connection
    finally:
        connection.close()
