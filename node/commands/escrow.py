"""`cuckoo-peer chain escrow`: what a coordinator pays its miners from.

Is: the deposit of a coordinator, one command a step.
Is not: vouchers; nodes sign and redeem those by themselves.
"""

from __future__ import annotations

from cyclopts import App

from node.commands.chain_access import (
    Chain,
    ChainOptions,
    SignerOptions,
    parse_address,
    run_on_chain,
)
from node.system.clock import format_time
from protocol.amounts import format_cai, parse_cai
from protocol.errors import LocalError

escrow = App(
    name="escrow",
    help="Put money aside for a coordinator's miners, look at it, and take it back.",
    help_epilogue="""Examples, with an environment as in the README:

cuckoo-peer chain escrow deposit 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1 50

cuckoo-peer chain escrow show 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1

cuckoo-peer chain escrow announce 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1 20""",
)


@escrow.command
def deposit(coordinator: str, amount: str, /, *, signer: SignerOptions) -> None:
    """Add to a coordinator's deposit, whoever it belongs to; it pays miners from then on.

    Parameters
    ----------
    coordinator
        Address of its node key.
    amount
        In CAI.
    """

    async def work(opened: Chain) -> None:
        address, amount_wei = parse_address(coordinator), parse_cai(amount)
        await opened.clients.token.approve(opened.sender, opened.deployment.escrow, amount_wei)
        await opened.clients.escrow.deposit(opened.sender, address, amount_wei)
        now = await opened.clients.escrow.deposit_of(address)
        print(f"deposited {format_cai(amount_wei)}; the deposit is {format_cai(now.balance_wei)}")

    run_on_chain(signer, work)


@escrow.command
def announce(coordinator: str, amount: str, /, *, signer: SignerOptions) -> None:
    """Announce that a part of one's own coordinator's deposit will be withdrawn. 0 takes that back.

    Until then it goes on paying vouchers, the coordinator promises it to nobody any more, and miners redeem.

    Parameters
    ----------
    coordinator
        Address of its node key; its owner is who sends.
    amount
        In CAI.
    """

    async def work(opened: Chain) -> None:
        amount_wei = 0 if amount == "0" else parse_cai(amount)
        now = await opened.clients.escrow.announce_withdrawal(
            opened.sender, parse_address(coordinator), amount_wei
        )
        if not amount_wei:
            print("nothing is announced any more")
            return
        print(
            f"{format_cai(now.leaving_wei)} can be withdrawn from {format_time(now.withdrawable_from_s)} "
            f"to {format_time(now.withdrawable_until_s)}"
        )

    run_on_chain(signer, work)


@escrow.command
def withdraw(coordinator: str, /, *, signer: SignerOptions) -> None:
    """Take what was announced, when its time has come.

    Parameters
    ----------
    coordinator
        Address of its node key; its owner is who sends.
    """

    async def work(opened: Chain) -> None:
        amount_wei = await opened.clients.escrow.withdraw(opened.sender, parse_address(coordinator))
        print(f"withdrawn: {format_cai(amount_wei)}")

    run_on_chain(signer, work)


@escrow.command
def show(coordinator: str, /, *, options: ChainOptions = ChainOptions()) -> None:
    """Show a coordinator's deposit. What of it is promised already, the coordinator's own status tells."""

    async def work(opened: Chain) -> None:
        now = await opened.clients.escrow.deposit_of(parse_address(coordinator))
        print(f"deposit  {format_cai(now.balance_wei)}")
        leaving = "nothing" if not now.withdrawable_from_s else format_cai(now.leaving_wei)
        until = ""
        if now.withdrawable_from_s:
            until = (
                f", from {format_time(now.withdrawable_from_s)} to {format_time(now.withdrawable_until_s)}"
            )
        print(f"leaving  {leaving}{until}")

    run_on_chain(options, work)


@escrow.command(name="pay-debt")
def pay_debt(coordinator: str, miner: str, /, *, signer: SignerOptions) -> None:
    """Pay all that a coordinator owes a miner, out of one's own account.

    A debt is what a voucher promised beyond the deposit. Unpaid after the grace, it costs stake.

    Example:

    cuckoo-peer chain escrow pay-debt 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1
    0xffcf8fdee72ac11b5c542428b35eef5769c409f0

    Parameters
    ----------
    coordinator
        Address of its node key.
    miner
        Address of the miner's node key.
    """

    async def work(opened: Chain) -> None:
        debtor, creditor = parse_address(coordinator), parse_address(miner)
        debt_wei = await _debt(opened, debtor, creditor)
        await opened.clients.token.approve(opened.sender, opened.deployment.escrow, debt_wei)
        await opened.clients.escrow.pay_debt(opened.sender, debtor, creditor)
        print(f"paid {format_cai(debt_wei)}; nothing is owed any more")

    run_on_chain(signer, work)


@escrow.command(name="settle-debt")
def settle_debt(coordinator: str, miner: str, /, *, signer: SignerOptions) -> None:
    """Have a coordinator's debt to a miner paid out of its deposit, as far as that goes; anybody may.

    Example, after the deposit was filled:

    cuckoo-peer chain escrow settle-debt 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1
    0xffcf8fdee72ac11b5c542428b35eef5769c409f0

    Parameters
    ----------
    coordinator
        Address of its node key.
    miner
        Address of the miner's node key.
    """

    async def work(opened: Chain) -> None:
        debtor, creditor = parse_address(coordinator), parse_address(miner)
        before_wei = await _debt(opened, debtor, creditor)
        await opened.clients.escrow.settle_debt(opened.sender, debtor, creditor)
        left_wei = (await opened.clients.escrow.account(debtor, creditor)).debt_wei
        print(f"paid {format_cai(before_wei - left_wei)} out of the deposit; left: {format_cai(left_wei)}")

    run_on_chain(signer, work)


async def _debt(opened: Chain, coordinator: bytes, miner: bytes) -> int:
    """:raises LocalError: nothing is owed."""
    debt_wei = (await opened.clients.escrow.account(coordinator, miner)).debt_wei
    if not debt_wei:
        raise LocalError(f"0x{coordinator.hex()} owes nothing to 0x{miner.hex()}")
    return debt_wei
