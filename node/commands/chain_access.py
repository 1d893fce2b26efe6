"""The beginning of every command on the chain: which network, whose key, and a connection to both.

Is: the flags that such commands share, and the opening of the chain for one command.
Is not: any command; nor a wallet for stakes of value: there, let your own wallet sign.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from protocol.errors import LocalError, Refusal

if TYPE_CHECKING:
    from contracts.account import Account
    from contracts.clients import Clients
    from contracts.deployment import Deployment
    from contracts.transactions import Sender

ADDRESS_HEX_DIGITS = 40


class CommandRefused(Refusal):
    """A contract said no. :ivar reason: why, and what to do about it, in words."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class KeyOptions:
    """The key of the account that sends transactions."""

    key_file: Annotated[Path, Parameter(name="--owner-key")]
    """Keystore of the account that stakes and pays the gas."""
    password_file: Path | None = None
    """File (mode 0600) with the key's password in its first line; without it, the password is asked for."""

    def account(self) -> Account:
        """The account, unlocked.

        :raises LocalError: the keystore or its password cannot be read, or do not fit.
        """
        from contracts.account import Account  # noqa: PLC0415 - `--help` should not wait for it
        from node.signing.keys import open_keystore, read_password  # noqa: PLC0415

        return Account(open_keystore(self.key_file, read_password(self.password_file)).secret)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ChainOptions:
    """Where the contracts are."""

    network: str = "devnet"
    """Folder of the network, or the name of one that comes with the package."""
    rpc_url: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    """JSON-RPC URLs of nodes of the chain, the preferred one first; default: the network's."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SignerOptions(ChainOptions, KeyOptions):
    """Where the contracts are, and the account that sends."""


class Chain:
    """The network's contracts, and the sender if the command has one."""

    def __init__(self, clients: Clients, sender: Sender | None) -> None:
        self.clients = clients
        self._sender = sender

    @property
    def deployment(self) -> Deployment:
        """Where the contracts are."""
        return self.clients.deployment

    @property
    def sender(self) -> Sender:
        """The account that sends; only commands with `SignerOptions` ask for it."""
        assert self._sender is not None
        return self._sender


@asynccontextmanager
async def _open(options: ChainOptions) -> AsyncIterator[Chain]:
    from contracts.clients import Clients  # noqa: PLC0415 - `--help` should not wait for it
    from contracts.rpc import connect  # noqa: PLC0415
    from contracts.transactions import Sender  # noqa: PLC0415
    from node.peer.network import load_network  # noqa: PLC0415

    network = load_network(options.network)
    account = options.account() if isinstance(options, SignerOptions) else None
    urls = options.rpc_url or (network.parameters.default_rpc_url,)
    async with connect(urls, chain_id=network.deployment.chain_id) as rpc:
        yield Chain(Clients(rpc, network.deployment), None if account is None else Sender(rpc, account))


def run_on_chain(options: ChainOptions, work: Callable[[Chain], Awaitable[None]]) -> None:
    """Do one command's work on an open chain.

    :raises CommandRefused: a contract said no; the text says why in words.
    """
    import trio  # noqa: PLC0415

    async def main() -> None:
        from contracts.errors import ContractReverted  # noqa: PLC0415
        from node.commands.contract_refusals import in_words  # noqa: PLC0415

        async with _open(options) as chain:
            try:
                await work(chain)
            except ContractReverted as refusal:
                raise CommandRefused(in_words(refusal.name, refusal.arguments)) from refusal

    trio.run(main)


def parse_address(text: str) -> bytes:
    """20 bytes of an address in hexadecimal.

    :raises LocalError: it is not an address.
    """
    digits = text.removeprefix("0x")
    try:
        if len(digits) == ADDRESS_HEX_DIGITS:
            return bytes.fromhex(digits)
    except ValueError:
        pass
    raise LocalError(f"{text!r} is not an address: 0x and {ADDRESS_HEX_DIGITS} hexadecimal digits")
