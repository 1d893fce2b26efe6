"""Threads in which pictures are decoded and encoded: a few of their own, so that no flood takes all others.

Is: a bound, and how full it is. Who came first has the next thread (`trio.CapacityLimiter` parks in order),
so nobody is overtaken without end. Is not: who may ask for work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar, TypeVarTuple

import trio

PICTURE_THREADS: Final = 3
"""Pictures in work at a time. Each may take a second and 100 MB; the rest wait, and hold no thread."""
_LIMITER: Final = trio.CapacityLimiter(PICTURE_THREADS)

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True, slots=True)
class PictureThreadsStatus:
    """:ivar working: pictures in work. :ivar waiting: those that wait for a thread."""

    working: int
    waiting: int


async def in_picture_thread(work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """The result of `work`, once it has its turn."""
    return await trio.to_thread.run_sync(work, *arguments, limiter=_LIMITER)


def status() -> PictureThreadsStatus:
    """How it is; see `PictureThreadsStatus`."""
    return PictureThreadsStatus(int(_LIMITER.borrowed_tokens), _LIMITER.statistics().tasks_waiting)
