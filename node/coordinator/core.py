"""The core that the parts of the coordinator's engine share: its ports, its orders, and the way into the
journal.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.coordinator.audit_reserve import AuditReserve
from node.coordinator.choice import Experience
from node.coordinator.orders import Book
from node.coordinator.snapshots import snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.coordinator.ports import JournalPort, MarketPort, PursePort, SignerPort
    from node.coordinator.records import Record
    from protocol.draw import EpochView
    from protocol.messages import TaskAnnouncement


@dataclass(frozen=True, slots=True)
class EngineParameters:
    """The network's parameters that the engine needs.

    :ivar assigned_miners: wanted for each task.
    :ivar progress_timeout_ms: how long a working miner may be silent.
    :ivar offer_interval_ms: how often a miner says its offer again.
    """

    assigned_miners: int
    progress_timeout_ms: int
    offer_interval_ms: int


@dataclass(slots=True)
class EngineCounts:
    """Counts since the start."""

    tasks_announced: int = 0
    orders_delivered: int = 0
    orders_failed: int = 0
    orders_cancelled: int = 0
    turns_declined: int = 0
    turns_lost: int = 0
    calls_heard: int = 0
    calls_not_heard: int = 0
    errands_dropped: int = 0


class Core:
    """Shared by the parts of one engine.

    :ivar book: orders that are not over.
    :ivar experience: of miners.
    :ivar counts: see `EngineCounts`.
    """

    def __init__(
        self,
        parameters: EngineParameters,
        market: MarketPort,
        signer: SignerPort,
        purse: PursePort,
        journal: JournalPort,
        reserve: AuditReserve | None = None,
    ) -> None:
        """:param reserve: for auditors; by default nothing is set aside."""
        self.parameters = parameters
        self.market = market
        self.signer = signer
        self.purse = purse
        self.reserve = AuditReserve(purse) if reserve is None else reserve
        self.journal = journal
        self.experience = Experience()
        self.book = Book(signer.domain)
        self.counts = EngineCounts()
        self._failure: Exception | None = None

    def require_whole(self) -> None:
        """Refuse to go on when something could not be written down, whoever heard of it first.

        :raises Exception: what then failed.
        """
        if self._failure is not None:
            raise self._failure

    @contextmanager
    def writing(self, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """Around each write to disk: after one that fails, nothing is written, signed or promised any more.

        :param but: an error that is an answer, and no failure.

        State and actions may be ahead of the disk then. A stream or a request that was the occasion ends, and
        does not stop the node; the next tick does, and the journal knows what is true.
        """
        self.require_whole()
        try:
            yield
        except but:
            raise
        except Exception as error:
            self._failure = error
            raise

    def record(self, record: Record, blobs: Mapping[bytes, bytes] | None = None) -> None:
        """Change the state, and write it down. What follows from it comes afterwards.

        :raises JournalUnavailable: it cannot be written; the node must stop, and will read what was written.
        """
        self.require_whole()
        order = self.book.apply(record)
        is_live = order.order_id in self.book.orders
        with self.writing():
            self.journal.write(record, snapshot_of(order) if is_live else None, blobs or {})

    def unix_ms(self, now_ms: int) -> int:
        """The time of day, for statements and records. :param now_ms: by the engine's clock."""
        return now_ms + self.market.ahead_ms()

    def epoch_of(self, task: TaskAnnouncement) -> EpochView:
        """The epoch behind a task's draw, known since its announcement."""
        return self.market.view.epochs.get(task.epoch) or self.journal.epoch(task.epoch)
