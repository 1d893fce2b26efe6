"""Keystores: what opens, what is refused, and that nothing secret shows."""

import io
import json

import pytest

from node.signing.keys import (
    PASSWORD_BYTES_MAX,
    SCRYPT_N_LIGHT,
    Key,
    KeyUnusable,
    create_keystore,
    find_address,
    keystore_address,
    open_keystore,
    read_password,
)
from node.system.files import UnsafeFile, write_private


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "node-key.json"
    return path, create_keystore(path, b"correct", scrypt_n=SCRYPT_N_LIGHT)


def test_key_opens_with_its_password(store):
    path, key = store
    assert open_keystore(path, b"correct") == key
    assert keystore_address(path) == key.address


def test_wrong_password_is_a_clear_error(store):
    with pytest.raises(KeyUnusable, match="password"):
        open_keystore(store[0], b"wrong")


def test_existing_key_is_never_overwritten(store):
    path, key = store
    with pytest.raises(KeyUnusable, match="never overwritten"):
        create_keystore(path, b"other", scrypt_n=SCRYPT_N_LIGHT)
    assert open_keystore(path, b"correct") == key


def test_keystore_that_others_may_read_is_refused(store):
    store[0].chmod(0o644)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        open_keystore(store[0], b"correct")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", json.dumps({"address": "zz"}).encode()])
def test_file_that_is_no_keystore_is_a_clear_error(tmp_path, content):
    path = tmp_path / "key.json"
    write_private(path, content)
    with pytest.raises(KeyUnusable):
        open_keystore(path, b"x")
    with pytest.raises(KeyUnusable):
        keystore_address(path)


def test_file_too_long_is_not_read(tmp_path):
    path = tmp_path / "key.json"
    write_private(path, b" " * (17 * 1024))
    with pytest.raises(KeyUnusable, match="too long"):
        open_keystore(path, b"x")


def test_missing_key_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(KeyUnusable, match="cuckoo-peer key new"):
        open_keystore(tmp_path / "none.json", b"x")


def test_secret_is_not_in_the_repr():
    key = Key.of(b"\x05" * 32)
    assert "05" * 8 not in repr(key)
    assert repr(key.secret) not in repr(key)


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32])
def test_secret_outside_the_curve_is_refused(secret):
    with pytest.raises(KeyUnusable):
        Key.of(secret)


def test_password_is_the_first_line_of_its_file(tmp_path):
    path = tmp_path / "password"
    write_private(path, b"one two\r\nthree")
    assert read_password(path) == b"one two"


def test_password_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "password"
    write_private(path, b"secret\n")
    path.chmod(0o640)
    with pytest.raises(UnsafeFile):
        read_password(path)


def test_no_terminal_and_no_file_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(KeyUnusable, match="--password-file"):
        read_password(None)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nsecond line\n"])
def test_an_empty_password_is_refused(tmp_path, content):
    path = tmp_path / "password"
    write_private(path, content)
    with pytest.raises(KeyUnusable) as caught:
        read_password(path)
    assert str(caught.value) == (
        f"the first line of the password file {path} is empty; it has to hold the password"
    )


def test_an_empty_password_is_refused_at_the_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "")
    with pytest.raises(KeyUnusable, match=r"^the password is empty$"):
        read_password(None, confirm=True)


def test_a_password_is_never_cut(tmp_path):
    path = tmp_path / "password"
    write_private(path, b"x" * PASSWORD_BYTES_MAX + b"\r\n")
    assert read_password(path) == b"x" * PASSWORD_BYTES_MAX
    path.write_bytes(b"x" * (PASSWORD_BYTES_MAX + 1))
    with pytest.raises(KeyUnusable, match="is longer than 1024 bytes"):
        read_password(path)


def test_a_password_file_that_cannot_be_read_is_a_sentence(tmp_path, monkeypatch):
    path = tmp_path / "password"
    write_private(path, b"secret\n")

    def fail(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", fail)
    with pytest.raises(KeyUnusable) as caught:
        read_password(path)
    assert str(caught.value) == f"the password file {path} cannot be read: Permission denied"


def test_a_keystore_that_cannot_be_read_is_a_sentence(store, monkeypatch):
    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", fail)
    for call in (lambda: open_keystore(store[0], b"correct"), lambda: keystore_address(store[0])):
        with pytest.raises(KeyUnusable, match=r"node-key.json cannot be read: Permission denied$"):
            call()


def changed(store, tmp_path, **fields):
    """The keystore with other fields; None leaves one out."""
    document = json.loads(store[0].read_bytes()) | fields
    path = tmp_path / "changed.json"
    write_private(
        path, json.dumps({name: value for name, value in document.items() if value is not None}).encode()
    )
    return path


@pytest.mark.parametrize("address", [None, ""])
def test_a_keystore_that_does_not_name_its_address_is_opened_for_it(store, tmp_path, address):
    path = changed(store, tmp_path, address=address)
    assert keystore_address(path) is None
    write_private(tmp_path / "password", b"correct\n")
    assert find_address(path, tmp_path / "password") == store[1].address
    assert open_keystore(path, b"correct") == store[1]


def test_an_address_may_be_written_in_any_way(store, tmp_path):
    for form in ("0x{}", "0X{}", "{}"):
        path = changed(store, tmp_path, address=form.format(store[1].address.hex().upper()))
        assert find_address(path) == store[1].address
        path.unlink()


def test_an_address_of_another_length_is_refused(store, tmp_path):
    with pytest.raises(KeyUnusable, match=r"names an address that is not 20 bytes$"):
        keystore_address(changed(store, tmp_path, address="0x12"))
