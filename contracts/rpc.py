"""A connection to a chain: `AsyncWeb3` on trio, of the right chain, with typed answers.

Is: where web3 is set up, and the few questions that are about the chain and not about one contract. Addresses
are 20 ``bytes`` on our side; they become web3's checksummed text here.
Is not: all of web3. Without its middleware, which would look up names, set prices and ask for more than was
asked for; without its cache and without ENS.

web3 waits for receipts with asyncio's clock: see `transactions`, which polls instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import httpx2

from contracts.errors import BadChainAnswer, RpcError, WrongChain
from contracts.libraries import (
    ABICodec,
    ABIRegistry,
    AsyncWeb3,
    BlockNotFound,
    BlockNumber,
    ExtraDataToPOAMiddleware,
    LogReceipt,
    RPCEndpoint,
    StringDecoder,
    TransactionNotFound,
    TxParams,
    Web3,
    abi_registry,
)
from contracts.provider import TIMEOUT_S, TrioProvider, reading

Json: TypeAlias = Any
"""Any JSON value; narrowed by the function that asked."""

_NUMBER_MAX: Final = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that is in a block."""

    transaction_hash: bytes
    block_number: int
    gas_used: int
    succeeded: bool
    contract_address: bytes | None
    """20 bytes, of the contract that it created."""
    logs: tuple[LogReceipt, ...]
    """As web3 has them; `contract` decodes them."""


@asynccontextmanager
async def connect(
    endpoint: str,
    *,
    chain_id: int | None = None,
    timeout_s: float = TIMEOUT_S,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[Rpc]:
    """Open a connection to a chain's RPC and make sure that it is the right chain.

    :param endpoint: ``http://`` or ``https://`` URL.
    :param chain_id: the chain that it must serve; ``None`` takes any.
    :param timeout_s: for one request with its answer.
    :param transport: instead of the network, for tests.
    :raises ChainUnreachable: nothing answers.
    :raises WrongChain: another chain answers.
    """
    # No proxy from the environment: which way a node reaches its chain belongs in its configuration.
    async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout_s) as http:
        provider = TrioProvider(http, endpoint, timeout_s)
        # A chain with proof of authority has blocks that web3 reads with this alone.
        web3 = AsyncWeb3(provider, middleware=[(ExtraDataToPOAMiddleware, "authority")], ens=None)
        web3.codec = ABICodec(_lenient_registry())
        with reading("eth_chainId"):
            served = number("eth_chainId", await web3.eth.chain_id)
        if chain_id is not None and served != chain_id:
            raise WrongChain(chain_id, served)
        yield Rpc(web3, served, provider.endpoint)


def _lenient_registry() -> ABIRegistry:
    """ABI types as eth-abi has them, but a text that is not UTF-8 is read with replacement characters.

    The contract does not look inside of a node's metadata; one owner's bad bytes must not hide all nodes.
    """
    lenient: ABIRegistry = abi_registry.copy()  # type: ignore[no-untyped-call]
    lenient.unregister_decoder("string")
    lenient.register_decoder("string", StringDecoder(handle_string_errors="replace"))  # type: ignore[no-untyped-call]
    return lenient


