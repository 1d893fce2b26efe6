"""How a coordinator stands on the chain towards a miner, and what follows from that.

Is: the two decisions about money that a miner makes, as functions of what the chain and its file say.
Is not: I/O but `Standings`, which asks the chain and remembers the answer for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from contracts.records import Deposit, NodeInfo, PairAccount
from protocol.bounded import Bounded

if TYPE_CHECKING:
    from contracts.escrow import EscrowClient
    from contracts.staking import StakingClient

STANDINGS_MAX = 1_024
"""Coordinators whose standing is remembered; of more, the chain is asked again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One coordinator.

    :ivar deposit: what it pays from.
    :ivar account: what has passed between it and this miner.
    :ivar node: its registration and stake; None if it has none.
    :ivar asked_at_s: when the chain said so, by trio's clock.
    """

    deposit: Deposit
    account: PairAccount
    node: NodeInfo | None
    asked_at_s: float

    @property
    def covers_wei(self) -> int:
        """The part of its deposit that will stay."""
        return max(0, self.deposit.balance_wei - self.deposit.leaving_wei)


@dataclass(frozen=True, slots=True)
class Exposure:
    """A miner's exposure to a coordinator. All in wei.

    :ivar promised_wei: by its best voucher.
    :ivar committed_wei: prices of its tasks that are under way here, or about to be.
    :ivar unpaid_wei: what it has left unpaid in tasks that are over.
    """

    promised_wei: int
    committed_wei: int
    unpaid_wei: int

    def unredeemed_wei(self, standing: Standing) -> int:
        """The worth that its vouchers still have."""
        return max(0, self.promised_wei - standing.account.paid_wei)


def why_no_credit(standing: Standing, exposure: Exposure, price_wei: int, limit_wei: int) -> str | None:
    """Why a task of a coordinator should not be accepted; None if it may be.

    :param price_wei: of the task, which is among the committed.
    :param limit_wei: the credit that the miner gives to one coordinator. One task alone may be more.
    """
    at_risk_wei = exposure.unredeemed_wei(standing) + exposure.committed_wei
    if exposure.unpaid_wei > exposure.promised_wei + price_wei:
        return "the coordinator has left more unpaid than it has paid"
    if standing.covers_wei < at_risk_wei:
        return "the coordinator's deposit does not cover what it owes this miner and the task"
    if at_risk_wei > max(limit_wei, price_wei):
        return "the coordinator's credit with this miner is used up until its vouchers are redeemed"
    return None


def why_redeem(
    standing: Standing, exposure: Exposure, limit_wei: int, own_stake_before_wei: int | None
) -> str | None:
    """Why a coordinator's voucher should be redeemed now; None if it may wait.

    :param own_stake_before_wei: its owner's stake when it was looked at before; None at first.
    """
    unredeemed_wei = exposure.unredeemed_wei(standing)
    is_known = exposure.promised_wei <= standing.account.promised_wei
    if not unredeemed_wei or (is_known and not standing.deposit.balance_wei):
        return None  # nothing to get; a debt that stands on the chain already needs no second voucher
    node = standing.node
    reasons = {
        "it has announced a withdrawal": standing.deposit.leaving_wei > 0,
        "it takes no part any more": node is None or not node.active,
        "its stake has become less": (
            node is not None
            and own_stake_before_wei is not None
            and node.own_stake_wei < own_stake_before_wei
        ),
        "its deposit comes near to what it owes": standing.deposit.balance_wei < 2 * unredeemed_wei,
        "half of its credit is used": 2 * unredeemed_wei >= limit_wei,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


class Standings:
    """The chain's accounts of coordinators, each asked for when it is needed."""

    def __init__(self, escrow: EscrowClient, staking: StakingClient, miner: bytes) -> None:
        self._escrow = escrow
        self._staking = staking
        self._miner = miner
        self._known: Bounded[bytes, Standing] = Bounded(STANDINGS_MAX)

    def known(self, coordinator: bytes) -> Standing | None:
        """The last answer heard."""
        return self._known.get(coordinator)

    async def of(self, coordinator: bytes, age_max_s: float) -> Standing:
        """A coordinator's standing, not older than `age_max_s`.

        :raises ChainError: the chain cannot be reached or answers nonsense.
        """
        known = self._known.get(coordinator)
        now_s = trio.current_time()
        if known is not None and now_s - known.asked_at_s < age_max_s:
            return known
        # The account first: a redemption in between makes the deposit too small, never too large.
        account = await self._escrow.account(coordinator, self._miner)
        deposit = await self._escrow.deposit_of(coordinator)
        found = Standing(deposit, account, await self._staking.node_info(coordinator), now_s)
        self._known[coordinator] = found
        return found
