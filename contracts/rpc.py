"""A connection to a chain: `AsyncWeb3` on trio, of the right chain, with typed answers.

Is: where web3 is set up, and the few questions that are about the chain and not about one contract. Addresses
are 20 ``bytes`` on our side; they become web3's checksummed text here.
Is not: all of web3. Without its middleware, which would look up names, set prices and ask for more than was
asked for; without its cache and without ENS.

web3 waits for receipts with asyncio's clock: see `transactions`, which polls instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar

import httpx2
import trio

from contracts.endpoint_health import EndpointsStatus
from contracts.endpoints import PATIENCE_S, Endpoints, distinct_urls
from contracts.errors import BadChainAnswer, ChainError, ContractReverted, RpcError
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

_Answer = TypeVar("_Answer")

CATCH_UP_S: Final = 5.0
"""So long is the endpoint in use waited for, when another one knows of a block that it does not know yet."""
_CATCH_UP_POLL_S: Final = 0.1
_VOTERS_MIN: Final = 3
"""Of so many endpoints two can outvote one."""
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
    endpoints: str | Sequence[str],
    *,
    chain_id: int | None = None,
    timeout_s: float = TIMEOUT_S,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[Rpc]:
    """Open a connection to a chain's RPC and make sure that it is the right chain.

    :param endpoints: ``http://`` or ``https://`` URL, or several in the order in which they are preferred.
    :param chain_id: the chain that they must serve; ``None`` takes any.
    :param timeout_s: for one request with its answer.
    :param transport: instead of the network, for tests.
    :raises BadEndpoint: not such URLs, or too many.
    :raises ChainUnreachable: nothing answers.
    :raises WrongChain: another chain answers, at every endpoint that does.
    """
    urls = distinct_urls(endpoints)
    # No proxy from the environment: which way a node reaches its chain belongs in its configuration.
    async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout_s) as http:
        providers = [TrioProvider(http, url, timeout_s) for url in urls]
        pool = Endpoints(providers, chain_id)
        await pool.open()
        singles = (
            [Rpc(_web3(provider), pool.chain_id, pool) for provider in providers] if len(urls) > 1 else []
        )
        yield Rpc(_web3(pool), pool.chain_id, pool, singles)


def _web3(provider: TrioProvider | Endpoints) -> AsyncWeb3[Any]:
    # A chain with proof of authority has blocks that web3 reads with this alone.
    web3 = AsyncWeb3(provider, middleware=[(ExtraDataToPOAMiddleware, "authority")], ens=None)
    web3.codec = ABICodec(_lenient_registry())
    return web3


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
    """

    def __init__(
        self,
        web3: AsyncWeb3[Any],
        chain_id: int,
        pool: Endpoints,
        singles: Sequence[Rpc] = (),
    ) -> None:
        """:param pool: of all endpoints. :param singles: each of several by itself; none of one alone."""
        self.web3 = web3
        self.chain_id = chain_id
        self._pool = pool
        self._singles = singles

    @property
    def is_several(self) -> bool:
        """Whether it has more than one endpoint."""
        return bool(self._singles)

    @property
    def answered_at_s(self) -> float:
        """When an endpoint answered anything last, by trio's clock; minus infinity before."""
        return self._pool.answered_at_s

    def each(self) -> dict[str, Rpc]:
        """Each endpoint that is well now by itself, by host, in their order; empty for one alone."""
        if not self._singles:
            return {}
        return {host: self._singles[place] for place, host in self._pool.well()}

    async def ask_each(self, question: Callable[[Rpc], Awaitable[_Answer]]) -> dict[str, _Answer]:
        """Answers of the endpoints that are well now, asked side by side, by host, as far as they come."""
        found: dict[str, _Answer] = {}

        async def ask(host: str, rpc: Rpc) -> None:
            # One that refuses in a contract's name is one that does not answer: it may be made up.
            with suppress(ChainError, ContractReverted), trio.move_on_after(PATIENCE_S):
                found[host] = await question(rpc)

        each = self.each()
        async with trio.open_nursery() as nursery:
            for host, rpc in each.items():
                nursery.start_soon(ask, host, rpc)
        return {host: found[host] for host in each if host in found}

    async def readable(self, method: str, question: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Ask something through web3; of the next endpoint, if web3 cannot read an answer.

        :param question: only that: see `provider.reading`.
        :raises BadChainAnswer: nobody's answer can be read.
        """

        async def ask() -> _Answer:
            with reading(method):
                return await question()

        return await self._pool.readable(ask)

    def outvoted(self, hosts: Collection[str], reason: str) -> None:
        """Pass over endpoints that most others contradict. :param hosts: as `ask_each` has them."""
        self._pool.outvoted(hosts, reason)

    def status(self) -> EndpointsStatus:
        """The endpoints as they are."""
        return self._pool.status()

    def disagreement(self) -> str | None:
        """A contradiction of two endpoints that no majority settles, for people; ``None`` without one."""
        return self._pool.disagreement

    async def watch(self) -> None:
        """Look at the endpoints now and then until cancelled: those that were passed over come back."""
        await self._pool.run()

    async def request(self, method: str, *parameters: Json) -> Json:
        """Call a method that web3 has no name for, and return its result as JSON."""
        with reading(method):
            return await self.web3.manager.coro_request(RPCEndpoint(method), parameters)

    async def block_number(self) -> int:
        """Number of the newest block. Contracts on a rollup may count differently: see ``clock()``."""
        method = "eth_blockNumber"

        async def ask() -> int:
            return number(method, await self.web3.eth.block_number)

        return await self.readable(method, ask)

    async def block_hash(self, block_number: int) -> bytes | None:
        """Hash, 32 bytes, of the block that has this number now; ``None`` if the chain is not that long."""

        async def ask() -> bytes | None:
            try:
                block = await self.web3.eth.get_block(BlockNumber(block_number))
            except BlockNotFound:
                return None
            return bytes(block["hash"])

        return await self.readable("eth_getBlockByNumber", ask)

    async def head_time_s(self) -> int:
        """Time of the newest block, Unix seconds: what its maker said, within what the chain lets it."""
        method = "eth_getBlockByNumber"

        async def ask() -> int:
            block = await self.web3.eth.get_block("latest")
            return number(method, block.get("timestamp"))

        return await self.readable(method, ask)

    async def base_fee_wei(self) -> int:
        """Base fee of the newest block (EIP-1559) for a unit of gas; 0 on a chain without one."""
        method = "eth_getBlockByNumber"

        async def ask() -> int:
            block = await self.web3.eth.get_block("latest")
            fee = block.get("baseFeePerGas")
            return 0 if fee is None else number(method, fee)

        return await self.readable(method, ask)

    async def balance(self, address: bytes) -> int:
        """Of the chain's own coin, in wei."""
        account, method = Web3.to_checksum_address(address), "eth_getBalance"

        async def ask() -> int:
            return number(method, await self.web3.eth.get_balance(account))

        return await self.readable(method, ask)

    async def next_nonce(self, address: bytes, *, pending: bool) -> int:
        """How many transactions an account has sent.

        :param pending: also count those that are in no block yet, as far as the RPC knows them. Of three
            endpoints and more the highest count that two know of: everything would wait behind a gap that one
            invents. Of two that of the one in use; what was given to the other, a `Sender` knows itself.
        """
        account, method = Web3.to_checksum_address(address), "eth_getTransactionCount"
        if pending and self._singles:
            counts = await self.ask_each(lambda rpc: rpc.next_nonce(address, pending=True))
            if len(counts) >= _VOTERS_MIN:
                return sorted(counts.values())[-2]

        async def count(block: Literal["pending", "latest"]) -> int:
            async def ask() -> int:
                return number(method, await self.web3.eth.get_transaction_count(account, block))

            return await self.readable(method, ask)

        return await _pending_or_latest(count) if pending else await count("latest")

    async def code(self, address: bytes) -> bytes:
        """Code that stands at an address; empty if it is no contract."""
        account = Web3.to_checksum_address(address)

        async def ask() -> bytes:
            return bytes(await self.web3.eth.get_code(account))

        return await self.readable("eth_getCode", ask)

    async def call(self, transaction: TxParams, block: int) -> bytes:
        """Run a transaction's call on the end state of a block, without sending it.

        :raises RpcError: with the revert data in `RpcError.data` if a contract refused.
        """

        async def ask() -> bytes:
            return bytes(await self.web3.eth.call(transaction, block))

        return await self.readable("eth_call", ask)

    async def estimate_gas(self, transaction: TxParams) -> int:
        """Gas that a transaction would use in the next block.

        The next and not, as web3 would have it, the newest: what is first of its kind in a block may cost
        more, such as a checkpoint of stakes. Of the newest where the RPC knows no next one.

        :raises RpcError: with the revert data in `RpcError.data` if a contract would refuse.
        """
        method = "eth_estimateGas"

        async def estimate(block: Literal["pending", "latest"]) -> int:
            async def ask() -> int:
                return number(method, await self.web3.eth.estimate_gas(transaction, block))

            return await self.readable(method, ask)

        return await _pending_or_latest(estimate)

    async def logs(self, query: Mapping[str, Json], bytes_max: int) -> list[Json]:
        """Logs as the RPC has them, without web3's formatters, which take most of a millisecond for each.

        :param query: as ``eth_getLogs`` has it.
        :raises AnswerTooLarge: more than `bytes_max`.
        """
        method = RPCEndpoint("eth_getLogs")

        async def ask() -> list[Json]:
            found = (await self.web3.provider.ask(method, [dict(query)], bytes_max)).get("result")
            if not isinstance(found, list):
                raise BadChainAnswer(method, "not a list")
            return found

        return await self.readable(method, ask)

    async def send_raw(self, raw: bytes) -> None:
        """Give the chain a signed transaction."""
        with reading("eth_sendRawTransaction"):
            await self.web3.eth.send_raw_transaction(raw)

    async def knows(self, transaction_hash: bytes) -> bool:
        """Whether the chain has a transaction, in a block or waiting for one; whichever endpoint knows it."""
        if any((await self.ask_each(lambda rpc: rpc.knows(transaction_hash))).values()):
            return True

        async def ask() -> bool:
            try:
                await self.web3.eth.get_transaction(Web3.to_hex(transaction_hash))
            except TransactionNotFound:
                return False
            return True

        return await self.readable("eth_getTransactionByHash", ask)

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt of a transaction; ``None`` while it is in no block, or nobody confirms that it is.

        Of several endpoints the one in use is believed that it has succeeded. That it has failed, another one
        has to say too: the caller would pay again. What the one in use does not know, two others have to say;
        of two endpoints the other alone, but not of a failure. If the one in use knows the block not yet, it
        is waited for, as what is read next is read there.
        """
        found: Receipt | None = None
        fault: ChainError | None = None
        try:
            found = await self._receipt(transaction_hash)
        except ChainError as error:
            fault = error
        others = self.each() if found is None or not found.succeeded else {}
        if len(others) > 1:
            told = await self.ask_each(lambda rpc: rpc.receipt(transaction_hash))
            found = _confirmed(list(told.values()), len(others))
            if found is not None:
                await self._catch_up(found.block_number)
        if found is None and fault is not None:
            raise fault
        return found

    async def _catch_up(self, block_number: int) -> None:
        """Wait until the endpoint in use has a block, if it takes no longer than `CATCH_UP_S`."""
        for _ in range(round(CATCH_UP_S / _CATCH_UP_POLL_S)):
            if await self.block_number() >= block_number:
                break
            await trio.sleep(_CATCH_UP_POLL_S)

    async def _receipt(self, transaction_hash: bytes) -> Receipt | None:
        method = "eth_getTransactionReceipt"

        async def ask() -> Receipt | None:
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

        return await self.readable(method, ask)


def _confirmed(told: Sequence[Receipt | None], asked: int) -> Receipt | None:
    """A transaction's receipt, if what the endpoints that were asked say of it is to be believed.

    Two have to say the same, but of two endpoints one is enough for a success.
    """
    found = [receipt for receipt in told if receipt is not None]
    with reading("eth_getTransactionReceipt"):
        counts = Counter(map(_gist, found))
        for receipt in found:
            if counts[_gist(receipt)] > 1 or (receipt.succeeded and asked < _VOTERS_MIN and len(found) == 1):
                return receipt
    return None


def _gist(receipt: Receipt) -> tuple[Any, ...]:
    """The part of a receipt that two endpoints have to say alike."""
    logs = tuple((log["address"], tuple(log["topics"]), log["data"]) for log in receipt.logs)
    return receipt.block_number, receipt.succeeded, receipt.contract_address, logs


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
