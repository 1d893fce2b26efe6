"""A model package: a diffusers folder whose every byte has a name, a size and a hash.

Is: the manifest, its strict reading, the content address `model_id`, and the check of the files.
Is not: loading a model; this module never opens weights as anything but bytes, and never imports torch.

The `model_id` covers the files, among them the scheduler's configuration and the weights. The limits
and defaults beside them in `manifest.json` are the distributor's advice to whoever runs the package.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from protocol.errors import LocalError
from protocol.merkle import merkle_root
from protocol.work import Work, WorkKind, kind_name, kind_named

MANIFEST_NAME: Final = "manifest.json"
FORMAT: Final = "cuckoo-model/2"
MANIFEST_BYTES_MAX: Final = 256 * 1024
FILES_MAX: Final = 256
FILE_BYTES_MAX: Final = 64 * 1024**3
PATH_CHARACTERS_MAX: Final = 200
NAME_CHARACTERS_MAX: Final = 64
SIZES_MAX: Final = 64
PIXELS_MIN: Final = 8
PIXELS_MAX: Final = 2048
STEPS_MAX: Final = 200
GUIDANCE_MILLI_MAX: Final = 30_000
READ_BYTES: Final = 1 << 20

SUFFIXES: Final = frozenset({".json", ".safetensors", ".txt", ".md", ".png"})
"""What a package may hold: numbers and text. No pickle, no `.bin`, no code of any kind."""
BARE_NAMES: Final = frozenset({"LICENSE", "NOTICE"})
SCHEDULERS: Final = frozenset(
    {"DDIMScheduler", "DPMSolverMultistepScheduler", "FlowMatchEulerDiscreteScheduler"}
)
"""Schedulers whose step can be replayed from the tensors that go into it and those of the step before."""
PRECISION_OF_CLASS: Final = {"A": "fp32", "B": "fp16"}
"""Arithmetic of text model and denoiser by the class of the package."""
CLASS_NOT_AUDITABLE: Final = "C"
"""bfloat16: it errs by more than weights of eight bits do, so an audit could not tell a cheat by them."""

_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_HEX_32: Final = re.compile(r"[0-9a-f]{64}")


class PackageError(LocalError):
    """A model package on this machine is broken, altered or not allowed."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """What the manifest says about one file. :ivar sha256: 32 bytes. :ivar size_bytes: its length."""

    sha256: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a package wants to be run.

    :ivar name: lower-case name to show, at most `NAME_CHARACTERS_MAX` characters.
    :ivar licence: SPDX expression.
    :ivar scheduler: class name, one of `SCHEDULERS`.
    :ivar prng: name of the rule that turns a seed into the initial latent.
    :ivar default_steps: steps when nobody asks for a number, at most `steps_max`.
    :ivar steps_max: most steps one job may ask for, at most `STEPS_MAX`.
    :ivar default_guidance_milli: guidance in thousandths when nobody asks.
    :ivar guidance_milli_max: strongest guidance that a job may ask for.
    :ivar precision_class: one of `PRECISION_OF_CLASS`.
    :ivar work_kinds: kinds of work that it is for, ascending.
    :ivar sizes: allowed (width, height) in pixels, the default one first.
    """

    name: str
    licence: str
    scheduler: str
    prng: str
    default_steps: int
    steps_max: int
    default_guidance_milli: int
    guidance_milli_max: int
    precision_class: str
    work_kinds: tuple[WorkKind, ...]
    sizes: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Check the bounds. :raises PackageError: one is broken."""
        if len(self.name) > NAME_CHARACTERS_MAX or not _NAME.fullmatch(self.name):
            raise PackageError("the package's name is not allowed")
        if not all(0 < len(text) <= NAME_CHARACTERS_MAX for text in (self.licence, self.prng)):
            raise PackageError("the package's licence or PRNG is not named")
        if self.scheduler not in SCHEDULERS:
            raise PackageError("the package's scheduler cannot be replayed")
        if self.precision_class == CLASS_NOT_AUDITABLE:
            raise PackageError("class C (bfloat16) cannot be audited: it errs by more than 8-bit weights do")
        if self.precision_class not in PRECISION_OF_CLASS:
            raise PackageError("the package's precision class is not A (fp32) or B (fp16)")
        if not self.work_kinds or list(self.work_kinds) != sorted(set(self.work_kinds)):
            raise PackageError("the package's kinds of work are not allowed")
        if not 1 <= self.default_steps <= self.steps_max <= STEPS_MAX:
            raise PackageError("the package's step limits are not allowed")
        if not 0 <= self.default_guidance_milli <= self.guidance_milli_max <= GUIDANCE_MILLI_MAX:
            raise PackageError("the package's guidance limits are not allowed")
        sides = [side for size in self.sizes for side in size]
        if not 1 <= len(self.sizes) <= SIZES_MAX or not all(
            PIXELS_MIN <= side <= PIXELS_MAX for side in sides
        ):
            raise PackageError("the package's image sizes are not allowed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage(Settings):
    """A package whose manifest has been read; `verify` says whether the files agree with it.

    :ivar folder: absolute path on this machine.
    :ivar model_id: 32 bytes, the content address that tasks name.
    :ivar files: relative path with forward slashes -> hash and size.
    """

    folder: Path
    model_id: bytes
    files: dict[str, PackagedFile]

    @property
    def width(self) -> int:
        """Default width in pixels."""
        return self.sizes[0][0]

    @property
    def height(self) -> int:
        """Default height in pixels."""
        return self.sizes[0][1]

    @property
    def default_work(self) -> Work:
        """An image at the default size and steps, of the package's first kind of work."""
        return Work.image(self.work_kinds[0], self.width, self.height, self.default_steps)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files together, the manifest not counted."""
        return sum(file.size_bytes for file in self.files.values())


def model_id_of(files: dict[str, PackagedFile]) -> bytes:
    """Return the Merkle root over the files in the order of their paths' bytes, 32 bytes.

    A leaf is the UTF-8 path, a zero byte, the SHA-256 and the size as 8 bytes big-endian.
    """
    ordered = sorted(files.items(), key=lambda item: item[0].encode())
    return merkle_root(
        [path.encode() + b"\x00" + file.sha256 + file.size_bytes.to_bytes(8, "big") for path, file in ordered]
    )


def pack(folder: Path, settings: Settings) -> ModelPackage:
    """Hash every file below `folder`, write the manifest and return the package.

    :raises PackageError: a file that packages may not hold, a link, or more than the limits allow.
    """
    root = folder.resolve()
    files = {path: _hashed(root / path) for path in _walk(root)}
    _check_files(files)
    document = {
        "format": FORMAT,
        "model_id": model_id_of(files).hex(),
        **{field.name: getattr(settings, field.name) for field in fields(Settings)},
        "work_kinds": [kind_name(kind) for kind in settings.work_kinds],
        "files": {
            path: {"sha256": file.sha256.hex(), "size_bytes": file.size_bytes}
            for path, file in sorted(files.items())
        },
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    partial = root / (MANIFEST_NAME + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(root / MANIFEST_NAME)
    return load(root)


def load(folder: Path) -> ModelPackage:
    """Read the manifest below `folder`, strictly. The files themselves are not opened; see `verify`.

    :raises PackageError: no manifest, one too long, of another format, with a missing, unknown or
        ill-typed field, an unsafe path, or a `model_id` that is not the root over its own list.
    """
    root = folder.resolve()
    document = _read_manifest(root / MANIFEST_NAME)
    settings = _read_settings(document)
    files = _read_files(document.get("files"))
    _check_files(files)
    known = {"format", "model_id", "files", *settings}
    if document.get("format") != FORMAT or set(document) != known:
        raise PackageError("the manifest has another format")
    if document["model_id"] != model_id_of(files).hex():
        raise PackageError("the manifest's model_id is not that of its files")
    return ModelPackage(**settings, folder=root, model_id=model_id_of(files), files=files)


def verify(package: ModelPackage) -> None:
    """Hash every file again and look for others. Reads the whole package: seconds per gigabyte.

    :raises PackageError: a file is absent, altered, linked or not in the manifest.
    """
    present = set(_walk(package.folder))
    if present != set(package.files):
        raise PackageError("the package's files are not those of its manifest")
    for path, expected in package.files.items():
        if _hashed(package.folder / path) != expected:
            raise PackageError(f"{path} was altered: it is not the file of the manifest")


def _walk(root: Path) -> list[str]:
    """Return the relative paths of all files below `root` except the manifest; no links, no devices."""
    found = []
    for parent, folders, names in os.walk(root, followlinks=False):
        for name in (*folders, *names):
            mode = (Path(parent) / name).lstat().st_mode
            # A link could lead out of the package, and change after it was checked.
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise PackageError("a package holds plain files and folders only")
        found += [(Path(parent) / name).relative_to(root).as_posix() for name in names]
    return sorted(path for path in found if path != MANIFEST_NAME)


def _hashed(path: Path) -> PackagedFile:
    """Return the hash and size of one file."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
            size_bytes += len(part)
    return PackagedFile(sha256=digest.digest(), size_bytes=size_bytes)


