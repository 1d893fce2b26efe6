"""Model packages: the content address, strict reading, and that nothing unlisted gets in."""

import hashlib
import json
import shutil
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inference.diffusion.replay import REPLAY_NAME
from node.inference.packages import package as subject
from node.inference.packages.errors import PackageError
from node.inference.packages.manifest import (
    MANIFEST_NAME,
    Manifest,
    PackagedFile,
    write_manifest,
)
from node.inference.packages.package import Settings, load, model_id_of, pack, verify
from node.inference.packages.table import PackagedTable
from protocol.errors import LocalError
from protocol.merkle import merkle_root
from protocol.model_card import CARD_FILE, RequestFile
from protocol.work import WorkKind
from tests.node.inference.builders import SETTINGS, TABLE, card, write_parts


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "model"
    write_parts(root)
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


def rewrite(folder, packed, files=None, head=None, rows_root=None):
    """A manifest that agrees with itself, as whoever makes packages by hand could write."""
    files, (known, root) = files or packed.files, packed.table
    table = PackagedTable(head or known, rows_root or root)
    write_manifest(folder, Manifest(model_id_of(files, table), table.head.encode(), table.rows_root, files))


def test_pack_then_load_then_verify(folder, packed):
    verify(packed)
    assert load(folder) == packed
    card_bytes = packed.files[CARD_FILE].size_bytes
    parts = {"model_index.json", "unet/config.json", "vae/config.json", REPLAY_NAME}
    assert set(packed.files) == {CARD_FILE, "unet/weights.safetensors", "NOTICE", *parts}
    parts_bytes = sum((folder / part).stat().st_size for part in parts)
    sizes = (packed.width, packed.height, packed.size_bytes)
    assert sizes == (32, 32, 1000 + parts_bytes + 18 + card_bytes)
    assert packed.card == card(SETTINGS)


def test_model_id_is_over_the_card_and_sorted_leaves_and_the_table():
    first, second = PackagedFile(b"\x01" * 32, 5), PackagedFile(b"\x02" * 32, 256)
    leaves = [
        b"card.cbor\x00" + b"\x01" * 32 + bytes(7) + b"\x05",
        b"a\x00" + b"\x01" * 32 + bytes(7) + b"\x05",
        b"b/c\x00" + b"\x02" * 32 + bytes(6) + b"\x01\x00",
    ]
    content = b"cuckoo/model/1\x00" + merkle_root(leaves) + TABLE.head.encode() + TABLE.rows_root
    files = {"b/c": second, "a": first, "card.cbor": first}
    assert model_id_of(files, TABLE) == hashlib.sha256(content).digest()


OTHER_SETTINGS = {
    "name": "another",
    "licence": "Apache-2.0",
    "scheduler": "DPMSolverMultistepScheduler",
    "prng": "another/1",
    "default_steps": 21,
    "steps_max": 51,
    "default_guidance_milli": 4001,
    "guidance_milli_max": 20_001,
    "precision_class": "B",
    "work_kinds": (WorkKind.IMAGE_TO_IMAGE,),
    "sizes": ((32, 32),),
    "prompt_characters_max": 999,
}


@pytest.mark.parametrize("field", [field.name for field in fields(Settings)])
def test_other_settings_are_another_model(folder, packed, field):
    again = pack(folder, replace(SETTINGS, **{field: OTHER_SETTINGS[field]}))
    assert again.model_id != packed.model_id
    assert Settings.of(again.card) == replace(SETTINGS, **{field: OTHER_SETTINGS[field]})


def test_packing_again_gives_the_same_bytes(folder, packed):
    assert pack(folder, SETTINGS) == packed


def test_what_requests_need_stands_in_the_card(folder):
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"model_max_length": 77}')
    (folder / "text_encoder").mkdir()
    (folder / "text_encoder" / "config.json").write_text('{"max_position_embeddings": 64}')
    made = pack(folder, SETTINGS).card
    listed = {item.path: (item.sha256, item.size_bytes) for item in made.request_files}
    assert listed == {
        "tokenizer/tokenizer.json": (hashlib.sha256(b"{}").digest(), 2),
        "tokenizer/tokenizer_config.json": (hashlib.sha256(b'{"model_max_length": 77}').digest(), 24),
    }
    assert made.prompt_tokens_max == 64


def test_the_proved_card_is_that_of_the_id(packed):
    assert packed.proved_card().open(packed.model_id) == packed.card


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_model_id_names_the_content(one, other):
    ids = [model_id_of({"a.json": PackagedFile(bytes(32), len(data))}, TABLE) for data in (one, other)]
    assert (ids[0] == ids[1]) == (len(one) == len(other))


def test_altered_file_is_seen(folder, packed):
    (folder / "unet" / "weights.safetensors").write_bytes(b"\x01" * 999 + b"\x02")
    with pytest.raises(PackageError, match="altered"):
        verify(packed)


def test_missing_file_is_seen(folder, packed):
    (folder / "NOTICE").unlink()
    with pytest.raises(PackageError, match=r"^NOTICE is missing$"):
        verify(packed)


