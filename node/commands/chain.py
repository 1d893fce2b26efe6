"""`cuckoo-peer chain`: the chain from the command line.

Is: the token, and what the chain knows of nodes. Staking is in `stake`, pay in `escrow`.
Is not: a wallet for stakes of value: there, let your own wallet sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from contracts.records import NodeInfo

chain = App(
    name="chain",
    help="""Stake, vote and look: the staking contract from the command line. Amounts are in CAI.

On networks where CAI has value, let your own wallet sign instead.""",
)


@chain.command
def balance(address: str, /, *, options: ChainOptions = ChainOptions()) -> None:
    """Show the CAI of an account."""

    async def work(opened: Chain) -> None:
        account = parse_address(address)
        print(f"{format_cai(await opened.clients.token.balance(account))}")

    run_on_chain(options, work)


@chain.command
def faucet(amount: str, /, *, signer: SignerOptions) -> None:
    """Get CAI on a development network."""

    async def work(opened: Chain) -> None:
        await opened.clients.token.faucet(opened.sender, parse_cai(amount))
        print(f"you have {format_cai(await opened.clients.token.balance(opened.sender.address))}")

    run_on_chain(signer, work)


@chain.command
def wrap(amount: str, /, *, signer: SignerOptions) -> None:
    """Turn coins into CAI tokens to stake, on a chain whose own coin is CAI. Keep some for gas."""

    async def work(opened: Chain) -> None:
        await opened.clients.token.wrap(opened.sender, parse_cai(amount))
        print(f"you have {format_cai(await opened.clients.token.balance(opened.sender.address))} in tokens")

    run_on_chain(signer, work)


@chain.command
def unwrap(amount: str, /, *, signer: SignerOptions) -> None:
    """Turn CAI tokens back into the chain's coin."""

    async def work(opened: Chain) -> None:
        await opened.clients.token.unwrap(opened.sender, parse_cai(amount))
        left_wei = await opened.clients.token.balance(opened.sender.address)
        print(f"you have {format_cai(left_wei)} left in tokens")

    run_on_chain(signer, work)


@chain.command
def node(address: str, /, *, options: ChainOptions = ChainOptions()) -> None:
    """Show what the chain knows of a node."""

    async def work(opened: Chain) -> None:
        key = parse_address(address)
        info = await opened.clients.staking.node_info(key)
        if info is None:
            raise LocalError(f"{address} is not registered")
        commission = await opened.clients.rewards.commission(key)
        print(f"role       {info.role.name.lower()}")
        print(f"owner      0x{info.owner.hex()}")
        print(f"own stake  {format_cai(info.own_stake_wei)}")
        print(f"with votes {format_cai(info.total_stake_wei)}")
        print(f"unbonding  {format_cai(info.unbonding_stake_wei)}")
        print(f"active     {'yes' if info.active else f'no, {_why_inactive(info)}'}")
        rise = ""
        if commission.next_from_s:
            rise = f", {commission.next / 100:g} % from {format_time(commission.next_from_s)}"
        print(f"commission {commission.now / 100:g} %{rise}")
        metadata = await opened.clients.metadata.read(key)
        print(f"metadata   {'not found among recent blocks' if metadata is None else repr(metadata)}")

    run_on_chain(options, work)


@chain.command
def nodes(*, options: ChainOptions = ChainOptions()) -> None:
    """List all registered nodes."""

    async def work(opened: Chain) -> None:
        registry = opened.clients.registry()
        await registry.sync()
        for known in registry.nodes():
            info = await opened.clients.staking.node_info(known.address)
            if info is not None:
                state = "active" if info.active else _why_inactive(info)
                print(
                    f"0x{known.address.hex()}  {known.role.name.lower():<11}  {state:<36}  "
                    f"{format_cai(info.total_stake_wei):>24}"
                )

    run_on_chain(options, work)


def _why_inactive(info: NodeInfo) -> str:
    from contracts.records import JAIL_FOREVER_S  # noqa: PLC0415

    if info.jailed_until_s == JAIL_FOREVER_S:
        return "slashed for good"
    if info.left:
        return "it has left"
    return f"jailed until {format_time(info.jailed_until_s)}" if info.jailed else "too little own stake"
