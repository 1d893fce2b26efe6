"""`python -m node.inference.worker.worker FOLDER...`: the process that holds the models. Started by the pool.

Is: frames in on stdin, frames out on what was stdout, one batch of jobs at a time, in that order. Is not: a
server, nor anything that survives its parent: the end of stdin ends it, even in the middle of a step.

Two threads: the main one runs the pipeline; the other reads stdin, so that a cancellation or the
parent's death is seen while a step is being computed.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeAlias

from node.inference.audit.audit import ROWS_MAX
from node.inference.jobs.audit_job import Audited, AuditJob, check_audit
from node.inference.jobs.frames import (
    LENGTH_BYTES,
    Batch,
    Broken,
    Cancel,
    Frame,
    Ready,
    decode_frame,
    encode_frame,
    frame_length,
)
from node.inference.jobs.job import (
    OUT_OF_MEMORY,
    REASON_BYTES_MAX,
    Failed,
    Finished,
    ImageJob,
    JobEvent,
    JobRefused,
    Progress,
    check_job,
)
from node.inference.jobs.pace import Pace
from node.inference.packages.package import load, verify
from node.inference.packages.preflight import require_memory
from node.inference.worker.cache import ModelCache
from node.inference.worker.work_memory import NO_ROOM, WorkMemory
from protocol.errors import CuckooError, DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.inference.packages.package import ModelPackage

BATCHES_WAITING_MAX: Final = 4
"""Batches read ahead of the running one. The pool sends one at a time; more means that it is broken."""
MEMORY_WORDS: Final = (
    "can't allocate memory",  # processors
    "out of memory",  # MPS; CUDA outside of torch's own allocator
    "ALLOC_FAILED",  # cuBLAS and cuDNN for their workspaces
)
EXIT_ORPHANED: Final = 0
EXIT_BROKEN: Final = 3
EXIT_MEMORY: Final = 4


class RunsJobs(Protocol):
    """A loaded model, as far as serving it goes; see `pipeline.Model`."""

    memory_bytes: int

    def run(
        self, jobs: Sequence[ImageJob], emit: Callable[[JobEvent], None], cancelled: Callable[[str], bool]
    ) -> None:
        """Run jobs of one shape; the last event emitted of each is `Finished` or `Failed`."""

    def audit(self, job: AuditJob, rows_max: int) -> Audited:
        """Check opened work. :param rows_max: steps to compute at a time, from 1. :raises CuckooError: it
        cannot.
        """


class Inbox:
    """The queue from the reading thread to the running one: batches in order, and the jobs cancelled."""

    def __init__(self, source: BinaryIO) -> None:
        """Read from `source`, which is at a frame's start."""
        self._source = source
        self._batches: queue.Queue[tuple[ImageJob, ...] | AuditJob] = queue.Queue(maxsize=BATCHES_WAITING_MAX)
        self._lock = threading.Lock()
        self._cancelled: set[str] = set()

    def read_forever(self) -> None:
        """Take frames until stdin ends, then end the process, whatever the main thread is doing."""
        try:
            while head := self._source.read(LENGTH_BYTES):
                frame = decode_frame(self._source.read(frame_length(head)))
                if isinstance(frame, Cancel):
                    with self._lock:
                        self._cancelled.add(frame.job_id)
                elif isinstance(frame, Batch | AuditJob):
                    with self._lock:
                        # A job may come again under the same name after it was cancelled once.
                        self._cancelled.clear()
                    self._batches.put_nowait(frame.jobs if isinstance(frame, Batch) else frame)
        except (DecodeError, OSError, queue.Full):
            # The parent is gone or broken; in either case nobody waits for a result.
            os._exit(EXIT_BROKEN)
        os._exit(EXIT_ORPHANED)

    def next_batch(self) -> tuple[ImageJob, ...] | AuditJob:
        """Wait for the next batch, or the next audit."""
        return self._batches.get()

    def is_cancelled(self, job_id: str) -> bool:
        """Whether the parent has asked to stop this job."""
        with self._lock:
            return job_id in self._cancelled


