"""A statement with our signature that our guard does not know: kept in a file until a person has looked.

Is: the file, what it holds, and its check. While it lies in a node's data directory the node does not start.
Is not: the decision that a statement is unknown (`protocol/guard`), nor its adoption (`history`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.system.files import write_private
from protocol.errors import LocalError, MustStop
from protocol.guard import TaskTimes
from protocol.messages import TaskAnnouncement
from protocol.signature import ADDRESS_BYTES
from protocol.statement import Domain, Unsigned, open_statement, read_envelope, unsigned, verify

UNKNOWN_FILE: Final = "unknown-statement.json"
"""In a node's data directory."""
FILE_BYTES_MAX: Final = 2 << 20
"""Two envelopes in hexadecimal."""


class NoUnknownStatement(LocalError):
    """A file holds no statement by a node's key."""


@dataclass(frozen=True, slots=True)
class UnknownStatement:
    """The statement that was heard.

    :ivar domain: of the network. :ivar signer: address, 20 bytes.
    :ivar statement: its envelope.
    :ivar task: envelope of the announcement that it is about; empty without one.
    """

    domain: Domain
    signer: bytes
    statement: bytes
    task: bytes

    def opened(self) -> tuple[Unsigned, TaskTimes | None]:
        """The statement, and the times of its task.

        :raises ProtocolError: not statements, or the signer has not signed this one.
        """
        envelope, message = read_envelope(self.statement)
        if verify(self.domain, envelope, message, self.statement).signer.address != self.signer:
            raise NoUnknownStatement("the statement is not signed by the key that is named")
        task = open_statement(self.domain, self.task, TaskAnnouncement) if self.task else None
        if task is not None and task.digest != message.slot():
            raise NoUnknownStatement("the statement is about another task")
        return unsigned(self.domain, message), None if task is None else TaskTimes.of(task.message)


def keep_unknown(folder: Path, unknown: UnknownStatement) -> Path:
    """Write the file into a data directory.

    :raises OSError: it cannot be written.
    """
    document = {
        "chain_id": unknown.domain.chain_id,
        "verifying_contract": "0x" + unknown.domain.verifying_contract.hex(),
        "signer": "0x" + unknown.signer.hex(),
        "statement": "0x" + unknown.statement.hex(),
        "task": "0x" + unknown.task.hex(),
    }
    path = folder / UNKNOWN_FILE
    write_private(path, json.dumps(document, indent=2).encode() + b"\n")
    return path


def read_unknown(path: Path) -> UnknownStatement:
    """Read such a file; its signature is checked by `UnknownStatement.opened`.

    :raises NoUnknownStatement: it cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise NoUnknownStatement(f"{path} is longer than {FILE_BYTES_MAX} bytes")
        return _read(json.loads(path.read_bytes()))
    except OSError as error:
        raise NoUnknownStatement(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoUnknownStatement(f"{path} holds no statement that a node has heard") from error


def _read(document: Any) -> UnknownStatement:
    signer = _bytes(document["signer"])
    if len(signer) != ADDRESS_BYTES or type(document["chain_id"]) is not int:
        raise ValueError("an address has 20 bytes, and a chain's number is one")
    domain = Domain(document["chain_id"], _bytes(document["verifying_contract"]))
    return UnknownStatement(domain, signer, _bytes(document["statement"]), _bytes(document["task"]))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def require_none_unknown(folder: Path) -> None:
    """:raises MustStop: this node has heard a statement of its key that its guard does not know."""
    path = folder / UNKNOWN_FILE
    if path.exists():
        raise MustStop(way_back(path))


def way_back(path: Path) -> str:
    """The words for the operator, whose node has kept such a statement at `path`."""
    return (
        f"{path}: this node's key has signed a statement that this node's guard does not know, so the key "
        "is or was in use elsewhere, or the guard is an old copy. Find that other node and stop it. When "
        f"no other node runs with this key: cuckoo-peer guard adopt {path}"
    )
