"""Signatures of other structs than statements: an oracle of our own, and what they are bound to."""

from __future__ import annotations

import dataclasses

import pytest

from contracts.typed_data import TypedData
from protocol.hashing import keccak256
from protocol.signature import recover
from tests.contracts.world import NODE, NODE_SECRET

DATA = TypedData(
    domain_name="Some Contract",
    chain_id=5,
    contract=b"\x0c" * 20,
    struct="Promise",
    fields=(("address", "to", b"\x0a" * 20), ("uint256", "amount", 7), ("bool", "sure", True)),
)


def word(value):
    return value.to_bytes(32, "big") if isinstance(value, int) else bytes(32 - len(value)) + value


def test_the_digest_is_that_of_eip_712():
    domain_type = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    separator = keccak256(
        keccak256(domain_type) + keccak256(b"Some Contract") + keccak256(b"1") + word(5) + word(b"\x0c" * 20)
    )
    struct = keccak256(
        keccak256(b"Promise(address to,uint256 amount,bool sure)") + word(b"\x0a" * 20) + word(7) + word(1)
    )
    assert DATA.digest() == keccak256(b"\x19\x01" + separator + struct)


def test_the_signature_gives_back_its_signer():
    assert recover(DATA.digest(), DATA.sign(NODE_SECRET)).address == NODE


@pytest.mark.parametrize(
    "changes",
    [
        {"domain_name": "Other"},
        {"chain_id": 6},
        {"contract": b"\x0d" * 20},
        {"struct": "Threat"},
        {"fields": (("address", "to", b"\x0a" * 20), ("uint256", "amount", 8), ("bool", "sure", True))},
    ],
)
def test_it_is_bound_to_every_part(changes):
    assert dataclasses.replace(DATA, **changes).digest() != DATA.digest()


@pytest.mark.parametrize("changes", [{"contract": b"short"}, {"fields": (("address", "to", b"\x0a" * 21),)}])
def test_an_address_has_twenty_bytes(changes):
    with pytest.raises(ValueError, match="20 bytes"):
        dataclasses.replace(DATA, **changes).digest()
