"""`cuckoo-peer chain`: what stakers do, from the command line.

Is: the token and the staking contract, one command a step; amounts in CAI, decimal.
Is not: a wallet for stakes of value: there, let your own wallet sign.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from protocol.errors import LocalError

if TYPE_CHECKING:
    from contracts.rpc import Rpc
    from contracts.transactions import Sender
    from node.network import Network

CONSENT_LIFE_S = 3600
"""How long a node key's consent may take to be used."""
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
    """Who sends."""

    owner_key: Path
    """Keystore of the account that stakes and pays the gas."""
    password_file: Path | None = None
    """File (mode 0600) with the key's password in its first line; without it, the password is asked for."""


class Chain:
    """The network's contracts, and the sender if there is one."""

    def __init__(self, network: Network, rpc: Rpc, sender: Sender | None) -> None:
        self.rpc = rpc
        self.deployment = network.deployment
        self.token = network.deployment.token_client(rpc)
        self.staking = network.deployment.staking_client(rpc)
        self._sender = sender

    @property
    def sender(self) -> Sender:
        """Who sends; only commands with an owner's key ask for it."""
        assert self._sender is not None
        return self._sender


@asynccontextmanager
async def _open(place: Place) -> AsyncIterator[Chain]:
    from contracts.account import Account  # noqa: PLC0415 - `--help` should not wait for the chain's libraries
    from contracts.rpc import connect  # noqa: PLC0415
    from contracts.transactions import Sender  # noqa: PLC0415
    from node.keys import open_keystore, read_password  # noqa: PLC0415
    from node.network import load_network  # noqa: PLC0415

    network = load_network(place.network)
    account = None
    if isinstance(place, Owner):
        account = Account(open_keystore(place.owner_key, read_password(place.password_file)).secret)
    url = place.rpc_url or network.parameters.default_rpc_url
    async with connect(url, chain_id=network.deployment.chain_id) as rpc:
        yield Chain(network, rpc, None if account is None else Sender(rpc, account))


def _run(place: Place, work: Callable[[Chain], Awaitable[None]]) -> None:
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
    """20 bytes of an address in hexadecimal.

    :raises LocalError: it is none.
    """
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
        print(f"{show_cai(await opened.token.balance(account))}")

    _run(place, work)


@chain.command
def faucet(amount: str, /, *, owner: Owner) -> None:
    """Get CAI on a development network."""

    async def work(opened: Chain) -> None:
        await opened.token.faucet(opened.sender, parse_wei(amount))
        print(f"you have {show_cai(await opened.token.balance(opened.sender.address))}")

    _run(owner, work)


@chain.command
def wrap(amount: str, /, *, owner: Owner) -> None:
    """Turn coins into CAI tokens to stake, on a chain whose own coin is CAI. Keep some for gas."""

    async def work(opened: Chain) -> None:
        await opened.token.wrap(opened.sender, parse_wei(amount))
        print(f"you have {show_cai(await opened.token.balance(opened.sender.address))} in tokens")

    _run(owner, work)


@chain.command
def unwrap(amount: str, /, *, owner: Owner) -> None:
    """Turn CAI tokens back into the chain's coin."""

    async def work(opened: Chain) -> None:
        await opened.token.unwrap(opened.sender, parse_wei(amount))
        print(f"you have {show_cai(await opened.token.balance(opened.sender.address))} left in tokens")

    _run(owner, work)


