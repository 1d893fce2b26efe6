"""The interface of a worker, wherever it runs, and of a back end that starts workers.

Is: the interface between the pool and its back ends, `process` for this machine and `ray_workers` for a farm
of others. Is not: any of them; and nothing here knows of processes, pipes or hosts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.inference.jobs.frames import Frame
    from node.inference.packages.package import ModelPackage


class Worker(ABC):
    """A running worker. Not for use by two readers; senders may be many.

    :ivar process_id: the system's number of the process here that it is, or that stands for it.
    """

    process_id: int

    @abstractmethod
    async def send(self, frame: Frame) -> None:
        """Send one frame whole, even if the caller is cancelled meanwhile.

        :raises trio.BrokenResourceError: the worker is gone.
        :raises trio.TooSlowError: it does not read.
        """

    @abstractmethod
    async def receive(self) -> Frame:
        """Return the next frame. Cancelling it loses nothing.

        :raises DecodeError: not a frame; the worker is broken.
        :raises trio.BrokenResourceError: the worker is gone.
        """

    @abstractmethod
    async def wait(self) -> None:
        """Wait until the worker has ended by itself."""

    @abstractmethod
    def kill(self) -> None:
        """End the worker now. It keeps nothing that a gentler end could save."""

    @abstractmethod
    async def close(self) -> None:
        """Kill the worker and give back what it used here; not cancellable, and quick."""


class Workers(ABC):
    """A back end: starts workers."""

    @abstractmethod
    async def start(self, packages: Sequence[ModelPackage], slot: int) -> Worker:
        """Start a worker for these packages. It says `Ready` when what fits is loaded, or `Broken`.

        :param slot: which of the pool's workers it is, from 0; the same again when one is replaced.
        :raises OSError: the system gives no process.
        """
