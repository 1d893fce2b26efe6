"""`cuckoo-peer miner …`: what a miner's machine can do, and how a running miner is.

Is: flags and what is printed.
Is not: the miner (`roles/miner`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from node.settings import embedded_folders

if TYPE_CHECKING:
    from node.inference.package import ModelPackage
    from node.inference.pool import Machine

miner = App(name="miner", help="Look at a miner's machine.")
BYTES_PER_MIB = 1 << 20
MS_PER_MINUTE = 60_000
_SEVERAL = Parameter(consume_multiple=True, negative="", show_default=False)


@miner.command
def bench(
    *,
    models: Annotated[tuple[Path, ...], _SEVERAL] = (),
    threads: int = 1,
    device: str = "auto",
    memory_mib: int = 0,
) -> None:
    """Measure how fast this machine runs its models; a miner announces the same of itself.

    :param models: folders of model packages; default: those that come with the node.
    :param threads: of the inference process.
    :param device: as torch calls it; auto takes an accelerator.
    :param memory_mib: memory for models in MiB; 0 for most of what is free.
    """
    import trio  # noqa: PLC0415 - `--help` should not wait for it

    from node.inference.package import load  # noqa: PLC0415
    from node.inference.pool import Machine  # noqa: PLC0415

    packages = [load(folder) for folder in models or embedded_folders()]
    trio.run(_bench, packages, Machine(threads, device, memory_mib * BYTES_PER_MIB))


@miner.command
def status(data_dir: Path, /) -> None:
    """Show how a running miner is: paused or not, its speed, its work, its traces.

    :param data_dir: of the node.
    """
    from node.clock import now_ms  # noqa: PLC0415
    from node.miner_status import describe, read_status  # noqa: PLC0415

    print("\n".join(describe(read_status(data_dir), now_ms())))


async def _bench(packages: list[ModelPackage], machine: Machine) -> None:
    from node.inference.pool import open_pool  # noqa: PLC0415
    from node.inference.speed import measure  # noqa: PLC0415

    async with open_pool(packages, machine) as pool:
        await pool.ready()
        print(f"models loaded in {pool.statistics().load_ms / 1000:.1f} s")
        for package in packages:
            speed = await measure(pool, package)
            together = MS_PER_MINUTE * speed.batch / speed.batch_ms
            print(
                f"{package.name}: {package.width}x{package.height}, {package.default_steps} steps: "
                f"{speed.image_ms} ms an image, {MS_PER_MINUTE / speed.image_ms:.0f} images a minute; "
                f"{speed.batch} together: {together:.0f} images a minute, {speed.gain:.1f} times as many"
            )
