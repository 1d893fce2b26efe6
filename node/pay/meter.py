"""The miner's side of one task's pay: how far it may go, and that it is paid before it goes further.

Is: the rule of `protocol/pay` around one stream, and the waiting for the coordinator's vouchers.
Is not: the stream; the role passes on what comes, and asks before it sends.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from node.pay.earnings import Earnings
from protocol.errors import InvalidMessage, Refusal
from protocol.messages import TaskAnnouncement
from protocol.pay import PaySchedule, SignedVoucher
from protocol.statement import Statement


class Unpaid(Refusal):
    """The coordinator did not pay for what it was shown. :ivar unpaid_wei: of that."""

    def __init__(self, unpaid_wei: int) -> None:
        super().__init__("you have not paid for what you were shown")
        self.unpaid_wei = unpaid_wei


class TaskMeter:
    """The pay of one task at its miner.

    :ivar paid_wei: what vouchers have paid for it.
    :ivar shown: how many units the coordinator was shown.
    :ivar doubtful: a voucher was good, and worth less than it said.
    """

    def __init__(self, earnings: Earnings, task: Statement[TaskAnnouncement], timeout_ms: int) -> None:
        """:param timeout_ms: how long a voucher that is due may take."""
        self._earnings = earnings
        self._coordinator = task.message.coordinator
        self._task_id = task.digest
        self._schedule = PaySchedule.of_task(task.message)
        self._timeout_ms = timeout_ms
        self._paid_more = trio.Event()
        self.paid_wei = earnings.claimed_wei(task.digest)
        self.shown = 0
        self.doubtful = False

    @property
    def unpaid_wei(self) -> int:
        """Owed for what was shown."""
        return max(0, self._schedule.due_wei(self.shown) - self.paid_wei)

    def take(self, signed: SignedVoucher) -> None:
        """Take a voucher that came on the task's stream.

        :raises SignatureError: it is somebody else's, or for another miner, contract or chain.
        :raises InvalidMessage: it is worth less than it says, or less than the one before.
        :raises EarningsUnavailable: it cannot be kept on this machine's disk.
        """
        try:
            self._earnings.take(self._coordinator, self._task_id, signed)
        except InvalidMessage:
            self.doubtful = True
            raise
        self.paid_wei = signed.task_wei
        self._paid_more.set()
        self._paid_more = trio.Event()

    async def next_units(self, units: int) -> int:
        """How many units to show next on the way to `units`, when what was shown before is paid for.

        :param units: beyond `shown`.
        :raises Unpaid: the voucher that is due does not come in time.
        """
        await self._wait_for(lambda: self._schedule.unit_limit(self.paid_wei) > self.shown)
        return min(units, self._schedule.unit_limit(self.paid_wei))

    async def all_paid(self) -> None:
        """Wait for the whole price. :raises Unpaid: the voucher does not come in time."""
        await self._wait_for(lambda: self.paid_wei >= self._schedule.price_wei)

    async def _wait_for(self, paid_enough: Callable[[], bool]) -> None:
        with trio.move_on_after(self._timeout_ms / 1000):
            while not paid_enough():
                await self._paid_more.wait()
            return
        raise Unpaid(self.unpaid_wei)

    def close(self) -> None:
        """The task is over: what it leaves unpaid is remembered of its coordinator.

        :raises EarningsUnavailable: not beyond the next start.
        """
        if self.unpaid_wei:
            self._earnings.note_unpaid(self._coordinator, self.unpaid_wei)