def _check_files(files: dict[str, PackagedFile]) -> None:
    """Check the list of files. :raises PackageError: a path or size that packages may not have."""
    if not 1 <= len(files) <= FILES_MAX:
        raise PackageError("a package has too few or too many files")
    for path, file in files.items():
        parts = path.split("/")
        if len(path) > PATH_CHARACTERS_MAX or not all(_PART.fullmatch(part) for part in parts):
            raise PackageError("a path in the package is not allowed")
        if parts[-1] not in BARE_NAMES and Path(path).suffix not in SUFFIXES:
            raise PackageError("a package holds no such kind of file")
        if not 0 <= file.size_bytes <= FILE_BYTES_MAX:
            raise PackageError("a file of the package is too large")


def _read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest's JSON object; a key that comes twice is refused, not overwritten."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key comes twice")
        return dict(pairs)

    try:
        with path.open("rb") as file:
            text = file.read(MANIFEST_BYTES_MAX + 1)
        if len(text) > MANIFEST_BYTES_MAX:
            raise PackageError("the manifest is too long")
        document = json.loads(text.decode(), object_pairs_hook=unique)
    except (OSError, ValueError, RecursionError) as error:
        raise PackageError("the manifest cannot be read") from error
    if not isinstance(document, dict):
        raise PackageError("the manifest has another format")
    return document


