"""JSON-RPC to a chain over HTTP, on trio, with typed answers and typed errors.

Is: the one place where bytes go to and come from the chain's RPC. An Ethereum JSON-RPC client over httpx2,
whose anyio back end runs under trio.
Is not: ``web3``: its AsyncHTTPProvider needs asyncio, a provider of one's own under AsyncWeb3 works except
for waiting on receipts, and its synchronous side would need a thread for each call. Here a call is one
request, and every error has a type.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import httpx2
import trio

from contracts.errors import BadChainAnswer, ChainUnreachable, RpcError, WrongChain

Json: TypeAlias = Any
"""Whatever JSON can say; narrowed by the function that asked."""

TIMEOUT_S: Final = 15.0
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""An RPC that sends more is broken or hostile; our largest answers, pages of logs, stay far below."""
_QUANTITY_CHARACTERS_MAX: Final = 2 + 64
LOG_BLOCKS_MAX: Final = 2_000
"""Blocks in one request for logs: the least that public RPCs allow."""


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain has it."""

    address: bytes
    """Of the contract, 20 bytes."""
    topics: tuple[bytes, ...]
    """32 bytes each, up to four."""
    data: bytes
    block_number: int
    transaction_hash: bytes
    index: int
    """Position in the block."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that is in a block and has succeeded."""

    transaction_hash: bytes
    block_number: int
    gas_used: int
    succeeded: bool
    contract_address: bytes | None
    """20 bytes, of the contract that it created."""
    logs: tuple[Log, ...]


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
        rpc = Rpc(http, endpoint, timeout_s, await _chain_id(http, endpoint, timeout_s))
        if chain_id is not None and rpc.chain_id != chain_id:
            raise WrongChain(chain_id, rpc.chain_id)
        yield rpc


async def _chain_id(http: httpx2.AsyncClient, endpoint: str, timeout_s: float) -> int:
    return await Rpc(http, endpoint, timeout_s, 0).quantity("eth_chainId")


