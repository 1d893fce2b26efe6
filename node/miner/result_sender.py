"""The result of one task as it leaves its miner: numbered chunks, no further than they are paid for.

Is: the order of chunks on a stream, as state without I/O: units as vouchers come, previews between them, and
the last part of the output when all is paid.
Is not: the work, which goes on meanwhile, the signatures or the stream (`conversation`).
"""

from __future__ import annotations

from collections.abc import Iterator

from node.pay.meter import TaskMeter
from protocol.messages import CHUNK_BYTES_MAX, ChunkKind, ResultChunk, TaskAnnouncement, parts_of
from protocol.statement import Statement


class ResultSender:
    """The result of one task as it is made, and how far the present stream is with it.

    One preview waits at most, the newest: progress that nobody pays for must not pile up pictures.

    :ivar made: units that are made.
    """

    def __init__(self, task: Statement[TaskAnnouncement], meter: TaskMeter) -> None:
        self._task_id = task.digest
        self._units = task.message.work.units
        self._meter = meter
        self.made = 0
        self._preview: tuple[int, bytes] | None = None
        self._parts: tuple[bytes, ...] = ()
        self.begin_stream()

    @property
    def complete(self) -> bool:
        """Whether all parts of the output are out."""
        return bool(self._parts) and self._next_part == len(self._parts)

    @property
    def waits_for_pay(self) -> bool:
        """Whether something more would leave if it were paid for; true after `due_chunks` has ended."""
        return self._meter.shown < self.made or (bool(self._parts) and not self.complete)

    def begin_stream(self) -> None:
        """A new stream: whatever the coordinator has, it is sent all again."""
        self._index = 0
        self._next_part = 0
        self._last_said = False

    def progress(self, units: int) -> None:
        """So many units are made."""
        if not self._parts:
            self.made = max(self.made, min(units, self._units))

    def preview(self, units: int, png: bytes) -> None:
        """The unfinished image after so many units; dropped where it is longer than a chunk."""
        self.progress(units)
        if units >= 1 and units == self.made and 0 < len(png) <= CHUNK_BYTES_MAX and not self._parts:
            self._preview = units, png

    def finish(self, output: bytes, units_done: int) -> None:
        """All is made. :param units_done: at most those announced; fewer where the kind may end early."""
        self.made = units_done
        self._parts = parts_of(output)
        self._preview = None

    def due_chunks(self) -> Iterator[ResultChunk]:
        """Chunks that may leave now, in their order.

        Each is counted as shown before it is given out: its voucher may be here before it has left.
        """
        if self._preview is not None and self._preview[0] == self._meter.shown:
            yield self._take_preview()
        while self._meter.shown < min(self.made, self._meter.unit_limit):
            units = min(self.made, self._meter.unit_limit)
            at = self._preview[0] if self._preview is not None else units
            self._meter.show(min(units, at))
            yield self._chunk(ChunkKind.PROGRESS)
            if self._preview is not None and at == self._meter.shown:
                yield self._take_preview()
        if self._parts and self._meter.shown >= self.made:
            yield from self._due_parts()

    def _due_parts(self) -> Iterator[ResultChunk]:
        if self.made < self._units and not self._last_said:
            self._last_said = True
            yield self._chunk(ChunkKind.LAST_UNIT)
        while not self.complete:
            number = self._next_part
            if number == len(self._parts) - 1 and not self._meter.covers(self.made):
                return
            self._next_part += 1
            yield self._chunk(ChunkKind.OUTPUT_PART, self._parts[number], number)

    def _take_preview(self) -> ResultChunk:
        assert self._preview is not None
        _, png = self._preview
        self._preview = None
        return self._chunk(ChunkKind.PREVIEW, png)

    def _chunk(self, kind: ChunkKind, payload: bytes = b"", part: int = 0) -> ResultChunk:
        index = self._index
        self._index += 1
        return ResultChunk(self._task_id, index, kind, part, self._meter.shown, payload)
