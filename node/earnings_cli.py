"""`cuckoo-peer miner earnings|redeem|collect`: what a miner has earned, and how its owner gets it.

Is: reading a miner's vouchers, while it runs or not, and sending them to the chain from any account.
Is not: needed for redeeming: a running miner does that by itself, and this when it cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.records import VOUCHERS_PER_CALL_MAX
from node.chain_cli import Chain, Owner, Place, run_command, show_cai

if TYPE_CHECKING:
    from node.pay.earnings import Account


def _read(data_dir: Path, opened: Chain) -> tuple[bytes, list[Account]]:
    from node.keys import keystore_address  # noqa: PLC0415 - `--help` should not wait for it
    from node.lifetime import KEY_FILE  # noqa: PLC0415
    from node.pay.earnings import EARNINGS_FILE, read_earnings  # noqa: PLC0415
    from node.pay.vouchers import EscrowDomain  # noqa: PLC0415

    miner = keystore_address(data_dir / KEY_FILE)
    domain = EscrowDomain.of(opened.deployment)
    return miner, read_earnings(data_dir / EARNINGS_FILE, miner, domain)


def earnings(data_dir: Path, /, *, place: Place = Place()) -> None:
    """Show what coordinators have promised a miner, and what of it is redeemed and collected.

    :param data_dir: of the node.
    """

    async def work(opened: Chain) -> None:
        miner, accounts = _read(data_dir, opened)
        for account in accounts:
            chain = await opened.clients.escrow.account(account.coordinator, miner)
            deposit = await opened.clients.escrow.deposit_of(account.coordinator)
            print(f"coordinator  0x{account.coordinator.hex()}")
            print(f"earned       {show_cai(max(account.promised_wei, chain.promised_wei))}")
            print(f"unredeemed   {show_cai(max(0, account.promised_wei - chain.paid_wei))}")
            print(f"redeemed     {show_cai(chain.paid_wei)}")
            print(f"collected    {show_cai(chain.collected_wei)}")
            print(f"its deposit  {show_cai(deposit.balance_wei)}")

    run_command(place, work)


def redeem(data_dir: Path, /, *, owner: Owner) -> None:
    """Have a miner's vouchers booked in the escrow; whoever sends it pays the gas.

    :param data_dir: of the node, which may run meanwhile.
    """

    async def work(opened: Chain) -> None:
        miner, accounts = _read(data_dir, opened)
        escrow = opened.clients.escrow
        held, paid_wei = [], {}
        for account in accounts:
            paid_wei[account.coordinator] = (await escrow.account(account.coordinator, miner)).paid_wei
            if account.best is not None and account.promised_wei > paid_wei[account.coordinator]:
                held.append(account.best)
        if not held:
            print("nothing to redeem")
        for start in range(0, len(held), VOUCHERS_PER_CALL_MAX):
            batch = held[start : start + VOUCHERS_PER_CALL_MAX]
            signatures = [one.signature for one in batch]
            await escrow.redeem_many(opened.sender, [one.voucher for one in batch], signatures)
            for one in batch:
                coordinator = one.voucher.coordinator
                booked_wei = (await escrow.account(coordinator, miner)).paid_wei - paid_wei[coordinator]
                print(f"redeemed {show_cai(booked_wei)} of coordinator 0x{coordinator.hex()}")

    run_command(owner, work)


def collect(data_dir: Path, /, *, owner: Owner) -> None:
    """Have what was redeemed sent to the miner's owner, less the tenth for those who stake behind it.

    :param data_dir: of the node.
    """

    async def work(opened: Chain) -> None:
        miner, accounts = _read(data_dir, opened)
        escrow = opened.clients.escrow
        booked = []
        for account in accounts:
            chain = await escrow.account(account.coordinator, miner)
            if chain.paid_wei > chain.collected_wei or chain.compensation_wei:
                booked.append(account.coordinator)
        if not booked:
            print("nothing to collect; redeem first")
        for start in range(0, len(booked), VOUCHERS_PER_CALL_MAX):
            batch = booked[start : start + VOUCHERS_PER_CALL_MAX]
            pay_wei = await escrow.collect(opened.sender, miner, batch)
            print(f"collected {show_cai(pay_wei)} for the miner's owner")

    run_command(owner, work)


COMMANDS = (earnings, redeem, collect)
"""All of them, for `cli` to add."""