class Rpc:
    """An open connection; made by `connect`. Safe to use from any number of tasks.

    Every method raises `ChainUnreachable`, `BadChainAnswer` and `RpcError`.

    :ivar web3: the library, for what stands on it; use it inside of `provider.reading`.
    :ivar chain_id: of the chain, as it said when the connection was opened.
    :ivar endpoint: host and port, for logs.
    """

    def __init__(self, web3: AsyncWeb3[TrioProvider], chain_id: int, endpoint: str) -> None:
        self.web3 = web3
        self.chain_id = chain_id
        self.endpoint = endpoint

    async def request(self, method: str, *parameters: Json) -> Json:
        """Call a method that web3 has no name for, and return its result as JSON."""
        with reading(method):
            return await self.web3.manager.coro_request(RPCEndpoint(method), parameters)

    async def block_number(self) -> int:
        """Number of the newest block. Contracts on a rollup may count differently: see ``clock()``."""
        with reading("eth_blockNumber"):
            return number("eth_blockNumber", await self.web3.eth.block_number)

    async def block_hash(self, block_number: int) -> bytes | None:
        """Hash, 32 bytes, of the block that has this number now; ``None`` if the chain is not that long."""
        with reading("eth_getBlockByNumber"):
            try:
                block = await self.web3.eth.get_block(BlockNumber(block_number))
            except BlockNotFound:
                return None
            return bytes(block["hash"])

    async def head_time_s(self) -> int:
        """Time of the newest block, Unix seconds: what its maker said, within what the chain lets it."""
        method = "eth_getBlockByNumber"
        with reading(method):
            block = await self.web3.eth.get_block("latest")
            return number(method, block.get("timestamp"))

    async def base_fee_wei(self) -> int:
        """Base fee of the newest block (EIP-1559) for a unit of gas; 0 on a chain without one."""
        method = "eth_getBlockByNumber"
        with reading(method):
            block = await self.web3.eth.get_block("latest")
            fee = block.get("baseFeePerGas")
            return 0 if fee is None else number(method, fee)

    async def balance(self, address: bytes) -> int:
        """Of the chain's own coin, in wei."""
        account = Web3.to_checksum_address(address)
        with reading("eth_getBalance"):
            return number("eth_getBalance", await self.web3.eth.get_balance(account))

    async def next_nonce(self, address: bytes, *, pending: bool) -> int:
        """How many transactions an account has sent.

        :param pending: also count those that are in no block yet, as far as the RPC knows them.
        """
        account, method = Web3.to_checksum_address(address), "eth_getTransactionCount"

        async def count(block: Literal["pending", "latest"]) -> int:
            with reading(method):
                return number(method, await self.web3.eth.get_transaction_count(account, block))

        return await _pending_or_latest(count) if pending else await count("latest")

    async def code(self, address: bytes) -> bytes:
        """Code that stands at an address; empty if it is no contract."""
        account = Web3.to_checksum_address(address)
        with reading("eth_getCode"):
            return bytes(await self.web3.eth.get_code(account))

    async def call(self, transaction: TxParams, block: int) -> bytes:
        """Run a transaction's call on the end state of a block, without sending it.

        :raises RpcError: with the revert data in `RpcError.data` if a contract refused.
        """
        with reading("eth_call"):
            return bytes(await self.web3.eth.call(transaction, block))

    async def estimate_gas(self, transaction: TxParams) -> int:
        """Gas that a transaction would use in the next block.

        The next and not, as web3 would have it, the newest: what is first of its kind in a block may cost
        more, such as a checkpoint of stakes. Of the newest where the RPC knows no next one.

        :raises RpcError: with the revert data in `RpcError.data` if a contract would refuse.
        """
        method = "eth_estimateGas"

        async def estimate(block: Literal["pending", "latest"]) -> int:
            with reading(method):
                return number(method, await self.web3.eth.estimate_gas(transaction, block))

        return await _pending_or_latest(estimate)

    async def logs(self, query: Mapping[str, Json], bytes_max: int) -> list[Json]:
        """Logs as the RPC has them, without web3's formatters, which take most of a millisecond for each.

        :param query: as ``eth_getLogs`` has it.
        :raises AnswerTooLarge: more than `bytes_max`.
        """
        method = RPCEndpoint("eth_getLogs")
        found = (await self.web3.provider.ask(method, [dict(query)], bytes_max)).get("result")
        if not isinstance(found, list):
            raise BadChainAnswer(method, "not a list")
        return found

    async def send_raw(self, raw: bytes) -> None:
        """Give the chain a signed transaction."""
        with reading("eth_sendRawTransaction"):
            await self.web3.eth.send_raw_transaction(raw)

    async def knows(self, transaction_hash: bytes) -> bool:
        """Whether the chain has a transaction, in a block or waiting for one."""
        with reading("eth_getTransactionByHash"):
            try:
                await self.web3.eth.get_transaction(Web3.to_hex(transaction_hash))
            except TransactionNotFound:
                return False
            return True

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt of a transaction; ``None`` while it is in no block."""
        method = "eth_getTransactionReceipt"
        with reading(method):
            try:
                found = await self.web3.eth.get_transaction_receipt(Web3.to_hex(transaction_hash))
            except TransactionNotFound:
                return None
            if found["blockNumber"] is None:  # some RPCs know it, and no block that it is in
                return None
            created = found.get("contractAddress")
            return Receipt(
                transaction_hash=transaction_hash,
                block_number=number(method, found["blockNumber"]),
                gas_used=number(method, found["gasUsed"]),
                succeeded=number(method, found["status"]) == 1,
                contract_address=None if created is None else address_bytes(created),
                logs=tuple(found["logs"]),
            )


async def _pending_or_latest(ask: Callable[[Literal["pending", "latest"]], Awaitable[int]]) -> int:
    """Ask of the block to come, and of the newest if the RPC knows of none to come, as many do not.

    How an RPC says so differs, so any refusal but a contract's is a reason to ask again.
    """
    try:
        return await ask("pending")
    except RpcError as error:
        if error.data is not None:
            raise
    return await ask("latest")


def number(method: str, value: Any) -> int:
    """A number as web3 took it, if it is one from zero to 2^256 - 1; web3 lets anything else through.

    :raises BadChainAnswer: it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _NUMBER_MAX:
        raise BadChainAnswer(method, "not a number")
    return value


def address_bytes(address: str) -> bytes:
    """Our form, 20 bytes, of web3's form of an address. :raises ValueError: it is not one."""
    return bytes.fromhex(Web3.to_checksum_address(address)[2:])
