"""A model package: a diffusers folder whose every byte has a name, a size and a hash.

Is: the manifest, its strict reading, the content address `model_id`, and the check of the files.
Is not: loading a model; this module never opens weights as anything but bytes, and never imports torch.

The `model_id` covers the card and all other files. The manifest is only the list that it is the root of.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from node.inference.packages.diffusers_folder import (
    FAMILIES,
    PRECISION_OF_CLASS,
    SCHEDULERS,
    family_of,
    prompt_tokens_of,
)
from node.inference.packages.errors import PackageError
from node.inference.packages.manifest import (
    MANIFEST_NAME,
    Manifest,
    PackagedFile,
    read_manifest,
    write_manifest,
)
from node.inference.packages.model import Model
from node.inference.packages.table import PackagedTable, table_of
from protocol import model_table
from protocol.errors import DecodeError, InvalidMessage
from protocol.merkle import merkle_root
from protocol.messages import PROMPT_BYTES_MAX
from protocol.model_card import (
    CARD_BYTES_MAX,
    CARD_FILE,
    CARD_FORMAT,
    FILES_MAX,
    ModelCard,
    ProvedCard,
    RequestFile,
    file_leaf,
    is_package_path,
    require_head,
)
from protocol.model_table import ModelHead
from protocol.work import WorkKind

FILE_BYTES_MAX: Final = 64 * 1024**3
READ_BYTES: Final = 1 << 20
PROMPT_CHARACTERS_MAX: Final = 1000
"""Longest prompt where a packager names no number."""
UTF8_BYTES_MAX: Final = 4
"""Most bytes of a character."""

SUFFIXES: Final = frozenset({".json", ".safetensors", ".txt", ".md", ".png"})
"""Endings of a package's files besides its card: numbers and text; no pickle, no `.bin`, no code."""
BARE_NAMES: Final = frozenset({"LICENSE", "NOTICE"})
REQUEST_SUFFIXES: Final = frozenset({".json", ".txt"})
REQUEST_NAMES: Final = ("tokenizer", "chat_template")
"""Beginnings of the folder, or the file, of a text that requests need."""
CLASS_NOT_AUDITABLE: Final = "C"
"""bfloat16: it errs by more than weights of eight bits do, so an audit could not tell a cheat by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A packager's choices; the rest of a card follows from the folder. Fields as those of `ModelCard`."""

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
    prompt_characters_max: int = PROMPT_CHARACTERS_MAX

    @classmethod
    def of(cls, card: ModelCard) -> Settings:
        """Those behind a card, to pack its folder again."""
        return cls(**{field.name: getattr(card, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class ModelPackage(Model):
    """A model on this machine, its manifest read; `verify` says whether the files agree with it.

    :ivar folder: absolute path.
    :ivar files: relative path with forward slashes -> hash and size; the card's is among them.
    :ivar table: what stands under the id beside them.
    """

    folder: Path
    files: dict[str, PackagedFile]
    table: PackagedTable

    @property
    def size_bytes(self) -> int:
        """Bytes of all files together, the manifest not counted."""
        return sum(file.size_bytes for file in self.files.values())

    def proved_card(self) -> ProvedCard:
        """The card with its proof, for whoever has only the id."""
        head, rows_root = self.table
        return ProvedCard.of(self.card.encode(), leaves_of(self.files), head.encode(), rows_root)


def leaves_of(files: dict[str, PackagedFile]) -> list[bytes]:
    """Leaves of a package's tree: the card's first, then the others' in the order of their paths' bytes."""
    ordered = sorted(files.items(), key=lambda item: (item[0] != CARD_FILE, item[0].encode()))
    return [file_leaf(path, file.sha256, file.size_bytes) for path, file in ordered]


def model_id_of(files: dict[str, PackagedFile], table: PackagedTable) -> bytes:
    """The id of a package, 32 bytes: of the Merkle root over `leaves_of` the files, and of the table."""
    return model_table.model_id_of(merkle_root(leaves_of(files)), table.head.encode(), table.rows_root)


def pack(folder: Path, settings: Settings) -> ModelPackage:
    """Write the card, hash every file below `folder`, write the manifest and return the package.

    :raises PackageError: a file that packages may not hold, a link, settings that no card may have, a
        pipeline that is not known, more than the limits allow, or no table of steps for all of it.
    """
    root = _folder(folder)
    paths = [path for path in _walk(root) if path != CARD_FILE]
    files = {path: _hashed(root / path) for path in paths}
    card = _card(root, settings, files)
    _require_known(card)
    content = _encoded(card)
    (root / CARD_FILE).write_bytes(content)
    files[CARD_FILE] = PackagedFile(hashlib.sha256(content).digest(), len(content))
    _check_files(files)
    table = table_of(root)
    write_manifest(root, Manifest(model_id_of(files, table), table.head.encode(), table.rows_root, files))
    return load(root)


def require_packable(folder: Path, settings: Settings) -> None:
    """Look, before hours of work, whether `pack` will take a folder's files and the settings.

    :raises PackageError: as `pack`, for all that shows without reading weights.
    """
    root = _folder(folder)
    paths = {*_walk(root), CARD_FILE}
    _check_files(dict.fromkeys(paths, PackagedFile(bytes(32), 0)))
    card = _card(root, settings, {})
    _require_known(card)
    _encoded(card)


def load(folder: Path) -> ModelPackage:
    """Read manifest and card below `folder`, strictly. The other files are not opened; see `verify`.

    :raises PackageError: no folder, no manifest or card, one too long, of another format, with a missing,
        unknown or ill-typed field, an unsafe path, a `model_id` that is not that of what is listed, or a
        table that does not fit the card.
    """
    root = _folder(folder)
    manifest = read_manifest(root)
    files = manifest.files
    _check_files(files)
    try:
        table = PackagedTable(ModelHead.decode(manifest.head), manifest.rows_root)
        if manifest.model_id != model_id_of(files, table):
            raise PackageError(f"{root / MANIFEST_NAME}: model_id is not that of its files", MANIFEST_NAME)
        card = _read_card(root, files)
        require_head(card, table.head)
    except InvalidMessage as error:
        raise PackageError(f"the package's {error.reason}", MANIFEST_NAME) from error
    _require_known(card)
    for needed in card.request_files:
        if files.get(needed.path) != PackagedFile(needed.sha256, needed.size_bytes):
            raise PackageError(f"{needed.path} is not the file that the card names", needed.path)
    return ModelPackage(manifest.model_id, card, root, files, table)


def verify(package: ModelPackage) -> None:
    """Hash every file again and look for others; compute the table again. Takes seconds per gigabyte.

    :raises PackageError: a file is absent, altered, linked or not in the manifest; names it. Or the table
        is not that of the files.
    """
    present, listed = set(_walk(package.folder)), set(package.files)
    for path in sorted(listed - present):
        raise PackageError(f"{path} is missing", path)
    for path in sorted(present - listed):
        raise PackageError(f"{path} is not in the manifest", path)
    for path, expected in package.files.items():
        if _hashed(package.folder / path) != expected:
            raise PackageError(f"{path} was altered: it is not the file of the manifest", path)
    if table_of(package.folder) != package.table:
        raise PackageError("the table under the package's id is not that of its files", MANIFEST_NAME)


def _folder(folder: Path) -> Path:
    """The absolute path. :raises PackageError: there is no such folder."""
    root = folder.resolve()
    if not root.is_dir():
        raise PackageError(f"there is no folder {root}")
    return root


def _card(root: Path, settings: Settings, files: dict[str, PackagedFile]) -> ModelCard:
    """The card of a folder: what was chosen, and what the folder says."""
    return ModelCard(
        format=CARD_FORMAT,
        family=family_of(root),
        prompt_bytes_max=min(UTF8_BYTES_MAX * settings.prompt_characters_max, PROMPT_BYTES_MAX),
        prompt_tokens_max=prompt_tokens_of(root),
        request_files=tuple(
            RequestFile(path, file.sha256, file.size_bytes)
            for path, file in sorted(files.items())
            if path.startswith(REQUEST_NAMES) and Path(path).suffix in REQUEST_SUFFIXES
        ),
        **{field.name: getattr(settings, field.name) for field in fields(Settings)},
    )


def _encoded(card: ModelCard) -> bytes:
    """:raises PackageError: a value that no card may have, or too long."""
    try:
        card.require_valid()
        content = card.encode()
    except InvalidMessage as error:
        raise PackageError(f"the package's {error.reason}", CARD_FILE) from error
    except ValueError as error:
        raise PackageError(f"the package's card cannot be written: {error}", CARD_FILE) from error
    if len(content) > CARD_BYTES_MAX:
        raise PackageError(f"the package's card is longer than {CARD_BYTES_MAX:,} bytes", CARD_FILE)
    return content


def _read_card(root: Path, files: dict[str, PackagedFile]) -> ModelCard:
    """:raises PackageError: none, another one than the manifest's, or not a card."""
    try:
        with (root / CARD_FILE).open("rb") as file:
            content = file.read(CARD_BYTES_MAX + 1)
    except OSError as error:
        raise PackageError(f"{root / CARD_FILE} cannot be read", CARD_FILE) from error
    if files[CARD_FILE] != PackagedFile(hashlib.sha256(content).digest(), len(content)):
        raise PackageError(f"{CARD_FILE} was altered: it is not the file of the manifest", CARD_FILE)
    try:
        return ModelCard.read(content)
    except (DecodeError, InvalidMessage) as error:
        raise PackageError(f"{CARD_FILE} is not a card: {error}", CARD_FILE) from error


def _require_known(card: ModelCard) -> None:
    """:raises PackageError: the card is for work that this version cannot run or replay; says what it can."""
    if card.family not in FAMILIES:
        raise PackageError(f"{card.family} cannot be run here; {', '.join(sorted(FAMILIES))} can")
    if card.scheduler not in SCHEDULERS:
        raise PackageError(f"{card.scheduler} cannot be replayed; {', '.join(sorted(SCHEDULERS))} can")
    if card.precision_class == CLASS_NOT_AUDITABLE:
        raise PackageError("class C (bfloat16) cannot be audited: it errs by more than 8-bit weights do")
    if card.precision_class not in PRECISION_OF_CLASS:
        raise PackageError(f"precision class {card.precision_class!r} is not A (fp32) or B (fp16)")


def _walk(root: Path) -> list[str]:
    """Return the relative paths of all files below `root` except the manifest; no links, no devices."""
    found = []
    for parent, folders, names in os.walk(root, followlinks=False):
        for name in (*folders, *names):
            mode = (Path(parent) / name).lstat().st_mode
            # A link could lead out of the package, and change after it was checked.
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                path = (Path(parent) / name).relative_to(root).as_posix()
                raise PackageError(
                    f"{path} is a link or a device; a package holds plain files and folders only", path
                )
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
    """Check the list of files. :raises PackageError: a path or size that packages may not have; names it."""
    if not 1 <= len(files) <= FILES_MAX:
        raise PackageError(f"a package has 1 to {FILES_MAX} files, not {len(files):,}")
    if CARD_FILE not in files:
        raise PackageError(f"the package has no {CARD_FILE}", CARD_FILE)
    for path, file in files.items():
        if not is_package_path(path):
            # A stranger may have written it; it must not steer a terminal.
            raise PackageError(
                f"{path!a}: a path in a package has letters, digits and . _ - only, and begins with no dot",
                path,
            )
        allowed = path == CARD_FILE or Path(path).name in BARE_NAMES or Path(path).suffix in SUFFIXES
        if not allowed:
            raise PackageError(
                f"{path}: a package holds files that end in {', '.join(sorted(SUFFIXES))},"
                f" {' and '.join(sorted(BARE_NAMES))} only",
                path,
            )
        if not 0 <= file.size_bytes <= FILE_BYTES_MAX:
            raise PackageError(f"{path} has {file.size_bytes:,} bytes, not 0 to {FILE_BYTES_MAX:,}", path)
