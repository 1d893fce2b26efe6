"""The traces that a miner keeps so that it can open them: which, for how long, and how many bytes of them.

Is: a folder with three files a task: the trace that the worker wrote, the work that it is of (input, sources
and picture, as `node/exchange/kept_work.py` has them), and the announcement. A trace counts from the moment
its announcement is written beside it, the last of them; what a crash left half done is removed.
Is not: what is in a trace (`trace_file`), or who may see it (`node/openings`).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from node.inference.traces.trace_file import PARTIAL, TraceError
from node.system.files import OWNER_ONLY_FOLDER, write_private
from protocol.keeping import WORKS_MAX

TRACE_LIFE_MS: Final = 6 * 60 * 60 * 1000
"""How long a trace is kept at most: one that is held, since it was asked for or contested."""
TRACE_BYTES_MAX: Final = 16 * 1024**3
"""Bytes of all traces together; beyond it the oldest go. Room for a newcomer's 3,000 pictures an hour of the
size of SDXL until their audits are over, with all that may be held: it is computed in
`tests/node/exchange/test_trace_keeping.py`."""
HELD_BYTES_MAX: Final = TRACE_BYTES_MAX // 8
"""Of them, those of traces that are held for buyers, and as many that are held since they are contested."""
TRACE_SUFFIX: Final = ".trace"
TASK_SUFFIX: Final = ".task"
RESULT_SUFFIX: Final = ".result"
_TASK_ID_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class _Kept:
    """One trace. :ivar kept_at_ms: since when. :ivar size_bytes: of all its files."""

    kept_at_ms: int
    size_bytes: int


@dataclass(slots=True)
class TraceCounts:
    """:ivar expired: beyond their life. :ivar evicted: for want of room. :ivar swept: remains of a crash.

    :ivar released: because nobody may ask for them any more.
    """

    kept: int = 0
    expired: int = 0
    evicted: int = 0
    swept: int = 0
    released: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class TraceStatus:
    """The traces kept. :ivar stored_bytes: of all together."""

    traces: int
    stored_bytes: int
    counts: TraceCounts


class TraceStore:
    """One miner's traces. All methods are synchronous, and quick but for the disk.

    :ivar counts: since the start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        life_ms: int = TRACE_LIFE_MS,
        bytes_max: int = TRACE_BYTES_MAX,
        traces_max: int = WORKS_MAX,
    ) -> None:
        """Open `folder`, and sweep out what is not whole. :raises OSError: it cannot be used."""
        self.counts = TraceCounts()
        self._folder = folder
        self._life_ms, self._bytes_max, self._traces_max = life_ms, bytes_max, traces_max
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._bytes = 0
        folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
        self._load()

    def status(self) -> TraceStatus:
        """For people and monitors."""
        return TraceStatus(len(self), self.size_bytes, replace(self.counts))

    def __len__(self) -> int:
        """How many traces there are."""
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """Bytes of all traces."""
        return self._bytes

    def path_of(self, task_id: bytes) -> Path:
        """Where the trace of a task is, or is to be written."""
        return self._folder / (task_id.hex() + TRACE_SUFFIX)

    def keep(self, task_id: bytes, announcement: bytes, work: bytes, now_ms: int) -> None:
        """The trace of a task is written: keep it, and let go of what is too old or too much.

        :param announcement: its envelope, from which it follows later who may see the trace.
        :param work: input, sources and picture, which who may see the trace may see, too.
        :raises TraceError: it is not there.
        :raises OSError: the folder cannot be written.
        """
        path = self.path_of(task_id)
        if not path.is_file():
            self.counts.missing += 1
            raise TraceError("the trace is not there")
        write_private(path.with_suffix(RESULT_SUFFIX), work)
        write_private(path.with_suffix(TASK_SUFFIX), announcement)
        self._forget(task_id)
        self._add(task_id, _Kept(now_ms, path.stat().st_size + len(announcement) + len(work)))
        self.counts.kept += 1
        self.prune(now_ms)

    def discard(self, task_id: bytes) -> None:
        """Remove what a worker may have left of a task that came to nothing; a kept trace stays."""
        if task_id not in self._kept:
            path = self.path_of(task_id)
            path.unlink(missing_ok=True)
            Path(f"{path}{PARTIAL}").unlink(missing_ok=True)

    def bytes_of(self, task_id: bytes) -> int:
        """Bytes of one trace, with its work and announcement; 0 if it is not kept."""
        kept = self._kept.get(task_id)
        return 0 if kept is None else kept.size_bytes

    def task_ids(self, now_ms: int) -> tuple[bytes, ...]:
        """Of all traces that are kept, the oldest first."""
        self.prune(now_ms)
        return tuple(self._kept)

    def release(self, task_id: bytes) -> None:
        """Remove a trace before its time."""
        if task_id in self._kept:
            self.counts.released += 1
            self._drop(task_id)

    def announcement_of(self, task_id: bytes, now_ms: int) -> bytes | None:
        """The announcement kept with a trace; None when there is no such trace, or not any more."""
        self.prune(now_ms)
        if task_id not in self._kept:
            return None
        try:
            return self.path_of(task_id).with_suffix(TASK_SUFFIX).read_bytes()
        except OSError:
            self.counts.missing += 1
            self._drop(task_id)
            return None

    def work_of(self, task_id: bytes) -> bytes:
        """The work kept with a trace. :raises TraceError: it is not there."""
        try:
            return self.path_of(task_id).with_suffix(RESULT_SUFFIX).read_bytes()
        except OSError as error:
            raise TraceError("the work of the trace is not there") from error

    def prune(self, now_ms: int) -> None:
        """Remove what is older than its life, and the oldest of what is too much."""
        while self._kept:
            oldest, kept = next(iter(self._kept.items()))
            if kept.kept_at_ms + self._life_ms <= now_ms:
                self.counts.expired += 1
            elif self._bytes > self._bytes_max or len(self._kept) > self._traces_max:
                self.counts.evicted += 1
            else:
                return
            self._drop(oldest)

    def _load(self) -> None:
        """Find the traces of earlier runs, oldest first; remove all other files."""
        found = []
        for path in self._folder.iterdir():
            task_id = _task_id_of(path)
            files = [path.with_suffix(suffix) for suffix in (TRACE_SUFFIX, RESULT_SUFFIX, TASK_SUFFIX)]
            if task_id is None or not all(file.is_file() for file in files):
                self.counts.swept += 1
                path.unlink(missing_ok=True)
            elif path.suffix == TASK_SUFFIX:
                size_bytes = sum(file.stat().st_size for file in files)
                found.append((int(path.stat().st_mtime * 1000), task_id, size_bytes))
        for kept_at_ms, task_id, size_bytes in sorted(found):
            self._add(task_id, _Kept(kept_at_ms, size_bytes))

    def _add(self, task_id: bytes, kept: _Kept) -> None:
        self._kept[task_id] = kept
        self._bytes += kept.size_bytes

    def _forget(self, task_id: bytes) -> None:
        kept = self._kept.pop(task_id, None)
        self._bytes -= kept.size_bytes if kept is not None else 0

    def _drop(self, task_id: bytes) -> None:
        self._forget(task_id)
        path = self.path_of(task_id)
        # The announcement first: a trace without one is no trace.
        for suffix in (TASK_SUFFIX, RESULT_SUFFIX, TRACE_SUFFIX):
            path.with_suffix(suffix).unlink(missing_ok=True)


def _task_id_of(path: Path) -> bytes | None:
    """The task whose file this is, if it is one of ours."""
    if path.suffix not in {TRACE_SUFFIX, RESULT_SUFFIX, TASK_SUFFIX} or os.sep in path.stem:
        return None
    try:
        task_id = bytes.fromhex(path.stem)
    except ValueError:
        return None
    return task_id if len(task_id) == _TASK_ID_BYTES and task_id.hex() == path.stem else None
