"""What will fit, and what the operator is told if it will not."""

import pytest

from node.inference.packages import preflight as subject
from node.inference.packages.preflight import DISK_SPARE_BYTES, DoesNotFit, require_disk, require_memory

GIB = 1 << 30


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(subject.shutil, "disk_usage", lambda _: type("Usage", (), {"free": GIB}))


@pytest.mark.usefixtures("disk")
def test_disk_with_a_spare(tmp_path):
    require_disk(tmp_path / "not" / "there yet", GIB - DISK_SPARE_BYTES)
    with pytest.raises(DoesNotFit) as caught:
        require_disk(tmp_path, GIB - DISK_SPARE_BYTES + 1)
    assert (caught.value.needed_bytes, caught.value.free_bytes) == (GIB + 1, GIB)
    assert "1,024 MiB are free" in str(caught.value)


def test_memory_counts_twice_the_files():
    require_memory("small", GIB, 2 * GIB)
    with pytest.raises(DoesNotFit, match="the model large needs 2,048 MiB, and 2,047 MiB are free"):
        require_memory("large", GIB, 2 * GIB - 1)


def test_this_machine_has_memory():
    assert subject.free_memory_bytes() > 16 << 20


@pytest.mark.parametrize(
    ("limit", "free"), [("max", 8 * GIB), (str(2 * GIB), GIB + GIB // 2), (str(GIB // 4), 0), ("", 8 * GIB)]
)
def test_a_container_may_have_less(tmp_path, monkeypatch, limit, free):
    """Of a gibibyte that is used, half is cached files, which can be let go."""
    monkeypatch.setattr(subject, "CONTAINER", tmp_path)
    monkeypatch.setattr(subject.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8 * GIB}))
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{GIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {GIB // 2}\n")
    assert subject.free_memory_bytes() == free


def test_without_control_groups_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "CONTAINER", tmp_path)
    assert subject.free_memory_bytes() > 16 << 20
