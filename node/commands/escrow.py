"""`cuckoo-peer chain escrow`: what a coordinator pays its miners from.

Is: the deposit of a coordinator, one command a step.
Is not: vouchers; nodes sign and redeem those by themselves.
"""

from __future__ import annotations

from cyclopts import App

from node.commands.chain import Chain, Owner, Place, parse_address, parse_wei, run_command, show_cai

escrow = App(
    name="escrow",
    help="Put money aside for a coordinator's miners, look at it, and take it back.",
    help_epilogue="""Examples, with an environment as in the README:

cuckoo-peer chain escrow deposit 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1 50

cuckoo-peer chain escrow show 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1

cuckoo-peer chain escrow announce 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1 20""",
)


@escrow.command
def deposit(coordinator: str, amount: str, /, *, owner: Owner) -> None:
    """Add to a coordinator's deposit, whoever it belongs to; it pays miners from then on.

    Parameters
    ----------
    coordinator
        Address of its node key.
    amount
        In CAI.
    """

    async def work(opened: Chain) -> None:
        address, amount_wei = parse_address(coordinator), parse_wei(amount)
        await opened.clients.token.approve(opened.sender, opened.deployment.escrow, amount_wei)
        await opened.clients.escrow.deposit(opened.sender, address, amount_wei)
        now = await opened.clients.escrow.deposit_of(address)
        print(f"deposited {show_cai(amount_wei)}; the deposit is {show_cai(now.balance_wei)}")

    run_command(owner, work)


@escrow.command
def announce(coordinator: str, amount: str, /, *, owner: Owner) -> None:
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
        amount_wei = 0 if amount == "0" else parse_wei(amount)
        now = await opened.clients.escrow.announce_withdrawal(
            opened.sender, parse_address(coordinator), amount_wei
        )
        if not amount_wei:
            print("nothing is announced any more")
            return
        print(
            f"{show_cai(now.leaving_wei)} can be withdrawn from Unix time {now.withdrawable_from_s} "
            f"to {now.withdrawable_until_s}"
        )

    run_command(owner, work)


@escrow.command
def withdraw(coordinator: str, /, *, owner: Owner) -> None:
    """Take what was announced, when its time has come.

    Parameters
    ----------
    coordinator
        Address of its node key; its owner is who sends.
    """

    async def work(opened: Chain) -> None:
        amount_wei = await opened.clients.escrow.withdraw(opened.sender, parse_address(coordinator))
        print(f"withdrawn: {show_cai(amount_wei)}")

    run_command(owner, work)


@escrow.command
def show(coordinator: str, /, *, place: Place = Place()) -> None:
    """Show a coordinator's deposit. What of it is promised already, the coordinator's own status tells."""

    async def work(opened: Chain) -> None:
        now = await opened.clients.escrow.deposit_of(parse_address(coordinator))
        print(f"deposit  {show_cai(now.balance_wei)}")
        leaving = "nothing" if not now.withdrawable_from_s else show_cai(now.leaving_wei)
        until = ""
        if now.withdrawable_from_s:
            until = f", from Unix time {now.withdrawable_from_s} to {now.withdrawable_until_s}"
        print(f"leaving  {leaving}{until}")

    run_command(place, work)
