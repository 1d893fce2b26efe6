"""Downloads from sources that break off, lie or send too much: what comes out is the package or nothing."""

from contextlib import asynccontextmanager

import pytest

from node.inference.packages import preflight
from node.inference.packages.download import ATTEMPTS_MAX, SourceFailed, WrongContent, download
from node.inference.packages.errors import PackageError
from node.inference.packages.manifest import MANIFEST_NAME
from node.inference.packages.package import load, pack, verify
from node.inference.packages.preflight import DISK_SPARE_BYTES, DoesNotFit
from protocol.model_card import CARD_FILE
from tests.node.inference.builders import MODEL_INDEX, SETTINGS, write_parts

PIECE_BYTES = 100


@pytest.fixture
def package(tmp_path):
    root = tmp_path / "original"
    write_parts(root)
    (root / "unet" / "weights.safetensors").write_bytes(bytes(range(250)) * 5)
    (root / "empty.txt").write_bytes(b"")
    return pack(root, SETTINGS)


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "models" / "copy"


class FolderSource:
    """Gives a package's files; breaks off after so many bytes of each reading."""

    def __init__(self, package, breaks_after=10**9, alter=lambda _path, data: data):
        self.package, self.breaks_after, self.alter = package, breaks_after, alter
        self.reads = []

    @asynccontextmanager
    async def read(self, path, offset):
        self.reads.append((path, offset))
        yield self._pieces(path, offset)

    async def _pieces(self, path, offset):
        data = self.alter(path, (self.package.folder / path).read_bytes())[offset:]
        breaks_after = 10**9 if path == MANIFEST_NAME else self.breaks_after
        for start in range(0, min(len(data), breaks_after), PIECE_BYTES):
            yield data[start : min(start + PIECE_BYTES, breaks_after)]
        if len(data) > breaks_after:
            raise SourceFailed("broke off")


def quiet(_path, _here, _whole):
    pass


def flipped(path, data, at=-1):
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


async def test_whole(package, destination):
    told = []
    fetched = await download(
        FolderSource(package), package.model_id, destination, lambda *words: told.append(words)
    )
    verify(fetched)
    assert (fetched.model_id, fetched.folder) == (package.model_id, destination)
    assert told[-1][1:] == (package.size_bytes, package.size_bytes)
    assert [here for _, here, _ in told] == sorted(here for _, here, _ in told)
    assert not destination.with_name("copy.partial").exists()


async def test_a_second_time_takes_nothing(package, destination):
    await download(FolderSource(package), package.model_id, destination, quiet)
    source = FolderSource(package)
    assert (await download(source, package.model_id, destination, quiet)).model_id == package.model_id
    assert source.reads == []


async def test_goes_on_where_it_broke_off(package, destination):
    source = FolderSource(package, breaks_after=300)
    verify(await download(source, package.model_id, destination, quiet))
    weights = [offset for path, offset in source.reads if path == "unet/weights.safetensors"]
    assert weights == [0, 300, 600, 900, 1200]


async def test_goes_on_in_another_run(package, destination):
    dies = FolderSource(package, alter=lambda path, data: data[:700] if "weights" in path else data)
    with pytest.raises(SourceFailed):
        await download(dies, package.model_id, destination, quiet)
    assert not destination.exists()
    source = FolderSource(package)
    verify(await download(source, package.model_id, destination, quiet))
    assert (MANIFEST_NAME, 0) not in source.reads
    assert ("unet/weights.safetensors", 700) in source.reads


async def test_gives_up_when_nothing_comes_any_more(package, destination):
    source = FolderSource(
        package, alter=lambda path, data: data if path in {MANIFEST_NAME, CARD_FILE} else b""
    )
    with pytest.raises(SourceFailed, match="broke off"):
        await download(source, package.model_id, destination, quiet)
    tried = [path for path, _ in source.reads if path == "model_index.json"]
    assert len(tried) == ATTEMPTS_MAX


@pytest.mark.parametrize("at", [0, 600, -1])
async def test_attack_one_flipped_byte(package, destination, at):
    source = FolderSource(
        package, alter=lambda path, data: flipped(path, data, at) if "weights" in path else data
    )
    with pytest.raises(WrongContent, match=r"unet/weights\.safetensors is not the file of the manifest"):
        await download(source, package.model_id, destination, quiet)
    assert not destination.exists()
    # What was wrong is gone, and an honest source can go on.
    verify(await download(FolderSource(package), package.model_id, destination, quiet))


async def test_attack_manifest_of_another_model(package, destination, tmp_path):
    other = tmp_path / "other"
    write_parts(other)
    (other / "model_index.json").write_text(MODEL_INDEX + " ")
    with pytest.raises(WrongContent, match="another model"):
        await download(FolderSource(pack(other, SETTINGS)), package.model_id, destination, quiet)
    verify(await download(FolderSource(package), package.model_id, destination, quiet))


async def test_attack_endless_file_and_endless_manifest(package, destination):
    longer = FolderSource(package, alter=lambda path, data: data + b"x" * 10 if "index" in path else data)
    with pytest.raises(WrongContent, match="longer"):
        await download(longer, package.model_id, destination, quiet)
    endless = FolderSource(package, alter=lambda _path, data: data + b" " * 300_000)
    with pytest.raises(WrongContent, match="too long"):
        await download(endless, package.model_id, destination.with_name("x"), quiet)


async def test_attack_manifest_that_is_none(package, destination):
    with pytest.raises(PackageError, match="is not a JSON document"):
        await download(
            FolderSource(package, alter=lambda _path, _data: b"<html>"), package.model_id, destination, quiet
        )
    verify(await download(FolderSource(package), package.model_id, destination, quiet))


async def test_full_disk_is_seen_before(package, destination, monkeypatch):
    card_bytes = package.files[CARD_FILE].size_bytes
    free = DISK_SPARE_BYTES + package.size_bytes - card_bytes - 1
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
    source = FolderSource(package)
    with pytest.raises(DoesNotFit, match="needs 256 MiB"):
        await download(source, package.model_id, destination, quiet)
    assert source.reads == [(MANIFEST_NAME, 0), (CARD_FILE, 0)]


async def test_destination_that_is_something_else(package, destination, tmp_path):
    other = tmp_path / "other"
    write_parts(other)
    (other / "model_index.json").write_text(MODEL_INDEX + " ")
    pack(other, SETTINGS)
    with pytest.raises(PackageError, match="another model"):
        await download(FolderSource(package), package.model_id, other, quiet)
    assert load(other).model_id != package.model_id


async def test_leftovers_of_another_try_do_not_get_in(package, destination):
    partial = destination.with_name("copy.partial")
    (partial / "junk").mkdir(parents=True)
    (partial / "junk.txt").write_text("x")
    verify(await download(FolderSource(package), package.model_id, destination, quiet))
