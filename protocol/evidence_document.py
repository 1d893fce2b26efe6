"""Evidence as a JSON document, for people to keep, read and send.

Is: one form for every fault; it carries all that checking offline needs. With a wrong ranking that is the
epoch as its finder saw it; who does not take its word for the stakes compares them with the chain.
Is not: the check (`evidence`) or a file (`node`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from protocol import cbor
from protocol.draw import EpochView
from protocol.epoch_document import epoch_from_document, epoch_to_document, read
from protocol.errors import DecodeError
from protocol.evidence import (
    CHUNK_STATEMENT_BYTES_MAX,
    FORM_OF,
    PROOF_HASHES_MAX,
    STATEMENT_BYTES_MAX,
    BrokenSequence,
    Evidence,
    FalsePart,
    FalseVerdict,
    Fault,
    TraceEvidence,
    TwoStatements,
    WrongRanking,
    verify_evidence,
)
from protocol.evidence.false_verdict import REFUTED_BYTES_MAX
from protocol.evidence.trace_forms import PIECES_MAX
from protocol.messages import TaskAnnouncement
from protocol.schema import from_items
from protocol.signature import ADDRESS_BYTES
from protocol.statement import Domain, read_envelope

DOCUMENT_FORMAT = "cuckoo-evidence/1"
DOCUMENT_BYTES_MAX = 1 << 20
"""Longest document as a file; the largest chunk in hexadecimal has half of it."""
EPOCH_MINERS_MAX = 5_000
"""Most miners of an epoch that a document carries: half a megabyte. A larger one the checker has to know."""
HASH_BYTES = 32
NAME_OF = {fault: fault.name.lower().replace("_", " ") for fault in Fault}
_FAULT_OF = {name: fault for fault, name in NAME_OF.items()}


def to_document(domain: Domain, evidence: Evidence, epochs: Mapping[int, EpochView]) -> dict[str, Any]:
    """JSON document of evidence that verifies.

    :param epochs: as for `verify_evidence`.
    :raises ProtocolError: the evidence does not verify.
    """
    offence = verify_evidence(domain, evidence, epochs)
    document = {
        "format": DOCUMENT_FORMAT,
        "offence": NAME_OF[offence.fault],
        "slashable_by_contract": offence.slashable_by_contract,
        "chain_id": domain.chain_id,
        "slashing_contract": _to_hex(domain.verifying_contract),
        "signer": _to_hex(offence.signer),
        "kind": int(offence.kind),
        "kind_name": offence.kind.name.lower(),
        "slot": _to_hex(offence.slot),
    }
    match evidence:
        case TwoStatements():
            statements = {"first_statement": evidence.first, "second_statement": evidence.second}
        case BrokenSequence():
            statements = {"earlier_statement": evidence.earlier, "later_statement": evidence.later}
        case WrongRanking():
            statements = {"statement": evidence.announcement}
            epoch = epochs[evidence.epoch()]
            if len(epoch.miners) <= EPOCH_MINERS_MAX:
                document["epoch"] = epoch_to_document(epoch, offence.signer)
        case FalsePart():
            statements = {"chunk": evidence.chunk, "commitment": evidence.commitment, "leaf": evidence.leaf}
            document["proof"] = [_to_hex(node) for node in evidence.proof]
        case _:
            return document | _members_of(evidence)
    return document | {name: _to_hex(data) for name, data in statements.items()}


def from_document(document: object) -> tuple[Domain, Evidence, dict[int, EpochView]]:
    """Domain and evidence in a JSON document; what they prove is for `verify_evidence` to say.

    :returns: also the epochs by number that the document carries: one, or none.

    :raises DecodeError: not such a document.
    """
    if not isinstance(document, dict) or document.get("format") != DOCUMENT_FORMAT:
        message = f"not a {DOCUMENT_FORMAT} document"
        raise DecodeError(message)
    chain_id = document.get("chain_id")
    if type(chain_id) is not int or not 0 < chain_id < 1 << 64:
        message = "chain_id is not a chain's number"
        raise DecodeError(message)
    contract = _from_hex(document, "slashing_contract", ADDRESS_BYTES)
    if len(contract) != ADDRESS_BYTES:
        message = "slashing_contract is not an address"
        raise DecodeError(message)
    evidence = _evidence(document)
    return Domain(chain_id, contract), evidence, _epochs(document, evidence)


def _epochs(document: dict[str, Any], evidence: Evidence) -> dict[int, EpochView]:
    if not isinstance(evidence, WrongRanking) or "epoch" not in document:
        return {}
    coordinator = _task_of(evidence).coordinator
    epoch = read(lambda: epoch_from_document(document["epoch"], coordinator), "an epoch")
    if len(epoch.miners) > EPOCH_MINERS_MAX:
        message = f"the epoch has more than {EPOCH_MINERS_MAX} miners"
        raise DecodeError(message)
    return {epoch.number: epoch}


def _task_of(evidence: WrongRanking) -> TaskAnnouncement:
    _, message = read_envelope(evidence.announcement)
    if not isinstance(message, TaskAnnouncement):
        text = "the statement is no announcement"
        raise DecodeError(text)
    return message


def _evidence(document: dict[str, Any]) -> Evidence:
    def statement(name: str, bytes_max: int = STATEMENT_BYTES_MAX) -> bytes:
        return _from_hex(document, name, bytes_max)

    offence = document.get("offence")
    fault = _FAULT_OF.get(offence) if isinstance(offence, str) else None
    match fault:
        case Fault.EQUIVOCATION:
            return TwoStatements.pair(statement("first_statement"), statement("second_statement"))
        case Fault.BROKEN_SEQUENCE:
            return BrokenSequence(statement("earlier_statement"), statement("later_statement"))
        case Fault.WRONG_RANKING:
            return WrongRanking(statement("statement"))
        case Fault.FALSE_PART:
            chunk = statement("chunk", CHUNK_STATEMENT_BYTES_MAX)
            return FalsePart(chunk, statement("commitment"), statement("leaf", HASH_BYTES), _proof(document))
        case None:
            pass
        case _:
            names = [field.name for field in dataclasses.fields(FORM_OF[fault])]
            return from_items(FORM_OF[fault], tuple(_item(document, name) for name in names))
    message = "offence is not one that this version knows"
    raise DecodeError(message)


def _members_of(evidence: TraceEvidence | FalseVerdict) -> dict[str, Any]:
    """Every field of evidence about a trace or a verdict, under its name."""
    members = {}
    for field in dataclasses.fields(evidence):
        value = getattr(evidence, field.name)
        if isinstance(value, bytes):
            value = _to_hex(value)
        elif isinstance(value, tuple):
            value = [_to_hex(item) for item in value]
        members[field.name] = value
    return members


def _item(document: dict[str, Any], name: str) -> cbor.Value:
    """A member as a field of evidence about a trace; the form's own bounds are for `from_items`."""
    value = document.get(name)
    if type(value) is int:
        return value
    if not isinstance(value, list):
        return _from_hex(document, name, REFUTED_BYTES_MAX)
    if len(value) > PIECES_MAX:
        message = f"{name} is not a list of at most {PIECES_MAX}"
        raise DecodeError(message)
    return tuple(_from_hex({name: item}, name, REFUTED_BYTES_MAX) for item in value)


def _proof(document: dict[str, Any]) -> tuple[bytes, ...]:
    nodes = document.get("proof")
    if not isinstance(nodes, list) or len(nodes) > PROOF_HASHES_MAX:
        message = f"proof is not a list of at most {PROOF_HASHES_MAX}"
        raise DecodeError(message)
    return tuple(_from_hex({"proof": node}, "proof", HASH_BYTES) for node in nodes)


def _to_hex(data: bytes) -> str:
    return "0x" + data.hex()


def _from_hex(document: dict[str, Any], name: str, bytes_max: int) -> bytes:
    text = document.get(name)
    if not isinstance(text, str) or not text.startswith("0x") or len(text) > 2 + 2 * bytes_max:
        message = f"{name} is not a hexadecimal string of at most {bytes_max} bytes"
        raise DecodeError(message)
    try:
        data = bytes.fromhex(text[2:])
    except ValueError as error:
        message = f"{name} is not a hexadecimal string"
        raise DecodeError(message) from error
    # fromhex skips white space, which another implementation would refuse.
    if 2 + 2 * len(data) != len(text):
        message = f"{name} is not a hexadecimal string"
        raise DecodeError(message)
    return data
