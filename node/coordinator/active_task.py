"""One task on its coordinator, from announcement to image: its state, its race and what the app hears.

Is: the bookkeeping between the app's side (`events`, `outcome`) and the miners' streams (`turn` and what
they report). Every change of state goes through `protocol.task`.
Is not: I/O; streams are read in `result_intake`, the announcement is made in `roles/coordinator`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio

from node.coordinator.race import Race
from node.coordinator.requests import Delivered, FailedOver, TaskEvent, TaskFailed
from node.pay.payer import TaskPay
from protocol import task as life
from protocol.draw import EpochView
from protocol.errors import Refusal
from protocol.messages import TaskAcceptance, TaskAnnouncement
from protocol.statement import Statement

EVENTS_MAX = 512
"""Events kept for an app that reads slowly; further progress is dropped, the outcome never is."""


class ActiveTask:
    """A task that is not over yet."""

    def __init__(
        self,
        announcement: Statement[TaskAnnouncement],
        epoch: EpochView,
        input_encoded: bytes,
        pay: TaskPay,
        sources: tuple[bytes, ...] = (),
    ) -> None:
        self.announcement = announcement
        self.epoch = epoch
        self.input_encoded = input_encoded
        self.pay = pay
        self.sources = sources
        self.state = life.after(life.COORDINATOR, life.COORDINATOR.start, life.CoordinatorEvent.ANNOUNCE)
        self._race = Race()
        self._asked: set[int] = set()
        self._work = trio.CancelScope()
        self._ended = trio.Event()
        self._delivered: Delivered | None = None
        self._failure = ""
        self._send_event, self.events = trio.open_memory_channel[TaskEvent](EVENTS_MAX)

    @property
    def working_miner(self) -> bytes | None:
        """Address of the miner whose turn it is."""
        rank = self._race.working
        return None if rank is None else self.announcement.message.assigned[rank]

    @property
    def delivered_by(self) -> bytes | None:
        """Address of the miner whose result ended the task well."""
        return None if self._delivered is None else self._delivered.receipt.commitment.signer.address

    @property
    def over(self) -> bool:
        """Whether the task has an outcome."""
        return self._ended.is_set()

    def tell(self, event: TaskEvent) -> None:
        """Let the app hear `event`; dropped when it reads too slowly or the task is over."""
        if not self.over:
            with suppress(trio.WouldBlock, trio.BrokenResourceError):
                self._send_event.send_nowait(event)

    async def outcome(self) -> Delivered:
        """Wait for the image.

        :raises TaskFailed: the task ended without one.
        """
        await self._ended.wait()
        if self._delivered is None:
            raise TaskFailed(self._failure)
        return self._delivered

    @asynccontextmanager
    async def turn(self, acceptance: Statement[TaskAcceptance]) -> AsyncIterator[bool]:
        """Wait for the turn of the miner that accepted; True when it is to work, False when all is over.

        Leaving without `deliver` means that this miner is lost. Cancelled when the task ends.

        :raises Refusal: this miner has a stream for the task already.
        """
        rank, miner = acceptance.message.rank, acceptance.signer.address
        async with self._race.turn(rank) as granted:
            # The task may have ended in the moment between the call and this miner's waking.
            if not granted or self.over:
                yield False
                return
            self.state = life.after(life.COORDINATOR, self.state, life.CoordinatorEvent.ACCEPT)
            self._asked.add(rank)
            try:
                # The scope belongs to one turn; `end` cancels whichever is the present one.
                with trio.CancelScope() as self._work:
                    yield True
            finally:
                if not self.over:
                    self.state = life.after(life.COORDINATOR, self.state, life.CoordinatorEvent.LOSE_MINER)
                    self.tell(FailedOver(miner, "it made no more progress"))

    def rank_to_call(self) -> int | None:
        """The lowest rank neither tried nor called yet; None when somebody works or all is over."""
        if self.over or self._race.working is not None:
            return None
        ranks = range(len(self.announcement.message.assigned))
        return next((rank for rank in ranks if rank not in self._asked), None)

    def call(self, rank: int) -> bytes:
        """Note that a rank is being called. Returns its miner's address."""
        self._asked.add(rank)
        return self.announcement.message.assigned[rank]

    async def wait_for_turn(self) -> None:
        """Wait until a miner works, or the task is over."""
        await self._race.wait_for_turn()

    def deliver(self, delivered: Delivered) -> None:
        """The result is complete and verified: the task ends well."""
        self.state = life.after(life.COORDINATOR, self.state, life.CoordinatorEvent.COMMIT)
        self.state = life.after(life.COORDINATOR, self.state, life.CoordinatorEvent.DELIVER)
        self._delivered = delivered
        self._end()

    def fail(self, event: life.CoordinatorEvent, reason: str) -> None:
        """The task ends without a result (EXPIRE or CANCEL); whoever works on it is stopped. Idempotent."""
        if not self.over:
            self.state = life.after(life.COORDINATOR, self.state, event)
            self._failure = reason
            self._end()
            self._work.cancel()

    def _end(self) -> None:
        self._ended.set()
        self._race.end()
        self._send_event.close()


def require_drawn(task: TaskAnnouncement, acceptance: Statement[TaskAcceptance]) -> None:
    """:raises Refusal: the signer was not drawn for `task` at the rank that it names."""
    rank = acceptance.message.rank
    if rank >= len(task.assigned) or task.assigned[rank] != acceptance.signer.address:
        raise Refusal("you were not drawn for this task at this rank")
