"""`cuckoo-peer miner earnings|redeem|collect|report-bounced`: what miners have earned, and how it is got.

Is: reading miners' vouchers, while they run or not, and sending them to the chain from any account.
Is not: needed for redeeming: a running miner does that by itself, and this when it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.records import VOUCHERS_PER_CALL_MAX
from node.commands.chain_access import Chain, ChainOptions, SignerOptions, run_on_chain
from protocol.amounts import format_cai

if TYPE_CHECKING:
    from contracts.deployment import Deployment
    from node.pay.vouchers import HeldVoucher


def _read(data_dirs: Sequence[Path], deployment: Deployment) -> Iterator[tuple[bytes, list[HeldVoucher]]]:
    """Each miner's address, and the best voucher of each coordinator that has paid it."""
    from node.pay.earnings import EARNINGS_FILE, read_earnings  # noqa: PLC0415
    from node.pay.vouchers import EscrowDomain  # noqa: PLC0415
    from node.signing.keys import find_address  # noqa: PLC0415 - `--help` should not wait for it
    from node.system.lifetime import KEY_FILE  # noqa: PLC0415

    domain = EscrowDomain.of(deployment)
    for data_dir in data_dirs:
        miner = find_address(data_dir / KEY_FILE)
        accounts = read_earnings(data_dir / EARNINGS_FILE, miner, domain)
        yield miner, [account.best for account in accounts if account.best is not None]


def earnings(*data_dirs: Path, options: ChainOptions = ChainOptions()) -> None:
    """Show what coordinators have promised miners, and what of it is redeemed and collected.

    :param data_dirs: of the nodes, which may run meanwhile.
    """

    async def work(opened: Chain) -> None:
        escrow = opened.clients.escrow
        for miner, vouchers in _read(data_dirs, opened.deployment):
            print(f"miner 0x{miner.hex()}{'' if vouchers else ': nothing yet'}")
            for held in vouchers:
                coordinator = held.voucher.coordinator
                chain = await escrow.account(coordinator, miner)
                print(f"  of coordinator 0x{coordinator.hex()}")
                print(f"  earned       {format_cai(max(held.amount_wei, chain.promised_wei))}")
                print(f"  unredeemed   {format_cai(max(0, held.amount_wei - chain.paid_wei))}")
                print(f"  redeemed     {format_cai(chain.paid_wei)}")
                print(f"  collected    {format_cai(chain.collected_wei)}")
                print(f"  its deposit  {format_cai((await escrow.deposit_of(coordinator)).balance_wei)}")

    run_on_chain(options, work)


def redeem(*data_dirs: Path, signer: SignerOptions) -> None:
    """Have miners' vouchers booked in the escrow; whoever sends it pays the gas.

    :param data_dirs: of the nodes, which may run meanwhile.
    """

    async def work(opened: Chain) -> None:
        escrow = opened.clients.escrow
        worth = []
        for miner, vouchers in _read(data_dirs, opened.deployment):
            for held in vouchers:
                paid_wei = (await escrow.account(held.voucher.coordinator, miner)).paid_wei
                if held.amount_wei > paid_wei:
                    worth.append((held, paid_wei))
        if not worth:
            print("nothing to redeem")
        for start in range(0, len(worth), VOUCHERS_PER_CALL_MAX):
            batch = worth[start : start + VOUCHERS_PER_CALL_MAX]
            promises, signatures = zip(*((held.voucher, held.signature) for held, _ in batch), strict=True)
            await escrow.redeem_many(opened.sender, promises, signatures)
            for held, before_wei in batch:
                account = await escrow.account(held.voucher.coordinator, held.voucher.miner)
                print(
                    f"redeemed {format_cai(account.paid_wei - before_wei)} for miner "
                    f"0x{held.voucher.miner.hex()}; the coordinator owes it {format_cai(account.debt_wei)}"
                )

    run_on_chain(signer, work)


def collect(*data_dirs: Path, signer: SignerOptions) -> None:
    """Have what was redeemed sent to the miners' owners, less the tenth for those who stake behind them.

    :param data_dirs: of the nodes.
    """

    async def work(opened: Chain) -> None:
        escrow = opened.clients.escrow
        for miner, vouchers in _read(data_dirs, opened.deployment):
            booked = []
            for held in vouchers:
                account = await escrow.account(held.voucher.coordinator, miner)
                if account.paid_wei > account.collected_wei or account.compensation_wei:
                    booked.append(held.voucher.coordinator)
            if not booked:
                print(f"nothing to collect for miner 0x{miner.hex()}")
            for start in range(0, len(booked), VOUCHERS_PER_CALL_MAX):
                batch = booked[start : start + VOUCHERS_PER_CALL_MAX]
                pay_wei = await escrow.collect(opened.sender, miner, batch)
                print(f"collected {format_cai(pay_wei)} for the owner of miner 0x{miner.hex()}")

    run_on_chain(signer, work)


def report_bounced(*data_dirs: Path, signer: SignerOptions) -> None:
    """Have coordinators slashed that left vouchers unpaid beyond the grace; miners' owners get a part of it.

    :param data_dirs: of the nodes.
    """
    from contracts.errors import ContractReverted  # noqa: PLC0415
    from node.commands.contract_refusals import in_words  # noqa: PLC0415

    async def work(opened: Chain) -> None:
        escrow = opened.clients.escrow
        for miner, vouchers in _read(data_dirs, opened.deployment):
            for held in vouchers:
                coordinator = held.voucher.coordinator
                debt_wei = (await escrow.account(coordinator, miner)).debt_wei
                if not debt_wei:
                    continue
                named = f"coordinator 0x{coordinator.hex()}, which owes {format_cai(debt_wei)}"
                try:
                    await escrow.report_bounced(opened.sender, coordinator, miner)
                except ContractReverted as refused:
                    print(f"not reported: {named}: {in_words(refused.name, refused.arguments)}")
                else:
                    print(f"reported: {named}")

    run_on_chain(signer, work)


COMMANDS = (earnings, redeem, collect, report_bounced)
"""All of them, for `cli` to add."""
