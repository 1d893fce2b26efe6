"""The miner's end of a task's stream: chunks, signed and numbered, no further than they are paid for.

Is: the order in which things leave: a step at a time as vouchers come, and the last part of the image when
all is paid.
Is not: the work, which goes on meanwhile, or what the coordinator says (`roles/miner` hears it).
"""

from __future__ import annotations

from collections.abc import Sequence

from node.pay.meter import TaskMeter
from node.peer.peer import Peer
from p2p.streams import DirectStream
from protocol.messages import ChunkKind, ResultChunk, ResultCommitment, TaskAnnouncement
from protocol.statement import Statement


class ResultSender:
    """Sends what comes of one task."""

    def __init__(
        self, peer: Peer, stream: DirectStream, task: Statement[TaskAnnouncement], meter: TaskMeter
    ) -> None:
        self._peer = peer
        self._stream = stream
        self._task_id = task.digest
        self._units = task.message.work.units
        self._meter = meter
        self._index = 0

    async def progress(self, step: int) -> None:
        """Show that `step` is done: in slices, each when the one before is paid.

        :raises Unpaid: the coordinator does not pay in time.
        """
        while self._meter.shown < step:
            shown = await self._meter.next_units(step)
            await self._send(ChunkKind.PROGRESS, shown)

    async def preview(self, step: int, png: bytes) -> None:
        """Show the unfinished image after `step`. :raises Unpaid: the coordinator does not pay in time."""
        await self.progress(step)
        if step == self._meter.shown:
            await self._send(ChunkKind.PREVIEW, step, png)

    async def image(self, parts: Sequence[bytes]) -> None:
        """Show the finished image, the last part when all is paid.

        :raises Unpaid: the coordinator does not pay in time.
        """
        await self.progress(self._units)
        for number, part in enumerate(parts):
            if number == len(parts) - 1:
                await self._meter.all_paid()
            await self._send(ChunkKind.OUTPUT_PART, self._units, part, number)

    async def commitment(self, statement: Statement[ResultCommitment]) -> None:
        """The end of it."""
        await self._stream.send(statement.encoded)

    async def _send(self, kind: ChunkKind, step: int, payload: bytes = b"", part: int = 0) -> None:
        chunk = ResultChunk(self._task_id, self._index, kind, part, step, payload)
        self._index += 1
        # Before it is out: the voucher for it may be here before `send` returns.
        self._meter.shown = step
        await self._stream.send(self._peer.seal(chunk).encoded)
