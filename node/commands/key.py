"""`cuckoo-peer key`: make and show keys."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

key = App(name="key", help="Make and show keys (Ethereum keystore files, version 3).")


@key.command
def new(path: Path, /, *, password_file: Path | None = None, light: bool = False) -> None:
    """Make a new key.

    A node's key belongs to its data directory as node-key.json; its equivocation guard is made beside
    it. An owner's key holds the stake: keep it cold, on another machine, wherever stake has value.

    Parameters
    ----------
    path
        Keystore file to write; an existing one is never overwritten.
    password_file
        File (mode 0600) with the password in its first line; without it, the password is asked for twice.
    light
        Spend little on making the password hard to guess; for throw-away networks only.
    """
    from node.signing.keys import SCRYPT_N, SCRYPT_N_LIGHT, create_keystore, read_password  # noqa: PLC0415
    from node.signing.node_key import create_node_key  # noqa: PLC0415
    from node.system.lifetime import KEY_FILE  # noqa: PLC0415

    password = read_password(password_file, confirm=True)
    scrypt_n = SCRYPT_N_LIGHT if light else SCRYPT_N
    if path.name == KEY_FILE:
        made = create_node_key(path.parent, password, scrypt_n=scrypt_n)
    else:
        made = create_keystore(path, password, scrypt_n=scrypt_n)
    print(f"0x{made.address.hex()}")


@key.command
def address(path: Path, /, *, password_file: Path | None = None) -> None:
    """Show the address of a key. Keystores name it; one that does not has to be opened for it.

    Parameters
    ----------
    path
        Keystore file.
    password_file
        File (mode 0600) with the password in its first line, for a keystore that does not name its address;
        without it, the password is asked for.
    """
    from node.signing.keys import find_address  # noqa: PLC0415

    print(f"0x{find_address(path, password_file).hex()}")
