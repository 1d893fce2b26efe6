"""`manifest.json` of a package: the list of its files, strictly read; the `model_id` is over it.

Is: one JSON document. Is not: under the `model_id`; nothing in it is believed that the id does not confirm.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.inference.packages.errors import PackageError
from protocol.model_table import HEAD_BYTES

MANIFEST_NAME: Final = "manifest.json"
MANIFEST_FORMAT: Final = "cuckoo-model/4"
MANIFEST_BYTES_MAX: Final = 256 * 1024
_HEX_32: Final = re.compile(r"[0-9a-f]{64}")
_HEX: Final = re.compile(r"[0-9a-f]*")
_FIXED: Final = {"model_id": 32, "head": HEAD_BYTES, "rows_root": 32}
_FIELDS: Final = frozenset({"format", *_FIXED, "files"})


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file as the manifest lists it. :ivar sha256: 32 bytes. :ivar size_bytes: its length."""

    sha256: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest's content; nothing in it is checked against anything else.

    :ivar model_id: 32 bytes.
    :ivar head: an encoded `ModelHead`, perhaps.
    :ivar rows_root: of the table of steps, 32 bytes.
    :ivar files: by path.
    """

    model_id: bytes
    head: bytes
    rows_root: bytes
    files: dict[str, PackagedFile]


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write the manifest of a package, whole or not at all."""
    document = {
        "format": MANIFEST_FORMAT,
        "model_id": manifest.model_id.hex(),
        "head": manifest.head.hex(),
        "rows_root": manifest.rows_root.hex(),
        "files": {
            path: {"sha256": file.sha256.hex(), "size_bytes": file.size_bytes}
            for path, file in sorted(manifest.files.items())
        },
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    partial = root / (MANIFEST_NAME + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(root / MANIFEST_NAME)


def read_manifest(root: Path) -> Manifest:
    """The manifest below `root`.

    :raises PackageError: no manifest, one too long, of another format, or with an ill-typed field.
    """
    path = root / MANIFEST_NAME
    document = _read_document(path)
    if document.get("format") != MANIFEST_FORMAT or set(document) != _FIELDS:
        raise PackageError(f"{path} is not a manifest of format {MANIFEST_FORMAT}", MANIFEST_NAME)
    model_id, head, rows_root = (_read_hex(path, document, name) for name in _FIXED)
    listed = document["files"]
    if not isinstance(listed, dict):
        raise PackageError(f"{path} lists no files", MANIFEST_NAME)
    files = {name: _read_file(name, entry) for name, entry in listed.items()}
    return Manifest(model_id, head, rows_root, files)


def _read_hex(path: Path, document: dict[str, Any], name: str) -> bytes:
    """:raises PackageError: the field is not its bytes in hexadecimal."""
    text, length = document[name], _FIXED[name]
    if not isinstance(text, str) or len(text) != 2 * length or not _HEX.fullmatch(text):
        raise PackageError(f"{path}: {name} is not {2 * length} hexadecimal digits", MANIFEST_NAME)
    return bytes.fromhex(text)


def _read_document(path: Path) -> dict[str, Any]:
    """Return the manifest's JSON object; a key that comes twice is refused, not overwritten."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key comes twice")
        return dict(pairs)

    try:
        with path.open("rb") as file:
            text = file.read(MANIFEST_BYTES_MAX + 1)
        if len(text) > MANIFEST_BYTES_MAX:
            raise PackageError(f"{path} is longer than {MANIFEST_BYTES_MAX:,} bytes", MANIFEST_NAME)
        document = json.loads(text.decode(), object_pairs_hook=unique)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}", MANIFEST_NAME) from error
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path} is not a JSON document", MANIFEST_NAME) from error
    if not isinstance(document, dict):
        raise PackageError(f"{path} is not a JSON object", MANIFEST_NAME)
    return document


def _read_file(path: str, entry: object) -> PackagedFile:
    """One entry of the list, of the right types; paths are checked after."""
    fields = entry if isinstance(entry, dict) else {}
    sha256, size_bytes = fields.get("sha256"), fields.get("size_bytes")
    fits = set(fields) == {"sha256", "size_bytes"} and isinstance(sha256, str) and _HEX_32.fullmatch(sha256)
    # `type is`, because JSON's true is an int to isinstance.
    if not fits or type(size_bytes) is not int:
        raise PackageError(f"{MANIFEST_NAME}: the entry of {path!a} is malformed", MANIFEST_NAME)
    return PackagedFile(sha256=bytes.fromhex(str(sha256)), size_bytes=size_bytes)
