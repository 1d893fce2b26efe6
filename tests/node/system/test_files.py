"""Private files: mode, atomicity, and the check before reading."""

import stat

import pytest

from node.system.files import UnsafeFile, require_private, write_private


def test_written_for_the_owner_alone_and_whole(tmp_path):
    path = tmp_path / "deep" / "file"
    write_private(path, b"old")
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_private(path, b"old")

    def crash(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_file_that_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "file"
    write_private(path, b"")
    require_private(path)
    path.chmod(mode)
    with pytest.raises(UnsafeFile) as caught:
        require_private(path)
    assert caught.value.path == path
