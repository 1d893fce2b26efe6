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


@pytest.mark.parametrize(
    ("mode", "is_credential", "is_refused"),
    [
        (0o440, True, False),
        (0o444, True, True),
        (0o460, True, True),
        (0o440, False, True),
    ],
)
def test_a_credential_of_systemd_is_read_though_its_access_list_shows_as_a_group(
    tmp_path, monkeypatch, mode, is_credential, is_refused
):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path if is_credential else tmp_path / "elsewhere"))
    path = tmp_path / "password"
    path.write_text("secret")
    path.chmod(mode)
    if not is_refused:
        require_private(path)
        return
    with pytest.raises(UnsafeFile, match="can be read by others"):
        require_private(path)
