"""`cuckoo-peer chain`: the chain from the command line.

Is: what all of its commands share, the token, and what the chain knows of nodes; amounts in CAI, decimal.
Staking is in `stake_cli`, deploying in `deploy_cli`.
Is not: a wallet for stakes of value: there, let your own wallet sign.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App, Parameter

from protocol.errors import LocalError

if TYPE_CHECKING:
    from contracts.clients import Clients
    from contracts.records import NodeInfo
    from contracts.transactions import Sender

ADDRESS_HEX_DIGITS = 40

chain = App(
    name="chain",
    help="""Stake, vote and look: the staking contract from the command line. Amounts are in CAI.

On networks where CAI has value, let your own wallet sign instead.""",
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the contracts are."""

    network: str = "devnet"
    """Folder of the network, or the name of one that comes with the package."""
    rpc_url: str | None = None
    """JSON-RPC URL of a node of the chain; default: the network's."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Owner(Place):
    """The account that sends."""

    owner_key: Path
    """Keystore of the account that stakes and pays the gas."""
    password_file: Path | None = None
    """File (mode 0600) with the key's password in its first line; without it, the password is asked for."""


class Chain:
    """The network's contracts, and the sender if there is one."""

    def __init__(self, clients: Clients, sender: Sender | None) -> None:
        self.clients = clients
        self.deployment = clients.deployment
        self._sender = sender

    @property
    def sender(self) -> Sender:
        """The sender; only commands with an owner's key ask for it."""
        assert self._sender is not None
        return self._sender


@asynccontextmanager
async def _open(place: Place) -> AsyncIterator[Chain]:
    from contracts.account import Account  # noqa: PLC0415 - `--help` should not wait for the chain's libraries
    from contracts.clients import Clients  # noqa: PLC0415
    from contracts.rpc import connect  # noqa: PLC0415
    from contracts.transactions import Sender  # noqa: PLC0415
    from node.peer.network import load_network  # noqa: PLC0415
    from node.signing.keys import open_keystore, read_password  # noqa: PLC0415

    network = load_network(place.network)
    account = None
    if isinstance(place, Owner):
        account = Account(open_keystore(place.owner_key, read_password(place.password_file)).secret)
    url = place.rpc_url or network.parameters.default_rpc_url
    async with connect(url, chain_id=network.deployment.chain_id) as rpc:
        yield Chain(Clients(rpc, network.deployment), None if account is None else Sender(rpc, account))


def run_command(place: Place, work: Callable[[Chain], Awaitable[None]]) -> None:
    """Do one command's work on an open chain."""
    import trio  # noqa: PLC0415

    async def main() -> None:
        async with _open(place) as opened:
            await work(opened)

    trio.run(main)


def parse_wei(amount: str) -> int:
    """Wei of a decimal amount in CAI.

    :raises LocalError: not a positive number, or finer than a wei.
    """
    from contracts.records import WEI_PER_CAI  # noqa: PLC0415

    try:
        wei = Decimal(amount.replace("_", "").replace(",", "")) * WEI_PER_CAI
        if wei.is_finite() and 0 < wei < 1 << 256 and wei == int(wei):
            return int(wei)
    except InvalidOperation:
        pass
    raise LocalError(f"{amount!r} is not a positive amount of CAI with at most 18 decimals")


def parse_address(text: str) -> bytes:
    """20 bytes of an address in hexadecimal. :raises LocalError: it is not one."""
    digits = text.removeprefix("0x")
    try:
        if len(digits) == ADDRESS_HEX_DIGITS:
            return bytes.fromhex(digits)
    except ValueError:
        pass
    raise LocalError(f"{text!r} is not an address: 0x and {ADDRESS_HEX_DIGITS} hexadecimal digits")


def show_cai(wei: int) -> str:
    """An amount for people."""
    from contracts.records import WEI_PER_CAI  # noqa: PLC0415

    return f"{Decimal(wei) / WEI_PER_CAI:,f} CAI"


@chain.command
def balance(address: str, /, *, place: Place = Place()) -> None:
    """Show the CAI of an account."""

    async def work(opened: Chain) -> None:
        account = parse_address(address)
        print(f"{show_cai(await opened.clients.token.balance(account))}")

    run_command(place, work)


@chain.command
def faucet(amount: str, /, *, owner: Owner) -> None:
    """Get CAI on a development network."""

    async def work(opened: Chain) -> None:
        await opened.clients.token.faucet(opened.sender, parse_wei(amount))
        print(f"you have {show_cai(await opened.clients.token.balance(opened.sender.address))}")

    run_command(owner, work)


@chain.command
def wrap(amount: str, /, *, owner: Owner) -> None:
    """Turn coins into CAI tokens to stake, on a chain whose own coin is CAI. Keep some for gas."""

    async def work(opened: Chain) -> None:
        await opened.clients.token.wrap(opened.sender, parse_wei(amount))
        print(f"you have {show_cai(await opened.clients.token.balance(opened.sender.address))} in tokens")

    run_command(owner, work)


@chain.command
def unwrap(amount: str, /, *, owner: Owner) -> None:
    """Turn CAI tokens back into the chain's coin."""

    async def work(opened: Chain) -> None:
        await opened.clients.token.unwrap(opened.sender, parse_wei(amount))
        left_wei = await opened.clients.token.balance(opened.sender.address)
        print(f"you have {show_cai(left_wei)} left in tokens")

    run_command(owner, work)


@chain.command
def node(address: str, /, *, place: Place = Place()) -> None:
    """Show what the chain knows of a node."""

    async def work(opened: Chain) -> None:
        key = parse_address(address)
        info = await opened.clients.staking.node_info(key)
        if info is None:
            raise LocalError(f"{address} is not registered")
        commission = await opened.clients.rewards.commission(key)
        print(f"role       {info.role.name.lower()}")
        print(f"owner      0x{info.owner.hex()}")
        print(f"own stake  {show_cai(info.own_stake_wei)}")
        print(f"with votes {show_cai(info.total_stake_wei)}")
        print(f"unbonding  {show_cai(info.unbonding_stake_wei)}")
        print(f"active     {'yes' if info.active else f'no, {_why_inactive(info)}'}")
        rise = ""
        if commission.next_from_s:
            rise = f", {commission.next / 100:g} % from Unix time {commission.next_from_s}"
        print(f"commission {commission.now / 100:g} %{rise}")
        metadata = await opened.clients.metadata.read(key)
        print(f"metadata   {'not found among recent blocks' if metadata is None else repr(metadata)}")

    run_command(place, work)


@chain.command
def nodes(*, place: Place = Place()) -> None:
    """List all registered nodes."""

    async def work(opened: Chain) -> None:
        registry = opened.clients.registry()
        await registry.sync()
        for known in registry.nodes():
            info = await opened.clients.staking.node_info(known.address)
            if info is not None:
                state = "active" if info.active else _why_inactive(info)
                print(
                    f"0x{known.address.hex()}  {known.role.name.lower():<11}  {state:<20}  "
                    f"{show_cai(info.total_stake_wei):>24}"
                )

    run_command(place, work)


def _why_inactive(info: NodeInfo) -> str:
    from contracts.records import JAIL_FOREVER_S  # noqa: PLC0415

    if info.jailed_until_s == JAIL_FOREVER_S:
        return "slashed for good"
    if info.left:
        return "it has left"
    return f"jailed until Unix time {info.jailed_until_s}" if info.jailed else "too little own stake"
