"""A miner's money: whom it gives credit, what it is paid for a task, and that it gets it.

Is: what the miner's role holds of pay, opened and closed with it.
Is not: the checks themselves (`earnings`, `standing`, `meter`, `redeemer`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog
import trio

from contracts.clients import Clients
from contracts.errors import ChainError, ContractReverted
from contracts.transactions import Sender
from node.pay.earnings import Account, Earnings, EarningsUnavailable
from node.pay.meter import TaskAccount
from node.pay.redeemer import Redeemer, RedeemerCounts
from node.pay.standing import Exposure, Standing, Standings, why_no_credit
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.errors import Refusal
from protocol.messages import TaskAnnouncement
from protocol.pay import SignedVoucher
from protocol.statement import Statement

STANDING_AGE_MAX_S = 30.0
"""How old the chain's answer may be on which a task is accepted: much less than the notice of a withdrawal.
What may happen meanwhile is bounded by the credit."""
REFUSAL_AGE_MAX_S = 1.0
"""How old that may be on which one is refused: a deposit may just have grown."""
PATIENCE_DIVISOR = 2
"""A miner waits for pay half as long as a coordinator for progress, so that it is the one who says why."""
LOOK_EVERY_POLLS = 10
"""Coordinators that owe are looked at once in so many of the network's polls of the chain."""
REDEEM_AT_END_S = 3.0
"""How long a miner that stops may take to redeem: as long as a block or two."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CreditTerms:
    """The credit that a miner gives. :ivar limit_wei: of vouchers and tasks of one coordinator.

    :ivar least_wei: vouchers for less are not redeemed without need.
    """

    limit_wei: int
    least_wei: int


@dataclass(slots=True)
class PayeeCounts:
    """:ivar tasks_refused: for want of credit. :ivar tasks_unpaid: whose price was not paid in full."""

    tasks_paid: int = 0
    tasks_unpaid: int = 0
    tasks_refused: int = 0


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """A miner's account with one coordinator. What the chain knows is None until it was asked."""

    earned_micro_cai: int
    unpaid_micro_cai: int
    redeemed_micro_cai: int | None = None
    unredeemed_micro_cai: int | None = None
    deposit_micro_cai: int | None = None


@dataclass(frozen=True, slots=True)
class PayeeStatus:
    """A miner's money, in all and by coordinator's address; of the last, 0 counts for what is not known."""

    earned_micro_cai: int
    unpaid_micro_cai: int
    redeemed_micro_cai: int
    unredeemed_micro_cai: int
    tasks: PayeeCounts
    vouchers: RedeemerCounts
    coordinators: Mapping[bytes, AccountStatus]


