"""Rewards of stake, as typed Python in the manner of `staking`.

Is: the funded stream, commissions, and the claims of owners and voters.
Is not: a miner's pay (`escrow`), of which a share arrives here.
"""

from __future__ import annotations

from contracts.contract import Contract
from contracts.records import Commission, RewardStream
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender


class RewardsClient:
    """Rewards of the staking contract."""

    def __init__(self, rpc: Rpc, staking_address: bytes) -> None:
        self._contract = Contract(rpc, staking_address, "Staking")

    async def fund(self, sender: Sender, amount_wei: int) -> RewardStream:
        """Add to the stream, which then flows for a whole period; needs the token's allowance.

        Reverts with ``RateOutOfBounds`` if it would flow slower than before.
        """
        await self._contract.transact(sender, "fundRewards", amount_wei)
        return await self.stream()

    async def stream(self) -> RewardStream:
        """The stream as it flows now."""
        wei_per_s, end_time_s, remaining_wei, carried_wei = await self._contract.read("rewardStream")
        return RewardStream(
            wei_per_s=wei_per_s, end_time_s=end_time_s, remaining_wei=remaining_wei, carried_wei=carried_wei
        )

    async def claimable(self, node: bytes, account: bytes) -> int:
        """The amount that `claim` would pay now, in wei."""
        amount_wei: int = await self._contract.read("claimable", node, account)
        return amount_wei

    async def claim(self, sender: Sender, node: bytes) -> int:
        """Take what was earned behind a node, as its owner or voter; returns how much, in wei.

        Reverts with ``NothingToClaim``.
        """
        receipt = await self._contract.transact(sender, "claim", node)
        amount_wei: int = self._contract.event(receipt, "Claimed").arguments["amount"]
        return amount_wei

    async def announce_commission(self, sender: Sender, node: bytes, basis_points: int) -> Receipt:
        """Set the owner's part of what a node earns; it falls at once and rises after the notice.

        Reverts with ``CommissionTooHigh`` or ``NotOwner``.
        """
        return await self._contract.transact(sender, "announceCommission", node, basis_points)

    async def commission(self, node: bytes) -> Commission:
        """The commission of a node."""
        now, following, following_from_s, _fees = await self._contract.read("nodeRewards", node)
        return Commission(now=now, next=following, next_from_s=following_from_s)

    async def flowing_fees(self, node: bytes) -> int:
        """Fees of a node that have been collected and have not flowed to owner and voters yet, in wei."""
        fees_wei: int = (await self._contract.read("nodeRewards", node))[3]
        return fees_wei
