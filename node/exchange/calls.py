"""Calls: a coordinator whose working miner is lost asks the next drawn one to come at once.

Is: the miner's end of `/cuckoo/calls/1` (`protocol/README.md`); the other is in `coordinator/calling`.
Is not: needed for a task to go on: a miner comes by itself when its head start is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from p2p.identity import PeerId, address_of_peer
from p2p.streams import DirectStream
from protocol.errors import Refusal
from protocol.messages import TaskCall

CALL_TIMEOUT_MS: Final = 2_000
"""Time for a call to arrive on a stream that was opened for it."""

TakeCall: TypeAlias = Callable[[bytes, bytes], str | None]
"""Takes a call for a task by a peer's address; returns why nothing waits for it, or None."""


class Callee:
    """The miner's end."""

    def __init__(self, take: TakeCall) -> None:
        self._take = take

    async def handle(self, stream: DirectStream, peer_id: PeerId) -> None:
        """Serve one stream; that it ends cleanly says that the call was heard.

        :raises ProtocolError: what came is not a call.
        :raises Refusal: nobody waits for it here, or the caller is not the task's coordinator.
        """
        payload = await stream.receive(timeout_ms=CALL_TIMEOUT_MS)
        call = TaskCall.decode(payload or b"")
        reason = self._take(call.task_id, address_of_peer(peer_id))
        if reason is not None:
            raise Refusal(reason)
