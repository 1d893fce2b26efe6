from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from contracts.artifacts import CONTRACT_NAMES, load_artifact
from contracts.errors import RpcError
from contracts.reverts import canonical, reason_of, revert_from
from protocol.hashing import keccak256
from tests.contracts.world import lawful

NODE = bytes(range(20))


def data_of(signature, types, values):
    return keccak256(signature)[:4] + encode(types, values)


def test_a_custom_error_has_its_name_and_arguments():
    reverted = revert_from(data_of(b"OwnStakeTooSmall(uint256,uint256)", ["uint256", "uint256"], [1, 2]))
    assert (reverted.name, reverted.arguments) == ("OwnStakeTooSmall", {"amount": 1, "minimum": 2})
    assert str(reverted) == "OwnStakeTooSmall(amount=1, minimum=2)"
    assert reverted.reason == "OwnStakeTooSmall"


def test_an_address_in_an_error_is_bytes():
    reverted = revert_from(data_of(b"NotRegistered(address)", ["address"], [NODE]))
    assert (reverted.name, reverted.arguments) == ("NotRegistered", {"node": NODE})


def test_solidity_s_own_errors_are_known():
    text = revert_from(data_of(b"Error(string)", ["string"], ["because"]))
    panic = revert_from(data_of(b"Panic(uint256)", ["uint256"], [0x11]))
    assert (text.name, text.arguments) == ("Error", {"message": "because"})
    assert (panic.name, panic.arguments) == ("Panic", {"code": 0x11})


@lawful
@given(st.binary(max_size=100))
def test_any_revert_data_gives_an_error(data):
    assert revert_from(data).data == data


@pytest.mark.parametrize("rest", [b"", b"short", (32).to_bytes(32, "big") + b"\xff" * 64])
@pytest.mark.parametrize("signature", [b"Panic(uint256)", b"Error(string)"])
def test_a_known_error_with_wrong_data_is_unknown(signature, rest):
    if signature == b"Panic(uint256)" and len(rest) >= 32:
        rest = rest[:31]
    assert revert_from(keccak256(signature)[:4] + rest).name == "unknown"


def test_an_rpc_s_own_refusal_stays_what_it_is():
    refusal = RpcError("eth_call", -32000, "no", None)
    assert reason_of(refusal) is refusal
    assert reason_of(RpcError("eth_call", 3, "reverted", b"")).reason == "unknown"


def test_addresses_are_bytes_alone_in_lists_and_in_structs():
    text = "0x" + NODE.hex()
    struct = {"type": "tuple", "components": [{"type": "address"}, {"type": "uint256"}]}
    assert canonical({"type": "address"}, text) == NODE
    assert canonical({"type": "address[]"}, (text, text)) == (NODE, NODE)
    assert canonical(struct, (text, 1)) == (NODE, 1)
    assert canonical({"type": "string"}, text) == text


@pytest.mark.parametrize("contract_name", CONTRACT_NAMES)
def test_our_contracts_give_addresses_in_no_other_place(contract_name):
    """In what is read: results, events and errors. What is called takes 20 bytes anywhere."""
    known = {"address", "address[]", "tuple"}

    def types(parameters):
        for parameter in parameters:
            yield parameter["type"]
            yield from types(parameter.get("components", ()))

    for entry in load_artifact(contract_name).abi:
        read = entry.get("outputs" if entry["type"] == "function" else "inputs", ())
        for type_ in types(read):
            assert type_ in known or not type_.startswith(("address", "tuple")), (entry["name"], type_)
