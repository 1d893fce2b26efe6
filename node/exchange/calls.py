"""Calls: a coordinator whose working miner is lost asks the next drawn one to come at once.

Is: the miner's end of `/cuckoo/calls/1` (`protocol/README.md`); the other is in `coordinator/calling`.
Is not: needed for a task to go on: a miner comes by itself when its head start is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import trio

from p2p.identity import PeerId, address_of_peer
from p2p.streams import DirectStream
from protocol.errors import Refusal
from protocol.messages import TaskAnnouncement, TaskCall
from protocol.statement import Statement

CALL_TIMEOUT_MS: Final = 2_000
"""Time for a call to arrive on a stream that was opened for it."""


@dataclass(slots=True)
class CalleeCounts:
    """:ivar heard: calls for tasks that waited for one. :ivar not_awaited: others."""

    heard: int = 0
    not_awaited: int = 0


class Callee:
    """The miner's end: which tasks wait for a call. :ivar counts: of calls."""

    def __init__(self) -> None:
        self.counts = CalleeCounts()
        self._awaited: dict[bytes, tuple[bytes, trio.Event]] = {}

    async def wait(self, task: Statement[TaskAnnouncement], seconds: float) -> None:
        """Wait for the task's coordinator to call, for so long at most. Once at a time for a task."""
        called = trio.Event()
        self._awaited[task.digest] = (task.message.coordinator, called)
        try:
            with trio.move_on_after(seconds):
                await called.wait()
        finally:
            del self._awaited[task.digest]

    async def handle(self, stream: DirectStream, peer_id: PeerId) -> None:
        """Serve one stream.

        :raises ProtocolError: what came is no call.
        :raises Refusal: nobody waits for it here, or the caller is not the task's coordinator.
        """
        payload = await stream.receive(timeout_ms=CALL_TIMEOUT_MS)
        call = TaskCall.decode(payload or b"")
        coordinator, called = self._awaited.get(call.task_id, (b"", None))
        if called is None or coordinator != address_of_peer(peer_id):
            self.counts.not_awaited += 1
            raise Refusal("no task of yours waits here")
        self.counts.heard += 1
        called.set()
