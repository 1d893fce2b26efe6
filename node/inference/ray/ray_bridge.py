"""`python -m node.inference.ray.ray_bridge …`: stands here for one worker on another host; see `ray_workers`.

Is: frames from and to the node over this process's pipes, as a worker speaks them, and the same frames over
Ray from and to a `RayHost`, which Ray places on a host that has room. It sends models that the host lacks,
and writes the traces that the host sends where the node looks for them. Is not: a supervisor; whatever goes
wrong ends it.

Why a process: Ray is a large library with threads, signal handlers and unpickling of what hosts answer. None
of that belongs into the process that holds the node's key. And its end is certain: Ray ends an actor with the
driver that made it, and a worker ends with its actor.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from node.inference.jobs.frames import (
    LENGTH_BYTES,
    PART_BYTES_MAX,
    Batch,
    Broken,
    FilePart,
    FileWanted,
    TracePart,
    Unplaced,
    decode_frame,
    encode_frame,
    frame_length,
)
from node.inference.jobs.job import REASON_BYTES_MAX, Failed, Finished
from node.inference.packages.manifest import MANIFEST_NAME
from node.inference.packages.package import load
from node.inference.pool.process import Machine
from node.inference.ray.ray_host import RayHost
from node.inference.ray.ray_traces import IncomingTraces
from node.inference.worker.worker import EXIT_BROKEN, EXIT_ORPHANED, Outbox
from protocol.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from node.inference.packages.package import ModelPackage

NAMESPACE: Final = "cuckoo-peer"
POLL_SECONDS: Final = 10.0
"""Longest time that a host is asked to wait for a frame; how soon it answers does not depend on it."""
PLACE_SECONDS_MAX: Final = 30.0
"""Ray takes two to begin on a host with room; after so many without, the node is told, and this waits on."""
NO_ROOM: Final = "no host of the Ray cluster has room for another worker; see `ray status`"
AUTOMATIC, CPU_DEVICE = "auto", "cpu"
GPU, CPU = "GPU", "CPU"


def slots_of(device: str, threads: int, nodes: Sequence[Mapping[str, float]]) -> tuple[str, int]:
    """The share of a host that a worker takes, and how many workers all hosts have room for.

    :param device: as torch calls it; `AUTOMATIC` means GPUs if there are any.
    :param nodes: resources of each host, as Ray names them.
    :returns: `GPU` or `CPU`, and how many workers.
    """
    gpus = sum(int(node.get(GPU, 0)) for node in nodes)
    if device not in {AUTOMATIC, CPU_DEVICE} or (device == AUTOMATIC and gpus):
        return GPU, gpus
    return CPU, sum(int(node.get(CPU, 0)) // threads for node in nodes)


class Bridge:
    """Both directions, once the host is there."""

    def __init__(
        self, packages: Sequence[ModelPackage], outbox: Outbox, give: Callable[[bytes], None]
    ) -> None:
        """:param outbox: to the node. :param give: to the host; returns when it has it."""
        self._packages = {package.model_id: package for package in packages}
        self._outbox = outbox
        self._give = give
        self._traces = IncomingTraces()

    def read_forever(self, source: BinaryIO) -> None:
        """Pass on what the node says until it says no more; then end this process, or if the host is gone."""
        try:
            while head := source.read(LENGTH_BYTES):
                frame = decode_frame(source.read(frame_length(head)))
                if isinstance(frame, Batch):
                    frame = Batch(tuple(map(self._traces.expect, frame.jobs)))
                self._give(encode_frame(frame))
        except Exception:  # noqa: BLE001 - of Ray, or nonsense: no frame is passed on from here
            os._exit(EXIT_BROKEN)
        os._exit(EXIT_ORPHANED)

    def take(self, data: bytes) -> None:
        """Take a frame of the host. :raises DecodeError: it is not a frame, or not one that a host sends."""
        frame = decode_frame(data[LENGTH_BYTES:])
        match frame:
            case FileWanted():
                self._give(encode_frame(FilePart(self._part(frame))))
            case TracePart():
                self._traces.take(frame)
            case Finished() | Failed():
                self._outbox.send(self._traces.end(frame))
            case _:
                self._outbox.send(frame)

    def _part(self, wanted: FileWanted) -> bytes:
        """:raises DecodeError: no package of the node has such a file."""
        package = self._packages.get(wanted.model_id)
        if package is None or (wanted.path not in package.files and wanted.path != MANIFEST_NAME):
            raise DecodeError("the host wants a file that does not belong to a model")
        with (package.folder / wanted.path).open("rb") as file:
            file.seek(wanted.offset)
            return file.read(PART_BYTES_MAX)


def connect(address: str) -> Any:
    """Join the cluster as a driver; return the module `ray`. :raises Exception: whatever Ray says."""
    # Before the import, which reads it.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray  # noqa: PLC0415 - an extra, and large

    ray.init(
        address=address,
        namespace=NAMESPACE,
        log_to_driver=False,
        configure_logging=False,
        include_dashboard=False,
    )
    return ray


def resources(ray: Any) -> list[Mapping[str, float]]:
    """The resources of each living host."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def place(
    ray: Any, resource: str, models_folder: str, packages: Sequence[ModelPackage], machine: Machine
) -> Any:
    """An actor for one worker, on whichever host has room; spread, so that hosts fill up evenly.

    :param resource: `GPU` or `CPU`, as it was decided when the node started: a farm whose GPUs are away for a
        while must not get workers on processors instead.
    """
    options = {"num_gpus": 1, "num_cpus": 0} if resource == GPU else {"num_cpus": machine.threads}
    actor = ray.remote(
        **options,
        scheduling_strategy="SPREAD",
        # One thread each, so that what is given arrives in its order while somebody waits for an answer.
        concurrency_groups={"give": 1, "take": 1},
        max_restarts=0,
        max_task_retries=0,
    )(RayHost)
    return actor.remote(models_folder, [package.model_id for package in packages], machine)


