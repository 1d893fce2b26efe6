"""Evidence on disk: one JSON file for each fault of a signer, kept until somebody sends it to the chain.

Is: a folder with two limits. The file's name says who and what; `cuckoo-slash` reads it. What the contract
can judge comes first: for it, what only people can judge makes room.
Is not: the check (what comes here has been verified), or quick: `evidence_desk` calls it from a thread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from node.system.files import write_private
from protocol.draw import EpochView
from protocol.evidence import JUDGED_BY_CONTRACT, Evidence, Fault, Offence
from protocol.evidence_document import DOCUMENT_BYTES_MAX, to_document
from protocol.statement import Domain

FILES_MAX: Final = 1_000
"""Most files kept; further offences are still gossiped, so others keep them."""
FOLDER_BYTES_MAX: Final = 128 << 20
"""Longest that all files are together: a thousand of the longest that the contract can judge fit."""

_NAME = re.compile(rf"({'|'.join(fault.name.lower() for fault in Fault)})-([0-9a-f]{{40}})\.json")

OffenceKey: TypeAlias = tuple[int, bytes]
"""`protocol.evidence.Offence.key`: the fault and its signer."""


@dataclass(frozen=True, slots=True)
class FolderState:
    """:ivar files: in the folder. :ivar slashable: of these, that the contract can judge.
    :ivar size_bytes: of all files. :ivar evicted: since the start, to make room for what can be slashed.
    :ivar turned_away: since the start, because there was no room.
    """

    files: int
    slashable: int
    size_bytes: int
    evicted: int
    turned_away: int


class EvidenceStore:
    """The folder of one node."""

    def __init__(self, folder: Path, domain: Domain) -> None:
        """:raises OSError: the folder cannot be read."""
        self._folder = folder
        self._domain = domain
        found = ((path.stat(), _key_of(path.name)) for path in folder.glob("*.json"))
        kept = sorted((stat.st_mtime_ns, key, stat.st_size) for stat, key in found if key is not None)
        self._sizes: dict[OffenceKey, int] = {key: size for _, key, size in kept}
        """Of each file, bytes; the oldest first."""
        self._evicted = 0
        self._turned_away = 0

    def holds(self, key: OffenceKey) -> bool:
        """Whether there is a file of this fault of this signer."""
        return key in self._sizes

    def add(self, evidence: Evidence, offence: Offence, epochs: Mapping[int, EpochView]) -> Path | None:
        """Write verified evidence to its file.

        :param offence: what it proves.
        :param epochs: that judging it may need.
        :returns: the new file; None when there is one of this fault of this signer, or no room.
        :raises ProtocolError: the evidence does not verify.
        :raises OSError: the folder cannot be written.
        """
        if offence.key in self._sizes:
            return None
        content = to_bytes(to_document(self._domain, evidence, epochs))
        if not self._make_room(len(content), offence):
            self._turned_away += 1
            return None
        path = self.path_of(offence.key)
        write_private(path, content)
        self._sizes[offence.key] = len(content)
        return path

    def path_of(self, key: OffenceKey) -> Path:
        """The file of a fault of a signer, whether it is there or not."""
        fault, signer = key
        return self._folder / f"{Fault(fault).name.lower()}-{signer.hex()}.json"

    def state(self) -> FolderState:
        """For people and monitors."""
        # A copy, since the thread that writes may change it meanwhile.
        sizes = dict(self._sizes)
        slashable = sum(fault in JUDGED_BY_CONTRACT for fault, _ in sizes)
        return FolderState(len(sizes), slashable, sum(sizes.values()), self._evicted, self._turned_away)

    def files(self) -> list[Path]:
        """All evidence files, by name."""
        return sorted(map(self.path_of, self._sizes))

    def _make_room(self, size_bytes: int, offence: Offence) -> bool:
        """Whether a file fits, after evicting what the contract cannot judge for one that it can."""
        if size_bytes > DOCUMENT_BYTES_MAX:
            return False  # `cuckoo-slash` would not read it
        while not self._fits(size_bytes):
            oldest = next((key for key in self._sizes if key[0] not in JUDGED_BY_CONTRACT), None)
            if not offence.slashable_by_contract or oldest is None:
                return False
            self.path_of(oldest).unlink(missing_ok=True)
            del self._sizes[oldest]
            self._evicted += 1
        return True

    def _fits(self, size_bytes: int) -> bool:
        return len(self._sizes) < FILES_MAX and sum(self._sizes.values()) + size_bytes <= FOLDER_BYTES_MAX


def to_bytes(document: dict[str, Any]) -> bytes:
    """A document as it stands in a file."""
    return json.dumps(document, indent=2).encode() + b"\n"


def _key_of(name: str) -> OffenceKey | None:
    """The fault and the signer that a file's name says; None for a file that is not ours."""
    match = _NAME.fullmatch(name)
    return None if match is None else (int(Fault[match[1].upper()]), bytes.fromhex(match[2]))
