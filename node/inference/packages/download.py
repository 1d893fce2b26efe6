"""A model package from elsewhere: taken piece by piece, continued where it broke off, never just believed.

Is: the download itself, from any source that gives bytes of named files; every file is held against the
manifest, and the manifest against the `model_id` that the caller asked for. Is not: a source; see
`model_sources`.

Until all of it is right, it lies in a folder whose name ends in `.partial`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import trio

from node.inference.packages.errors import PackageError
from node.inference.packages.manifest import (
    MANIFEST_BYTES_MAX,
    MANIFEST_NAME,
    PackagedFile,
    read_manifest,
)
from node.inference.packages.package import READ_BYTES, ModelPackage, load, verify
from node.inference.packages.preflight import require_disk
from protocol.errors import Refusal
from protocol.model_card import CARD_BYTES_MAX, CARD_FILE

PARTIAL: Final = ".partial"
ATTEMPTS_MAX: Final = 5
"""Times that a file is taken up again without a byte of progress in between."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told the file's path, the bytes of the whole package that are here, and how many there will be."""


class SourceFailed(Refusal):
    """The source broke off or does not have it; trying again may help."""


class WrongContent(PackageError):
    """Another file came than was asked for. :ivar path: the file; the manifest or one of its files."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.path = path


class Source(Protocol):
    """Where a package comes from."""

    def read(self, path: str, offset: int) -> AbstractAsyncContextManager[AsyncGenerator[bytes, None]]:
        """The bytes of a file from `offset` on, in pieces. Raises `SourceFailed` on entering or between."""


async def download(source: Source, model_id: bytes, destination: Path, progress: Progress) -> ModelPackage:
    """Bring the package `model_id` to the folder `destination`, or continue what an earlier try began.

    :raises SourceFailed: the source cannot give all of it; what came stays for the next try.
    :raises WrongContent: a file, or the manifest, is not the one that the id stands for; it was removed.
    :raises DoesNotFit: the disk is too full.
    :raises PackageError: `destination` is something else already, or the manifest is not a manifest.
    """
    installed = _installed(destination, model_id)
    if installed is not None:
        return installed
    partial = destination.with_name(destination.name + PARTIAL)
    partial.mkdir(parents=True, exist_ok=True)
    package = await _manifest_and_card(source, model_id, partial)
    here = {path: _size(partial / path) for path in package.files}
    require_disk(partial, package.size_bytes - sum(here.values()))
    for path, expected in package.files.items():

        def told(size_bytes: int, path: str = path) -> None:
            here[path] = size_bytes
            progress(path, sum(here.values()), package.size_bytes)

        await _file(source, path, partial, expected, told)
    _remove_unlisted(partial, package)
    await trio.to_thread.run_sync(verify, package)
    partial.rename(destination)
    return load(destination)


async def download_files(source: Source, files: Mapping[str, PackagedFile], folder: Path) -> None:
    """Bring some files of a package to `folder`, each held against its hash; those that are there stay.

    :raises SourceFailed, WrongContent, DoesNotFit: as `download`.
    """
    require_disk(folder, sum(file.size_bytes for file in files.values()))
    for path, expected in files.items():
        await _file(source, path, folder, expected, lambda _: None)


def _installed(destination: Path, model_id: bytes) -> ModelPackage | None:
    """The package at the destination. :raises PackageError: not this package, or not whole."""
    if not destination.exists():
        return None
    package = load(destination)
    if package.model_id != model_id:
        raise PackageError(f"{destination} holds another model")
    verify(package)
    return package


async def _manifest_and_card(source: Source, model_id: bytes, partial: Path) -> ModelPackage:
    """The two, kept from an earlier try or fetched: what cannot run here is refused before weights come."""
    path = partial / MANIFEST_NAME
    if not path.exists():
        data = bytearray()
        async with source.read(MANIFEST_NAME, 0) as given, aclosing(given) as pieces:
            async for piece in pieces:
                data += piece
                if len(data) > MANIFEST_BYTES_MAX:
                    raise WrongContent(MANIFEST_NAME, "is too long")
        path.write_bytes(data)
    try:
        manifest = read_manifest(partial)
        files = manifest.files
        if manifest.model_id != model_id:
            raise WrongContent(MANIFEST_NAME, "is that of another model")
        if CARD_FILE in files and files[CARD_FILE].size_bytes <= CARD_BYTES_MAX:
            await _file(source, CARD_FILE, partial, files[CARD_FILE], lambda _: None)
        package = load(partial)
    except PackageError:
        path.unlink()
        raise
    return package


async def _file(
    source: Source, path: str, folder: Path, expected: PackagedFile, told: Callable[[int], None]
) -> None:
    """One file, whole and right."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while (size := _size(target)) < expected.size_bytes or not target.exists():
        try:
            await _append(source, path, target, expected, told)
        except SourceFailed:
            failures = 0 if _size(target) > size else failures + 1
            if failures >= ATTEMPTS_MAX:
                raise
    digest = await trio.to_thread.run_sync(_digest, target)
    if digest != expected.sha256 or _size(target) != expected.size_bytes:
        target.unlink()
        raise WrongContent(path, "is not the file of the manifest: its SHA-256 is another; it was removed")
    told(expected.size_bytes)


async def _append(
    source: Source, path: str, target: Path, expected: PackagedFile, told: Callable[[int], None]
) -> None:
    """Take up a file where it ends."""
    size = _size(target)
    with target.open("ab") as file:
        if not expected.size_bytes:
            return
        async with source.read(path, size) as given, aclosing(given) as pieces:
            async for piece in pieces:
                size += len(piece)
                if size > expected.size_bytes:
                    raise WrongContent(path, "is longer than the manifest says")
                file.write(piece)
                told(size)
    if size < expected.size_bytes:
        raise SourceFailed(f"{path} broke off")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
    return digest.digest()


def _remove_unlisted(folder: Path, package: ModelPackage) -> None:
    """Files that an earlier manifest may have brought."""
    for path in folder.iterdir():
        listed = {MANIFEST_NAME, *(name.split("/", maxsplit=1)[0] for name in package.files)}
        if path.name not in listed:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
