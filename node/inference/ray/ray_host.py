"""One worker on a host of a Ray farm: the models that it needs, the process, and the traces that it writes.

Is: the body of a Ray actor, though nothing here knows Ray: frames are given to it and taken from it. The
worker is the same process as on the node's own machine. Is not: the way between hosts; see `ray_bridge`.

A model is looked for by its id in a folder of the host, and what is missing is asked for in parts. That
folder may be one that all hosts share; a lock lets one of them fill it while the others wait.
"""

from __future__ import annotations

import fcntl
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from node.inference.jobs.frames import (
    LENGTH_BYTES,
    PART_BYTES_MAX,
    Batch,
    Broken,
    FilePart,
    FileWanted,
    Frame,
    TracePart,
    decode_frame,
    encode_frame,
    frame_length,
)
from node.inference.jobs.job import REASON_BYTES_MAX, Finished
from node.inference.packages.download import download
from node.inference.packages.package import load
from node.inference.pool.process import Machine, worker_command, worker_environment
from node.system.files import OWNER_ONLY_FOLDER
from protocol.errors import CuckooError, DecodeError, leaves

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

    from node.inference.jobs.job import ImageJob
    from node.inference.packages.package import ModelPackage

FRAMES_WAITING_MAX: Final = 16
"""Frames that wait to be taken; then the worker waits, too."""
TAKEN_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes taken at a time, one frame more or less."""
TRACES_FOLDER: Final = f"cuckoo-traces-{os.getuid()}"
"""In the host's folder for temporary files; one folder below it for each process."""


class RayHost:
    """Runs one worker from its making to its end. Its methods are called from two threads, one for each."""

    def __init__(self, models_folder: str, model_ids: Sequence[bytes], machine: Machine) -> None:
        """Begin; `take` gives what comes of it.

        :param models_folder: where models lie by their id; empty for the default one of the host.
        """
        self._models = Path(models_folder) if models_folder else default_models_folder()
        self._traces = own_traces_folder()
        self._parts: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._frames: queue.Queue[bytes | None] = queue.Queue(FRAMES_WAITING_MAX)
        self._process: subprocess.Popen[bytes] | None = None
        arguments = (tuple(model_ids), machine)
        threading.Thread(target=self._run, args=arguments, name="worker", daemon=True).start()

    def give(self, data: bytes) -> None:
        """Take a frame from the node: a part of a file, or what is for the worker.

        :raises DecodeError: it is not a frame.
        """
        frame = decode_frame(data[LENGTH_BYTES:])
        if isinstance(frame, FilePart):
            self._parts.put(frame.data)
            return
        if isinstance(frame, Batch):
            frame = Batch(tuple(map(self._traced_here, frame.jobs)))
        if self._process is not None and self._process.stdin is not None:
            # Else, or if its pipe is broken or closed, the worker has gone, which `take` tells.
            with suppress(OSError, ValueError):
                self._process.stdin.write(encode_frame(frame))
                self._process.stdin.flush()

    def take(self, seconds: float) -> list[bytes] | None:
        """Frames for the node, as soon as there are any; none after so many seconds; None after the end."""
        taken: list[bytes | None] = []
        try:
            taken.append(self._frames.get(timeout=seconds))
            while sum(len(frame or b"") for frame in taken) < TAKEN_BYTES_MAX and taken[-1] is not None:
                taken.append(self._frames.get_nowait())
        except queue.Empty:
            pass
        frames = [frame for frame in taken if frame is not None]
        if len(frames) < len(taken):
            # For the next call as well.
            self._frames.put(None)
            return frames or None
        return frames

    def _run(self, model_ids: Sequence[bytes], machine: Machine) -> None:
        try:
            packages = [self._package(model_id) for model_id in model_ids]
            self._serve(packages, machine)
        except* (CuckooError, OSError) as failures:
            said = "; ".join(str(error) for error in leaves(failures))
            self._tell(Broken(said.encode()[:REASON_BYTES_MAX].decode(errors="ignore") or "broken"))
        finally:
            shutil.rmtree(self._traces, ignore_errors=True)
            self._frames.put(None)

    def _package(self, model_id: bytes) -> ModelPackage:
        """The package, whole, fetched if it is not here. :raises CuckooError: it is not to be had."""
        self._models.mkdir(parents=True, exist_ok=True)
        folder = self._models / model_id.hex()
        with locked(folder.with_suffix(".lock")):
            if folder.exists() and (package := load(folder)).model_id == model_id:
                # The worker looks at every byte of it before it loads it.
                return package
            return trio.run(download, _AskedFor(self, model_id), model_id, folder, _no_progress)

    def ask(self, wanted: FileWanted) -> bytes:
        """Ask the node for a part, and wait for it."""
        self._tell(wanted)
        return self._parts.get()

    def _serve(self, packages: Sequence[ModelPackage], machine: Machine) -> None:
        """Run the worker until it ends. :raises OSError: the system gives no process."""
        with subprocess.Popen(  # noqa: S603 - our own program
            worker_command(machine, packages),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(machine),
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            self._process = process
            # A worker that makes no sense is stopped here; the node sees an end, and starts another.
            with suppress(DecodeError):
                while head := process.stdout.read(LENGTH_BYTES):
                    self._relay(decode_frame(process.stdout.read(frame_length(head))))
            process.kill()

    def _relay(self, frame: Frame) -> None:
        """Pass a worker's frame on, the trace of a finished job before it."""
        if isinstance(frame, Finished):
            path = self._path(frame.job_id)
            with suppress(FileNotFoundError), path.open("rb") as file:
                while part := file.read(PART_BYTES_MAX):
                    self._tell(TracePart(frame.job_id, part))
            path.unlink(missing_ok=True)
        self._tell(frame)

    def _tell(self, frame: Frame) -> None:
        self._frames.put(encode_frame(frame))

    def _traced_here(self, job: ImageJob) -> ImageJob:
        """The job, with the trace that is wanted of it written on this host."""
        return replace(job, trace_path=str(self._path(job.job_id)) if job.trace_path else "")

    def _path(self, job_id: str) -> Path:
        # Whatever a job is called, its file has a plain name.
        return self._traces / sha256(job_id.encode()).hexdigest()


class _AskedFor:
    """A package that the node has; a source for `download`."""

    def __init__(self, host: RayHost, model_id: bytes) -> None:
        self._host, self._model_id = host, model_id

    @asynccontextmanager
    async def read(self, path: str, offset: int) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """The bytes of a file from `offset` on."""
        yield self._pieces(path, offset)

    async def _pieces(self, path: str, offset: int) -> AsyncGenerator[bytes, None]:
        while True:
            wanted = FileWanted(self._model_id, path, offset)
            data = await trio.to_thread.run_sync(self._host.ask, wanted)
            if not data:
                return
            yield data
            offset += len(data)


def default_models_folder() -> Path:
    """Where a host keeps models, if nobody says otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "cuckoo-peer" / "models"


def own_traces_folder() -> Path:
    """A folder for the traces of this process; what killed ones have left is removed."""
    parent = Path(tempfile.gettempdir()) / TRACES_FOLDER
    parent.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
    for left in parent.iterdir():
        if left.name.isdecimal() and not Path("/proc", left.name).exists():
            shutil.rmtree(left, ignore_errors=True)
    own = parent / str(os.getpid())
    own.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
    return own


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, among all processes that see it; waits for it."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _no_progress(path: str, here_bytes: int, all_bytes: int) -> None:
    """Nobody watches a host."""
