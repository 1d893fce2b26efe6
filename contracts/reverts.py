"""Why a contract said no: the custom errors of our contracts, decoded from what a call reverted with.

Is: revert data to `ContractReverted` with name and arguments, by eth-abi and the artefacts' ABIs. web3 hands
over the data of a custom error as it is; the lookup of the name is the part that it leaves to its users.
Is not: a guess. What fits no error that we know is ``unknown``, with its data.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from contracts.artifacts import CONTRACT_NAMES, load_artifact
from contracts.errors import ContractReverted, RpcError
from contracts.libraries import (
    DecodingError,
    decode_abi,
    function_abi_to_4byte_selector,
    get_abi_input_types,
)

SELECTOR_BYTES: Final = 4
_SOLIDITY_ERRORS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)


def reason_of(error: RpcError) -> RpcError | ContractReverted:
    """The contract's reason if the RPC passed one on, else the RPC's own error."""
    return error if error.data is None else revert_from(error.data)


def revert_from(data: bytes) -> ContractReverted:
    """The reason that a contract reverted with, as a typed error.

    All our contracts' errors are known together, since a call passes on the errors of those it calls.
    """
    entry = _known_errors().get(data[:SELECTOR_BYTES])
    if entry is None:
        return ContractReverted("unknown", {}, data)
    try:
        values = decode_abi(get_abi_input_types(entry), data[SELECTOR_BYTES:])
    except (DecodingError, OverflowError, ValueError):
        return ContractReverted("unknown", {}, data)
    pairs = zip(entry["inputs"], values, strict=True)
    arguments = {part["name"]: canonical(part, value) for part, value in pairs}
    return ContractReverted(entry["name"], arguments, data)


def canonical(parameter: Mapping[str, Any], value: Any) -> Any:
    """A decoded value with 20 bytes for each address: a library's are texts.

    :param parameter: of an ABI. Addresses are alone, in a list or in a struct, as our contracts have them.
    """
    match parameter["type"]:
        case "address":
            return bytes.fromhex(value[2:])
        case "address[]":
            return tuple(bytes.fromhex(item[2:]) for item in value)
        case "tuple":
            return tuple(map(canonical, parameter["components"], value))
    return value


@functools.cache
def _known_errors() -> dict[bytes, Any]:
    """Entries of ABIs by selector."""
    entries: list[Any] = [*_SOLIDITY_ERRORS]
    for contract_name in CONTRACT_NAMES:
        entries += (entry for entry in load_artifact(contract_name).abi if entry["type"] == "error")
    return {bytes(function_abi_to_4byte_selector(entry)): entry for entry in entries}
