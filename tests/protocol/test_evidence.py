import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError, InvalidMessage, ProtocolError
from protocol.evidence import (
    STATEMENT_BYTES_MAX,
    Evidence,
    from_document,
    to_document,
    verify_evidence,
)
from protocol.hashing import keccak256
from protocol.messages import Kind
from protocol.signature import recover
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, FIRST_RANKED, MINERS, OTHER_DOMAIN, SECOND_RANKED, sealed
from tests.protocol.strategies import json_values, lawful, mutated_documents, mutations, structs, values

EVIDENCE = builders.evidence()
DOCUMENT = to_document(DOMAIN, EVIDENCE)


@pytest.mark.parametrize(
    ("signer", "one", "other"),
    [
        (MINERS["ann"], builders.offer(), builders.offer(capacity=2)),
        (builders.COORDINATOR, builders.announcement(), builders.announcement(steps=1)),
        (FIRST_RANKED, builders.acceptance(), builders.acceptance(rank=1)),
        (FIRST_RANKED, builders.commitment(), builders.commitment(steps_done=1)),
        (builders.STRANGER, builders.commitment(), builders.commitment(steps_done=1)),
    ],
    ids=["offers", "announcements", "acceptances", "commitments", "of anybody"],
)
def test_two_statements_in_one_slot_prove_equivocation(signer, one, other):
    first, second = sealed(signer, one), sealed(signer, other)
    assert Evidence.pair(first, second) == Evidence.pair(second, first)
    offence = verify_evidence(DOMAIN, Evidence.pair(first, second))
    assert offence.signer == signer.address
    assert offence.slot == one.slot()
    assert {offence.first_body_hash, offence.second_body_hash} == {
        keccak256(one.encode()),
        keccak256(other.encode()),
    }


def test_an_offence_is_what_the_contract_checks():
    """The contract has nothing but these arguments: digest from kind, slot and body hash; one signer."""
    offence = verify_evidence(DOMAIN, EVIDENCE)
    for body_hash, signature in [
        (offence.first_body_hash, offence.first_signature),
        (offence.second_body_hash, offence.second_signature),
    ]:
        assert (
            recover(DOMAIN.digest(int(offence.kind), offence.slot, body_hash), signature).address
            == offence.signer
        )
    assert offence.first_body_hash != offence.second_body_hash
    assert offence.kind is Kind.RESULT_COMMITMENT


def test_what_proves_nothing():
    one = sealed(FIRST_RANKED, builders.commitment())
    for other, why in [
        (sealed(FIRST_RANKED, builders.acceptance()), "the statements are of different kinds"),
        (sealed(FIRST_RANKED, builders.commitment(task_id=bytes(32))), "the statements take different slots"),
        (one, "the statements say the same"),
        (sealed(SECOND_RANKED, builders.commitment()), "the statements say the same"),
        (sealed(SECOND_RANKED, builders.commitment(steps_done=1)), "the statements have different signers"),
        (
            sealed(FIRST_RANKED, builders.commitment(steps_done=1), OTHER_DOMAIN),
            "the statements have different signers",
        ),
    ]:
        with pytest.raises(InvalidMessage) as caught:
            verify_evidence(DOMAIN, Evidence.pair(one, other))
        assert caught.value.reason == why


def test_a_miner_that_streams_again_commits_no_offence():
    """Chunks are of a kind that is not slashable: a restarted miner may stream other previews."""
    one, other = (sealed(FIRST_RANKED, builders.chunk(payload=payload)) for payload in (b"one", b"other"))
    with pytest.raises(InvalidMessage, match="statements of this kind are not slashable"):
        verify_evidence(DOMAIN, Evidence.pair(one, other))


def test_the_limit_on_a_statement():
    assert Evidence(bytes(STATEMENT_BYTES_MAX), b"x").encode()
    with pytest.raises(ValueError, match="Evidence cannot be encoded: first is not Bytes"):
        Evidence(bytes(STATEMENT_BYTES_MAX + 1), b"x").encode()


@lawful
@given(
    st.binary(max_size=60)
    | values.map(repr).map(str.encode)
    | mutations(st.just(EVIDENCE.encode()))
    | structs(Evidence).map(Evidence.encode)
)
def test_any_bytes_are_evidence_or_a_protocol_error(data):
    try:
        evidence = Evidence.decode(data)
    except DecodeError:
        return
    assert evidence.encode() == data
    try:
        offence = verify_evidence(DOMAIN, evidence)
    except ProtocolError:
        return
    assert offence.first_body_hash != offence.second_body_hash


@lawful
@given(mutations(st.just(sealed(FIRST_RANKED, builders.commitment()))))
def test_nobody_can_be_framed_by_editing_what_he_said(edited):
    """From one statement of an honest signer, no second one can be made."""
    try:
        offence = verify_evidence(DOMAIN, Evidence.pair(sealed(FIRST_RANKED, builders.commitment()), edited))
    except ProtocolError:
        return
    pytest.fail(f"framed: {offence}")


def test_a_document_says_what_is_proved():
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["signer"] == "0x" + FIRST_RANKED.address.hex()
    assert DOCUMENT["kind_name"] == "result_commitment"
    domain, evidence = from_document(DOCUMENT)
    assert (domain, evidence) == (DOMAIN, EVIDENCE)
    assert to_document(domain, evidence) == DOCUMENT


def test_no_document_is_made_of_what_proves_nothing():
    with pytest.raises(InvalidMessage, match="the statements say the same"):
        to_document(DOMAIN, Evidence(EVIDENCE.first, EVIDENCE.first))
    with pytest.raises(InvalidMessage, match="different signers"):
        to_document(OTHER_DOMAIN, EVIDENCE)


def test_a_documents_summary_proves_nothing():
    """Signer, kind and slot are for the reader; a checker takes them from the statements alone."""
    domain, evidence = from_document(DOCUMENT | {"signer": "0x" + bytes(20).hex(), "kind": 1, "slot": "0x"})
    assert verify_evidence(domain, evidence).signer == FIRST_RANKED.address


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": "cuckoo-evidence/2"}, "not a cuckoo-evidence/1 document"),
        ({"chain_id": "31337"}, "chain_id is not a chain's number"),
        ({"chain_id": True}, "chain_id is not a chain's number"),
        ({"chain_id": 0}, "chain_id is not a chain's number"),
        ({"chain_id": 1 << 64}, "chain_id is not a chain's number"),
        ({"slashing_contract": "0x00"}, "slashing_contract is not an address"),
        (
            {"slashing_contract": "0x" + "00" * 21},
            "slashing_contract is not a hexadecimal string of at most 20 bytes",
        ),
        ({"first_statement": "00"}, "first_statement is not a hexadecimal string of at most 30720 bytes"),
        ({"first_statement": None}, "first_statement is not a hexadecimal string of at most 30720 bytes"),
        ({"second_statement": "0x0"}, "second_statement is not a hexadecimal string"),
        ({"second_statement": "0x0 0"}, "second_statement is not a hexadecimal string"),
        ({"second_statement": "0x00 00"}, "second_statement is not a hexadecimal string"),
    ],
)
def test_what_is_no_document(changes, why):
    with pytest.raises(DecodeError, match=why):
        from_document(DOCUMENT | changes)


@lawful
@given(json_values | mutated_documents(DOCUMENT))
def test_any_json_is_a_document_or_a_protocol_error(document):
    try:
        domain, evidence = from_document(document)
        verify_evidence(domain, evidence)
    except ProtocolError:
        return
    assert evidence == EVIDENCE
