"""A whole node in one file: everything that must not be lost when it moves, taken at one moment.

Is: the file, a tar archive of the node's key, databases, settings, traces and evidence; its making, which
marks the node as moved, and its reading, all of it or nothing.
Is not: a backup to go back to. A guard from yesterday does not know what was signed since.

Databases are taken by SQLite's backup, which sees what a killed process has written last and `cp` does not:
it stands in the write-ahead log beside the file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from node.auditor.journal import AUDITS_FILE
from node.coordinator.journal_file import JOURNAL_FILE
from node.coordinator.model_names import NAMES_FILE
from node.miner.miner import TRACE_FOLDER, WORK_FOLDER
from node.pay.earnings import EARNINGS_FILE
from node.signing.guard_file import GUARD_FILE, hold_guard_file
from node.system.files import OWNER_ONLY, OWNER_ONLY_FOLDER
from node.system.lifetime import KEY_FILE
from node.system.moved import mark_moved
from protocol.errors import LocalError

DATABASES: Final = (EARNINGS_FILE, AUDITS_FILE, JOURNAL_FILE, NAMES_FILE, "tokens.sqlite")
"""Besides the guard; a node has those of its role."""
FILES: Final = (KEY_FILE, "api-token", "cuckoo.toml")
FOLDERS: Final = (TRACE_FOLDER, WORK_FOLDER, "evidence")
MANIFEST: Final = "manifest.json"
"""The last member: names, lengths and hashes of all others."""
FORMAT: Final = "cuckoo-node"
FORMAT_VERSION: Final = 1
MEMBERS_MAX: Final = 100_000
MEMBER_BYTES_MAX: Final = 16 << 30
ARCHIVE_BYTES_MAX: Final = 64 << 30
MANIFEST_BYTES_MAX: Final = 32 << 20
_COPY_BYTES: Final = 1 << 20
_NAME: Final = re.compile(
    "|".join(
        [
            *map(re.escape, (GUARD_FILE, *DATABASES, *FILES)),
            rf"(?:{'|'.join(FOLDERS)})/[0-9A-Za-z_-][0-9A-Za-z._-]{{0,150}}",
        ]
    )
)


class CannotMove(LocalError):
    """A node cannot be exported or imported; nothing was changed."""


def export_node(folder: Path, file: Path) -> int:
    """Write a stopped node into a file, mode 0600, and mark it as moved.

    The mark is on disk before the file has its name: there is never a file to start a node from beside a data
    directory that starts one. Interrupted, it may be repeated.

    :returns: how many files it holds.
    :raises CannotMove: there is no guard or key there, the file exists, or something cannot be read or
        written.
    :raises GuardUnavailable: a node runs there.
    """
    for needed in (KEY_FILE, GUARD_FILE):
        if not (folder / needed).is_file():
            raise CannotMove(f"there is no {needed} in {folder}: that is not a node to be moved")
    if file.exists():
        raise CannotMove(f"{file} exists already")
    partial = file.with_name(file.name + ".partial")
    try:
        with hold_guard_file(folder / GUARD_FILE) as guard:
            with _private(partial) as stream:
                count = _write_archive(folder, guard, stream, partial.parent)
            mark_moved(folder, file.absolute())
            _sync_folder(folder)
            partial.rename(file)
            _sync_folder(file.parent)
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise CannotMove(f"{folder} cannot be exported: {error}") from error
    return count


def import_node(file: Path, folder: Path) -> int:
    """Read a node from a file into a new data directory, all of it or nothing.

    :returns: how many files it holds.
    :raises CannotMove: it is not such a file or not whole, the directory exists and is not empty, or
        something cannot be read or written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotMove(f"{folder} exists already and is not empty")
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=OWNER_ONLY_FOLDER)
        with tarfile.open(file, "r|") as archive:
            count = _read_archive(archive, partial)
        _sync_folder(partial)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
        _sync_folder(folder.parent)
    except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError, tarfile.TarError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CannotMove(f"{file} cannot be imported: {error}") from error
    except CannotMove:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return count


