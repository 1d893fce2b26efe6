"""Which back end a node's pool gets, from what its operator said.

Is: the choice between the workers of this machine and those of a Ray cluster, and how many there are. Is not:
either of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.inference.pool.pool import WORKERS_MAX
from node.inference.pool.process import LocalWorkers, Machine
from node.inference.ray.ray_workers import RayWorkers, require_ray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.inference.packages.package import ModelPackage
    from node.inference.pool.workers import Workers
    from node.settings import InferenceSettings

BYTES_PER_MIB = 1 << 20


async def backend_of(
    settings: InferenceSettings, packages: Sequence[ModelPackage], *, power_saving: bool = False
) -> tuple[Workers, int]:
    """The back end that an operator's settings ask for, and how many workers to keep with it.

    :raises WorkerError: Ray is wanted and not there, or has room for none.
    """
    machines = [
        Machine(settings.threads, device, settings.memory_mib * BYTES_PER_MIB) for device in settings.device
    ]
    return await choose_backend(
        packages,
        [machine.saving_power() for machine in machines] if power_saving else machines,
        workers=settings.workers,
        ray_address=settings.ray_address,
        ray_models=settings.ray_models,
    )


async def choose_backend(
    packages: Sequence[ModelPackage],
    machines: Sequence[Machine],
    *,
    workers: int = 0,
    ray_address: str = "",
    ray_models: str = "",
) -> tuple[Workers, int]:
    """The back end, and how many workers to keep with it.

    :param machines: what the workers get of this machine, one for each device; the first, of Ray's hosts.
    :param workers: as many; 0 for one a device, or for all that the cluster has room for.
    :raises WorkerError: Ray is wanted and not there, or has room for none.
    """
    if not ray_address:
        return LocalWorkers(*machines), workers or len(machines)
    require_ray()
    backend, slots = await RayWorkers(ray_address, machines[0], ray_models).fitted(packages)
    return backend, workers or min(WORKERS_MAX, slots)
