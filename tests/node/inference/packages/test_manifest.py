"""The list of a package's files: read strictly, whoever wrote it."""

import json

import pytest

from node.inference.packages.errors import PackageError
from node.inference.packages.manifest import (
    MANIFEST_BYTES_MAX,
    MANIFEST_FORMAT,
    MANIFEST_NAME,
    Manifest,
    PackagedFile,
    read_manifest,
    write_manifest,
)

FILES = {"b/c.json": PackagedFile(b"\x01" * 32, 5), "a.json": PackagedFile(b"\x02" * 32, 0)}
MANIFEST = Manifest(b"\x07" * 32, b"\x08" * 12, b"\x09" * 32, FILES)


def test_what_is_written_is_read(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST_NAME]


def test_it_says_nothing_else(tmp_path):
    """Limits in it would be outside the id."""
    write_manifest(tmp_path, MANIFEST)
    fields = {"format", "model_id", "head", "rows_root", "files"}
    assert set(json.loads((tmp_path / MANIFEST_NAME).read_text())) == fields


def changed(**changes):
    entry = {"sha256": "01" * 32, "size_bytes": 5}
    fixed = {"model_id": "07" * 32, "head": "08" * 12, "rows_root": "09" * 32}
    return {"format": MANIFEST_FORMAT, **fixed, "files": {"a.json": entry}} | changes


def with_entry(entry):
    return changed(files={"a.json": entry})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed(format="cuckoo-model/3"), "{} is not a manifest of format cuckoo-model/4"),
        (changed(surprise=1), "{} is not a manifest of format cuckoo-model/4"),
        (changed(steps_max=5), "{} is not a manifest of format cuckoo-model/4"),
        ({"format": MANIFEST_FORMAT}, "{} is not a manifest of format cuckoo-model/4"),
        (changed(model_id=5), "{}: model_id is not 64 hexadecimal digits"),
        (changed(model_id="00"), "{}: model_id is not 64 hexadecimal digits"),
        (changed(model_id="0G" * 32), "{}: model_id is not 64 hexadecimal digits"),
        (changed(head="08" * 13), "{}: head is not 24 hexadecimal digits"),
        (changed(rows_root=None), "{}: rows_root is not 64 hexadecimal digits"),
        (changed(files=[]), "{} lists no files"),
        (with_entry(5), "manifest.json: the entry of 'a.json' is malformed"),
        (with_entry({"sha256": "00" * 32}), "manifest.json: the entry of 'a.json' is malformed"),
        (
            with_entry({"sha256": "zz" * 32, "size_bytes": 1}),
            "manifest.json: the entry of 'a.json' is malformed",
        ),
        (
            with_entry({"sha256": "00" * 32, "size_bytes": 1.0}),
            "manifest.json: the entry of 'a.json' is malformed",
        ),
        (
            with_entry({"sha256": "00" * 32, "size_bytes": True}),
            "manifest.json: the entry of 'a.json' is malformed",
        ),
        ([], "{} is not a JSON object"),
    ],
)
def test_malformed(tmp_path, document, message):
    path = tmp_path / MANIFEST_NAME
    path.write_text(json.dumps(document))
    with pytest.raises(PackageError) as caught:
        read_manifest(tmp_path)
    assert (str(caught.value), caught.value.path) == (message.format(path), MANIFEST_NAME)


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": 1, "a": 1}', b"\xff", b"[" * 100_000])
def test_no_document(tmp_path, text):
    (tmp_path / MANIFEST_NAME).write_bytes(text)
    with pytest.raises(PackageError, match="is not a JSON document"):
        read_manifest(tmp_path)


def test_too_long(tmp_path):
    (tmp_path / MANIFEST_NAME).write_bytes(b" " * (MANIFEST_BYTES_MAX + 1))
    with pytest.raises(PackageError, match="is longer than 262,144 bytes"):
        read_manifest(tmp_path)


def test_absent(tmp_path):
    with pytest.raises(PackageError, match="cannot be read: No such file or directory"):
        read_manifest(tmp_path)
