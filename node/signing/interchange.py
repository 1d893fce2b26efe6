"""The guard's history as a JSON document, to move a key to another machine (the shape of EIP-3076).

Is: `to_document`, `from_document` and what they hold; integers are decimal strings, bytes `0x` hexadecimal.
Is not: the store (`history`). Move a history only while the node that wrote it is stopped, for good: two
nodes with one key contradict each other sooner or later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from protocol.errors import LocalError
from protocol.guard import NUMBERED_KINDS
from protocol.messages import Kind
from protocol.signature import ADDRESS_BYTES
from protocol.statement import BODY_BYTES_MAX

FORMAT = "cuckoo-guard"
FORMAT_VERSION = "2"
RECORDS_MAX = 1_000_000
"""Statements in a document; a guard holds a tenth of it at most for a key."""
SLOT_BYTES = 32
TIME_MS_MAX: Final = (1 << 63) - 1
NUMBER_MAX: Final = (1 << 128) - 1


class BadHistory(LocalError):
    """A document is no guard's history. Nothing was imported."""


@dataclass(frozen=True, slots=True)
class Record:
    """One signed statement.

    :ivar slot: 32 bytes. :ivar body: what was signed in it.
    :ivar announced_at_ms: of the task that it is about; 0 for a numbered kind. :ivar deadline_ms: likewise.
    """

    kind: Kind
    slot: bytes
    body: bytes
    announced_at_ms: int = 0
    deadline_ms: int = 0


@dataclass(frozen=True, slots=True)
class SignerHistory:
    """All that a guard knows of one key.

    :ivar signer: address, 20 bytes.
    :ivar made_at_ms: see `protocol.guard.Memory`; `horizon_ms` likewise.
    :ivar first_epoch: in which it may announce; None if that is not known yet.
    :ivar watermarks: of numbered kinds; those without one are left out.
    """

    signer: bytes
    made_at_ms: int = 0
    first_epoch: int | None = 0
    horizon_ms: int = 0
    watermarks: dict[Kind, int] = field(default_factory=dict)
    records: tuple[Record, ...] = ()


def to_document(histories: list[SignerHistory]) -> dict[str, Any]:
    """The document of what a guard knows, a signer after the other."""
    return {
        "metadata": {"interchange_format": FORMAT, "interchange_format_version": FORMAT_VERSION},
        "data": [
            {
                "signer": "0x" + history.signer.hex(),
                "made_at_ms": str(history.made_at_ms),
                "first_epoch": None if history.first_epoch is None else str(history.first_epoch),
                "horizon_ms": str(history.horizon_ms),
                "watermarks": {str(int(kind)): str(number) for kind, number in history.watermarks.items()},
                "signed_statements": [
                    {
                        "kind": str(int(record.kind)),
                        "slot": "0x" + record.slot.hex(),
                        "body": "0x" + record.body.hex(),
                        "announced_at_ms": str(record.announced_at_ms),
                        "deadline_ms": str(record.deadline_ms),
                    }
                    for record in history.records
                ],
            }
            for history in histories
        ],
    }


def from_document(document: object) -> list[SignerHistory]:
    """The histories in a document.

    :raises BadHistory: not such a document, it names a signer twice, or it has two bodies in one slot.
    """
    try:
        histories = _histories(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"not a guard's history: {type(error).__name__}: {error}"
        raise BadHistory(message) from error
    if len({history.signer for history in histories}) != len(histories):
        raise BadHistory("the history names a signer twice")
    for history in histories:
        bodies: dict[tuple[Kind, bytes], bytes] = {}
        for record in history.records:
            if bodies.setdefault((record.kind, record.slot), record.body) != record.body:
                message = f"the history itself equivocates, in slot {record.slot.hex()}"
                raise BadHistory(message)
    return histories


def _histories(document: Any) -> list[SignerHistory]:
    metadata = document["metadata"]
    if (metadata["interchange_format"], metadata["interchange_format_version"]) != (FORMAT, FORMAT_VERSION):
        message = "another format"
        raise ValueError(message)
    histories = [_history(entry) for entry in document["data"]]
    if sum(len(history.records) for history in histories) > RECORDS_MAX:
        message = f"more than {RECORDS_MAX} statements"
        raise ValueError(message)
    return histories


def _history(entry: Any) -> SignerHistory:
    first_epoch = entry["first_epoch"]
    return SignerHistory(
        signer=_bytes(entry["signer"], ADDRESS_BYTES, ADDRESS_BYTES),
        made_at_ms=_integer(entry["made_at_ms"]),
        first_epoch=None if first_epoch is None else _integer(first_epoch),
        horizon_ms=_integer(entry["horizon_ms"]),
        watermarks={
            _numbered_kind(kind): _integer(number, NUMBER_MAX) for kind, number in entry["watermarks"].items()
        },
        records=tuple(
            Record(
                kind=_kind(signed["kind"]),
                slot=_bytes(signed["slot"], SLOT_BYTES, SLOT_BYTES),
                body=_bytes(signed["body"], 1, BODY_BYTES_MAX),
                announced_at_ms=_integer(signed["announced_at_ms"]),
                deadline_ms=_integer(signed["deadline_ms"]),
            )
            for signed in entry["signed_statements"]
        ),
    )


def _integer(text: str, maximum: int = TIME_MS_MAX) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(maximum)) or int(text) > maximum:
        message = "an integer is not a decimal string within its bounds"
        raise ValueError(message)
    return int(text)


def _kind(text: str) -> Kind:
    kind = Kind(_integer(text))
    if not kind.slashable:
        message = f"kind {text} is not guarded"
        raise ValueError(message)
    return kind


def _numbered_kind(text: str) -> Kind:
    kind = _kind(text)
    if kind not in NUMBERED_KINDS:
        message = f"kind {text} has no numbers"
        raise ValueError(message)
    return kind


def _bytes(text: str, minimum: int, maximum: int) -> bytes:
    data = bytes.fromhex(text.removeprefix("0x"))
    if "0x" + data.hex() != text.lower() or not minimum <= len(data) <= maximum:
        message = "not a hexadecimal string of the right length"
        raise ValueError(message)
    return data
