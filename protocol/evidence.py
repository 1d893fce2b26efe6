"""Evidence of equivocation: two signed statements that one honest signer cannot both have made.

Is: the pair, its check (`verify_evidence`, the same that the Slashing contract does, plus that slots follow
from bodies) and its form as a JSON document, so that a person can keep, read and send it.
Is not: other faults, or sending it to the chain (`contracts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from protocol.errors import DecodeError, InvalidMessage
from protocol.hashing import keccak256
from protocol.messages import Kind
from protocol.schema import Bytes, Encoded
from protocol.signature import ADDRESS_BYTES
from protocol.statement import Domain, read_envelope, verify

STATEMENT_BYTES_MAX = 30 * 1024
"""Longest statement in evidence, so that a pair fits into one gossip message."""
DOCUMENT_FORMAT = "cuckoo-evidence/1"

StatementBytes = Annotated[bytes, Bytes(1, STATEMENT_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class Evidence(Encoded):
    """Two envelopes of one signer with equal (kind, slot) and different bodies.

    Made by `pair`, which orders them, so that everybody who hears both makes the same evidence.

    :ivar first: an envelope.
    :ivar second: another envelope, the greater of the two.
    """

    first: StatementBytes
    second: StatementBytes

    @classmethod
    def pair(cls, one: bytes, other: bytes) -> Evidence:
        """Evidence of two envelopes, the lesser bytes first."""
        return cls(*sorted((one, other)))


@dataclass(frozen=True, slots=True)
class Offence:
    """What verified evidence proves: exactly the arguments of ``Slashing.equivocation`` and the culprit.

    :ivar signer: 20 bytes, who signed both.
    :ivar kind: of both statements.
    :ivar slot: 32 bytes, of both.
    :ivar first_body_hash: 32 bytes.
    :ivar first_signature: 65 bytes.
    :ivar second_body_hash: 32 bytes.
    :ivar second_signature: 65 bytes.
    """

    signer: bytes
    kind: Kind
    slot: bytes
    first_body_hash: bytes
    first_signature: bytes
    second_body_hash: bytes
    second_signature: bytes


def verify_evidence(domain: Domain, evidence: Evidence) -> Offence:
    """What `evidence` proves on the network `domain`.

    :raises DecodeError: a statement does not decode.
    :raises SignatureError: a signature is malformed.
    :raises InvalidMessage: the two do not contradict each other; its reason says why.
    """
    (first, first_message), (second, second_message) = map(read_envelope, (evidence.first, evidence.second))
    if first.kind != second.kind:
        raise InvalidMessage("the statements are of different kinds")
    if not Kind(first.kind).slashable:
        raise InvalidMessage("statements of this kind are not slashable")
    if first_message.slot() != second_message.slot():
        raise InvalidMessage("the statements take different slots")
    if first.body == second.body:
        raise InvalidMessage("the statements say the same")
    signer = verify(domain, first, first_message, evidence.first).signer
    if signer != verify(domain, second, second_message, evidence.second).signer:
        raise InvalidMessage("the statements have different signers")
    return Offence(
        signer=signer.address,
        kind=Kind(first.kind),
        slot=first_message.slot(),
        first_body_hash=keccak256(first.body),
        first_signature=first.signature,
        second_body_hash=keccak256(second.body),
        second_signature=second.signature,
    )


def to_document(domain: Domain, evidence: Evidence) -> dict[str, Any]:
    """JSON document of evidence that verifies; carries all that checking it offline needs.

    :raises ProtocolError: the evidence does not verify.
    """
    offence = verify_evidence(domain, evidence)
    return {
        "format": DOCUMENT_FORMAT,
        "offence": "equivocation",
        "chain_id": domain.chain_id,
        "slashing_contract": _to_hex(domain.verifying_contract),
        "signer": _to_hex(offence.signer),
        "kind": int(offence.kind),
        "kind_name": offence.kind.name.lower(),
        "slot": _to_hex(offence.slot),
        "first_statement": _to_hex(evidence.first),
        "second_statement": _to_hex(evidence.second),
    }


def from_document(document: object) -> tuple[Domain, Evidence]:
    """Domain and evidence in a JSON document; what they prove is for `verify_evidence` to say.

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
    first = _from_hex(document, "first_statement", STATEMENT_BYTES_MAX)
    second = _from_hex(document, "second_statement", STATEMENT_BYTES_MAX)
    if len(contract) != ADDRESS_BYTES:
        message = "slashing_contract is not an address"
        raise DecodeError(message)
    return Domain(chain_id, contract), Evidence.pair(first, second)


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
