"""What a miner is owed for the steps that it has shown, and the voucher that pays for them.

Is: the price of a task, pay by the step, slices, and how a voucher travels. Integers only.
Is not: the signature of a voucher, which is the contract's matter (`contracts/escrow`), nor the deposit
behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from protocol.draw import WEI_PER_MICRO_CAI
from protocol.schema import Bytes, Encoded
from protocol.signature import SIGNATURE_BYTES

SLICES_PER_TASK = 8
"""A slice is at most one part in so many of a task of at least as many steps: 8 to 15 vouchers pay for it."""
WEI_BYTES = 12
"""Of an amount in a voucher: the contract keeps 96 bits, some eighty times of all the CAI there is."""
WEI_MAX = (1 << (8 * WEI_BYTES)) - 1

WeiBytes = Annotated[bytes, Bytes(WEI_BYTES, WEI_BYTES)]


def task_price_micro_cai(price_micro_cai: int, default_work: int, work: int) -> int:
    """Least price of a task whose work differs from what an offer names a price for; rounded up.

    :param price_micro_cai: of the offer, for the model's default size and steps.
    :param default_work: width · height · steps of that, in pixels times steps; at least 1.
    :param work: the same of the task.
    """
    return -(-price_micro_cai * work // default_work)


@dataclass(frozen=True, slots=True)
class PaySchedule:
    """What is owed for one miner's work on one task, step by step.

    :ivar price_wei: for all of it, at least 0.
    :ivar steps: all of them, at least 1.
    """

    price_wei: int
    steps: int

    @classmethod
    def of_price(cls, price_micro_cai: int, steps: int) -> Self:
        """The schedule of an announcement."""
        return cls(price_micro_cai * WEI_PER_MICRO_CAI, steps)

    @property
    def slice_steps(self) -> int:
        """Steps of a slice: an eighth of all, but at least one."""
        return max(1, self.steps // SLICES_PER_TASK)

    def due_wei(self, step: int) -> int:
        """Owed in all when `step` steps were shown: never more than the price, and that at the last."""
        return self.price_wei * step // self.steps

    def steps_paid(self, paid_wei: int) -> int:
        """The last step for which not more than `paid_wei` is owed."""
        if paid_wei >= self.price_wei:
            return self.steps
        return -(-self.steps * (paid_wei + 1) // self.price_wei) - 1

    def step_limit(self, paid_wei: int) -> int:
        """The last step that a miner shows before it is paid more: one slice on from what is paid."""
        return min(self.steps, self.steps_paid(paid_wei) + self.slice_steps)


@dataclass(frozen=True, slots=True)
class SignedVoucher(Encoded):
    """A coordinator: "so much I have promised you by now". The newest replaces all before it.

    :ivar task_amount: what of it is for this task until now, in wei of CAI, big-endian.
    :ivar cumulative_amount: all that this coordinator ever promised this miner, likewise; never falls.
    :ivar signature: r, s and v over the digest of the escrow contract's `Voucher`.
    """

    task_amount: WeiBytes
    cumulative_amount: WeiBytes
    signature: Annotated[bytes, Bytes(SIGNATURE_BYTES, SIGNATURE_BYTES)]

    @classmethod
    def of(cls, task_wei: int, cumulative_wei: int, signature: bytes) -> Self:
        """A voucher of two amounts. :raises OverflowError: one is negative or above `WEI_MAX`."""
        return cls(task_wei.to_bytes(WEI_BYTES, "big"), cumulative_wei.to_bytes(WEI_BYTES, "big"), signature)

    @property
    def task_wei(self) -> int:
        """`task_amount` as an integer."""
        return int.from_bytes(self.task_amount, "big")

    @property
    def cumulative_wei(self) -> int:
        """`cumulative_amount` as an integer."""
        return int.from_bytes(self.cumulative_amount, "big")
