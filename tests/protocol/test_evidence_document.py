"""The JSON form: what it says, what it refuses, and that any JSON gives a document or one error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError, InvalidMessage, ProtocolError
from protocol.evidence import (
    JUDGED_BY_CONTRACT,
    Fault,
    TwoStatements,
    UnknownEpoch,
    WrongRanking,
    verify_evidence,
)
from protocol.evidence_document import from_document, to_document
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, FIRST_RANKED, OTHER_DOMAIN
from tests.protocol.strategies import json_values, lawful, mutated_documents

EVIDENCE = builders.evidence()
EPOCHS = builders.view().epochs
DOCUMENT = to_document(DOMAIN, EVIDENCE, EPOCHS)
PART = to_document(DOMAIN, builders.false_part(), EPOCHS)
MISRANKED = next(piece for piece in builders.all_evidence() if isinstance(piece, WrongRanking))
MISRANKED_DOCUMENT = to_document(DOMAIN, MISRANKED, EPOCHS)
DOCUMENTS = [to_document(DOMAIN, piece, EPOCHS) for piece in builders.all_evidence()]


@pytest.mark.parametrize("evidence", builders.all_evidence(), ids=lambda piece: piece.FAULT.name)
def test_every_fault_has_its_document(evidence):
    document = to_document(DOMAIN, evidence, EPOCHS)
    assert json.loads(json.dumps(document)) == document
    assert from_document(document)[:2] == (DOMAIN, evidence)
    assert document["slashable_by_contract"] == (evidence.FAULT in JUDGED_BY_CONTRACT)


def test_a_document_says_what_is_proved():
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["signer"] == "0x" + FIRST_RANKED.address.hex()
    assert DOCUMENT["kind_name"] == "result_commitment"
    domain, evidence, epochs = from_document(DOCUMENT)
    assert (domain, evidence, epochs) == (DOMAIN, EVIDENCE, {})
    assert to_document(domain, evidence, EPOCHS) == DOCUMENT


def test_a_wrong_ranking_brings_the_epoch_that_it_is_judged_by():
    document = to_document(DOMAIN, MISRANKED, EPOCHS)
    domain, evidence, epochs = from_document(json.loads(json.dumps(document)))
    assert epochs[7].miners == EPOCHS[7].miners
    assert verify_evidence(domain, evidence, epochs).fault is Fault.WRONG_RANKING


def test_another_epoch_in_the_document_proves_another_thing():
    document = to_document(DOMAIN, MISRANKED, EPOCHS)
    drawn = document["epoch"] | {"coordinator_weight_micro_cai": "0"}
    domain, evidence, epochs = from_document(document | {"epoch": drawn})
    with pytest.raises(InvalidMessage, match="the signer was not a coordinator of that epoch"):
        verify_evidence(domain, evidence, epochs)


def test_an_epoch_too_large_is_left_out_and_has_to_be_known(monkeypatch):
    monkeypatch.setattr("protocol.evidence_document.EPOCH_MINERS_MAX", 4)
    document = to_document(DOMAIN, MISRANKED, EPOCHS)
    assert "epoch" not in document
    domain, evidence, epochs = from_document(document)
    with pytest.raises(UnknownEpoch):
        verify_evidence(domain, evidence, epochs)
    with pytest.raises(DecodeError, match="the epoch has more than 4 miners"):
        from_document(MISRANKED_DOCUMENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": None},
        {"epoch": {}},
        {"epoch": MISRANKED_DOCUMENT["epoch"] | {"seed": "00"}},
        {"epoch": MISRANKED_DOCUMENT["epoch"] | {"number": "7"}},
        {"epoch": MISRANKED_DOCUMENT["epoch"] | {"miners": [{}]}},
        {"statement": "0x00"},
        {"statement": to_document(DOMAIN, EVIDENCE, EPOCHS)["first_statement"]},
    ],
)
def test_what_is_no_epoch_or_no_announcement(changes):
    with pytest.raises(DecodeError):
        from_document(MISRANKED_DOCUMENT | changes)


def test_no_document_is_made_of_what_proves_nothing():
    with pytest.raises(InvalidMessage, match="the statements say the same"):
        to_document(DOMAIN, TwoStatements(EVIDENCE.first, EVIDENCE.first), EPOCHS)
    with pytest.raises(InvalidMessage, match="different signers"):
        to_document(OTHER_DOMAIN, EVIDENCE, EPOCHS)


def test_a_documents_summary_proves_nothing():
    """Signer, kind and slot are for the reader; a checker takes them from the statements alone."""
    domain, evidence, _ = from_document(
        DOCUMENT | {"signer": "0x" + bytes(20).hex(), "kind": 1, "slot": "0x"}
    )
    assert verify_evidence(domain, evidence, {}).signer == FIRST_RANKED.address


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
        ({"offence": "theft"}, "offence is not one that this version knows"),
        ({"offence": ["equivocation"]}, "offence is not one that this version knows"),
        ({"offence": "false part"}, "chunk is not a hexadecimal string of at most 263168 bytes"),
        (PART | {"proof": None}, "proof is not a list of at most 20"),
        (PART | {"proof": ["0x"] * 21}, "proof is not a list of at most 20"),
        (PART | {"proof": ["0x" + "00" * 33]}, "proof is not a hexadecimal string of at most 32 bytes"),
    ],
)
def test_what_is_no_document(changes, why):
    with pytest.raises(DecodeError, match=why):
        from_document(DOCUMENT | changes)


@lawful
@given(json_values | st.sampled_from(DOCUMENTS).flatmap(mutated_documents))
def test_any_json_is_a_document_or_a_protocol_error(document):
    try:
        domain, evidence, epochs = from_document(document)
        verify_evidence(domain, evidence, epochs)
    except ProtocolError:
        return
    assert evidence in builders.all_evidence()
