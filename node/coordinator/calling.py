"""The coordinator's end of calls: when the working miner is lost, it asks the next drawn one to come at once.

Is: the choice whom to call, and how it is reached.
Is not: needed for a task to go on. Whoever is not reached comes by itself when its head start is over; a call
only saves the rest of that time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from node.coordinator.active_task import ActiveTask
from node.exchange.protocols import CALLS_PROTOCOL
from p2p.host import Host, NotConnected
from p2p.identity import peer_id_from_public_key
from protocol.errors import CuckooError, InvalidMessage
from protocol.messages import Offer, TaskCall
from protocol.statement import Statement

CALLS_WAITING_MAX: Final = 64
"""Tasks whose next miner waits to be called; of more, the miners come by their head starts."""
HEAR_TIMEOUT_MS: Final = 2_000
"""Time for a miner to confirm that it has heard."""
ARRIVAL_TIMEOUT_MS: Final = 1_000
"""Time for a called miner to begin; then the one after it is called as well."""

log = structlog.get_logger()


@dataclass(slots=True)
class CallerCounts:
    """:ivar dropped: calls that were not made, since too many waited."""

    heard: int = 0
    not_heard: int = 0
    dropped: int = 0


class Caller:
    """The coordinator's end. :ivar counts: of calls."""

    def __init__(self, reach: Callable[[bytes, bytes], Awaitable[None]]) -> None:
        """:param reach: calls a miner, by address, for a task, by id; raises CuckooError unless it heard."""
        self.counts = CallerCounts()
        self._reach = reach
        self._send, self._receive = trio.open_memory_channel[ActiveTask](CALLS_WAITING_MAX)

    def note_lost(self, task: ActiveTask) -> None:
        """A miner has left its turn: have the next one called, unless one is here or the task is over."""
        if task.rank_to_call() is None:
            return
        try:
            self._send.send_nowait(task)
        except trio.WouldBlock:
            self.counts.dropped += 1

    async def run(self) -> None:
        """Call until cancelled."""
        async with trio.open_nursery() as nursery:
            async for task in self._receive:
                nursery.start_soon(self._call, task)

    async def _call(self, task: ActiveTask) -> None:
        """One rank after another, until somebody works."""
        task_id = task.announcement.digest
        while (rank := task.rank_to_call()) is not None:
            miner = task.call(rank)
            try:
                await self._reach(miner, task_id)
            except CuckooError as error:
                self.counts.not_heard += 1
                log.info("call not heard", task=task_id.hex(), rank=rank, error=str(error))
                continue
            self.counts.heard += 1
            log.info("called", task=task_id.hex(), rank=rank)
            with trio.move_on_after(ARRIVAL_TIMEOUT_MS / 1000):
                await task.wait_for_turn()


def reach_by(
    host: Host, offer_of: Callable[[bytes], Statement[Offer] | None]
) -> Callable[[bytes, bytes], Awaitable[None]]:
    """How a coordinator reaches miners: over a connection that is there already.

    :param offer_of: a miner's last offer, by address; its signature tells the miner's PeerID.
    """

    async def reach(miner: bytes, task_id: bytes) -> None:
        offer = offer_of(miner)
        if offer is None:
            raise NotConnected("its offer is gone")
        peer_id = peer_id_from_public_key(offer.signer.public_key)
        async with host.open_direct_stream(peer_id, CALLS_PROTOCOL, timeout_ms=HEAR_TIMEOUT_MS) as stream:
            await stream.send(TaskCall(task_id).encode(), timeout_ms=HEAR_TIMEOUT_MS)
            await stream.finish(timeout_ms=HEAR_TIMEOUT_MS)
            if await stream.receive(timeout_ms=HEAR_TIMEOUT_MS) is not None:
                raise InvalidMessage("a call has no answer but the stream's end")

    return reach
