"""Coordinators' deposits and the vouchers that they pay, as typed Python in the manner of `staking`.

Is: both sides of pay on the chain, and the signature of a voucher.
Is not: the decision how much to promise for what; that belongs to the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.contract import Contract
from contracts.records import Deposit, PairAccount, Voucher
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender
from contracts.typed_data import TypedData

if TYPE_CHECKING:
    from collections.abc import Sequence


def voucher_data(voucher: Voucher, chain_id: int, escrow_address: bytes) -> TypedData:
    """The voucher that a coordinator's node key signs: a promise that only ever grows.

    :param chain_id: of the chain on which it will be redeemed.
    :param escrow_address: 20 bytes, the contract that will check it.
    """
    return TypedData(
        domain_name="Cuckoo Escrow",
        chain_id=chain_id,
        contract=escrow_address,
        struct="Voucher",
        fields=(
            ("address", "coordinator", voucher.coordinator),
            ("address", "miner", voucher.miner),
            ("uint256", "cumulativeAmount", voucher.cumulative_amount_wei),
        ),
    )


class EscrowClient:
    """Deposits and vouchers.

    :ivar address: 20 bytes, of the contract.
    :ivar chain_id: for vouchers.
    """

    def __init__(self, rpc: Rpc, address: bytes) -> None:
        self.address = address
        self.chain_id = rpc.chain_id
        self._contract = Contract(rpc, address, "Escrow")

    # The coordinator's side

    async def deposit(self, sender: Sender, coordinator: bytes, amount_wei: int) -> Receipt:
        """Add to a coordinator's deposit, whoever sends it; needs the token's allowance."""
        return await self._contract.transact(sender, "deposit", coordinator, amount_wei)

    async def deposit_of(self, coordinator: bytes) -> Deposit:
        """A coordinator's deposit."""
        balance, leaving, from_s, until_s = await self._contract.read("depositOf", coordinator)
        return Deposit(
            balance_wei=balance, leaving_wei=leaving, withdrawable_from_s=from_s, withdrawable_until_s=until_s
        )

    async def announce_withdrawal(self, sender: Sender, coordinator: bytes, amount_wei: int) -> Deposit:
        """Announce that a part of one's own coordinator's deposit will leave; 0 takes that back."""
        await self._contract.transact(sender, "announceWithdrawal", coordinator, amount_wei)
        return await self.deposit_of(coordinator)

    async def withdraw(self, sender: Sender, coordinator: bytes) -> int:
        """Take what was announced; returns how much, in wei. Reverts with ``NotWithdrawable``."""
        receipt = await self._contract.transact(sender, "withdraw", coordinator)
        amount_wei: int = self._contract.event(receipt, "DepositWithdrawn").arguments["amount"]
        return amount_wei

    async def pay_debt(self, sender: Sender, coordinator: bytes, miner: bytes) -> Receipt:
        """Pay a whole debt out of one's own pocket; needs the token's allowance."""
        return await self._contract.transact(sender, "payDebt", coordinator, miner)

    # The miner's side

    async def redeem(self, sender: Sender, voucher: Voucher, signature: bytes) -> Receipt:
        """Book a voucher, as far as the deposit goes; the rest becomes a debt.

        Reverts with ``VoucherNotByCoordinator``, ``WrongRole``, or ``NothingToMove`` if it is worth no more
        than was booked before.
        """
        return await self._contract.transact(sender, "redeem", _tuple(voucher), signature)

    async def redeem_many(
        self, sender: Sender, vouchers: Sequence[Voucher], signatures: Sequence[bytes]
    ) -> Receipt:
        """Book several vouchers; those that are worth nothing more are passed over."""
        pairs = ([_tuple(voucher) for voucher in vouchers], list(signatures))
        return await self._contract.transact(sender, "redeemMany", *pairs)

    async def settle_debt(self, sender: Sender, coordinator: bytes, miner: bytes) -> Receipt:
        """Have a debt paid out of the deposit, as far as that goes."""
        return await self._contract.transact(sender, "settleDebt", coordinator, miner)

    async def report_bounced(self, sender: Sender, coordinator: bytes, miner: bytes) -> Receipt:
        """Have a coordinator slashed for an old debt. Reverts with ``InGrace`` or ``NoDebt``."""
        return await self._contract.transact(sender, "bounced", coordinator, miner)

    async def collect(self, sender: Sender, miner: bytes, coordinators: Sequence[bytes]) -> int:
        """Have what was booked sent to a miner's owner and stakers; returns the owner's pay, in wei."""
        receipt = await self._contract.transact(sender, "collect", miner, list(coordinators))
        pay_wei: int = self._contract.event(receipt, "Collected").arguments["pay"]
        return pay_wei

    async def account(self, coordinator: bytes, miner: bytes) -> PairAccount:
        """The account between a coordinator and a miner."""
        promised, paid, collected, compensation, bounced_at_s, defaulted = await self._contract.read(
            "accountOf", coordinator, miner
        )
        return PairAccount(
            promised_wei=promised,
            paid_wei=paid,
            collected_wei=collected,
            compensation_wei=compensation,
            bounced_at_s=bounced_at_s,
            defaulted=defaulted,
        )


def _tuple(voucher: Voucher) -> tuple[bytes, bytes, int]:
    return (voucher.coordinator, voucher.miner, voucher.cumulative_amount_wei)
