"""A node's key and its guard come together or not at all."""

import pytest

from node.signing.guard import GUARD_FILE, GuardUnavailable, open_guard
from node.signing.keys import SCRYPT_N_LIGHT, KeyUnusable, open_keystore
from node.signing.node_key import create_node_key
from node.system.lifetime import KEY_FILE


def test_the_guard_is_as_old_as_the_key(tmp_path):
    key = create_node_key(tmp_path, b"password", scrypt_n=SCRYPT_N_LIGHT)
    assert open_keystore(tmp_path / KEY_FILE, b"password") == key
    with open_guard(tmp_path / GUARD_FILE, key) as guard:
        assert guard.first_epoch(7) == 0
    with pytest.raises(KeyUnusable):
        create_node_key(tmp_path, b"password", scrypt_n=SCRYPT_N_LIGHT)


def test_without_a_guard_there_is_no_key(tmp_path):
    (tmp_path / GUARD_FILE).write_bytes(b"something else" * 100)
    with pytest.raises(GuardUnavailable):
        create_node_key(tmp_path, b"password", scrypt_n=SCRYPT_N_LIGHT)
    assert not (tmp_path / KEY_FILE).exists()
