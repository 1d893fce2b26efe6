"""The end of the demonstration: the miner's voucher, its redemption on the chain, and what its owner got.

Is: what anybody could do with the miner's file of vouchers: read it, redeem, collect, and look at balances.
Is not: needed for the miner to be paid; it redeems by itself, only not after a single picture.
"""

from __future__ import annotations

from rich.console import Console

from contracts.clients import Clients
from contracts.transactions import Sender
from node.devnet.market import Market
from node.devnet.report import short
from node.pay.earnings import EARNINGS_FILE, Account, open_earnings
from node.pay.vouchers import EscrowDomain
from protocol.amounts import format_cai
from protocol.errors import CuckooError
from protocol.receipt import Receipt


class NotPaid(CuckooError):
    """The demonstration did not show pay; the text says what was seen instead."""


async def show_pay(market: Market, console: Console, receipt: Receipt) -> None:
    """Redeem what the miner of `receipt` holds, and show where it went.

    :raises NotPaid: there is no voucher for the task, or another amount moved than it says.
    """
    miner, coordinator = receipt.commitment.signer.address, receipt.announcement.signer.address
    account, task_wei = _voucher(market, miner, coordinator, receipt.announcement.digest)
    held = account.best
    if held is None or not task_wei:
        raise NotPaid("the miner holds no voucher for the task")
    console.print(
        f"\n[bold]The miner is paid[/bold]: {market.names[miner]} holds a voucher of the coordinator\n"
        f"  for this task {format_cai(task_wei)}, in all {format_cai(held.amount_wei)}, "
        f"signature {short(held.signature)}"
    )
    clients, sender = Clients(market.rpc, market.deployment), Sender(market.rpc, market.reporter)
    node = await clients.staking.node_info(miner)
    if node is None:
        raise NotPaid("the miner is not registered")
    deposit_wei = (await clients.escrow.deposit_of(coordinator)).balance_wei
    had_wei = await clients.token.balance(node.owner)
    redeemed = await clients.escrow.redeem_many(sender, [held.voucher], [held.signature])
    left_wei = (await clients.escrow.deposit_of(coordinator)).balance_wei
    pay_wei = await clients.escrow.collect(sender, miner, [coordinator])
    has_wei = await clients.token.balance(node.owner)
    console.print(
        f"  redeemed in transaction 0x{redeemed.transaction_hash.hex()}, {redeemed.gas_used:,} gas: "
        f"the deposit went from {format_cai(deposit_wei)} to {format_cai(left_wei)}\n"
        f"  its owner had {format_cai(had_wei)} and has {format_cai(has_wei)}: nine tenths; "
        f"one tenth is for those who stake behind it"
    )
    if deposit_wei - left_wei != held.amount_wei or has_wei - had_wei != pay_wei or not pay_wei:
        raise NotPaid("another amount has moved than the voucher says")


def _voucher(market: Market, miner: bytes, coordinator: bytes, task_id: bytes) -> tuple[Account, int]:
    path = market.folder / market.names[miner] / EARNINGS_FILE
    with open_earnings(path, miner, EscrowDomain.of(market.deployment)) as earnings:
        return earnings.account(coordinator), earnings.claimed_wei(task_id)
