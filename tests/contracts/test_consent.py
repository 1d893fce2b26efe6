"""The contract itself is asked for the digest in ``test_staking``."""

from __future__ import annotations

import dataclasses

import pytest
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
SOME = Consent(owner=b"o" * 20, node=b"n" * 20, role=Role.MINER, deadline_s=1_800_000_000)
STAKING = b"s" * 20


def test_a_known_consent_has_its_known_digest():
    assert (
        consent_digest(SOME, 133_700, STAKING).hex()
        == "f49d01545b5fcacccc0c39d7c574c208cc9a703563eb2df55974dd23cc2b0e11"
    )


@pytest.mark.parametrize(
    "other",
    [
        {"owner": b"x" * 20},
        {"node": b"x" * 20},
        {"role": Role.COORDINATOR},
        {"deadline_s": SOME.deadline_s + 1},
    ],
)
def test_every_field_counts(other):
    digest = consent_digest(SOME, 1, STAKING)
    assert consent_digest(dataclasses.replace(SOME, **other), 1, STAKING) != digest
    assert consent_digest(SOME, 2, STAKING) != digest
    assert consent_digest(SOME, 1, b"x" * 20) != digest


@lawful
@given(CONSENTS, st.integers(1, 2**64), ADDRESSES)
def test_a_consent_is_signed_by_the_node(consent, chain_id, staking_address):
    signature = sign_consent(NODE_SECRET, consent, chain_id, staking_address)
    assert recover(consent_digest(consent, chain_id, staking_address), signature).address == NODE


@pytest.mark.parametrize("field", ["owner", "node"])
def test_an_address_of_another_length_is_refused(field):
    with pytest.raises(ValueError, match="20 bytes"):
        consent_digest(dataclasses.replace(SOME, **{field: bytes(19)}), 1, STAKING)
    with pytest.raises(ValueError, match="20 bytes"):
        sign_consent(NODE_SECRET, SOME, 1, bytes(21))
