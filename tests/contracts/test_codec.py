from __future__ import annotations

import contextlib

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import BadArguments, Codec, codec_of, revert_from
from contracts.errors import BadChainAnswer
from contracts.rpc import Log
from protocol.hashing import keccak256
from tests.contracts.world import lawful

ADDRESSES = st.binary(min_size=20, max_size=20)
AMOUNTS = st.integers(0, 2**256 - 1)
NODE = bytes(range(20))
OWNER = bytes(range(20, 40))

NESTED = Codec(
    [
        {
            "type": "function",
            "name": "nested",
            "inputs": [],
            "outputs": [
                {
                    "type": "tuple[]",
                    "name": "",
                    "components": [
                        {"type": "address", "name": "who"},
                        {
                            "type": "tuple",
                            "name": "inner",
                            "components": [
                                {"type": "uint256[2]", "name": "pair"},
                                {"type": "address[]", "name": "others"},
                            ],
                        },
                        {"type": "string", "name": "text"},
                    ],
                }
            ],
        }
    ]
)


def log_of(topics: tuple[bytes, ...], data: bytes) -> Log:
    return Log(bytes(20), topics, data, 1, bytes(32), 0)


def test_a_call_is_selector_and_words():
    data = codec_of("CAI").encode_call("transfer", NODE, 5)
    assert data[:4].hex() == "a9059cbb"  # ERC-20's transfer, as everybody knows it
    assert data[4:] == bytes(12) + NODE + (5).to_bytes(32, "big")


@lawful
@given(ADDRESSES, AMOUNTS)
def test_calls_decode_to_what_went_in(address, amount):
    data = codec_of("Staking").encode_call("vote", address, amount)
    assert data[4:] == encode(["address", "uint256"], [address, amount])


@pytest.mark.parametrize(
    "arguments",
    [(), (NODE,), (NODE, 1, 2), (NODE, -1), (NODE, 2**256), (NODE[1:], 1), (NODE, "1"), (None, 1)],
)
def test_arguments_that_do_not_fit_are_a_local_error(arguments):
    with pytest.raises(BadArguments, match="vote"):
        codec_of("Staking").encode_call("vote", *arguments)


def test_addresses_are_bytes_however_deep():
    values = [(NODE, ((1, 2), [OWNER, NODE]), "text")]
    data = encode(["(address,(uint256[2],address[]),string)[]"], [values])
    assert NESTED.decode_result("nested", data) == (((NODE, ((1, 2), (OWNER, NODE)), "text"),),)


@lawful
@given(st.binary(max_size=200))
def test_any_result_decodes_or_is_a_bad_answer(data):
    for codec, name in (
        (NESTED, "nested"),
        (codec_of("Staking"), "nodeInfo"),
        (codec_of("Staking"), "snapshot"),
    ):
        with contextlib.suppress(BadChainAnswer):
            codec.decode_result(name, data)


def test_no_contract_answers_nothing_which_is_a_bad_answer():
    with pytest.raises(BadChainAnswer):
        codec_of("CAI").decode_result("balanceOf", b"")


def test_an_event_has_its_indexed_and_other_parameters_by_name():
    codec = codec_of("Staking")
    topics = (codec.topic("Staked"), bytes(12) + NODE, bytes(12) + OWNER)
    event = codec.decode_event(log_of(topics, encode(["uint256", "uint256"], [7, 8])))
    assert event is not None
    assert event.name == "Staked"
    assert event.arguments == {"node": NODE, "account": OWNER, "amount": 7, "shares": 8}


def test_events_of_others_are_none():
    codec = codec_of("Staking")
    assert codec.decode_event(log_of((keccak256(b"Else()"),), b"")) is None
    assert codec.decode_event(log_of((), b"")) is None


def test_an_event_in_the_wrong_shape_is_a_bad_answer():
    codec = codec_of("Staking")
    with pytest.raises(BadChainAnswer):
        codec.decode_event(log_of((codec.topic("Staked"), bytes(32)), b""))
    with pytest.raises(BadChainAnswer):
        codec.decode_event(log_of((codec.topic("Staked"), bytes(32), bytes(32)), b"short"))


def test_a_custom_error_has_its_name_and_arguments():
    data = keccak256(b"OwnStakeTooSmall(uint256,uint256)")[:4] + encode(["uint256", "uint256"], [1, 2])
    reverted = revert_from(data)
    assert (reverted.name, reverted.arguments) == ("OwnStakeTooSmall", {"amount": 1, "minimum": 2})
    assert str(reverted) == "OwnStakeTooSmall(amount=1, minimum=2)"
    assert reverted.reason == "OwnStakeTooSmall"


def test_solidity_s_own_errors_are_known():
    text = revert_from(keccak256(b"Error(string)")[:4] + encode(["string"], ["because"]))
    panic = revert_from(keccak256(b"Panic(uint256)")[:4] + encode(["uint256"], [0x11]))
    assert (text.name, text.arguments) == ("Error", {"message": "because"})
    assert (panic.name, panic.arguments) == ("Panic", {"code": 0x11})


@lawful
@given(st.binary(max_size=100))
def test_any_revert_data_gives_an_error(data):
    assert revert_from(data).data == data


def test_a_known_error_with_wrong_data_is_unknown():
    assert revert_from(keccak256(b"Panic(uint256)")[:4] + b"short").name == "unknown"
