"""Files that only their owner may read, written whole or not at all.

Is: the two habits that keys, tokens and evidence share.
Is not: a store.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from protocol.errors import LocalError

OWNER_ONLY = 0o600
OWNER_ONLY_FOLDER = 0o700
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
"""Where systemd puts a service's credentials (`LoadCredential=`), for this service alone."""


class UnsafeFile(LocalError):
    """A secret file that others may read. :ivar path: of the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} can be read by others; run: chmod 600 {path}")
        self.path = path


def write_private(path: Path, content: bytes) -> None:
    """Write `content` with mode 0600, atomically: a crash leaves the old file or the new one, whole.

    :raises OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def require_private(path: Path) -> None:
    """:raises UnsafeFile: group or others may read the file at `path`."""
    credentials = os.environ.get(CREDENTIALS_VARIABLE)
    # systemd lets a service read its credentials by an access control list, shown as the group's mode.
    is_credential = credentials is not None and path.parent == Path(credentials)
    if stat.S_IMODE(path.stat().st_mode) & (0o037 if is_credential else 0o077):
        raise UnsafeFile(path)
