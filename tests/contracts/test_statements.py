"""The digest of a statement is the same for the protocol, for eth_account and for the contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.contract import Contract
from contracts.libraries import encode_typed_data
from protocol.hashing import keccak256
from protocol.statement import Domain
from tests.contracts.world import lawful

HASHES = st.binary(min_size=32, max_size=32)


def digest_by_eth_account(domain: Domain, kind: int, slot: bytes, body: bytes) -> bytes:
    names = {"kind": "uint8", "slot": "bytes32", "body": "bytes32"}
    signable = encode_typed_data(
        {
            "name": "Cuckoo",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": "0x" + domain.verifying_contract.hex(),
        },
        {"Statement": [{"name": name, "type": type_} for name, type_ in names.items()]},
        {"kind": kind, "slot": slot, "body": body},
    )
    return keccak256(b"\x19" + signable.version + signable.header + signable.body)


@lawful
@given(st.integers(1, 2**64), st.binary(min_size=20, max_size=20), st.integers(0, 255), HASHES, HASHES)
def test_the_protocol_s_digest_is_eip_712_s(chain_id, contract, kind, slot, body):
    domain = Domain(chain_id, contract)
    assert domain.digest(kind, slot, body) == digest_by_eth_account(domain, kind, slot, body)


@pytest.mark.process
async def test_the_contract_s_digest_is_the_protocol_s(world):
    contract = Contract(world.chain.rpc, world.slashing.address, "Slashing")
    domain = Domain(world.staking.chain_id, world.slashing.address)
    for kind in (0, 1, 63, 64, 255):
        slot, body = bytes([kind]) * 32, bytes([255 - kind]) * 32
        assert await contract.read("statementDigest", kind, slot, body) == domain.digest(kind, slot, body)
