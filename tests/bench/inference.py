"""How fast inference is, as ratios measured in one run with the embedded model on one thread.

    python -m tests.bench.inference

Is: figures on standard output, with their goals; status 1 when one is missed.
Is not: a test; a shared machine has moments of its own, so a goal missed once is a reason to run it again.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from node.inference.diffusion import pipeline
from node.inference.jobs.job import Finished, ImageJob
from node.inference.packages.package import load
from node.settings import embedded_folders
from protocol.tensor import NO_TENSOR
from tests.bench.protocol import report, say
from tests.node.inference.builders import a_job

ROUNDS = 9
STEPS = 20
BATCHES = (2, 4, 8)
TRACE_SHARE_MAX = 0.03
BATCH_RATIO_MIN = 2.0


class NoTrace:
    """In place of a `TraceWriter`: what a job costs without one."""

    leaves = ()
    source_latent = NO_TENSOR

    def __init__(self, path: Path | None, steps: int, source: bytes) -> None:
        del path, steps, source

    def add(self, *tensors: bytes) -> None:
        """Nothing."""

    def finish(self, final_latent: bytes) -> bytes:
        """Nothing."""
        del final_latent
        return bytes(32)

    def discard(self) -> None:
        """Nothing."""


class Bench:
    """The embedded model, and a folder for traces."""

    def __init__(self, folder: Path) -> None:
        self.model = pipeline.Model(load(embedded_folders()[0]))
        self._folder, self._names = folder, itertools.count()

    def job(self) -> ImageJob:
        """A job that nobody had before."""
        number = next(self._names)
        path = self._folder / f"{number}.trace"
        return a_job(
            self.model.networks.package.model_id,
            job_id=str(number),
            seed=number,
            steps=STEPS,
            trace_path=str(path),
        )

    def seconds(self, count: int) -> float:
        """Seconds of `count` jobs computed as one batch."""
        jobs, done = [self.job() for _ in range(count)], []
        started = time.perf_counter()
        self.model.run(jobs, done.append, lambda _: False)
        taken = time.perf_counter() - started
        assert sum(isinstance(event, Finished) for event in done) == count
        return taken


def traced(bench: Bench) -> bool:
    """A job with its trace on disk beside the same without, in turns."""
    writer, shares = pipeline.TraceWriter, []
    for _ in range(ROUNDS):
        with_trace = bench.seconds(1)
        pipeline.TraceWriter = NoTrace  # type: ignore[assignment, misc]
        without = bench.seconds(1)
        pipeline.TraceWriter = writer  # type: ignore[misc]
        shares.append((with_trace, without))
    best = min(row[0] for row in shares), min(row[1] for row in shares)
    share = best[0] / best[1] - 1
    say(f"one job of {STEPS} steps: {best[1] * 1e3:.0f} ms, with its trace {best[0] * 1e3:.0f} ms")
    return report("trace", f"{share:+.1%}", f"<= {TRACE_SHARE_MAX:.0%}", share <= TRACE_SHARE_MAX)


def trace_alone(bench: Bench) -> bool:
    """The trace's own work, without the noise of inference around it."""
    shape = (4, 8, 8)
    latent = bench.model.networks.noise(bench.job()).astype(np.float16)
    assert latent.shape == shape
    data, taken = pipeline.latent_bytes(latent), []
    for number in range(ROUNDS):
        path = Path(tempfile.gettempdir()) / f"cuckoo-bench-{number}.trace"
        started = time.perf_counter()
        writer = pipeline.TraceWriter(path, STEPS)
        for _ in range(STEPS):
            writer.add(pipeline.latent_bytes(latent), data, data)
        writer.finish(data)
        taken.append(time.perf_counter() - started)
        path.unlink()
    inference_s = min(bench.seconds(1) for _ in range(3))
    share = min(taken) / inference_s
    figure = f"{min(taken) * 1e3:.2f} ms = {share:.2%}"
    return report("hashing and writing alone", figure, f"<= {TRACE_SHARE_MAX:.0%}", share <= TRACE_SHARE_MAX)


def batched(bench: Bench) -> bool:
    """Images a second in batches, as a multiple of those one by one, in turns."""
    ratios: dict[int, list[float]] = {count: [] for count in BATCHES}
    for _ in range(3):
        alone = bench.seconds(1) / 2 + bench.seconds(1) / 2
        for count in BATCHES:
            ratios[count].append(count * alone / bench.seconds(count))
    for count in BATCHES:
        say(f"batch of {count}: {statistics.median(ratios[count]):.2f} x the throughput of one by one")
    ratio = statistics.median(ratios[max(BATCHES)])
    return report(
        f"batch of {max(BATCHES)}", f"{ratio:.2f} x", f">= {BATCH_RATIO_MIN} x", ratio >= BATCH_RATIO_MIN
    )


def main() -> int:
    """Measure all of it. :returns: 1 when a goal was missed."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.seconds(1)
        reached = [traced(bench), trace_alone(bench), batched(bench)]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
