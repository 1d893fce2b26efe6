"""A miner's look at its own work before it signs: the exact checks, of every step, from the stored bytes.

Is: what keeps a bit that flipped in this machine's memory from costing its stake: hashes, sizes, finiteness,
S and X of the whole trace, and the picture's checksums, against the task as it was announced.
Is not: R, V or E, which only the networks could tell: what they gave counts from when it was hashed.

A step at a time is in memory, whatever the trace's length.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

from node.inference.diffusion.checks import first_latent, half_tensor
from node.inference.diffusion.replay import (
    REPLAY_NAME,
    Replay,
    advance,
    first_difference,
    first_not_finite,
    guide,
    read_replay,
    table_bytes,
)
from node.inference.packages.errors import PackageError
from node.inference.traces.trace_file import TraceError, TraceFile
from protocol.errors import InvalidMessage, LocalError
from protocol.model_table import rows_root
from protocol.png import require_picture
from protocol.tensor import NO_TENSOR
from protocol.trace import steps_root

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from node.inference.jobs.job import ImageJob
    from node.inference.packages.package import ModelPackage

    Half = NDArray[np.float16]

TABLES_KEPT: Final = 8
"""Tables of steps that are kept in memory, one a model; one of a hundred steps has 202 kB."""


class SpoiltWork(LocalError):
    """Work of this machine does not agree with itself, and must not be signed."""


class TraceEnds(NamedTuple):
    """Three hashes that a trace root is made of, with its binding; see `protocol.trace`."""

    steps_root: bytes
    final_latent: bytes
    source_latent: bytes


def require_own_work(package: ModelPackage, job: ImageJob, picture: bytes, path: Path) -> TraceEnds:
    """Compute S and X of every step again, and every hash, from what is stored; return the hashes found.

    :param job: made anew of the task's announcement and input, not the one that was worked by.
    :param picture: the PNG.
    :param path: of the trace.
    :raises SpoiltWork: something does not agree; names the first place.
    """
    try:
        require_picture(picture, job.width, job.height)
        with TraceFile(path) as trace:
            _Walk(package, job, trace).run()
            return TraceEnds(steps_root(trace.leaves), trace.final_latent, trace.source_latent)
    except OSError as error:
        raise SpoiltWork("the trace cannot be read") from error
    except (InvalidMessage, TraceError, PackageError, ValueError) as error:
        raise SpoiltWork(str(error)) from error


class _Walk:
    """One trace, read from its begin to its end."""

    def __init__(self, package: ModelPackage, job: ImageJob, trace: TraceFile) -> None:
        """:raises InvalidMessage: the model has no tensors of the job's size."""
        head = package.table.head
        head.tensor_numbers(job.width, job.height)
        self._shape = head.channels, job.height // head.factor, job.width // head.factor
        self._replay = _table(package.folder / REPLAY_NAME, package.table.rows_root)
        self._job, self._trace = job, trace

    def run(self) -> None:
        """:raises SpoiltWork, TraceError, ValueError: the first thing that does not agree."""
        job, trace = self._job, self._trace
        steps = self._replay.steps(job.schedule_steps, job.steps)
        if len(trace.leaves) != len(steps):
            raise SpoiltWork("the trace has another number of steps")
        if (trace.source_latent != NO_TENSOR) != bool(job.source_png):
            raise SpoiltWork("the trace is of another kind of work")
        source = self._tensor(trace.source(), "the source latent") if job.source_png else None
        expected, before = first_latent(steps[0], job.seed, self._shape, source), None
        for number, step in enumerate(steps):
            latent, unconditional, conditional = trace.tensors(number)
            if bool(unconditional) != job.guided:
                raise SpoiltWork(f"step {number} has another number of outputs")
            found = self._tensor(latent, f"step {number}")
            self._require_same(found, expected, f"the latent of step {number}")
            base = self._tensor(unconditional, f"step {number}") if unconditional else None
            output = guide(base, self._tensor(conditional, f"step {number}"), job.guidance_milli)
            expected, before = advance(step, found, output, before), (found, output)
        self._require_same(self._tensor(trace.final(), "the end"), expected, "the last latent")

    def _tensor(self, data: bytes, what: str) -> Half:
        """:raises SpoiltWork: a number is not finite. :raises ValueError: it has another size."""
        tensor = half_tensor(data, self._shape)
        wrong = first_not_finite(tensor)
        if wrong is not None:
            raise SpoiltWork(f"number {wrong} of {what} is not finite")
        return tensor

    def _require_same(self, found: Half, expected: Half, what: str) -> None:
        wrong = first_difference(found, expected)
        if wrong is not None:
            raise SpoiltWork(f"number {wrong} of {what} does not follow from what is before it")


@functools.lru_cache(maxsize=TABLES_KEPT)
def _table(path: Path, root: bytes) -> Replay:
    """The table of a package. :raises PackageError: it is not the one under the id."""
    replay = read_replay(path)
    if rows_root(table_bytes(replay)) != root:
        raise PackageError("the table under the package's id is not that of its files")
    return replay
