from __future__ import annotations

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from contracts.consent import consent_digest, sign_consent
from contracts.records import Consent, Role
from protocol.signature import recover
from tests.contracts.world import NODE, NODE_SECRET, lawful

ADDRESSES = st.binary(min_size=20, max_size=20)
CONSENTS = st.builds(
    Consent,
    owner=ADDRESSES,
    node=ADDRESSES,
    role=st.sampled_from(Role),
    deadline_s=st.integers(0, 2**256 - 1),
)


def digest_by_eth_account(consent: Consent, chain_id: int, staking_address: bytes) -> bytes:
    names = {"owner": "address", "node": "address", "role": "uint8", "deadline": "uint256"}
    signable = encode_typed_data(
        {
            "name": "Cuckoo Staking",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": "0x" + staking_address.hex(),
        },
        {"Consent": [{"name": name, "type": type_} for name, type_ in names.items()]},
        {
            "owner": "0x" + consent.owner.hex(),
            "node": "0x" + consent.node.hex(),
            "role": int(consent.role),
            "deadline": consent.deadline_s,
        },
    )
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


@lawful
@given(CONSENTS, st.integers(1, 2**64), ADDRESSES)
def test_the_digest_is_eip_712_s(consent, chain_id, staking_address):
    expected = digest_by_eth_account(consent, chain_id, staking_address)
    assert consent_digest(consent, chain_id, staking_address) == expected


@lawful
@given(CONSENTS, st.integers(1, 2**64), ADDRESSES)
def test_a_consent_is_signed_by_the_node(consent, chain_id, staking_address):
    signature = sign_consent(NODE_SECRET, consent, chain_id, staking_address)
    assert recover(consent_digest(consent, chain_id, staking_address), signature).address == NODE


def test_an_address_of_another_length_is_refused():
    consent = Consent(owner=bytes(19), node=NODE, role=Role.MINER, deadline_s=0)
    with pytest.raises(ValueError, match="20 bytes"):
        consent_digest(consent, 1, bytes(20))
