"""One deployed contract: web3's contract object, with our addresses and our errors.

Is: what `client`'s typed classes stand on.
Is not: typed by itself; nobody outside this package calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import trio
import trio.lowlevel

from contracts.artifacts import load_artifact
from contracts.errors import BadChainAnswer, RpcError
from contracts.libraries import (
    DISCARD,
    EncodingError,
    EventData,
    Web3,
    Web3Exception,
    function_abi_to_4byte_selector,
)
from contracts.logs import Event, LogDecoder
from contracts.provider import ANSWER_BYTES_MAX, reading
from contracts.reverts import canonical, reason_of
from contracts.rpc import Receipt, Rpc, number
from contracts.transactions import Sender
from protocol.errors import LocalError

LOG_BLOCKS_MAX: Final = 2_000
"""Most blocks in one request for logs. Public RPCs allow 10 to 10,000: see `events` for what follows then."""
LOG_BYTES_MAX: Final = 2 * 1024 * 1024
"""Longest answer with logs of several blocks; its JSON is decoded in one piece, in some 20 ms."""
LOGS_AT_ONCE: Final = 64
"""Logs that are decoded before other tasks have their turn, each in some 0.1 ms."""
_TOPIC_BYTES: Final = 32


class BadArguments(LocalError):
    """Values that do not fit the types of a call, for example an amount below zero: a bug of the caller."""


class Contract:
    """:ivar address: 20 bytes."""

    def __init__(self, rpc: Rpc, address: bytes, artifact_name: str) -> None:
        """:raises ArtifactMissing: no such contract of ours."""
        self.address = address
        self._rpc = rpc
        self._checksum_address = Web3.to_checksum_address(address)
        abi = load_artifact(artifact_name).abi
        self._contract = rpc.web3.eth.contract(address=self._checksum_address, abi=abi)

    async def read(self, name: str, *arguments: Any) -> Any:
        """Call a view function: its one return value, or a tuple of several or of a struct's parts.

        :raises BadArguments: they do not fit the function.
        :raises BadChainAnswer: what came back is not of its types: usually no contract stands there.
        :raises ContractReverted: it said no.
        """
        with _fitting(name):
            function = self._contract.functions[name](*arguments)
        try:
            found = await self._rpc.readable(name, function.call)
        except RpcError as error:
            raise reason_of(error) from error
        outputs = function.abi["outputs"]
        if len(outputs) == 1:
            return canonical(outputs[0], found)
        return tuple(map(canonical, outputs, found))

    async def transact(self, sender: Sender, name: str, *arguments: Any, value_wei: int = 0) -> Receipt:
        """Call a function in a transaction.

        :param value_wei: of the chain's own coin, for a function that takes it.
        :raises BadArguments: they do not fit the function.
        :raises ContractReverted: it said no.
        """
        with _fitting(name):
            data = self._contract.encode_abi(name, args=arguments)
        return await sender.send(self.address, bytes.fromhex(data[2:]), value_wei=value_wei)

    def event(self, receipt: Receipt, name: str) -> Event:
        """The one event of this name that this contract has emitted in a transaction.

        :raises BadChainAnswer: there is none: the contract is not the one we think.
        """
        with reading(name):
            logs = [log for log in receipt.logs if log["address"] == self._checksum_address]
            found = self._contract.events[name]().process_receipt({"logs": logs}, errors=DISCARD)
            for event in found:
                return self._event(name, event)
        raise BadChainAnswer(name, "the transaction has not emitted this event")

    async def events(
        self, names: Sequence[str], first_block: int, last_block: int, *, node: bytes | None = None
    ) -> tuple[Event, ...]:
        """This contract's events of some names, in the order of the chain.

        :param first_block: included, as is `last_block`; at most `LOG_BLOCKS_MAX` of them.
        :param node: 20 bytes, the events' first indexed parameter; ``None`` for any.
        :raises ValueError: more blocks.
        :raises AnswerTooLarge: several blocks with more than `LOG_BYTES_MAX`, or one with too much at all.
        :raises BadChainAnswer: an event is not of these names or blocks, or not as the ABI has it.
        :raises RpcError: the RPC refused, perhaps since it allows fewer blocks or logs.
        """
        if last_block - first_block >= LOG_BLOCKS_MAX:
            message = f"more than {LOG_BLOCKS_MAX} blocks"
            raise ValueError(message)
        decoder = LogDecoder(self._rpc.web3.codec, [self._contract.events[name]().abi for name in names])
        topics: list[Any] = [decoder.topics]
        if node is not None:
            topics.append("0x" + node.rjust(_TOPIC_BYTES, b"\0").hex())
        query = {
            "address": self._checksum_address,
            "topics": topics,
            "fromBlock": hex(first_block),
            "toBlock": hex(last_block),
        }
        bytes_max = LOG_BYTES_MAX if last_block > first_block else ANSWER_BYTES_MAX

        async def ask() -> list[Event]:
            logs = await self._rpc.logs(query, bytes_max)
            found: list[Event] = []
            for start in range(0, len(logs), LOGS_AT_ONCE):
                found += map(decoder.decode, logs[start : start + LOGS_AT_ONCE])
                await trio.lowlevel.checkpoint()
            if any(not first_block <= event.block_number <= last_block for event in found):
                raise BadChainAnswer("eth_getLogs", "logs of other blocks")
            return found

        found = await self._rpc.readable("eth_getLogs", ask)
        found.sort(key=lambda event: (event.block_number, event.log_index))
        return tuple(found)

    def _event(self, name: str, event: EventData) -> Event:
        inputs = {part["name"]: part for part in self._contract.events[name]().abi["inputs"]}
        return Event(
            name=name,
            arguments={key: canonical(inputs[key], value) for key, value in event["args"].items()},
            block_number=number(name, event["blockNumber"]),
            log_index=number(name, event["logIndex"]),
            transaction_hash=bytes(event["transactionHash"]),
        )


def creation_data(rpc: Rpc, artifact_name: str, arguments: Sequence[Any]) -> bytes:
    """Data of the transaction that creates a contract of ours: bytecode and constructor arguments.

    :raises ArtifactMissing: no such contract of ours.
    :raises BadArguments: they do not fit the constructor.
    """
    artifact = load_artifact(artifact_name)
    factory = rpc.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    with _fitting("constructor"):
        return bytes.fromhex(factory.constructor(*arguments).data_in_transaction[2:])


def encode_call(rpc: Rpc, artifact_name: str, function: str, arguments: Sequence[Any]) -> bytes:
    """Data of a call: the function's selector and its arguments.

    :raises BadArguments: they do not fit the function.
    """
    contract = rpc.web3.eth.contract(abi=load_artifact(artifact_name).abi)
    with _fitting(function):
        return bytes.fromhex(contract.encode_abi(function, args=arguments)[2:])


def selector_of(artifact_name: str, function: str) -> bytes:
    """The 4 bytes by which a contract of ours knows a function. :raises StopIteration: it has none such."""
    abi = load_artifact(artifact_name).abi
    entry = next(item for item in abi if item["type"] == "function" and item["name"] == function)
    return bytes(function_abi_to_4byte_selector(cast("Any", entry)))


@contextmanager
def _fitting(name: str) -> Iterator[None]:
    """Any error of web3 about arguments that do not fit becomes `BadArguments`."""
    try:
        yield
    except (Web3Exception, EncodingError, TypeError, ValueError) as error:
        message = f"{name}: {error}"
        raise BadArguments(message) from error
