"""Workers on other hosts: the back end for a farm behind one node key, on Ray.

Is: what the node needs to know of it, which is how to start a bridge process for each worker. Is not: Ray,
which is imported in those processes alone.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import trio

from node.inference.jobs.job import WorkerError
from node.inference.pool.process import Machine, WorkerProcess, worker_environment
from node.inference.pool.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.inference.packages.package import ModelPackage

BRIDGE_MODULE: Final = "node.inference.ray.ray_bridge"
COUNT_SECONDS_MAX: Final = 60.0


class RayMissing(WorkerError):
    """The extra is not installed."""


@dataclass(frozen=True, slots=True)
class RayWorkers(Workers):
    """Workers in a Ray cluster.

    :ivar address: of the cluster's head, host:port; this machine must be part of the cluster.
    :ivar machine: what each worker gets of its host.
    :ivar models_folder: folder of the hosts in which models are kept by their id; empty for the default one.
    :ivar resource: what a worker takes of a host, "GPU" or "CPU".
    """

    address: str
    machine: Machine
    models_folder: str = ""
    resource: str = "CPU"

    async def start(self, packages: Sequence[ModelPackage], slot: int) -> WorkerProcess:
        """Start a bridge, which gets the next free place in the cluster; see `Workers.start`."""
        del slot
        command = [*self._command(packages), "--resource", self.resource]
        return await WorkerProcess.start(command, worker_environment(self.machine))

    async def fitted(self, packages: Sequence[ModelPackage]) -> tuple[RayWorkers, int]:
        """The same for the resource that the cluster has, and for how many workers it has room.

        :raises WorkerError: the cluster cannot be reached, or has no room for any.
        """
        said = "it does not answer"
        with trio.move_on_after(COUNT_SECONDS_MAX):
            run = await trio.run_process(
                [*self._command(packages), "--count-slots"],
                capture_stdout=True,
                stdin=subprocess.DEVNULL,
                check=False,
                env=worker_environment(self.machine),
            )
            answer = json.loads(run.stdout or b"{}")
            if slots := answer.get("slots"):
                return replace(self, resource=answer["resource"]), int(slots)
            said = answer.get("error", "none of its hosts has a GPU, or so many free cores")
        raise WorkerError(f"the Ray cluster at {self.address} gives no workers: {said}")

    def _command(self, packages: Sequence[ModelPackage]) -> list[str]:
        return [
            *(sys.executable, "-m", BRIDGE_MODULE, "--ray-address", self.address),
            *("--models-folder", self.models_folder, *self.machine.flags),
            *(str(package.folder) for package in packages),
        ]


def require_ray() -> None:
    """:raises RayMissing: it says what to do."""
    if importlib.util.find_spec("ray") is None:
        raise RayMissing("Ray is not installed here; install it with: pip install 'cuckoo-peer[ray]'")
