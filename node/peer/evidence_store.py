"""Evidence on disk: one JSON file an offence, kept until a person or the reporter sends it to the chain.

Is: a folder with a limit. The file's name says who and what; `cuckoo-slash` reads it.
Is not: the check; what comes here has been verified.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.system.files import write_private
from protocol.draw import EpochView
from protocol.evidence import Evidence, verify_evidence
from protocol.evidence_document import to_document
from protocol.statement import Domain

FILES_MAX = 1_000
"""Most files kept; further offences are still gossiped, so others keep them."""


@dataclass(frozen=True, slots=True)
class EvidenceStatus:
    """:ivar files: in the folder, as of the last one that was written, or of the start."""

    files: int


class EvidenceStore:
    """The folder of one node."""

    def __init__(self, folder: Path, domain: Domain) -> None:
        self._folder = folder
        self._domain = domain
        self._count = len(self.files())

    def add(self, evidence: Evidence, epochs: Mapping[int, EpochView]) -> Path | None:
        """Write verified evidence to its file.

        :param epochs: that judging it may need.
        :returns: the new file; None when this offence has a file already or the folder is full.
        :raises ProtocolError: the evidence does not verify.
        :raises OSError: the folder cannot be written.
        """
        offence = verify_evidence(self._domain, evidence, epochs)
        what = f"{offence.fault.name.lower()}-{offence.kind.name.lower()}"
        name = f"{what}-{offence.signer.hex()}-{offence.slot.hex()[-16:]}.json"
        path = self._folder / name
        if path.exists() or len(self.files()) >= FILES_MAX:
            return None
        write_private(
            path, json.dumps(to_document(self._domain, evidence, epochs), indent=2).encode() + b"\n"
        )
        self._count = len(self.files())
        return path

    def status(self) -> EvidenceStatus:
        """For people and monitors."""
        return EvidenceStatus(self._count)

    def files(self) -> list[Path]:
        """All evidence files, by name."""
        return sorted(self._folder.glob("*.json"))
