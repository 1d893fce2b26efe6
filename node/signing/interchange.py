"""The guard's history as a JSON document, to move a key to another machine (the shape of EIP-3076).

Is: `to_document`, `from_document` and what they hold; integers are decimal strings, bytes `0x` hexadecimal.
Is not: the store (`guard`). Move a history only while the node that wrote it is stopped, for good: two nodes
with one key contradict each other sooner or later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocol.errors import LocalError
from protocol.messages import Kind
from protocol.signature import ADDRESS_BYTES
from protocol.statement import BODY_BYTES_MAX

FORMAT = "cuckoo-guard"
FORMAT_VERSION = "1"
RECORDS_MAX = 10_000_000
SLOT_BYTES = 32


class BadHistory(LocalError):
    """A document is no guard's history. Nothing was imported."""


@dataclass(frozen=True, slots=True)
class Record:
    """One signed statement. :ivar slot: 32 bytes. :ivar body: what was signed in it."""

    signer: bytes
    kind: Kind
    slot: bytes
    body: bytes


def to_document(records: list[Record]) -> dict[str, Any]:
    """The document of `records`, by signer."""
    data: dict[str, list[dict[str, str]]] = {}
    for record in records:
        data.setdefault("0x" + record.signer.hex(), []).append(
            {
                "kind": str(int(record.kind)),
                "slot": "0x" + record.slot.hex(),
                "body": "0x" + record.body.hex(),
            }
        )
    return {
        "metadata": {"interchange_format": FORMAT, "interchange_format_version": FORMAT_VERSION},
        "data": [{"signer": signer, "signed_statements": signed} for signer, signed in data.items()],
    }


def from_document(document: object) -> list[Record]:
    """The records in a document.

    :raises BadHistory: not such a document, or it has two bodies in one slot.
    """
    try:
        records = _records(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"not a guard's history: {type(error).__name__}: {error}"
        raise BadHistory(message) from error
    bodies: dict[tuple[bytes, Kind, bytes], bytes] = {}
    for record in records:
        if bodies.setdefault((record.signer, record.kind, record.slot), record.body) != record.body:
            message = f"the history itself equivocates, in slot {record.slot.hex()}"
            raise BadHistory(message)
    return records


def _records(document: Any) -> list[Record]:
    metadata = document["metadata"]
    if (metadata["interchange_format"], metadata["interchange_format_version"]) != (FORMAT, FORMAT_VERSION):
        message = "another format"
        raise ValueError(message)
    records = [
        Record(
            signer=_bytes(entry["signer"], ADDRESS_BYTES, ADDRESS_BYTES),
            kind=_kind(signed["kind"]),
            slot=_bytes(signed["slot"], SLOT_BYTES, SLOT_BYTES),
            body=_bytes(signed["body"], 1, BODY_BYTES_MAX),
        )
        for entry in document["data"]
        for signed in entry["signed_statements"]
    ]
    if len(records) > RECORDS_MAX:
        message = f"more than {RECORDS_MAX} statements"
        raise ValueError(message)
    return records


def _kind(text: str) -> Kind:
    if not (text.isascii() and text.isdecimal()):
        message = "a kind is not a decimal string"
        raise ValueError(message)
    kind = Kind(int(text))
    if not kind.slashable:
        message = f"kind {text} is not guarded"
        raise ValueError(message)
    return kind


def _bytes(text: str, minimum: int, maximum: int) -> bytes:
    data = bytes.fromhex(text.removeprefix("0x"))
    if "0x" + data.hex() != text.lower() or not minimum <= len(data) <= maximum:
        message = "not a hexadecimal string of the right length"
        raise ValueError(message)
    return data
