"""Keys on disk: Ethereum keystore files (version 3), opened with a password from a file or a prompt.

Is: creating and unlocking. A node's key is hot: it is the registered address, the libp2p identity and the
signer of every message. An owner's key is the staker's wallet; here it is only for networks without value,
where the command line stands in for a wallet.
Is not: a place where a key or password could come from a flag or the environment; there is none.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from coincurve import PrivateKey

from contracts.recursion import kept_recursion_limit
from node.system.files import require_private, write_private
from protocol.errors import LocalError
from protocol.signature import ADDRESS_BYTES, address_of

with kept_recursion_limit():
    import eth_keyfile

KEYSTORE_BYTES_MAX = 16 * 1024
PASSWORD_BYTES_MAX = 1024
SCRYPT_N = 1 << 18
"""Cost of guessing a password, as geth sets it: about a second and 256 MiB."""
SCRYPT_N_LIGHT = 1 << 12
"""For keys of throw-away networks, whose password lies beside them."""


class KeyUnusable(LocalError):
    """A key cannot be opened; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """An opened key.

    :ivar secret: 32 bytes; never printed, see `__repr__`.
    :ivar address: 20 bytes.
    """

    secret: bytes
    address: bytes

    @classmethod
    def of(cls, secret: bytes) -> Key:
        """Key of a 32-byte secret.

        :raises KeyUnusable: zero, or not below the order of the curve.
        """
        try:
            return cls(secret, address_of(PrivateKey(secret).public_key))
        except ValueError as error:
            message = "not a secp256k1 secret"
            raise KeyUnusable(message) from error

    def __repr__(self) -> str:
        return f"Key(0x{self.address.hex()})"


def create_keystore(
    path: Path, password: bytes, *, secret: bytes | None = None, scrypt_n: int = SCRYPT_N
) -> Key:
    """Make a keystore file (mode 0600) of a new key, or of `secret`.

    :raises KeyUnusable: there is a file already; a key is never overwritten.
    """
    if path.exists():
        message = f"{path} exists already; a key is never overwritten, move it away yourself"
        raise KeyUnusable(message)
    key = Key.of(secret or os.urandom(32))
    document = eth_keyfile.create_keyfile_json(key.secret, password, kdf="scrypt", iterations=scrypt_n)
    write_private(path, json.dumps(document).encode())
    return key


def open_keystore(path: Path, password: bytes) -> Key:
    """The key in a keystore file.

    :raises KeyUnusable: no such file, not a keystore, or a wrong password.
    :raises UnsafeFile: others may read it.
    """
    try:
        if not path.is_file():
            message = f"there is no key at {path}; make one with: cuckoo-peer key new {path}"
            raise KeyUnusable(message)
        require_private(path)
        if path.stat().st_size > KEYSTORE_BYTES_MAX:
            message = f"{path} is too long for a keystore"
            raise KeyUnusable(message)
        document = json.loads(path.read_bytes())
        return Key.of(bytes(eth_keyfile.decode_keyfile_json(document, password)))
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise KeyUnusable(message) from error
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        message = f"{path} does not open: {error}; is the password right?"
        raise KeyUnusable(message) from error


def read_password(password_file: Path | None, *, confirm: bool = False) -> bytes:
    """Password from the first line of a file, or asked for on the terminal.

    :raises KeyUnusable: neither a file nor a terminal, a file that cannot be read, an empty password, or the
        two entries differ.
    :raises UnsafeFile: others may read the file.
    """
    if password_file is not None:
        return _password_in(password_file)
    if not sys.stdin.isatty():
        message = "no terminal to ask for the password; name a file with --password-file"
        raise KeyUnusable(message)
    password = getpass.getpass("Password of the key: ")
    if not password:
        message = "the password is empty"
        raise KeyUnusable(message)
    if confirm and getpass.getpass("Once more: ") != password:
        message = "the two passwords differ"
        raise KeyUnusable(message)
    return password.encode()


def _password_in(file: Path) -> bytes:
    try:
        if not file.is_file():
            message = f"there is no password file at {file}"
            raise KeyUnusable(message)
        require_private(file)
        with file.open("rb") as opened:
            line = opened.readline(PASSWORD_BYTES_MAX + len(b"\r\n"))
    except OSError as error:
        message = f"the password file {file} cannot be read: {error.strerror}"
        raise KeyUnusable(message) from error
    password = line.rstrip(b"\r\n")
    if not password:
        message = f"the first line of the password file {file} is empty; it has to hold the password"
        raise KeyUnusable(message)
    if len(password) > PASSWORD_BYTES_MAX:
        message = f"the first line of the password file {file} is longer than {PASSWORD_BYTES_MAX} bytes"
        raise KeyUnusable(message)
    return password


def keystore_address(path: Path) -> bytes | None:
    """Address, 20 bytes, that a keystore file names; None if it names none. The key stays locked.

    The field is optional (Web3 Secret Storage): geth writes it, other tools leave it out.

    :raises KeyUnusable: no such file, or not a keystore.
    """
    try:
        if path.stat().st_size > KEYSTORE_BYTES_MAX:
            message = f"{path} is too long for a keystore"
            raise KeyUnusable(message)
        document = json.loads(path.read_bytes())
        named = document.get("address")
        if not named:
            # Then it is what is locked that makes it a keystore.
            document["crypto" if "crypto" in document else "Crypto"]["ciphertext"]
            return None
        address = bytes.fromhex(named.lower().removeprefix("0x"))
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise KeyUnusable(message) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is not a keystore"
        raise KeyUnusable(message) from error
    if len(address) != ADDRESS_BYTES:
        message = f"{path} names an address that is not {ADDRESS_BYTES} bytes"
        raise KeyUnusable(message)
    return address


def find_address(path: Path, password_file: Path | None = None) -> bytes:
    """Address, 20 bytes, of the key in a keystore file, which is opened only if it does not name it.

    :param password_file: see `read_password`.
    :raises KeyUnusable: no such file, not a keystore, or it has to be opened and does not.
    """
    return keystore_address(path) or open_keystore(path, read_password(password_file)).address
