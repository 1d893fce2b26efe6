"""Evidence: signed statements that no honest signer can have made, and what they prove.

Is: one form for each objective fault, their encoding as one tagged union, and `verify_evidence`, which names
the offence or says why there is none. Objective means: from bytes and facts of the chain alone.
Is not: the JSON document (`evidence_document`), or sending it to the chain (`contracts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from protocol import cbor
from protocol.draw import EpochView
from protocol.errors import DecodeError
from protocol.evidence.false_verdict import FalseVerdict, verify_false_verdict
from protocol.evidence.faults import JUDGED_BY_CONTRACT, Fault, Offence, SignedPair, UnknownEpoch
from protocol.evidence.statements import (
    CHUNK_STATEMENT_BYTES_MAX,
    PROOF_HASHES_MAX,
    STATEMENT_BYTES_MAX,
    BrokenSequence,
    FalsePart,
    TwoStatements,
    WrongRanking,
    breaks_sequence,
    verify_broken_sequence,
    verify_equivocation,
    verify_false_part,
    verify_wrong_ranking,
)
from protocol.evidence.trace_faults import TRACE_FORMS, TraceEvidence, verify_trace_fault
from protocol.schema import from_items
from protocol.statement import Domain, read_envelope, verify

__all__ = [
    "CHUNK_STATEMENT_BYTES_MAX",
    "FORM_OF",
    "JUDGED_BY_CONTRACT",
    "PROOF_HASHES_MAX",
    "STATEMENT_BYTES_MAX",
    "BrokenSequence",
    "Evidence",
    "FalsePart",
    "FalseVerdict",
    "Fault",
    "Offence",
    "SignedPair",
    "TraceEvidence",
    "TwoStatements",
    "UnknownEpoch",
    "WrongRanking",
    "accused_by",
    "breaks_sequence",
    "decode_evidence",
    "verify_evidence",
]

Evidence: TypeAlias = TwoStatements | BrokenSequence | WrongRanking | FalsePart | TraceEvidence | FalseVerdict
FORM_OF: dict[Fault, type[Evidence]] = {
    form.FAULT: form
    for form in (TwoStatements, BrokenSequence, WrongRanking, FalsePart, *TRACE_FORMS, FalseVerdict)
}


def decode_evidence(data: bytes) -> Evidence:
    """The evidence that `data` canonically encodes.

    :raises DecodeError: not canonical, an unknown fault, or of another shape.
    """
    items = cbor.decode(data)
    if not isinstance(items, tuple) or not items or not isinstance(items[0], int):
        message = "evidence is an array that begins with the number of a fault"
        raise DecodeError(message)
    try:
        form = FORM_OF[Fault(items[0])]
    except ValueError as error:
        message = f"unknown fault {items[0]}"
        raise DecodeError(message) from error
    evidence: Evidence = from_items(form, items[1:])
    return evidence


def accused_by(domain: Domain, evidence: Evidence) -> bytes:
    """The address, 20 bytes, of whom `evidence` accuses, if it proves anything: by one signature alone.

    :raises DecodeError: the statement in question does not decode.
    :raises SignatureError: its signature is malformed.
    """
    data = _accusing(evidence)
    envelope, message = read_envelope(data)
    return verify(domain, envelope, message, data).signer.address


def _accusing(evidence: Evidence) -> bytes:
    """The envelope of the statement that costs its signer the stake; of a pair, one of the two."""
    match evidence:
        case TwoStatements():
            return evidence.first
        case BrokenSequence():
            return evidence.later
        case WrongRanking():
            return evidence.announcement
        case FalseVerdict():
            return evidence.verdict
        case _:
            return evidence.commitment


def verify_evidence(domain: Domain, evidence: Evidence, epochs: Mapping[int, EpochView]) -> Offence:
    """The offence that `evidence` proves on the network `domain`.

    :param epochs: by number, as the chain tells them; only a wrong ranking needs one.
    :raises DecodeError: a statement does not decode, or is of another kind.
    :raises SignatureError: a signature is malformed.
    :raises UnknownEpoch: it cannot be judged without an epoch that is not in `epochs`.
    :raises InvalidMessage: it proves nothing; its reason says why.
    """
    match evidence:
        case TwoStatements():
            return verify_equivocation(domain, evidence)
        case BrokenSequence():
            return verify_broken_sequence(domain, evidence)
        case WrongRanking():
            return verify_wrong_ranking(domain, evidence, epochs)
        case FalsePart():
            return verify_false_part(domain, evidence)
        case FalseVerdict():
            return verify_false_verdict(domain, evidence)
        case _:
            return verify_trace_fault(domain, evidence)
