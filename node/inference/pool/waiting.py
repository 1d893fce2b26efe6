"""The jobs that wait for a worker, and which of them are computed as one.

Is: first come, first served, but with the first go all that have its shape (`ImageJob.shape`), up to a
bound and to a free worker's fair share; and a worker that takes fewer lingers a moment for more. Audits go
after all images, since those are paid for and somebody waits for them. Is not: workers, or the jobs' events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from node.inference.jobs.job import JobRefused
from p2p.wakeups import Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.inference.pool.tickets import Ticket

JOBS_WAITING_MAX: Final = 64
"""Images that may wait for a free worker; one more is refused."""
AUDITS_WAITING_MAX: Final = 8
"""Audits, likewise: they take no image's place."""
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
        self._arrived = Signal()
        self._free_workers = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._tickets)

    @property
    def audits(self) -> int:
        """How many of them are audits."""
        return sum(ticket.is_audit for ticket in self._tickets)

    def add(self, ticket: Ticket) -> None:
        """Queue a ticket. :raises JobRefused: `JOBS_WAITING_MAX`, or `AUDITS_WAITING_MAX`, wait already."""
        audits = self.audits
        if ticket.is_audit and audits >= AUDITS_WAITING_MAX:
            raise JobRefused("too many audits are waiting")
        if not ticket.is_audit and len(self) - audits >= JOBS_WAITING_MAX:
            raise JobRefused("too many jobs are waiting")
        self._tickets.append(ticket)
        self._put_audits_last()
        self._arrived.notify()

    def put_back(self, tickets: Sequence[Ticket]) -> None:
        """Queue tickets that were taken once, before all others of their kind; they are so few that no bound
        is asked.
        """
        self._tickets[:0] = tickets
        self._put_audits_last()
        self._arrived.notify()

    def _put_audits_last(self) -> None:
        self._tickets.sort(key=lambda ticket: ticket.is_audit)  # stable

    def remove(self, ticket: Ticket) -> bool:
        """Forget a ticket whose reader has left. :returns: whether it was still waiting."""
        if ticket in self._tickets:
            self._tickets.remove(ticket)
            return True
        return False

    async def take(self) -> list[Ticket]:
        """Wait for a ticket, and for `LINGER_SECONDS` for others to go with it. Never none.

        They stay in the queue until they are taken, so one whose reader leaves meanwhile is not among them,
        and one that comes too late for this worker is another's. Cancelled, it has taken nothing.
        """
        self._free_workers += 1
        try:
            while True:
                while not self._tickets:
                    await self._arrived.wait()
                with trio.move_on_after(LINGER_SECONDS):
                    while self._tickets and len(self._batch()) < self.batch_max:
                        await self._arrived.wait()
                if batch := self._batch():
                    self._tickets = [ticket for ticket in self._tickets if ticket not in batch]
                    return batch
        finally:
            self._free_workers -= 1

    def _batch(self) -> list[Ticket]:
        """The batch that one of the free workers would get now: no more than leaves the others their part.

        Two workers with half of the jobs each are done sooner than one with all. Names tell events apart, so
        no name comes twice.
        """
        share = -(-len(self._tickets) // self._free_workers)
        batch: list[Ticket] = []
        names: set[str] = set()
        for ticket in self._tickets:
            if len(batch) == min(share, self.batch_max):
                break
            if ticket.company == self._tickets[0].company and ticket.job.job_id not in names:
                names.add(ticket.job.job_id)
                batch.append(ticket)
        return batch
