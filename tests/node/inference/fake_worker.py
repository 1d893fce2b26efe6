"""The real worker around a model that is none: starts in a moment and misbehaves when asked to.

Everything but the model is what a peer runs: frames, threads, cancelling, the end with stdin.
"""

import os
import sys
import time

from node.inference.jobs.job import CANCELLED, Failed, Finished, Progress
from node.inference.packages.package import load
from node.inference.worker.cache import ModelCache
from node.inference.worker.work_memory import WorkMemory
from node.inference.worker.worker import main
from protocol.tensor import NO_TENSOR
from protocol.trace import TraceLeaf

STEP_SECONDS = 0.01
LEAF = TraceLeaf.of(b"", b"", b"")


class FakeModel:
    """Counts steps. A prompt says after which one the process hangs, dies or raises."""

    memory_bytes = 1

    def run(self, jobs, emit, cancelled):
        jobs = list(jobs)
        FakeGauge.taken = len(jobs)
        for job in jobs:
            verb, _, count = job.prompt.partition(" ")
            FakeGauge.room = int(count) if verb == "room" else FakeGauge.room
        for done in range(1, jobs[0].steps + 1):
            time.sleep(STEP_SECONDS)
            for job in jobs[:]:
                if cancelled(job.job_id):
                    emit(Failed(job.job_id, CANCELLED, 1))
                    jobs.remove(job)
                    continue
                emit(Progress(job.job_id, done, job.steps))
                verb, _, step = job.prompt.partition(" ")
                if verb == "crowd" and len(jobs) > int(step):
                    raise MemoryError
                if step == str(done):
                    misbehave(verb)
        for job in jobs:
            emit(Finished(job.job_id, b"png", (LEAF,) * job.steps, bytes(32), NO_TENSOR, 1))


class FakeGauge:
    """Every job takes as much; a prompt says for how many there is room from then on."""

    room = 1000
    taken = 0

    def free_bytes(self):
        return FakeGauge.room

    def begin(self):
        pass

    def peak_bytes(self):
        return FakeGauge.taken


def misbehave(verb):
    if verb == "hang":
        time.sleep(1000)
    elif verb == "die":
        os._exit(9)
    elif verb == "raise":
        raise RuntimeError
    elif verb == "swallow":
        bytearray(1 << 60)
    elif verb == "print":
        sys.stdout.write("a library that thinks stdout is free\n")
        sys.stdout.flush()


def load_all(folders, *_):
    packages = {package.model_id: package for package in map(load, folders)}
    return ModelCache(packages, lambda _: FakeModel(), 1 << 40), WorkMemory(FakeGauge())


if __name__ == "__main__":
    main(load_all)
