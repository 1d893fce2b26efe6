"""Whether a node can do its work now, and the reasons if it cannot.

Is: a registry of reasons by name, for probes (`/readyz`), people and commands; and the reason that every node
has, a full disk.
Is not: whether the node is alive (`/healthz`): a node that is not ready is not to be restarted for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

FREE_BYTES_MIN: Final = 64 * 1024 * 1024
"""Of the data directory's disk: what a node writes in a day, with room for it to be noticed."""
LOOK_S: Final = 10.0
"""From one look at the disk to the next."""


@dataclass(frozen=True, slots=True)
class ReadinessStatus:
    """:ivar reasons: why not, for people, by names for machines such as ``disk_full``; empty when ready."""

    ready: bool
    reasons: Mapping[str, str]


class Readiness:
    """One node's."""

    def __init__(self) -> None:
        self._reasons: dict[str, Callable[[], str | None]] = {}

    def register(self, name: str, reason: Callable[[], str | None]) -> None:
        """Ask `reason` each time; it says why the node is not ready, in a phrase, or None.

        Synchronous and quick, and without input or output.

        :param name: for machines, such as ``disk_full``.
        :raises ValueError: the name is taken.
        """
        if name in self._reasons:
            raise ValueError(f"there is a reason named {name} already")
        self._reasons[name] = reason

    def status(self) -> ReadinessStatus:
        """Now."""
        found = {name: text for name, reason in self._reasons.items() if (text := reason()) is not None}
        return ReadinessStatus(not found, found)


class DiskSpace:
    """Looks now and then how much room there is. :ivar free_bytes: as of the last look."""

    def __init__(self, folder: Path, free_bytes: Callable[[Path], int] | None = None) -> None:
        """:param free_bytes: tells what is free; by default the system does."""
        self._folder = folder
        self._ask = free_bytes or _free_bytes
        self.free_bytes: int | None = None

    def reason(self) -> str | None:
        """Why the node is not ready: see :class:`Readiness`."""
        if self.free_bytes is None or self.free_bytes >= FREE_BYTES_MIN:
            return None
        return (
            f"{self.free_bytes >> 20} MiB are free for the data directory; {FREE_BYTES_MIN >> 20} are needed"
        )

    async def look(self) -> None:
        """Ask the system once. A disk that does not answer is no reason: writing to it will tell."""
        try:
            # In a thread: a network's disk may hang.
            self.free_bytes = await trio.to_thread.run_sync(
                self._ask,
                self._folder,
                abandon_on_cancel=True,  # type: ignore[call-arg]  # its stubs are older
            )
        except OSError:
            self.free_bytes = None

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while True:
            await self.look()
            await trio.sleep(LOOK_S)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
