"""The miner's side of one task's pay: how far it may show its work, and how long it waits to be paid.

Is: the rule of `protocol/pay` at one stream after another, as state without I/O or clock.
Is not: the vouchers, which `earnings` checks and keeps, or the decision to give a task up.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import Refusal
from protocol.messages import TaskAnnouncement
from protocol.pay import PaySchedule
from protocol.statement import Statement


class Unpaid(Refusal):
    """The coordinator did not pay for what it was shown. :ivar unpaid_wei: of that."""

    def __init__(self, unpaid_wei: int) -> None:
        super().__init__("you have not paid for what you were shown")
        self.unpaid_wei = unpaid_wei


@dataclass(frozen=True, slots=True)
class TaskAccount:
    """The end of one task's pay.

    :ivar task: its announcement.
    :ivar showed_anything: whether there was anything to pay for.
    :ivar unpaid_wei: of what was shown.
    :ivar doubtful: a voucher was good, and worth less than it said.
    """

    task: Statement[TaskAnnouncement]
    showed_anything: bool
    unpaid_wei: int
    doubtful: bool


class TaskMeter:
    """The pay of one task at its miner.

    :ivar paid_wei: what vouchers have paid for it.
    :ivar shown: how many units the coordinator was shown on the present stream.
    :ivar doubtful: a voucher was good, and worth less than it said.
    :ivar due_at_ms: when the patience with a voucher that is due ends; None while nothing waits for one.
    """

    def __init__(self, task: Statement[TaskAnnouncement], paid_wei: int, patience_ms: int) -> None:
        """:param paid_wei: what vouchers have paid for the task before, on any stream and before any restart.

        :param patience_ms: how long a voucher that is due may take.
        """
        self._schedule = PaySchedule.of_task(task.message)
        self._task = task
        self._patience_ms = patience_ms
        self._most_shown = 0
        self.paid_wei = paid_wei
        self.shown = 0
        self.doubtful = False
        self.due_at_ms: int | None = None

    @property
    def unit_limit(self) -> int:
        """How many units may be shown before more is paid."""
        return self._schedule.unit_limit(self.paid_wei)

    @property
    def unpaid_wei(self) -> int:
        """Owed for what was shown, on whatever stream."""
        return max(0, self._schedule.due_wei(self._most_shown) - self.paid_wei)

    def covers(self, units: int) -> bool:
        """Whether all that so many units cost is paid."""
        return self.paid_wei >= self._schedule.due_wei(units)

    def show(self, units: int) -> None:
        """So many units in all are shown now; within `unit_limit`."""
        self.shown = units
        self._most_shown = max(self._most_shown, units)
        self.due_at_ms = None

    def pay(self, paid_wei: int) -> None:
        """A voucher has paid so much for the task in all."""
        self.paid_wei = paid_wei
        self.due_at_ms = None

    def wait(self, now_ms: int) -> None:
        """Something waits to be paid for; the patience begins unless it has begun."""
        if self.due_at_ms is None:
            self.due_at_ms = now_ms + self._patience_ms

    def account(self) -> TaskAccount:
        """The account as it is now."""
        return TaskAccount(self._task, self._most_shown > 0, self.unpaid_wei, self.doubtful)

    def begin_stream(self) -> None:
        """The coordinator has a new stream, on which it was shown nothing yet."""
        self.shown = 0
        self.due_at_ms = None
