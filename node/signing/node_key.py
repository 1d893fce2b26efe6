"""A node's key and its guard, made together: a guard as old as its key knows all that the key has signed.

Is: making both in a data directory.
Is not: keys (`keys`) or guards (`guard`) by themselves.
"""

from __future__ import annotations

from pathlib import Path

from node.signing.guard import make_guard
from node.signing.guard_file import GUARD_FILE
from node.signing.keys import SCRYPT_N, Key, create_keystore
from node.system.lifetime import KEY_FILE
from protocol.errors import LocalError


def create_node_key(
    folder: Path, password: bytes, *, secret: bytes | None = None, scrypt_n: int = SCRYPT_N
) -> Key:
    """Make a node's keystore and its guard in its data directory.

    :param secret: 32 bytes that were never a key of a node; fresh ones without it.
    :raises KeyUnusable: there is a key already.
    :raises GuardUnavailable: the guard cannot be made; then there is no key either.
    """
    key = create_keystore(folder / KEY_FILE, password, secret=secret, scrypt_n=scrypt_n)
    try:
        make_guard(folder / GUARD_FILE, key.address)
    except LocalError:
        (folder / KEY_FILE).unlink()
        raise
    return key
