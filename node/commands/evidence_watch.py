"""New evidence in the folders of nodes as it comes, told in words and numbers and handed on to be reported.

Is: looking, telling each offence once, and some reports side by side; behind `cuckoo-slash watch`.
Is not: listening to gossip, which the nodes do that write those folders, or a report (`evidence_submission`).
A folder, and not the node's events: nothing is missed while this does not run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from contracts.errors import ChainError, ContractReverted
from node.commands.chain_access import Chain
from node.commands.contract_refusals import in_words
from node.commands.evidence_reports import is_settled, read_evidence, report_of
from node.commands.evidence_submission import Submission, submit_with_priority
from node.commands.evidence_words import describe, fault_words, outcome_words
from node.peer.evidence_store import FILES_MAX
from protocol.amounts import format_cai
from protocol.bounded import Bounded
from protocol.errors import CuckooError, LocalError
from protocol.evidence import Evidence, Offence
from protocol.statement import Domain

FOLDER: Final = "evidence"
"""In a node's data directory."""
LOOK_S: Final = 1.0
"""Between two looks at the folders."""
TOLD_MAX: Final = 8 * FILES_MAX
"""Offences that are remembered as told; of more than so many the oldest may be told again."""
REPORTS_MAX: Final = 16
"""Reports under way at a time: each asks the chain some times a second."""
RETRY_S: Final = 30.0
"""Between two attempts at a report, when the chain does not answer."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of evidence that verifies. :ivar file: its path."""

    file: Path
    domain: Domain
    evidence: Evidence
    offence: Offence

    def in_words(self) -> list[str]:
        """Its proof, a line and more."""
        offence = self.offence
        judge = "" if offence.slashable_by_contract else "; the contract cannot judge this, people can"
        head = f"{fault_words(offence.fault)} by 0x{offence.signer.hex()}{judge}"
        return [head, *(f"  {line}" for line in describe(self.evidence, offence)), f"  {self.file}"]


class Finder:
    """Finds new pieces in some folders. :ivar told: offences that were told, by fault and signer."""

    def __init__(self, data_dirs: Sequence[Path]) -> None:
        """:raises LocalError: there are none, or one of them is no folder, or a node's folder of evidence."""
        if not data_dirs:
            raise LocalError("name the data directories of nodes of yours")
        for data_dir in data_dirs:
            if not data_dir.is_dir():
                raise LocalError(f"{data_dir} is not a folder")
            whole = data_dir.resolve()
            if whole.name == FOLDER and not (whole / FOLDER).is_dir():
                raise LocalError(f"{data_dir} is a node's evidence; name its data directory, {whole.parent}")
        self._folders = [data_dir / FOLDER for data_dir in data_dirs]
        self._looked_at: dict[Path, int] = {}
        self.told: Bounded[tuple[int, bytes], None] = Bounded(TOLD_MAX)

    def look(self, refuse: Callable[[str], None]) -> list[Piece]:
        """The pieces that were not there before, by the name of their files; a folder may be missing.

        :param refuse: hears once of a file that is no evidence, or cannot be read.
        """
        now_here = dict(self._listed())
        new = [path for path, written_ns in now_here.items() if self._looked_at.get(path) != written_ns]
        self._looked_at = now_here
        pieces = []
        for path in new:
            try:
                domain, evidence, offence = read_evidence(path)
            except CuckooError as error:
                refuse(f"{path}: no evidence: {error}")
                continue
            if offence.key not in self.told:
                self.told[offence.key] = None
                pieces.append(Piece(path, domain, evidence, offence))
        return pieces

    def _listed(self) -> list[tuple[Path, int]]:
        """Files and the times of their writing, as many of each folder as a node keeps in it."""
        found = []
        for folder in self._folders:
            for path in sorted(folder.glob("*.json"))[:FILES_MAX]:
                with suppress(OSError):  # it has gone meanwhile
                    found.append((path, path.stat().st_mtime_ns))
        return found


async def watch(
    finder: Finder,
    tell: Callable[[str], None],
    report: Callable[[Piece], Awaitable[None]] | None = None,
    *,
    count: int | None = None,
    look_s: float = LOOK_S,
) -> None:
    """Tell of each offence once, what is there already first, and have it reported.

    :param report: reports a piece that the contract judges; what it raises of ours is told. It is called
        again after a `ChainError`, which is no answer.
    :param count: ends after so many offences, when their reports have ended; None: goes on until cancelled.
    """
    places = trio.CapacityLimiter(REPORTS_MAX)
    told = 0
    async with trio.open_nursery() as nursery:
        while count is None or told < count:
            # Thousands of signatures, at the first look.
            new = await trio.to_thread.run_sync(
                finder.look,
                tell,
                abandon_on_cancel=True,  # type: ignore[call-arg]  # its stubs are older
            )
            for piece in new if count is None else new[: count - told]:
                told += 1
                for line in piece.in_words():
                    tell(line)
                if report is not None and piece.offence.slashable_by_contract:
                    nursery.start_soon(_report, piece, report, tell, places)
            if count is None or told < count:
                await trio.sleep(look_s)


def reporting(chain: Chain, tell: Callable[[str], None]) -> Callable[[Piece], Awaitable[None]]:
    """Reports a piece on an open chain, so that nobody can take its reward, and claims."""

    async def report(piece: Piece) -> None:
        name = piece.file.name

        def tell_of(line: str) -> None:
            tell(f"{name}: {line}")

        to_send = report_of(chain.deployment, piece.domain, piece.evidence)
        if await is_settled(chain.clients, piece.offence):
            tell_of("reported, and its reward is paid")
            return
        reward_wei = await submit_with_priority(
            Submission(
                clients=chain.clients, reporter=chain.sender, report=to_send, file=piece.file, tell=tell_of
            ),
            lambda done: tell("\n".join(outcome_words(done))),
        )
        tell_of(f"paid to you: {format_cai(reward_wei)}")

    return report


async def _report(
    piece: Piece,
    report: Callable[[Piece], Awaitable[None]],
    tell: Callable[[str], None],
    places: trio.CapacityLimiter,
) -> None:
    async with places:
        while True:
            try:
                await report(piece)
            except ChainError as failure:
                tell(f"{piece.file.name}: the chain fails us; trying again: {failure}")
            except ContractReverted as refusal:
                tell(f"{piece.file.name}: {in_words(refusal.name, refusal.arguments)}")
                return
            except CuckooError as error:
                tell(f"{piece.file.name}: {error}")
                return
            else:
                return
            await trio.sleep(RETRY_S)