def wait_for_room(ray: Any, answer: Any, outbox: Outbox) -> None:
    """Wait until a host answers, or is lost; tell the node meanwhile that none has room.

    :param answer: Ray's reference to the first that the host was asked for.
    """
    while not ray.wait([answer], timeout=PLACE_SECONDS_MAX)[0]:
        outbox.send(Unplaced(NO_ROOM))


def main() -> None:
    """Count the slots of a cluster, or stand for a worker in one of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = argparse.ArgumentParser(
        description="A worker on another host; started by the pool, not by hand."
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--ray-address", required=True)
    parser.add_argument("--models-folder", default="")
    parser.add_argument("--resource", choices=(GPU, CPU), default=CPU)
    parser.add_argument("--count-slots", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--memory-bytes", type=int, default=0)
    parser.add_argument("--niceness", type=int, default=0)
    parser.add_argument("--work-percent", type=int, default=100)
    arguments = parser.parse_args()
    machine = Machine(
        arguments.threads,
        arguments.device,
        arguments.memory_bytes,
        arguments.niceness,
        arguments.work_percent,
    )
    sink = os.fdopen(os.dup(1), "wb")
    # Every driver of a cluster is told at length what happens to its hosts. The pool says once what it means.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if arguments.count_slots:
        sink.write(json.dumps(count_slots(arguments.ray_address, machine)).encode())
        sink.close()
    else:
        stand_for_worker(arguments, machine, Outbox(sink))
    # Ray's orderly end takes seconds, and nobody waits for it.
    os._exit(EXIT_ORPHANED)


def count_slots(address: str, machine: Machine) -> dict[str, int | str]:
    """`resource` and `slots`, or an `error` for the operator."""
    try:
        nodes = resources(connect(address))
    except Exception as error:  # noqa: BLE001 - Ray has no common error for what may be wrong here
        return {"error": one_line(error)}
    resource, slots = slots_of(machine.device, machine.threads, nodes)
    return {"resource": resource, "slots": slots}


def stand_for_worker(arguments: argparse.Namespace, machine: Machine, outbox: Outbox) -> None:
    """Pass frames both ways until one end is gone."""
    try:
        packages = [load(folder) for folder in arguments.folders]
        ray = connect(arguments.ray_address)
        host = place(ray, arguments.resource, arguments.models_folder, packages, machine)
        give = host.give.options(concurrency_group="give")
        take = host.take.options(concurrency_group="take")
        bridge = Bridge(packages, outbox, lambda data: ray.get(give.remote(data)))
        threading.Thread(target=bridge.read_forever, args=(sys.stdin.buffer,), daemon=True).start()
        answer = take.remote(0.0)
        wait_for_room(ray, answer, outbox)
        while (frames := ray.get(answer)) is not None:
            for data in frames:
                bridge.take(data)
            answer = take.remote(POLL_SECONDS)
    except Exception as error:  # noqa: BLE001 - likewise; a lost host is one of them
        outbox.send(Broken(one_line(error)))
        os._exit(EXIT_BROKEN)


def one_line(error: Exception) -> str:
    """The first line of what an error says, short enough for `Broken`."""
    said = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
    return said.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


if __name__ == "__main__":
    main()
