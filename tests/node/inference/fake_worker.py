"""The real worker around a model that is none: starts in a moment and misbehaves when asked to.

Everything but the model is what a peer runs: frames, threads, cancelling, the end with stdin.
"""

import os
import sys
import time

from node.inference.job import CANCELLED, Failed, Finished, Progress
from node.inference.package import load
from node.inference.worker import main

STEP_SECONDS = 0.01


class FakeModel:
    """Counts steps. The prompt says after which one it hangs, dies or raises."""

    def __init__(self, package):
        self.package = package

    def run(self, job, emit, cancelled):
        verb, _, step = job.prompt.partition(" ")
        for done in range(1, job.steps + 1):
            time.sleep(STEP_SECONDS)
            if cancelled():
                emit(Failed(job.job_id, CANCELLED, 1))
                return
            emit(Progress(job.job_id, done, job.steps))
            if step == str(done):
                misbehave(verb)
        emit(Finished(job.job_id, b"png", (bytes(32),) * (job.steps + 1), 1))


def misbehave(verb):
    if verb == "hang":
        time.sleep(1000)
    elif verb == "die":
        os._exit(9)
    elif verb == "raise":
        raise RuntimeError
    elif verb == "print":
        sys.stdout.write("a library that thinks stdout is free\n")
        sys.stdout.flush()


def load_all(folders, _threads):
    packages = [load(folder) for folder in folders]
    return {package.model_id: FakeModel(package) for package in packages}


if __name__ == "__main__":
    main(load_all)
