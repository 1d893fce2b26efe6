"""The jobs that wait for a worker, and which of them are computed as one.

Is: first come, first served, but with the first go all that have its shape (`ImageJob.shape`), up to a bound;
and a worker that takes fewer lingers a moment for more. Is not: workers, or the jobs' events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from node.inference.job import JobRefused

if TYPE_CHECKING:
    from node.inference.tickets import Ticket

JOBS_WAITING_MAX: Final = 64
"""Jobs that may wait for a free worker; one more is refused."""
LINGER_SECONDS: Final = 0.01
"""Longest time that a job waits at a free worker for others to join it."""


class Waiting:
    """The queue. All methods but `take` are synchronous.

    :ivar batch_max: most jobs that are taken at a time; may be changed.
    """

    def __init__(self, batch_max: int) -> None:
        """:param batch_max: most jobs that are taken at a time, from 1."""
        self.batch_max = batch_max
        self._tickets: list[Ticket] = []
        self._arrived = trio.Event()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._tickets)

    def add(self, ticket: Ticket) -> None:
        """Queue a ticket. :raises JobRefused: `JOBS_WAITING_MAX` wait already."""
        if len(self._tickets) >= JOBS_WAITING_MAX:
            raise JobRefused("too many jobs are waiting")
        self._tickets.append(ticket)
        self._arrived.set()
        self._arrived = trio.Event()

    def remove(self, ticket: Ticket) -> bool:
        """Forget a ticket whose reader has left. :returns: whether it was still waiting."""
        if ticket in self._tickets:
            self._tickets.remove(ticket)
            return True
        return False

    async def take(self) -> list[Ticket]:
        """Wait for a ticket, and for `LINGER_SECONDS` for others of its shape.

        Those whose readers have left meanwhile are not among them, so there may be none at all. Cancelled,
        it has taken nothing.
        """
        while not self._tickets:
            await self._arrived.wait()
        batch: list[Ticket] = []
        shape = self._tickets[0].job.shape
        self._claim(batch, shape)
        try:
            with trio.move_on_after(LINGER_SECONDS):
                while len(batch) < self.batch_max:
                    await self._arrived.wait()
                    self._claim(batch, shape)
        except BaseException:
            self._tickets[:0] = [ticket for ticket in batch if not ticket.abandoned.is_set()]
            raise
        return [ticket for ticket in batch if not ticket.abandoned.is_set()]

    def _claim(self, batch: list[Ticket], shape: object) -> None:
        """Move tickets of a shape into the batch, as many as it takes; names tell its events apart."""
        names = {ticket.job.job_id for ticket in batch}
        for ticket in self._tickets[:]:
            job = ticket.job
            if len(batch) < self.batch_max and job.shape == shape and job.job_id not in names:
                names.add(job.job_id)
                batch.append(ticket)
                self._tickets.remove(ticket)
