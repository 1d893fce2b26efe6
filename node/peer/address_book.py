"""The address book on disk: a node that restarts finds its network again, bootnodes or not.

Is: the file `peers.json`, bounded, written whole or not at all, and read with suspicion.
Is not: the book (:mod:`p2p.record_store`). Nothing in the file is believed that is not signed by its peer;
whatever is wrong with it is logged, and the node starts without it.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import structlog
import trio

from node.system.files import write_private
from p2p.record_store import PeerRecords

BOOK_FILE: Final = "peers.json"
BOOK_BYTES_MAX: Final = 16 * 1024 * 1024
"""A file beyond this is not read: 4,096 records of the greatest length take 11 MiB."""
SAVE_INTERVAL_MS: Final = 60_000
"""Time between two saves of a book that has changed, milliseconds."""
_VERSION: Final = 1

log = structlog.get_logger()


def load_book(path: Path, records: PeerRecords) -> None:
    """Fill the book from its file. Logs what is wrong with it, and raises nothing."""
    try:
        if path.stat().st_size > BOOK_BYTES_MAX:
            log.warning("the address book is too large; starting without it", file=str(path))
            return
        entries = _entries(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("the address book cannot be read; starting without it", file=str(path), error=repr(error))
        return
    records.restore(entries)
    if records.counts.restore_failed:
        log.warning(
            "the address book has broken records", file=str(path), count=records.counts.restore_failed
        )
    log.info("address book", records=len(records))


def save_book(path: Path, records: PeerRecords) -> None:
    """Write the book to its file. Logs when it cannot be written, and raises nothing."""
    entries = [
        [base64.b64encode(entry.record.envelope).decode(), entry.heard_from_ip, entry.met]
        for entry in records.entries()
    ]
    try:
        write_private(path, json.dumps({"version": _VERSION, "records": entries}).encode() + b"\n")
    except OSError as error:
        log.warning("the address book cannot be written", file=str(path), error=str(error))


@contextlib.contextmanager
def kept_book(path: Path, records: PeerRecords) -> Iterator[None]:
    """The book filled from its file at first, and written to it at last."""
    load_book(path, records)
    try:
        yield
    finally:
        save_book(path, records)


async def keep_saving(path: Path, records: PeerRecords) -> None:
    """Save the book now and then, until cancelled; a node that is killed has lost a minute of it."""
    saved = 0
    while True:
        await trio.sleep(SAVE_INTERVAL_MS / 1000)
        changes = records.counts.accepted + records.counts.forgotten
        if changes != saved:
            saved = changes
            save_book(path, records)


def _entries(document: Any) -> list[tuple[bytes, str | None, bool]]:
    """:raises ValueError, TypeError, KeyError: it is no such document."""
    if document["version"] != _VERSION:
        raise ValueError("an address book of another version")
    entries = []
    for envelope, heard_from_ip, met in document["records"]:
        if not (heard_from_ip is None or isinstance(heard_from_ip, str)) or not isinstance(met, bool):
            raise TypeError("an entry of other types")
        entries.append((base64.b64decode(envelope, validate=True), heard_from_ip, met))
    return entries
