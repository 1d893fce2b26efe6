"""Whether something will fit, asked before it is begun.

Is: free disk and memory of this machine against what is needed. Is not: a reservation; others take, too.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import psutil

from protocol.errors import LocalError

DISK_SPARE_BYTES: Final = 256 * 1024**2
"""Left free on a disk, whatever is downloaded to it."""
WEIGHTS_FACTOR: Final = 2
"""Packages hold half precision, memory single; and the work of a step needs some more."""
CONTAINER: Final = Path("/sys/fs/cgroup")
"""Where a container finds its own limits."""
_BYTES_PER_MIB: Final = 1 << 20


class DoesNotFit(LocalError):
    """Too little is free. :ivar needed_bytes: so much is needed. :ivar free_bytes: so much is there."""

    def __init__(self, what: str, needed_bytes: int, free_bytes: int) -> None:
        needed, free = needed_bytes // _BYTES_PER_MIB, free_bytes // _BYTES_PER_MIB
        super().__init__(f"{what} needs {needed:,} MiB, and {free:,} MiB are free")
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes


def require_disk(folder: Path, needed_bytes: int) -> None:
    """:raises DoesNotFit: the disk below `folder` has no room for so much, `DISK_SPARE_BYTES` left free."""
    existing = folder.resolve()
    while not existing.exists():
        existing = existing.parent
    free_bytes = shutil.disk_usage(existing).free
    if needed_bytes + DISK_SPARE_BYTES > free_bytes:
        raise DoesNotFit(f"writing to {existing}", needed_bytes + DISK_SPARE_BYTES, free_bytes)


def require_memory(name: str, package_bytes: int, free_bytes: int) -> None:
    """:raises DoesNotFit: a package with so many bytes of files would not run in so much memory."""
    if WEIGHTS_FACTOR * package_bytes > free_bytes:
        raise DoesNotFit(f"the model {name}", WEIGHTS_FACTOR * package_bytes, free_bytes)


def free_memory_bytes() -> int:
    """Memory that processes can still get, in bytes: of the machine, or less in a container with a limit."""
    free_bytes = int(psutil.virtual_memory().available)
    limit_bytes = _container_bytes()
    return free_bytes if limit_bytes is None else max(0, min(free_bytes, limit_bytes))


def _container_bytes() -> int | None:
    """Bytes that this container's limit leaves, by the kernel's control groups, version 2; None without a
    limit.
    """
    try:
        limit = (CONTAINER / "memory.max").read_text(encoding="ascii").strip()
        if not limit.isdecimal():
            return None
        used = int((CONTAINER / "memory.current").read_text(encoding="ascii"))
        statistics = (CONTAINER / "memory.stat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    numbers = dict(zip(statistics[::2], statistics[1::2], strict=False))
    # Cached files are let go when memory is wanted.
    return int(limit) - used + int(numbers.get("inactive_file", 0))