class Payee:
    """One miner's. :ivar counts: of tasks."""

    def __init__(self, earnings: Earnings, clients: Clients, sender: Sender, terms: CreditTerms) -> None:
        self.counts = PayeeCounts()
        self._earnings = earnings
        self._terms = terms
        self._committed_wei: Counter[bytes] = Counter()
        self._standings = Standings(clients.escrow, clients.staking, earnings.miner)
        self.redeemer = Redeemer(
            earnings,
            self._standings,
            clients.escrow,
            sender,
            self._exposure,
            limit_wei=terms.limit_wei,
            least_wei=terms.least_wei,
        )

    def _exposure(self, coordinator: bytes, more_wei: int = 0) -> Exposure:
        account = self._earnings.account(coordinator)
        committed_wei = self._committed_wei[coordinator] + more_wei
        return Exposure(account.promised_wei, committed_wei, account.unpaid_wei)

    async def why_no_credit(self, task: TaskAnnouncement) -> str | None:
        """Look at the chain before a task is followed: why its coordinator may not pay, or None."""
        price_wei = task.price_micro_cai * WEI_PER_MICRO_CAI
        if not price_wei:
            return None
        try:
            reason = await self._look(task.coordinator, price_wei, STANDING_AGE_MAX_S)
            if reason is not None:
                reason = await self._look(task.coordinator, price_wei, REFUSAL_AGE_MAX_S)
        # A failure of an endpoint may look like a contract's refusal.
        except (ChainError, ContractReverted):
            reason = "the coordinator's deposit cannot be asked for at the moment"
        if reason is not None:
            self._refuse()
        return reason

    async def _look(self, coordinator: bytes, price_wei: int, age_max_s: float) -> str | None:
        standing = await self._standings.of(coordinator, age_max_s)
        return self._why_no_credit(standing, coordinator, price_wei)

    def _why_no_credit(self, standing: Standing, coordinator: bytes, price_wei: int) -> str | None:
        try:
            exposure = self._exposure(coordinator, price_wei)
        except Refusal as refusal:
            return refusal.reason
        return why_no_credit(standing, exposure, price_wei, self._terms.limit_wei)

    def _refuse(self) -> None:
        self.counts.tasks_refused += 1
        self.redeemer.kick()

    def claimed_wei(self, task_id: bytes) -> int:
        """Wei that vouchers have paid for a task. :raises EarningsUnavailable: the file fails."""
        return self._earnings.claimed_wei(task_id)

    def take(self, coordinator: bytes, task_id: bytes, voucher: SignedVoucher) -> None:
        """Take a voucher that came on a task's stream; errors as :meth:`Earnings.take`'s."""
        self._earnings.take(coordinator, task_id, voucher)

    def begin(self, task: Statement[TaskAnnouncement]) -> str | None:
        """Work begins: the task's price counts as credit until `end`.

        :returns: why there is no credit for it any more, by what the chain said last; None if there is.
        """
        coordinator = task.message.coordinator
        price_wei = task.message.price_micro_cai * WEI_PER_MICRO_CAI
        standing = self._standings.known(coordinator)
        if price_wei and standing is not None:
            reason = self._why_no_credit(standing, coordinator, price_wei)
            if reason is not None:
                self._refuse()
                return reason
        self._committed_wei[coordinator] += price_wei
        return None

    def end(self, account: TaskAccount) -> None:
        """A task that has begun is over: what it leaves unpaid is remembered of its coordinator."""
        message = account.task.message
        coordinator = message.coordinator
        self._committed_wei[coordinator] -= message.price_micro_cai * WEI_PER_MICRO_CAI
        if not self._committed_wei[coordinator]:
            del self._committed_wei[coordinator]
        if account.showed_anything:
            if account.unpaid_wei:
                self.counts.tasks_unpaid += 1
            else:
                self.counts.tasks_paid += 1
        if account.unpaid_wei:
            self._note_unpaid(coordinator, account.unpaid_wei)
        if account.doubtful:
            self.redeemer.urge(coordinator)
        self._kick_when_due(coordinator)

    def _note_unpaid(self, coordinator: bytes, unpaid_wei: int) -> None:
        try:
            self._earnings.note_unpaid(coordinator, unpaid_wei)
        except EarningsUnavailable as error:
            log.warning("forgotten at the next start", error=str(error))
        except Refusal as refusal:
            log.warning("what was left unpaid is not remembered", reason=refusal.reason)

    def _kick_when_due(self, coordinator: bytes) -> None:
        standing = self._standings.known(coordinator)
        if standing is not None:
            unredeemed_wei = self._exposure(coordinator).unredeemed_wei(standing)
            if 2 * unredeemed_wei >= self._terms.limit_wei:
                self.redeemer.kick()

    async def run(self, chain_poll_ms: int) -> None:
        """Redeem for as long as the miner runs, and what is worth it when it stops."""
        try:
            await self.redeemer.run(LOOK_EVERY_POLLS * chain_poll_ms / 1000)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + REDEEM_AT_END_S):
                await self.redeemer.redeem_all("the miner stops")

    def status(self) -> PayeeStatus:
        """For people."""
        accounts = {
            account.coordinator: self._account_status(account) for account in self._earnings.accounts()
        }
        return PayeeStatus(
            earned_micro_cai=sum(account.earned_micro_cai for account in accounts.values()),
            unpaid_micro_cai=sum(account.unpaid_micro_cai for account in accounts.values()),
            redeemed_micro_cai=sum(account.redeemed_micro_cai or 0 for account in accounts.values()),
            unredeemed_micro_cai=sum(account.unredeemed_micro_cai or 0 for account in accounts.values()),
            tasks=replace(self.counts),
            vouchers=replace(self.redeemer.counts),
            coordinators=accounts,
        )

    def _account_status(self, account: Account) -> AccountStatus:
        standing = self._standings.known(account.coordinator)
        earned_wei, unpaid_wei = account.promised_wei, account.unpaid_wei
        if standing is None:
            return AccountStatus(earned_wei // WEI_PER_MICRO_CAI, unpaid_wei // WEI_PER_MICRO_CAI)
        unredeemed_wei = self._exposure(account.coordinator).unredeemed_wei(standing)
        return AccountStatus(
            earned_micro_cai=earned_wei // WEI_PER_MICRO_CAI,
            unpaid_micro_cai=unpaid_wei // WEI_PER_MICRO_CAI,
            redeemed_micro_cai=standing.account.paid_wei // WEI_PER_MICRO_CAI,
            unredeemed_micro_cai=unredeemed_wei // WEI_PER_MICRO_CAI,
            deposit_micro_cai=standing.deposit.balance_wei // WEI_PER_MICRO_CAI,
        )
