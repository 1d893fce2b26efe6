"""The file beside the evidence that a reporter needs between its commitment and its reward.

Is: who reports and the salt; all else stands on the chain, so an interrupted report goes on from there.
Is not: evidence; a node takes no notice of it.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.system.files import write_private
from protocol.errors import LocalError

REPORT_FORMAT: Final = "cuckoo-report/1"
SALT_BYTES: Final = 32
REPORT_FILE_BYTES_MAX: Final = 1024
NOT_A_REPORT: Final = "is not the file of a report; without it a commitment that was sent cannot be used"


class ReportFileUnusable(LocalError):
    """The file of a report that was begun is broken, or of another account."""


@dataclass(frozen=True, slots=True)
class BegunReport:
    """:ivar reporter: 20 bytes. :ivar salt: 32 random bytes, of the commitment."""

    reporter: bytes
    salt: bytes


def report_path(evidence: Path) -> Path:
    """The file of the report of an evidence file."""
    return evidence.with_name(evidence.name + ".report")


def begin_report(evidence: Path, reporter: bytes) -> BegunReport:
    """Draw a salt and keep it: before the commitment is sent, or a crash leaves one that nobody can show.

    :raises LocalError: the file cannot be written.
    """
    begun = BegunReport(reporter, secrets.token_bytes(SALT_BYTES))
    document = {"format": REPORT_FORMAT, "reporter": reporter.hex(), "salt": begun.salt.hex()}
    path = report_path(evidence)
    try:
        write_private(path, json.dumps(document, indent=2).encode() + b"\n")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise LocalError(message) from error
    return begun


def begun_report(evidence: Path, reporter: bytes) -> BegunReport | None:
    """The report that was begun for this evidence; None if there is none.

    :raises ReportFileUnusable: it cannot be read, or another account has begun it.
    """
    path = report_path(evidence)
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(REPORT_FILE_BYTES_MAX))
        begun = BegunReport(bytes.fromhex(document["reporter"]), bytes.fromhex(document["salt"]))
        is_ours = (document["format"], len(begun.salt)) == (REPORT_FORMAT, SALT_BYTES)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ReportFileUnusable(f"{path} {NOT_A_REPORT}") from error
    if not is_ours:
        raise ReportFileUnusable(f"{path} {NOT_A_REPORT}")
    if begun.reporter != reporter:
        message = (
            f"{path}: 0x{begun.reporter.hex()} has begun to report this; use its key, or remove the file"
        )
        raise ReportFileUnusable(message)
    return begun


def end_report(evidence: Path) -> None:
    """Forget a report that was paid, or lost."""
    report_path(evidence).unlink(missing_ok=True)
