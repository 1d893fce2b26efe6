"""One deployed contract: web3's contract object, with our addresses and our errors.

Is: what `client`'s typed classes stand on.
Is not: typed by itself; nobody outside this package calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from contracts.artifacts import load_artifact
from contracts.errors import BadChainAnswer, RpcError
from contracts.libraries import (
    DISCARD,
    ABIEvent,
    EncodingError,
    EventData,
    HexStr,
    LogReceipt,
    Web3,
    Web3Exception,
    event_abi_to_log_topic,
)
from contracts.provider import reading
from contracts.reverts import canonical, reason_of
from contracts.rpc import Receipt, Rpc, number
from contracts.transactions import Sender
from protocol.errors import LocalError

LOG_BLOCKS_MAX: Final = 2_000
"""Blocks in one request for logs: the least that public RPCs allow."""


class BadArguments(LocalError):
    """Values that do not fit the types of a call, for example an amount below zero: a bug of the caller."""


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded event of a contract."""

    name: str
    arguments: dict[str, Any]
    """By parameter name; addresses as 20 bytes."""
    block_number: int
    """In the RPC's numbers."""
    log_index: int
    """Its place in its block."""
    transaction_hash: bytes


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
            with reading(name):
                found = await function.call()
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

    async def events(self, names: Sequence[str], first_block: int, last_block: int) -> tuple[Event, ...]:
        """This contract's events of some names, in the order of the chain.

        :param first_block: included, as is `last_block`; at most `LOG_BLOCKS_MAX` of them.
        :raises ValueError: more of them.
        :raises BadChainAnswer: one is not of these names, or not as the ABI has it.
        """
        if last_block - first_block >= LOG_BLOCKS_MAX:
            message = f"more than {LOG_BLOCKS_MAX} blocks"
            raise ValueError(message)
        kinds = {_topic(self._contract.events[name]().abi): name for name in names}
        with reading("eth_getLogs"):
            logs = await self._rpc.web3.eth.get_logs(
                {
                    "address": self._checksum_address,
                    "topics": [list(kinds)],
                    "fromBlock": first_block,
                    "toBlock": last_block,
                }
            )
            found = [self._decoded(kinds, log) for log in logs]
        found.sort(key=lambda event: (event.block_number, event.log_index))
        return tuple(found)

    def _decoded(self, kinds: Mapping[HexStr, str], log: LogReceipt) -> Event:
        name = kinds[Web3.to_hex(log["topics"][0])]
        return self._event(name, self._contract.events[name]().process_log(log))

    def _event(self, name: str, event: EventData) -> Event:
        inputs = {part["name"]: part for part in self._contract.events[name]().abi["inputs"]}
        return Event(
            name=name,
            arguments={key: canonical(inputs[key], value) for key, value in event["args"].items()},
            block_number=number(name, event["blockNumber"]),
            log_index=number(name, event["logIndex"]),
            transaction_hash=bytes(event["transactionHash"]),
        )


def _topic(abi: ABIEvent) -> HexStr:
    """What a log of an event begins with: the hash of its signature."""
    return Web3.to_hex(event_abi_to_log_topic(abi))


def creation_data(rpc: Rpc, artifact_name: str, arguments: Sequence[Any]) -> bytes:
    """Data of the transaction that creates a contract of ours: bytecode and constructor arguments.

    :raises ArtifactMissing: no such contract of ours.
    :raises BadArguments: they do not fit the constructor.
    """
    artifact = load_artifact(artifact_name)
    factory = rpc.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    with _fitting("constructor"):
        return bytes.fromhex(factory.constructor(*arguments).data_in_transaction[2:])


@contextmanager
def _fitting(name: str) -> Iterator[None]:
    """What web3 says of arguments that do not fit becomes `BadArguments`."""
    try:
        yield
    except (Web3Exception, EncodingError, TypeError, ValueError) as error:
        message = f"{name}: {error}"
        raise BadArguments(message) from error
