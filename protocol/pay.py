"""Pay: the price of a task, what is owed for the units that were shown, and the voucher that pays for them.

Is: the price of a task, pay by the unit, slices, and how a voucher travels. Integers only.
Is not: the signature of a voucher, which is the contract's matter (`contracts/escrow`), nor the deposit
behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.errors import InvalidMessage
from protocol.messages import TaskAnnouncement
from protocol.schema import Bytes, Encoded
from protocol.signature import SIGNATURE_BYTES
from protocol.work import Work, spec_of

SLICES_PER_TASK = 8
"""A slice is at most one part in so many of a task of at least as many units: 8 to 15 vouchers pay for it."""
PRICE_MICRO_CAI_MAX = (1 << 64) - 1
"""Highest price of a task: what fits into an announcement."""
WEI_BYTES = 12
"""Of an amount in a voucher: the contract keeps 96 bits, some eighty times of all the CAI there is."""
WEI_MAX = (1 << (8 * WEI_BYTES)) - 1

WeiBytes = Annotated[bytes, Bytes(WEI_BYTES, WEI_BYTES)]


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a task: what it costs at most.

    :ivar whole_micro_cai: for all units.
    :ivar upfront_micro_cai: of that, owed with the first unit that is shown.
    """

    whole_micro_cai: int
    upfront_micro_cai: int

    def covers(self, other: Price) -> bool:
        """Whether as much is owed as `other` says, however many units are shown."""
        return (
            self.whole_micro_cai >= other.whole_micro_cai
            and self.upfront_micro_cai >= other.upfront_micro_cai
        )

    def raised_to(self, other: Price) -> Price:
        """The least price that covers both."""
        return Price(
            max(self.whole_micro_cai, other.whole_micro_cai),
            max(self.upfront_micro_cai, other.upfront_micro_cai),
        )


def price_of(work: Work, prices_wei: Sequence[int]) -> Price:
    """Least price of a task at which an offer stands; each sum is rounded up to a micro-CAI.

    :param prices_wei: of the offer, one for each kind of unit that the kind of work has a price for.
    :raises InvalidMessage: another number of prices, an unknown kind, or more than 64 bits of micro-CAI.
    :raises DecodeError: the work's details are not its kind's.
    """
    spec, quantities = spec_of(work.kind), work.quantities()
    if len(prices_wei) != len(quantities):
        raise InvalidMessage("offer does not have one price for each kind of unit")
    sums = [price * quantity for price, quantity in zip(prices_wei, quantities, strict=True)]
    whole, upfront = (-(-wei // WEI_PER_MICRO_CAI) for wei in (sum(sums), sum(sums[: spec.upfront])))
    if whole > PRICE_MICRO_CAI_MAX:
        raise InvalidMessage("price does not fit into an announcement")
    return Price(whole, upfront)


def unit_price_wei(price_micro_cai: int, work: Work) -> int:
    """Price of one unit when `work`, of a kind with one kind of unit, shall cost `price_micro_cai`.

    Rounded down, but not to nothing: `price_of` rounds the sum up again, to what was asked.

    :raises InvalidMessage: an unknown kind. :raises DecodeError: the work's details are not its kind's.
    """
    (quantity,) = work.quantities()
    return max(min(1, price_micro_cai), price_micro_cai * WEI_PER_MICRO_CAI // quantity)


@dataclass(frozen=True, slots=True)
class PaySchedule:
    """The pay that is owed for one miner's work on one task, unit by unit.

    :ivar price_wei: for all of it, at least 0.
    :ivar upfront_wei: of that, owed with the first unit; 0 to `price_wei`.
    :ivar units: all of them, at least 1.
    """

    price_wei: int
    upfront_wei: int
    units: int

    @classmethod
    def of_task(cls, task: TaskAnnouncement) -> Self:
        """The schedule of an announcement."""
        return cls(
            task.price_micro_cai * WEI_PER_MICRO_CAI,
            task.upfront_micro_cai * WEI_PER_MICRO_CAI,
            task.work.units,
        )

    @property
    def slice_units(self) -> int:
        """Units of a slice: an eighth of all, but at least one."""
        return max(1, self.units // SLICES_PER_TASK)

    def due_wei(self, units: int) -> int:
        """Owed in all when `units` were shown: nothing before the first, the whole price at the last."""
        if not units:
            return 0
        return self.upfront_wei + (self.price_wei - self.upfront_wei) * units // self.units

    def units_paid(self, paid_wei: int) -> int:
        """Up to how many units not more than `paid_wei` is owed."""
        if paid_wei >= self.price_wei:
            return self.units
        if paid_wei < self.upfront_wei:
            return 0
        even_wei = self.price_wei - self.upfront_wei
        return -(-self.units * (paid_wei - self.upfront_wei + 1) // even_wei) - 1

    def unit_limit(self, paid_wei: int) -> int:
        """How many units a miner shows before it is paid more: one slice on from what is paid."""
        return min(self.units, self.units_paid(paid_wei) + self.slice_units)


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
