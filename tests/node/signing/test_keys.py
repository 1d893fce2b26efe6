"""Keystores: what opens, what is refused, and that nothing secret shows."""

import io
import json

import pytest

from node.signing.keys import (
    SCRYPT_N_LIGHT,
    Key,
    KeyUnusable,
    create_keystore,
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