@pytest.mark.parametrize("name", ["extra.json", "unet/evil.py", "weights.bin", "model.pkl", ".hidden"])
def test_file_outside_the_manifest_is_refused(folder, packed, name):
    (folder / name).write_bytes(b"x")
    with pytest.raises(PackageError) as caught:
        verify(packed)
    assert (str(caught.value), caught.value.path) == (f"{name} is not in the manifest", name)


@pytest.mark.parametrize(
    "name", ["a.bin", "a.pkl", "a.pt", "a.ckpt", "a.py", "a.so", "a", ".a.json", "a b.json", "other.cbor"]
)
def test_file_of_another_kind_cannot_be_packed(folder, name):
    (folder / name).write_bytes(b"x")
    with pytest.raises(PackageError) as caught:
        pack(folder, SETTINGS)
    assert caught.value.path == name
    assert name in str(caught.value)


def test_link_out_of_the_folder_is_refused(folder, packed, tmp_path):
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (folder / "model_index.json").unlink()
    (folder / "model_index.json").symlink_to(outside)
    with pytest.raises(
        PackageError, match=r"^model_index\.json is a link or a device; .* plain files and folders"
    ):
        verify(packed)


def test_linked_folder_is_refused(folder, packed, tmp_path):
    (folder / "unet").rename(tmp_path / "unet")
    (folder / "unet").symlink_to(tmp_path / "unet")
    with pytest.raises(PackageError, match=r"^unet is a link or a device"):
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
    with pytest.raises(PackageError, match=r"^a\.bin: a package holds files that end in"):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"precision_class": "C"},
            "class C (bfloat16) cannot be audited: it errs by more than 8-bit weights do",
        ),
        ({"precision_class": "D"}, "precision class 'D' is not A (fp32) or B (fp16)"),
        (
            {"scheduler": "PNDMScheduler"},
            (
                "PNDMScheduler cannot be replayed; DDIMScheduler, DPMSolverMultistepScheduler,"
                " FlowMatchEulerDiscreteScheduler can"
            ),
        ),
        ({"name": "UPPER"}, "the package's card: name is not allowed"),
        ({"default_steps": 51}, "the package's card: default_steps or steps_max"),
        ({"sizes": ((32, 4096),)}, "the package's card: sizes"),
    ],
)
def test_settings_that_no_package_may_have(folder, changes, message):
    with pytest.raises(PackageError) as caught:
        pack(folder, replace(SETTINGS, **changes))
    assert str(caught.value) == message


def test_a_card_cannot_be_exchanged(folder, packed, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    pack(other, replace(SETTINGS, steps_max=60))
    shutil.copy(other / CARD_FILE, folder / CARD_FILE)
    with pytest.raises(PackageError, match=r"^card\.cbor was altered"):
        load(folder)


def test_a_card_that_names_another_file_than_the_package_has(folder, packed):
    needed = (RequestFile("NOTICE", bytes(32), 18),)
    content = replace(packed.card, request_files=needed).encode()
    (folder / CARD_FILE).write_bytes(content)
    files = packed.files | {CARD_FILE: PackagedFile(hashlib.sha256(content).digest(), len(content))}
    rewrite(folder, packed, files=files)
    with pytest.raises(PackageError, match=r"^NOTICE is not the file that the card names$"):
        load(folder)


def test_a_folder_without_a_card(folder, packed):
    files = {path: file for path, file in packed.files.items() if path != CARD_FILE}
    rewrite(folder, packed, files=files)
    with pytest.raises(PackageError, match=r"^the package has no card\.cbor$"):
        load(folder)


def test_no_such_folder(tmp_path):
    for what in (load, lambda folder: pack(folder, SETTINGS)):
        with pytest.raises(PackageError, match=r"^there is no folder "):
            what(tmp_path / "absent")


@pytest.mark.usefixtures("packed")
def test_other_list_of_files_needs_another_model_id(folder):
    edit(folder, lambda document: document["files"].pop("NOTICE"))
    with pytest.raises(PackageError, match="model_id"):
        load(folder)


@pytest.mark.usefixtures("packed")
def test_sizes_and_numbers_of_files_that_no_package_has(folder):
    edit(folder, lambda document: document["files"]["NOTICE"].update(size_bytes=-1))
    with pytest.raises(PackageError, match=r"^NOTICE has -1 bytes, not 0 to 68,719,476,736$"):
        load(folder)
    edit(folder, lambda document: document.update(files={}))
    with pytest.raises(PackageError, match=r"^a package has 1 to 256 files, not 0$"):
        load(folder)


def test_no_manifest(folder):
    with pytest.raises(PackageError, match="cannot be read"):
        load(folder)


def test_too_many_files(folder, monkeypatch):
    monkeypatch.setattr(subject, "FILES_MAX", 2)
    with pytest.raises(PackageError, match=r"^a package has 1 to 2 files, not 7$"):
        pack(folder, SETTINGS)


def test_a_broken_package_is_our_own_fault():
    assert issubclass(PackageError, LocalError)