@chain.command
def register(
    *,
    owner: Owner,
    role: Literal["miner", "coordinator"],
    node_key: Path,
    stake: str,
    metadata: str = "",
    node_password_file: Annotated[
        Path | None, Parameter(help="Password of the node's key; default: --password-file.")
    ] = None,
) -> None:
    """Register a node and stake behind it; the node's key consents by a signature.

    Parameters
    ----------
    role
        A miner needs more than 20,000 CAI of own stake, a coordinator more than 2,000,000 CAI.
    node_key
        Keystore of the node.
    stake
        Own stake, in CAI.
    metadata
        A name or URL to introduce the node with, at most 512 bytes.
    """
    import time  # noqa: PLC0415

    from contracts.consent import sign_consent  # noqa: PLC0415
    from contracts.records import Consent, Role  # noqa: PLC0415
    from node.keys import open_keystore, read_password  # noqa: PLC0415

    amount_wei = parse_wei(stake)
    key = open_keystore(node_key, read_password(node_password_file or owner.password_file))

    async def work(opened: Chain) -> None:
        consent = Consent(
            owner=opened.sender.address,
            node=key.address,
            role=Role[role.upper()],
            deadline_s=int(time.time()) + CONSENT_LIFE_S,
        )
        signature = sign_consent(key.secret, consent, opened.deployment.chain_id, opened.deployment.staking)
        await opened.token.approve(opened.sender, opened.deployment.staking, amount_wei)
        await opened.staking.register(
            opened.sender, consent, signature, metadata=metadata, amount_wei=amount_wei
        )
        print(f"registered: {role} 0x{key.address.hex()} with {show_cai(amount_wei)}")
        print("it takes part from the next epoch on")

    _run(owner, work)


@chain.command
def vote(node: str, amount: str, /, *, owner: Owner) -> None:
    """Stake behind somebody else's node; it is slashed with the node's own."""

    async def work(opened: Chain) -> None:
        amount_wei = parse_wei(amount)
        await opened.token.approve(opened.sender, opened.deployment.staking, amount_wei)
        shares = await opened.staking.vote(opened.sender, parse_address(node), amount_wei)
        print(f"voted with {show_cai(amount_wei)}; your shares: {shares}")

    _run(owner, work)


@chain.command
def unvote(node: str, /, *, owner: Owner) -> None:
    """Begin to take back all stake behind a node, one's own or a vote; it stays slashable until released."""

    async def work(opened: Chain) -> None:
        address = parse_address(node)
        shares = await opened.staking.shares(address, opened.sender.address)
        request = await opened.staking.unvote(opened.sender, address, shares)
        print(
            f"request {request.request_id}: {show_cai(request.amount_wei)}, "
            f"released at Unix time {request.release_time_s}"
        )

    _run(owner, work)


@chain.command
def withdraw(request_id: int, /, *, owner: Owner) -> None:
    """Take stake whose time of unbonding is over."""

    async def work(opened: Chain) -> None:
        print(f"withdrawn: {show_cai(await opened.staking.withdraw(opened.sender, request_id))}")

    _run(owner, work)


@chain.command
def reward(*, owner: Owner) -> None:
    """Take what was earned by reporting cheats."""

    async def work(opened: Chain) -> None:
        print(f"withdrawn: {show_cai(await opened.staking.withdraw_reward(opened.sender))}")

    _run(owner, work)


@chain.command
def node(address: str, /, *, place: Place = Place()) -> None:
    """Show what the chain knows of a node."""

    async def work(opened: Chain) -> None:
        info = await opened.staking.node_info(parse_address(address))
        if info is None:
            raise LocalError(f"{address} is not registered")
        print(f"role       {info.role.name.lower()}")
        print(f"owner      0x{info.owner.hex()}")
        print(f"own stake  {show_cai(info.own_stake_wei)}")
        print(f"with votes {show_cai(info.total_stake_wei)}")
        print(f"unbonding  {show_cai(info.unbonding_stake_wei)}")
        reason = "slashed for good" if info.jailed else "too little own stake"
        print(f"active     {'yes' if info.active else f'no, {reason}'}")
        print(f"metadata   {info.metadata!r}")

    _run(place, work)


@chain.command
def nodes(*, place: Place = Place()) -> None:
    """List all registered nodes."""

    async def work(opened: Chain) -> None:
        for address in await opened.staking.nodes():
            info = await opened.staking.node_info(address)
            if info is not None:
                state = "active" if info.active else "jailed" if info.jailed else "inactive"
                print(
                    f"0x{address.hex()}  {info.role.name.lower():<11}  {state:<8}  "
                    f"{show_cai(info.total_stake_wei):>24}  {info.metadata!r}"
                )

    _run(place, work)
