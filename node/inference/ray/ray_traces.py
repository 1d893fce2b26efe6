"""Traces that come from another host: written where the node would have had its own worker write them.

Is: the node's side of `TracePart`. Is not: the trace's form (`trace_file`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from node.inference.jobs.job import Failed, Finished
from node.inference.traces.trace_file import PARTIAL, TraceError, TraceFile

if TYPE_CHECKING:
    from node.inference.jobs.frames import TracePart
    from node.inference.jobs.job import ImageJob

WANTED: Final = "wanted"
"""Path in a job for another host, which finds its own."""


class IncomingTraces:
    """The traces of a host's present jobs. Jobs are expected by one thread, the rest is another's."""

    def __init__(self) -> None:
        """None is expected yet."""
        self._paths: dict[str, Path] = {}
        self._files: dict[str, BinaryIO] = {}

    def expect(self, job: ImageJob) -> ImageJob:
        """Note where the trace of a job is to be; return the job for the host."""
        if not job.trace_path:
            return job
        self._paths[job.job_id] = Path(job.trace_path)
        return replace(job, trace_path=WANTED)

    def take(self, part: TracePart) -> None:
        """Write the next bytes of a trace; what nobody wants, or what cannot be written, is not."""
        with suppress(OSError):
            if part.job_id in self._paths and part.job_id not in self._files:
                self._files[part.job_id] = self._partial(part.job_id).open("wb")
            if part.job_id in self._files:
                self._files[part.job_id].write(part.data)

    def end(self, event: Finished | Failed) -> Finished | Failed:
        """The last event of a job, or a failure instead if its trace is wanted and not whole."""
        path = self._paths.get(event.job_id)
        if path is None:
            return event
        partial = self._partial(event.job_id)
        try:
            if (file := self._files.pop(event.job_id, None)) is not None:
                file.close()
            if isinstance(event, Failed):
                partial.unlink(missing_ok=True)
                return event
            _require_trace_of(event, partial)
            partial.replace(path)
        except (OSError, TraceError) as error:
            partial.unlink(missing_ok=True)
            return Failed(event.job_id, f"the trace was not taken over: {error}"[:100], retry=1)
        finally:
            del self._paths[event.job_id]
        return event

    def _partial(self, job_id: str) -> Path:
        return Path(f"{self._paths[job_id]}{PARTIAL}")


def _require_trace_of(finished: Finished, path: Path) -> None:
    """:raises TraceError: the file is not whole, or not what the host says of it."""
    with TraceFile(path) as trace:
        found = (tuple(trace.leaves), trace.final_latent, trace.source_latent)
        if found != (finished.leaves, finished.final_latent, finished.source_latent):
            raise TraceError("it is of another image")