class Outbox:
    """Writes frames; a parent that no longer reads ends the process."""

    def __init__(self, sink: BinaryIO) -> None:
        """Write to `sink`, which nothing else writes to."""
        self._sink = sink

    def send(self, frame: Frame) -> None:
        """Write one frame and flush it."""
        try:
            self._sink.write(encode_frame(frame))
            self._sink.flush()
        except OSError:
            os._exit(EXIT_ORPHANED)


class Running:
    """A batch that is being computed: which of its jobs have not had their last event."""

    def __init__(self, jobs: Sequence[ImageJob], outbox: Outbox, pace: Pace) -> None:
        """None of them has."""
        self.open = [job.job_id for job in jobs]
        self._outbox = outbox
        self._pace = pace
        pace.begin()

    def emit(self, event: JobEvent) -> None:
        """Send an event, and rest if it is time."""
        if isinstance(event, Finished | Failed):
            self.open.remove(event.job_id)
        self._outbox.send(event)
        if isinstance(event, Progress):
            self._pace.rest_after(event.step)

    def fail(self, reason: str) -> None:
        """All jobs that are left failed, though others may do them."""
        for job_id in self.open[:]:
            self.emit(Failed(job_id, reason, retry=1))


def serve(loaded: Loaded, inbox: Inbox, outbox: Outbox, pace: Pace) -> None:
    """Run batches and audits one after another, for ever. An unexpected exception ends the process loudly.

    Work that will not fit into memory is refused. Where that is seen too late the process ends, after it has
    said so: what is left of its memory is in pieces.
    """
    while True:
        work = inbox.next_batch()
        if isinstance(work, AuditJob):
            serve_audit(loaded, work, outbox)
        else:
            serve_batch(loaded, work, inbox, outbox, pace)


def serve_batch(loaded: Loaded, jobs: Sequence[ImageJob], inbox: Inbox, outbox: Outbox, pace: Pace) -> None:
    """Run one batch."""
    models, memory = loaded
    allowed = []
    for job in jobs:
        try:
            check_job(job, models.packages)
        except JobRefused as refused:
            outbox.send(Failed(job.job_id, refused.reason, retry=0))
        else:
            allowed.append(job)
    if not allowed:
        return
    running = Running(allowed, outbox, pace)
    try:
        model = models.get(allowed[0].model_id)
        # As many together as fit, then the next; what does not fit even alone is refused.
        while fitting := allowed[: memory.fitting(allowed)]:
            with memory.measured(fitting):
                model.run(fitting, running.emit, inbox.is_cancelled)
            del allowed[: len(fitting)]
        running.fail(NO_ROOM)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        running.fail(OUT_OF_MEMORY)
        os._exit(EXIT_MEMORY)


def serve_audit(loaded: Loaded, job: AuditJob, outbox: Outbox) -> None:
    """Do one audit; it ends at once if it must, and is not cancelled: it takes no longer than a few steps."""
    models, memory = loaded
    try:
        check_audit(job, models.packages)
        # Each of its steps takes what a job of its own would.
        rows_max = memory.fitting([job.image] * min(ROWS_MAX, len(job.steps)))
        if rows_max:
            outbox.send(models.get(job.model_id).audit(job, rows_max))
        else:
            outbox.send(Failed(job.job_id, NO_ROOM, retry=1))
    except CuckooError as error:
        outbox.send(
            Failed(job.job_id, str(error).encode()[:REASON_BYTES_MAX].decode(errors="ignore"), retry=0)
        )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        outbox.send(Failed(job.job_id, OUT_OF_MEMORY, retry=1))
        os._exit(EXIT_MEMORY)


