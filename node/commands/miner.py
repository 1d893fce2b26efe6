"""`cuckoo-peer miner …`: what a miner's machine can do, and how a running miner is.

Is: flags and what is printed.
Is not: the miner (`roles/miner`).
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclopts import App

from node.settings import InferenceSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from node.inference.packages.package import ModelPackage
    from node.inference.pool.pool import WorkerPool
    from node.inference.pool.workers import Workers

miner = App(name="miner", help="Look at a miner's machine.")
MS_PER_MINUTE = 60_000
TELL_SECONDS: Final = 5.0
"""From one word to who waits for models to load to the next."""


@miner.command
def bench(settings: InferenceSettings | None = None) -> None:
    """Measure how fast this machine runs its models; a miner announces the same of itself."""
    import trio  # noqa: PLC0415 - `--help` should not wait for it

    from node.inference.backends import backend_of  # noqa: PLC0415
    from node.inference.packages.package import load  # noqa: PLC0415

    settings = settings or InferenceSettings()
    packages = [load(folder) for folder in settings.model_folders]
    trio.run(_bench, packages, partial(backend_of, settings, packages))


@miner.command
def status(data_dir: Path, /) -> None:
    """Show how a miner is: paused or not, its speed, its work, its traces; if it is down, how it was last.

    :param data_dir: of the node.
    """
    from node.miner.status import describe, read_status  # noqa: PLC0415
    from node.system.clock import now_ms  # noqa: PLC0415

    now = now_ms()
    print("\n".join(describe(read_status(data_dir, now), now)))


async def _bench(packages: list[ModelPackage], choose: Callable[[], Awaitable[tuple[Workers, int]]]) -> None:
    from node.inference.jobs.job import BATCH_MAX  # noqa: PLC0415
    from node.inference.pool.pool import open_pool  # noqa: PLC0415
    from node.inference.pool.waiting import JOBS_WAITING_MAX  # noqa: PLC0415
    from node.inference.speed import measure  # noqa: PLC0415

    _tell("asking how many inference processes there is room for")
    backend, wanted = await choose()
    async with open_pool(packages, backend, wanted) as pool:
        workers = await _those_ready(pool, wanted)
        if workers < wanted:
            _tell(f"measuring the {workers} that are ready; the others do not start, or no host has room")
        print(f"models loaded in {pool.statistics().load_ms / 1000:.1f} s")
        for package in packages:
            speed = await measure(pool, package, min(workers * BATCH_MAX, JOBS_WAITING_MAX), _tell)
            together = MS_PER_MINUTE * speed.batch / speed.batch_ms
            print(
                f"{package.name}: {package.width}x{package.height}, {package.card.default_steps} steps: "
                f"{speed.image_ms} ms an image, {MS_PER_MINUTE / speed.image_ms:.0f} images a minute; "
                f"{speed.batch} together: {together:.0f} images a minute, {speed.gain:.1f} times as many"
            )


async def _those_ready(pool: WorkerPool, wanted: int) -> int:
    """Wait for so many inference processes, or those that come, and say how it goes; return how many.

    :raises WorkerError: none comes.
    """
    import trio  # noqa: PLC0415 - as above

    async def tell_now_and_then() -> None:
        started = trio.current_time()
        while True:
            ready, seconds = pool.statistics().workers_ready, trio.current_time() - started
            _tell(f"loading models: {ready} of {wanted} inference processes ready after {seconds:.0f} s")
            await trio.sleep(TELL_SECONDS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell_now_and_then)
        workers = await pool.ready(wanted)
        nursery.cancel_scope.cancel()
    return workers


def _tell(line: str) -> None:
    """Say to whoever waits what is going on, beside what is measured."""
    print(line, file=sys.stderr, flush=True)
