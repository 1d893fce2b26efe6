"""The coordinator's side of one task's pay: who has shown how much, and the vouchers for it.

Is: the rule of `protocol/pay` for each miner that works on the task, out of one reservation.
Is not: I/O; the role sends what this gives it.
"""

from __future__ import annotations

from node.pay.purse import Purse
from node.pay.vouchers import HeldVoucher
from protocol.messages import TaskAnnouncement
from protocol.pay import PaySchedule, SignedVoucher


class TaskPay:
    """The pay of one task that is under way."""

    def __init__(self, purse: Purse, task: TaskAnnouncement) -> None:
        """:raises DepositUsedUp: the task's price is not free."""
        self._purse = purse
        self._schedule = PaySchedule.of_task(task)
        self._paid_wei: dict[bytes, int] = {}
        self._shown: dict[bytes, int] = {}
        self.reservation = purse.reserve(self._schedule.price_wei)

    @property
    def paid_wei(self) -> int:
        """Promised for this task, to all miners together."""
        return sum(self._paid_wei.values())

    def unit_limit(self, miner: bytes) -> int:
        """How many units `miner` may show before it is paid more."""
        return self._schedule.unit_limit(self._paid_wei.get(miner, 0))

    async def begin(self, miner: bytes) -> SignedVoucher | None:
        """Make sure that a miner whose turn it is can be paid; the voucher it may have lost, if there is one.

        Lost miners keep what they have got; so the whole price is reserved again for the next.

        :raises DepositUsedUp: the deposit does not cover that.
        :raises ChainError: nothing is known of this miner, and the chain does not answer.
        """
        await self._purse.load_account(miner)
        paid_wei = self._paid_wei.get(miner, 0)
        self.reservation.raise_to(self._schedule.price_wei - paid_wei)
        self._shown[miner] = 0
        return _signed(paid_wei, self.reservation.promise(miner, 0)) if paid_wei else None

    def show(self, miner: bytes, units: int) -> SignedVoucher | None:
        """Note that `miner` has shown so many units, within its limit; the voucher, if one is due.

        :raises MustNotPromise: the ledger failed.
        """
        self._shown[miner] = units
        return self._pay(miner) if units >= self.unit_limit(miner) else None

    def settle(self, miner: bytes) -> SignedVoucher | None:
        """The voucher for whatever `miner` has shown and was not paid for: its work ends here.

        :raises MustNotPromise: the ledger failed.
        """
        return self._pay(miner)

    def _pay(self, miner: bytes) -> SignedVoucher | None:
        paid_wei = self._paid_wei.get(miner, 0)
        due_wei = self._schedule.due_wei(self._shown.get(miner, 0))
        if due_wei <= paid_wei:
            return None
        voucher = self.reservation.promise(miner, due_wei - paid_wei)
        self._paid_wei[miner] = due_wei
        return _signed(due_wei, voucher)


def _signed(task_wei: int, held: HeldVoucher) -> SignedVoucher:
    return SignedVoucher.of(task_wei, held.amount_wei, held.signature)