class Rpc:
    """An open connection; made by `connect`. Safe to use from any number of tasks.

    Every method raises `ChainUnreachable`, `BadChainAnswer` and `RpcError`.

    :ivar chain_id: of the chain, as it said when the connection was opened.
    :ivar endpoint: host and port, for logs.
    """

    def __init__(self, http: httpx2.AsyncClient, endpoint: str, timeout_s: float, chain_id: int) -> None:
        self.chain_id = chain_id
        self.endpoint = urlsplit(endpoint).netloc.rpartition("@")[2]
        self._http = http
        self._url = endpoint
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)

    async def request(self, method: str, *parameters: Json) -> Json:
        """Call one method and return its result as decoded JSON."""
        identifier = next(self._ids)
        body = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": parameters}
        answer = await self._post(method, json.dumps(body).encode("utf-8"))
        if not isinstance(answer, dict) or answer.get("id") != identifier:
            raise BadChainAnswer(method, "not an answer to this request")
        if (error := answer.get("error")) is not None:
            raise _rpc_error(method, error)
        if "result" not in answer:
            raise BadChainAnswer(method, "neither a result nor an error")
        return answer["result"]

    async def _post(self, method: str, body: bytes) -> Json:
        headers = {"content-type": "application/json"}
        try:
            with trio.fail_after(self._timeout_s):
                async with self._http.stream("POST", self._url, content=body, headers=headers) as response:
                    received = bytearray()
                    async with aclosing(response.aiter_bytes()) as pieces:
                        async for piece in pieces:
                            received += piece
                            if len(received) > ANSWER_BYTES_MAX:
                                raise BadChainAnswer(method, f"more than {ANSWER_BYTES_MAX} bytes")
        except trio.TooSlowError as error:
            raise ChainUnreachable(self.endpoint, f"no answer in {self._timeout_s:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ChainUnreachable(self.endpoint, reason) from error
        try:
            return json.loads(received)
        except (ValueError, RecursionError) as error:
            # A gateway in front of a node that is down answers in HTML.
            if response.is_error:
                raise ChainUnreachable(self.endpoint, f"HTTP {response.status_code}") from error
            raise BadChainAnswer(method, "not JSON") from error

    async def quantity(self, method: str, *parameters: Json) -> int:
        """Call a method that returns an integer."""
        return to_int(method, await self.request(method, *parameters))

    async def block_number(self) -> int:
        """Number of the newest block. Contracts on a rollup may count differently: see ``clock()``."""
        return await self.quantity("eth_blockNumber")

    async def balance(self, address: bytes) -> int:
        """Of the chain's own coin, in wei."""
        return await self.quantity("eth_getBalance", to_hex(address), "latest")

    async def code(self, address: bytes) -> bytes:
        """Code that stands at an address; empty if it is no contract."""
        return to_bytes("eth_getCode", await self.request("eth_getCode", to_hex(address), "latest"))

    async def call(
        self, to: bytes, data: bytes, *, sender: bytes | None = None, block: int | None = None
    ) -> bytes:
        """Run a call without a transaction.

        :param block: whose end state it sees; the newest if ``None``.
        :raises RpcError: with the revert data in `RpcError.data` if a contract refused.
        """
        fields = {"to": to_hex(to), "data": to_hex(data)}
        if sender is not None:
            fields["from"] = to_hex(sender)
        at = "latest" if block is None else hex(block)
        return to_bytes("eth_call", await self.request("eth_call", fields, at))

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt of a transaction; ``None`` while it is in no block."""
        method = "eth_getTransactionReceipt"
        found = await self.request(method, to_hex(transaction_hash))
        if found is None:
            return None
        created = _field(method, found, "contractAddress") if "contractAddress" in found else None
        return Receipt(
            transaction_hash=transaction_hash,
            block_number=to_int(method, _field(method, found, "blockNumber")),
            gas_used=to_int(method, _field(method, found, "gasUsed")),
            succeeded=to_int(method, _field(method, found, "status")) == 1,
            contract_address=None if created is None else to_bytes(method, created),
            logs=_logs(method, _field(method, found, "logs")),
        )

    async def logs(
        self, address: bytes, topics: Sequence[bytes], first_block: int, last_block: int
    ) -> tuple[Log, ...]:
        """Events of one contract, in the order of the chain.

        :param topics: the first topics that they must have.
        :param first_block: included, as is `last_block`; at most `LOG_BLOCKS_MAX` of them.
        """
        if last_block - first_block >= LOG_BLOCKS_MAX:
            message = f"more than {LOG_BLOCKS_MAX} blocks"
            raise ValueError(message)
        method = "eth_getLogs"
        wanted = {
            "address": to_hex(address),
            "topics": [to_hex(topic) for topic in topics],
            "fromBlock": hex(first_block),
            "toBlock": hex(last_block),
        }
        return _logs(method, await self.request(method, wanted))


def to_hex(data: bytes) -> str:
    """JSON-RPC's form of bytes."""
    return "0x" + data.hex()


def to_bytes(method: str, value: Json) -> bytes:
    """Read JSON-RPC's form of bytes. :raises BadChainAnswer: it is something else."""
    try:
        if value[:2] != "0x":
            raise BadChainAnswer(method, "not hexadecimal bytes")
        return bytes.fromhex(value[2:])
    except (TypeError, ValueError, KeyError) as error:
        raise BadChainAnswer(method, "not hexadecimal bytes") from error


def to_int(method: str, value: Json) -> int:
    """Read JSON-RPC's form of an integer. :raises BadChainAnswer: it is something else."""
    try:
        if value[:2] != "0x" or len(value) > _QUANTITY_CHARACTERS_MAX:
            raise BadChainAnswer(method, "not a hexadecimal integer")
        return int(value, base=16)
    except (TypeError, ValueError, KeyError) as error:
        raise BadChainAnswer(method, "not a hexadecimal integer") from error


def _field(method: str, fields: Json, name: str) -> Json:
    if not isinstance(fields, dict) or name not in fields:
        raise BadChainAnswer(method, f"no field {name}")
    return fields[name]


def _logs(method: str, found: Json) -> tuple[Log, ...]:
    if not isinstance(found, list):
        raise BadChainAnswer(method, "logs are not a list")
    return tuple(_log(method, fields) for fields in found)


def _log(method: str, fields: Json) -> Log:
    topics = _field(method, fields, "topics")
    if not isinstance(topics, list):
        raise BadChainAnswer(method, "topics are not a list")
    return Log(
        address=to_bytes(method, _field(method, fields, "address")),
        topics=tuple(to_bytes(method, topic) for topic in topics),
        data=to_bytes(method, _field(method, fields, "data")),
        block_number=to_int(method, _field(method, fields, "blockNumber")),
        transaction_hash=to_bytes(method, _field(method, fields, "transactionHash")),
        index=to_int(method, _field(method, fields, "logIndex")),
    )


def _rpc_error(method: str, error: Json) -> RpcError | BadChainAnswer:
    if not isinstance(error, dict):
        return BadChainAnswer(method, "an error that is not an object")
    code, message, data = error.get("code"), error.get("message"), error.get("data")
    # Some RPCs put the revert data one level deeper.
    if isinstance(data, dict):
        data = data.get("data")
    try:
        revert_data = to_bytes(method, data) if isinstance(data, str) else None
    except BadChainAnswer:
        revert_data = None
    return RpcError(method, code if isinstance(code, int) else 0, str(message), revert_data)