def _read_settings(document: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `Settings` from the manifest, of the right types; bounds come after."""
    values: dict[str, Any] = {}
    for field in fields(Settings):
        value = document.get(field.name)
        if field.name == "sizes":
            value = _read_sizes(value)
        elif field.name == "work_kinds":
            value = _read_work_kinds(value)
        # `type is`, because JSON's true is an int to isinstance.
        elif type(value) is not (int if field.type == "int" else str):
            raise PackageError("a field of the manifest is missing or malformed")
        values[field.name] = value
    return values


def _read_work_kinds(value: object) -> tuple[WorkKind, ...]:
    """Return the kinds of work of the manifest; their order is looked at after."""
    kinds = []
    for name in value if isinstance(value, list) else [None]:
        if not isinstance(name, str):
            raise PackageError("the manifest's kinds of work are malformed")
        try:
            kinds.append(kind_named(name))
        except ValueError as error:
            raise PackageError("the manifest's kinds of work are malformed") from error
    return tuple(kinds)


def _read_sizes(value: object) -> tuple[tuple[int, int], ...]:
    """Return the image sizes of the manifest, of the right types."""
    sizes = []
    for pair in value if isinstance(value, list) else [None]:
        if not isinstance(pair, list) or [type(side) for side in pair] != [int, int]:
            raise PackageError("the manifest's image sizes are malformed")
        sizes.append((pair[0], pair[1]))
    return tuple(sizes)


def _read_files(listed: object) -> dict[str, PackagedFile]:
    """Return the manifest's list of files, of the right types; paths are checked after."""
    if not isinstance(listed, dict):
        raise PackageError("the manifest lists no files")
    files = {}
    for path, entry in listed.items():
        if not isinstance(entry, dict) or set(entry) != {"sha256", "size_bytes"}:
            raise PackageError("a file of the manifest is malformed")
        sha256, size_bytes = entry["sha256"], entry["size_bytes"]
        if type(size_bytes) is not int or not isinstance(sha256, str) or not _HEX_32.fullmatch(sha256):
            raise PackageError("a file of the manifest is malformed")
        files[path] = PackagedFile(sha256=bytes.fromhex(sha256), size_bytes=size_bytes)
    return files
