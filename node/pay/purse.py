"""The coordinator's purse: what of its deposit is still free to be promised.

Is: the deposit as the chain has it, less what vouchers can still draw, less what tasks under way may come to.
Whatever is promised was held before, so all vouchers together never exceed the deposit.
Is not: the record of promises (`ledger`) or the rule of pay (`protocol/pay`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

import structlog
import trio

from contracts.errors import ChainError, ContractReverted
from contracts.escrow import EscrowClient
from contracts.records import Deposit
from node.pay.ledger import Ledger
from protocol.amounts import format_cai
from protocol.errors import Refusal
from protocol.pay import SignedVoucher

ACCOUNTS_PER_REFRESH = 32
"""Most miners whose account is asked for at a time. One that is not asked for counts as unpaid: too much is
held back then, never too little."""

log = structlog.get_logger()


class DepositUsedUp(Refusal):
    """The deposit does not cover another task; the reason says how to add to it.

    :ivar needed_wei: for the task. :ivar free_wei: of the deposit.
    """

    def __init__(self, coordinator: bytes, needed_wei: int, free_wei: int) -> None:
        super().__init__(
            f"the coordinator's deposit is used up: the task may cost {format_cai(needed_wei)} and "
            f"{format_cai(max(0, free_wei))} are free; its owner adds to it with: "
            f"cuckoo-peer chain escrow deposit 0x{coordinator.hex()} AMOUNT"
        )
        self.needed_wei = needed_wei
        self.free_wei = free_wei


@dataclass(frozen=True, slots=True)
class PurseStatus:
    """:ivar leaving_wei: by an announced withdrawal. :ivar outstanding_wei: promised and not redeemed.

    :ivar held_wei: set aside for live tasks.
    """

    deposit_wei: int
    leaving_wei: int
    outstanding_wei: int
    held_wei: int
    free_wei: int


class Purse:
    """One coordinator's money. All methods that promise are synchronous: what was checked still holds."""

    def __init__(self, ledger: Ledger, escrow: EscrowClient, coordinator: bytes) -> None:
        self._ledger = ledger
        self._escrow = escrow
        self._coordinator = coordinator
        self._deposit = Deposit(balance_wei=0, leaving_wei=0, withdrawable_from_s=0, withdrawable_until_s=0)
        self._held_wei = 0
        self._asked = 0

    @property
    def free_wei(self) -> int:
        """Wei that may be set aside; below zero when a withdrawal was announced of promised wei.

        A withdrawal that has been announced counts as gone.
        """
        deposit = self._deposit
        return deposit.balance_wei - deposit.leaving_wei - self._ledger.outstanding_wei - self._held_wei

    def status(self) -> PurseStatus:
        """For people and monitors."""
        return PurseStatus(
            deposit_wei=self._deposit.balance_wei,
            leaving_wei=self._deposit.leaving_wei,
            outstanding_wei=self._ledger.outstanding_wei,
            held_wei=self._held_wei,
            free_wei=self.free_wei,
        )

    def require(self, amount_wei: int) -> None:
        """:raises DepositUsedUp: so much is not free."""
        if amount_wei > self.free_wei:
            raise DepositUsedUp(self._coordinator, amount_wei, self.free_wei)

    def hold(self, amount_wei: int) -> None:
        """Set so much aside for a task, whether it is free or not: ask `require` first."""
        self._held_wei += amount_wei

    def release(self, amount_wei: int) -> None:
        """Set free what was held."""
        self._held_wei -= amount_wei

    def knows(self, miner: bytes) -> bool:
        """Whether it is known what this miner was ever promised."""
        return self._ledger.entry(miner) is not None

    def total_after(self, miner: bytes, amount_wei: int) -> int:
        """The miner's whole promise after so much more, in wei: all that it was ever promised."""
        entry = self._ledger.entry(miner)
        return amount_wei + (0 if entry is None else entry.promised_wei)

    def promise(self, miner: bytes, total_wei: int, amount_wei: int, task_wei: int) -> SignedVoucher:
        """Promise so much of what is held, and sign the voucher for all that was ever promised.

        Promising a total again takes nothing: a promise that was written down may be made twice.

        :param task_wei: of the total for the task at hand.
        :raises MustNotPromise: the ledger failed; nothing was signed.
        """
        held = self._ledger.promise(miner, total_wei)
        self._held_wei -= amount_wei
        return SignedVoucher.of(task_wei, held.amount_wei, held.signature)

    async def load_account(self, miner: bytes) -> None:
        """Learn what the chain knows of a miner that the ledger does not know, before promising anything.

        :raises ChainError: the chain does not answer.
        """
        if self._ledger.entry(miner) is None:
            self._ledger.learn(miner, await self._escrow.account(self._coordinator, miner))

    async def refresh(self) -> None:
        """Ask the chain once.

        The sum paid is asked for before the deposit: a redemption in between makes the deposit too small,
        never too large.

        :raises ChainError: it cannot be reached or answers nonsense.
        """
        unpaid = [miner for miner, entry in self._ledger.entries().items() if entry.outstanding_wei]
        if unpaid:
            start = self._asked % len(unpaid)
            count = min(ACCOUNTS_PER_REFRESH, len(unpaid))
            for miner in islice(cycle(unpaid), start, start + count):
                self._ledger.learn(miner, await self._escrow.account(self._coordinator, miner))
            self._asked = start + count
        self._deposit = await self._escrow.deposit_of(self._coordinator)

    async def run(self, poll_s: float) -> None:
        """Refresh for as long as the role runs; an outage leaves what was known last."""
        reachable = True
        while True:
            try:
                await self.refresh()
                reachable = True
            except (ChainError, ContractReverted) as error:
                if reachable:
                    log.warning("the deposit cannot be asked for; what was known stays", error=str(error))
                reachable = False
            await trio.sleep(poll_s)
