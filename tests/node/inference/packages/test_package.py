"""Model packages: the content address, strict reading, and that nothing unlisted gets in."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inference.packages import package as subject
from node.inference.packages.package import (
    MANIFEST_NAME,
    PackagedFile,
    PackageError,
    load,
    model_id_of,
    pack,
    verify,
)
from protocol.errors import LocalError
from protocol.merkle import merkle_root
from protocol.work import WorkKind
from tests.node.inference.builders import SETTINGS


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "model"
    (root / "unet").mkdir(parents=True)
    (root / "model_index.json").write_text("{}")
    (root / "unet" / "weights.safetensors").write_bytes(b"\x01" * 1000)
    (root / "NOTICE").write_text("whose work this is")
    return root


@pytest.fixture
def packed(folder):
    return pack(folder, SETTINGS)


def edit(folder, change):
    path = folder / MANIFEST_NAME
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_pack_then_load_then_verify(folder, packed):
    verify(packed)
    assert load(folder) == packed
    assert set(packed.files) == {"model_index.json", "unet/weights.safetensors", "NOTICE"}
    assert (packed.width, packed.height, packed.size_bytes) == (32, 32, 1000 + 2 + 18)
    assert (packed.name, packed.licence, packed.default_steps) == ("test-model", "MIT", 20)


def test_model_id_is_the_root_over_sorted_leaves():
    first, second = PackagedFile(b"\x01" * 32, 5), PackagedFile(b"\x02" * 32, 256)
    leaves = [
        b"a\x00" + b"\x01" * 32 + bytes(7) + b"\x05",
        b"b/c\x00" + b"\x02" * 32 + bytes(6) + b"\x01\x00",
    ]
    assert model_id_of({"b/c": second, "a": first}) == merkle_root(leaves)


def test_model_id_does_not_depend_on_the_manifest(folder, packed):
    again = pack(folder, replace(SETTINGS, name="another"))
    assert again.model_id == packed.model_id


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_model_id_names_the_content(one, other):
    ids = [model_id_of({"a.json": PackagedFile(bytes(32), len(data))}) for data in (one, other)]
    assert (ids[0] == ids[1]) == (len(one) == len(other))


def test_altered_file_is_seen(folder, packed):
    (folder / "unet" / "weights.safetensors").write_bytes(b"\x01" * 999 + b"\x02")
    with pytest.raises(PackageError, match="altered"):
        verify(packed)


def test_missing_file_is_seen(folder, packed):
    (folder / "NOTICE").unlink()
    with pytest.raises(PackageError, match="not those"):
        verify(packed)


@pytest.mark.parametrize("name", ["extra.json", "unet/evil.py", "weights.bin", "model.pkl", ".hidden"])
def test_file_outside_the_manifest_is_refused(folder, packed, name):
    (folder / name).write_bytes(b"x")
    with pytest.raises(PackageError, match="not those"):
        verify(packed)


@pytest.mark.parametrize(
    "name", ["a.bin", "a.pkl", "a.pt", "a.ckpt", "a.py", "a.so", "a", ".a.json", "a b.json"]
)
def test_file_of_another_kind_cannot_be_packed(folder, name):
    (folder / name).write_bytes(b"x")
    with pytest.raises(PackageError):
        pack(folder, SETTINGS)


def test_link_out_of_the_folder_is_refused(folder, packed, tmp_path):
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (folder / "model_index.json").unlink()
    (folder / "model_index.json").symlink_to(outside)
    with pytest.raises(PackageError, match="plain files"):
        verify(packed)


def test_linked_folder_is_refused(folder, packed, tmp_path):
    (folder / "unet").rename(tmp_path / "unet")
    (folder / "unet").symlink_to(tmp_path / "unet")
    with pytest.raises(PackageError, match="plain files"):
        verify(packed)


@pytest.mark.usefixtures("packed")
@pytest.mark.parametrize(
    "path",
    [
        "../a.json",
        "/etc/a.json",
        "a/../b.json",
        "a//b.json",
        "a/./b.json",
        "",
        "ä.json",
        "a\\b.json",
        "a\0.json",
    ],
)
def test_unsafe_path_in_the_manifest_is_refused(folder, path):
    edit(folder, lambda document: document["files"].update({path: {"sha256": "00" * 32, "size_bytes": 1}}))
    with pytest.raises(PackageError, match="path"):
        load(folder)


@pytest.mark.usefixtures("packed")
def test_listed_pickle_is_refused(folder):
    edit(folder, lambda document: document["files"].update({"a.bin": {"sha256": "00" * 32, "size_bytes": 1}}))
    with pytest.raises(PackageError, match="kind"):
        load(folder)


@pytest.mark.usefixtures("packed")
def test_class_c_is_refused_with_the_reason(folder):
    edit(folder, lambda document: document.update(precision_class="C"))
    with pytest.raises(PackageError, match="cannot be audited"):
        load(folder)


@pytest.mark.usefixtures("packed")
def test_class_and_kinds_of_work_are_read(folder):
    edit(folder, lambda document: document.update(precision_class="B", work_kinds=["image-to-image"]))
    package = load(folder)
    assert (package.precision_class, package.work_kinds) == ("B", (WorkKind.IMAGE_TO_IMAGE,))


@pytest.mark.usefixtures("packed")
def test_other_list_of_files_needs_another_model_id(folder):
    edit(folder, lambda document: document["files"].pop("NOTICE"))
    with pytest.raises(PackageError, match="model_id"):
        load(folder)


@pytest.mark.usefixtures("packed")
@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(format="cuckoo-model/1"),
        lambda document: document.update(surprise=1),
        lambda document: document.pop("licence"),
        lambda document: document.pop("model_id"),
        lambda document: document.update(name=5),
        lambda document: document.update(name="UPPER"),
        lambda document: document.update(scheduler="PNDMScheduler"),
        lambda document: document.update(default_steps=True),
        lambda document: document.update(default_steps=51),
        lambda document: document.update(steps_max=201),
        lambda document: document.update(steps_max=20.0),
        lambda document: document.update(default_guidance_milli=-1),
        lambda document: document.update(precision_class="D"),
        lambda document: document.update(precision_class=1),
        lambda document: document.update(work_kinds=[]),
        lambda document: document.update(work_kinds="text-to-image"),
        lambda document: document.update(work_kinds=["text-to-speech"]),
        lambda document: document.update(work_kinds=[0]),
        lambda document: document.update(work_kinds=["text-to-image", "text-to-image"]),
        lambda document: document.update(work_kinds=["image-to-image", "text-to-image"]),
        lambda document: document.update(sizes=[]),
        lambda document: document.update(sizes=[[32]]),
        lambda document: document.update(sizes=[[32, "32"]]),
        lambda document: document.update(sizes=[[32, 4096]]),
        lambda document: document.update(sizes=None),
        lambda document: document.update(files=[]),
        lambda document: document.update(files={}),
        lambda document: document["files"].update({"a.json": {"sha256": "00" * 32}}),
        lambda document: document["files"].update({"a.json": {"sha256": "zz" * 32, "size_bytes": 1}}),
        lambda document: document["files"].update({"a.json": {"sha256": "00" * 32, "size_bytes": -1}}),
        lambda document: document["files"].update({"a.json": {"sha256": "00" * 32, "size_bytes": 1.0}}),
        lambda document: document["files"].update({"a.json": 5}),
    ],
)
def test_malformed_manifest_is_refused(folder, change):
    edit(folder, change)
    with pytest.raises(PackageError):
        load(folder)


@pytest.mark.usefixtures("packed")
@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b'{"a": 1, "a": 1}', b"\xff", b"[" * 100_000, b" " * (subject.MANIFEST_BYTES_MAX + 1)],
)
def test_unreadable_manifest_is_refused(folder, text):
    (folder / MANIFEST_NAME).write_bytes(text)
    with pytest.raises(PackageError):
        load(folder)


def test_no_manifest(folder):
    with pytest.raises(PackageError, match="cannot be read"):
        load(folder)


def test_too_many_files(folder, monkeypatch):
    monkeypatch.setattr(subject, "FILES_MAX", 2)
    with pytest.raises(PackageError, match="too many"):
        pack(folder, SETTINGS)


def test_a_broken_package_is_our_own_fault():
    assert issubclass(PackageError, LocalError)