def shortened(reason: str) -> str:
    """As much of it as a frame may say."""
    return reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was what failed; torch says so by a class on some accelerators, elsewhere by words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in MEMORY_WORDS)


Loaded: TypeAlias = "tuple[ModelCache[RunsJobs], WorkMemory]"


def load_models(folders: Sequence[Path], threads: int, device: str, memory_bytes: int) -> Loaded:
    """Check all packages and load what fits. :raises CuckooError: one is not sound, or the device is not."""
    # Checked before anything is imported: a spoilt package is then known within a moment.
    packages = [load(folder) for folder in folders]
    for package in packages:
        verify(package)

    if memory_bytes:
        require_room(packages, memory_bytes)

    # Here and nowhere else: importing these takes seconds and hundreds of megabytes.
    import torch  # noqa: PLC0415

    from node.inference.audit.device_check import require_honest  # noqa: PLC0415
    from node.inference.audit.thresholds import thresholds_of  # noqa: PLC0415
    from node.inference.diffusion.device import open_device  # noqa: PLC0415
    from node.inference.diffusion.networks import Networks  # noqa: PLC0415
    from node.inference.diffusion.pipeline import Model  # noqa: PLC0415
    from node.inference.diffusion.prng import normal_table  # noqa: PLC0415
    from node.inference.worker.gauges import open_gauge  # noqa: PLC0415

    torch.set_num_threads(threads)
    torch.set_grad_enabled(mode=False)
    normal_table()
    opened = open_device(device, memory_bytes)
    require_room(packages, opened.memory_bytes)

    def load_one(package: ModelPackage) -> RunsJobs:
        model = Model(package, opened.torch_device)
        # Against itself a processor has nothing to show.
        if opened.torch_device.type != "cpu":
            require_honest(model.networks, Networks(package, precision="fp32"), thresholds_of(package))
        return model

    cache = ModelCache({package.model_id: package for package in packages}, load_one, opened.memory_bytes)
    cache.preload()
    return cache, WorkMemory(open_gauge(opened.torch_device))


def require_room(packages: Sequence[ModelPackage], memory_bytes: int) -> None:
    """:raises DoesNotFit: one of the packages would not run in so much memory, even alone."""
    for package in packages:
        require_memory(package.name, package.size_bytes, memory_bytes)


Loader: TypeAlias = "Callable[[Sequence[Path], int, str, int], Loaded]"


def main(load_all: Loader = load_models) -> None:
    """Load the packages named on the command line, say so, and serve."""
    # The terminal sends Ctrl-C to everybody; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.monotonic()
    parser = argparse.ArgumentParser(description="Inference worker; started by the pool, not by hand.")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--memory-bytes", type=int, default=0)
    parser.add_argument("--niceness", type=int, default=0)
    parser.add_argument("--work-percent", type=int, default=100)
    arguments = parser.parse_args()
    os.nice(arguments.niceness)
    # Frames keep the real stdout; whatever a library prints goes to stderr, where it harms nothing.
    outbox = Outbox(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    inbox = Inbox(sys.stdin.buffer)
    threading.Thread(target=inbox.read_forever, name="frames", daemon=True).start()
    try:
        loaded = load_all(arguments.folders, arguments.threads, arguments.device, arguments.memory_bytes)
    except (CuckooError, OSError, ValueError, ImportError, MemoryError, RuntimeError) as error:
        said = OUT_OF_MEMORY if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        outbox.send(Broken(shortened(said)))
        # Not sys.exit(): the reading thread holds stdin's lock, which an orderly exit waits for.
        os._exit(EXIT_BROKEN)
    outbox.send(Ready(int((time.monotonic() - started) * 1000)))
    try:
        serve(loaded, inbox, outbox, Pace(arguments.work_percent))
    except Exception:  # noqa: BLE001 - whatever it was: say it, and let the pool start a fresh process
        traceback.print_exc()
    os._exit(EXIT_BROKEN)


if __name__ == "__main__":
    main()