def _write_archive(folder: Path, guard: sqlite3.Connection, stream: io.BufferedWriter, beside: Path) -> int:
    hashes: dict[str, list[Any]] = {}
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        with tempfile.TemporaryDirectory(dir=beside) as temporary:
            for name in (GUARD_FILE, *DATABASES):
                copy = Path(temporary) / name
                if name == GUARD_FILE:
                    _back_up(guard, copy)
                elif (folder / name).exists():
                    with closing(sqlite3.connect(folder / name)) as opened:
                        _back_up(opened, copy)
                else:
                    continue
                hashes[name] = _add(archive, copy, name)
        for path in _plain_files(folder):
            name = path.relative_to(folder).as_posix()
            hashes[name] = _add(archive, path, name)
        manifest = {"format": FORMAT, "version": FORMAT_VERSION, "files": hashes}
        encoded = json.dumps(manifest).encode()
        member = tarfile.TarInfo(MANIFEST)
        member.size, member.mode = len(encoded), OWNER_ONLY
        archive.addfile(member, io.BytesIO(encoded))
    return len(hashes)


def _plain_files(folder: Path) -> Iterator[Path]:
    for name in FILES:
        if (folder / name).is_file():
            yield folder / name
    for name in FOLDERS:
        for path in sorted((folder / name).glob("*")):
            is_whole = path.is_file() and path.suffix != ".partial"
            if is_whole and _NAME.fullmatch(f"{name}/{path.name}"):
                yield path


def _back_up(source: sqlite3.Connection, path: Path) -> None:
    """:raises sqlite3.Error: it cannot be read, or what was read is damaged."""
    with closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        found = copy.execute("PRAGMA quick_check").fetchone()
    if found != ("ok",):
        raise sqlite3.DatabaseError(f"{path.name} is damaged: {found}")


def _add(archive: tarfile.TarFile, path: Path, name: str) -> list[Any]:
    """Add a file. Its length and SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_COPY_BYTES):
            digest.update(block)
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = file.tell(), OWNER_ONLY, path.stat().st_mtime
        file.seek(0)
        archive.addfile(member, file)
    return [member.size, digest.hexdigest()]


def _read_archive(archive: tarfile.TarFile, folder: Path) -> int:
    found: dict[str, list[Any]] = {}
    total = 0
    for member in archive:
        content = archive.extractfile(member) if member.isreg() else None
        if content is None or member.size > MEMBER_BYTES_MAX or len(found) > MEMBERS_MAX:
            raise CannotMove(f"{member.name!r} does not belong into a node's file")
        if member.name == MANIFEST:
            if member.size > MANIFEST_BYTES_MAX:
                raise CannotMove("the list of what the file holds is too long")
            _require_whole(json.loads(content.read()), found)
            return len(found)
        if not _NAME.fullmatch(member.name) or member.name in found:
            raise CannotMove(f"{member.name!r} does not belong into a node's file")
        total += member.size
        if total > ARCHIVE_BYTES_MAX:
            raise CannotMove(f"the file holds more than {ARCHIVE_BYTES_MAX} bytes")
        found[member.name] = _extract(content, folder / member.name, member.mtime)
    raise CannotMove("the file is not whole: its end is missing")


def _require_whole(manifest: Any, found: dict[str, list[Any]]) -> None:
    if (manifest["format"], manifest["version"]) != (FORMAT, FORMAT_VERSION):
        raise CannotMove("the file is of another format")
    if manifest["files"] != found or not {KEY_FILE, GUARD_FILE} <= found.keys():
        raise CannotMove("the file is not whole: it does not hold what it lists")


def _extract(content: Any, path: Path, modified_s: float) -> list[Any]:
    path.parent.mkdir(exist_ok=True, mode=OWNER_ONLY_FOLDER)
    digest, size = hashlib.sha256(), 0
    with _private(path) as file:
        while block := content.read(_COPY_BYTES):
            digest.update(block)
            size += len(block)
            file.write(block)
    os.utime(path, (modified_s, modified_s))
    return [size, digest.hexdigest()]


@contextmanager
def _private(path: Path) -> Iterator[io.BufferedWriter]:
    """A file for its owner alone, on disk when the context ends."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
