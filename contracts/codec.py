"""Between Python values and the ABI's bytes: calls, results, events and errors of one contract.

Is: a thin, synchronous layer over ``eth_abi`` that needs no connection. Addresses are 20 ``bytes`` on our
side, arrays are tuples, Solidity structs are tuples in their order.
Is not: ``web3``. Its asynchronous side is bound to asyncio in places and costs some milliseconds a call and a
second to import; what we need of it is this file.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.abi import collapse_if_tuple

from contracts.artifacts import CONTRACT_NAMES, load_artifact
from contracts.errors import BadChainAnswer, ContractReverted
from protocol.errors import LocalError
from protocol.hashing import keccak256

if TYPE_CHECKING:
    from contracts.rpc import Log

SELECTOR_BYTES: Final = 4
_SOLIDITY_ERRORS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)


class BadArguments(LocalError):
    """Values that do not fit the types of a call, for example an amount below zero: a bug of the caller."""


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded event of a contract."""

    name: str
    arguments: dict[str, Any]
    """By parameter name; addresses as 20 bytes."""
    log: Log
    """Where it is on the chain."""


@dataclass(frozen=True, slots=True)
class _Signature:
    """A named tuple type of the ABI, with what is derived from it once."""

    name: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    hash: bytes


class Codec:
    """Encodes for and decodes from one contract.

    :param abi: entries of its JSON ABI.
    """

    def __init__(self, abi: Sequence[dict[str, Any]]) -> None:
        entries = {
            kind: [e for e in abi if e["type"] == kind] for kind in ("function", "event", "constructor")
        }
        self._inputs = {entry["name"]: _signature(entry) for entry in entries["function"]}
        self._outputs = {entry["name"]: _types(entry["outputs"]) for entry in entries["function"]}
        self._constructor = _types(entries["constructor"][0]["inputs"]) if entries["constructor"] else ()
        self._events = {_signature(entry).hash: entry for entry in entries["event"]}
        self._topics = {entry["name"]: topic for topic, entry in self._events.items()}

    def encode_call(self, name: str, *arguments: Any) -> bytes:
        """Input data of a call.

        :raises BadArguments: they do not fit the function.
        """
        signature = self._inputs[name]
        return signature.hash[:SELECTOR_BYTES] + _encode(name, signature.types, arguments)

    def encode_constructor(self, *arguments: Any) -> bytes:
        """What follows the bytecode in a creation transaction.

        :raises BadArguments: they do not fit the constructor.
        """
        return _encode("constructor", self._constructor, arguments)

    def decode_result(self, name: str, data: bytes) -> tuple[Any, ...]:
        """What a function returned, one item for each return value.

        :raises BadChainAnswer: the bytes are not of the function's return types; empty ones usually mean
            that no contract stands at the address.
        """
        return _decode(name, self._outputs[name], data)

    def topic(self, event_name: str) -> bytes:
        """First topic, 32 bytes, of an event's logs."""
        return self._topics[event_name]

    def decode_event(self, log: Log) -> Event | None:
        """The event in a log; ``None`` if it is not one of this contract's.

        :raises BadChainAnswer: the topic is right and the rest is not.
        """
        entry = self._events.get(log.topics[0]) if log.topics else None
        if entry is None:
            return None
        name: str = entry["name"]
        indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
        others = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
        if len(indexed) != len(log.topics) - 1:
            raise BadChainAnswer(name, "wrong number of topics")
        values = {
            parameter["name"]: _decode(name, (parameter["type"],), topic)[0]
            for parameter, topic in zip(indexed, log.topics[1:], strict=True)
        }
        decoded = _decode(name, _types(others), log.data)
        values.update(zip((parameter["name"] for parameter in others), decoded, strict=True))
        return Event(name=name, arguments=values, log=log)


@functools.cache
def codec_of(contract_name: str) -> Codec:
    """The codec of one of our contracts. :raises ArtifactMissing: no such contract."""
    return Codec(load_artifact(contract_name).abi)


def revert_from(data: bytes) -> ContractReverted:
    """What a contract reverted with, as a typed error.

    All our contracts' errors are known together, since a call passes on the errors of those it calls.
    """
    signature = _known_errors().get(data[:SELECTOR_BYTES])
    if signature is None:
        return ContractReverted("unknown", {}, data)
    try:
        values = _decode(signature.name, signature.types, data[SELECTOR_BYTES:])
    except BadChainAnswer:
        return ContractReverted("unknown", {}, data)
    return ContractReverted(signature.name, dict(zip(signature.names, values, strict=True)), data)


@functools.cache
def _known_errors() -> dict[bytes, _Signature]:
    entries = [*_SOLIDITY_ERRORS]
    for contract_name in CONTRACT_NAMES:
        entries += (entry for entry in load_artifact(contract_name).abi if entry["type"] == "error")
    return {(signature := _signature(entry)).hash[:SELECTOR_BYTES]: signature for entry in entries}


def _types(parameters: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(collapse_if_tuple(parameter) for parameter in parameters)


def _signature(entry: dict[str, Any]) -> _Signature:
    types = _types(entry["inputs"])
    text = f"{entry['name']}({','.join(types)})"
    names = tuple(parameter["name"] for parameter in entry["inputs"])
    return _Signature(name=entry["name"], names=names, types=types, hash=keccak256(text.encode("ascii")))


def _encode(name: str, types: Sequence[str], arguments: Sequence[Any]) -> bytes:
    if len(types) != len(arguments):
        message = f"{name} takes {len(types)} arguments, not {len(arguments)}"
        raise BadArguments(message)
    try:
        return encode(types, arguments)
    except (EncodingError, TypeError, ValueError) as error:
        message = f"{name}: {error}"
        raise BadArguments(message) from error


def _decode(name: str, types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    try:
        values = decode(types, data)
    except (DecodingError, OverflowError, ValueError) as error:
        raise BadChainAnswer(name, str(error)) from error
    return tuple(_ours(type_, value) for type_, value in zip(types, values, strict=True))


def _ours(type_: str, value: Any) -> Any:
    """Replace textual addresses by bytes, however deep they are."""
    if type_.endswith("]"):
        element = type_[: type_.rindex("[")]
        if element == "address":  # the hot path of snapshots
            return tuple(bytes.fromhex(item[2:]) for item in value)
        return tuple(_ours(element, item) for item in value)
    if type_.startswith("("):
        return tuple(_ours(part, item) for part, item in zip(_split(type_[1:-1]), value, strict=True))
    return bytes.fromhex(value[2:]) if type_ == "address" else value


@functools.cache
def _split(types: str) -> tuple[str, ...]:
    """Split ``a,(b,c),d`` at the commas that are in no parentheses."""
    parts, depth, current = [], 0, ""
    for character in types:
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
            continue
        depth += (character == "(") - (character == ")")
        current += character
    return (*parts, current)
