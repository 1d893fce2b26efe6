"""Statements in our own name that come from elsewhere: from gossip, or out of evidence.

Is: the check of each against the guard, and the halt when the guard should know it and does not: then our key
signs elsewhere, or this guard is an old copy, and every further signature could cost the stake.
Is not: a switch for strangers. What the guard has signed, and what lies where it signs nothing any more, can
be replayed by anybody and halts nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
import trio

from node.signing.guard import Guard
from node.signing.unknown_statement import UNKNOWN_FILE, UnknownStatement, keep_unknown, way_back
from protocol.errors import MustStop, ProtocolError
from protocol.evidence import BrokenSequence, Evidence, FalsePart, FalseVerdict, TwoStatements, WrongRanking
from protocol.guard import NUMBERED_KINDS, Heard, TaskTimes
from protocol.messages import TaskAnnouncement
from protocol.statement import Domain, Statement, read_envelope, unsigned, verify

log = structlog.get_logger()


@dataclass(slots=True)
class OwnStatementsStatus:
    """Counts since the start.

    :ivar known: signed by this guard. :ivar forgotten: from where it signs nothing.
    """

    known: int = 0
    forgotten: int = 0


class OwnStatements:
    """The statements that are heard in the name of one key."""

    def __init__(
        self,
        address: bytes,
        domain: Domain,
        guard: Guard,
        tasks: Mapping[bytes, Statement[TaskAnnouncement]],
        data_dir: Path,
    ) -> None:
        """:param tasks: announcements that this node knows, by id; read as they are now."""
        self._address = address
        self._domain = domain
        self._guard = guard
        self._tasks = tasks
        self._data_dir = data_dir
        self._status = OwnStatementsStatus()
        self._reason: str | None = None
        self._halted = trio.Event()

    @property
    def reason(self) -> str | None:
        """Why nothing may be signed any more; None if it may."""
        return self._reason

    def status(self) -> OwnStatementsStatus:
        """For people and monitors."""
        return self._status

    def hear(self, encoded: bytes) -> None:
        """Look at a statement that has passed its rule. Synchronous: nothing is signed before it has ended.

        :raises MustNotSign: the guard failed.
        """
        try:
            envelope, message = read_envelope(encoded)
            statement = verify(self._domain, envelope, message, encoded)
        except ProtocolError:
            return  # a part of evidence that is not a statement
        if (
            statement.signer.address != self._address
            or not statement.kind.slashable
            or self._reason is not None
        ):
            return
        task = None if statement.kind in NUMBERED_KINDS else self._tasks.get(message.slot())
        times = None if task is None else TaskTimes.of(task.message)
        match self._guard.judge_heard(unsigned(self._domain, message), times):
            case Heard.OURS:
                self._status.known += 1
            case Heard.FORGOTTEN:
                self._status.forgotten += 1
            case Heard.FOREIGN:
                self._halt(
                    UnknownStatement(self._domain, self._address, encoded, task.encoded if task else b"")
                )

    def hear_evidence(self, evidence: Evidence) -> None:
        """Look at the statements in evidence.

        :raises MustNotSign: the guard failed.
        """
        for encoded in _statements_of(evidence):
            self.hear(encoded)

    async def halt_when_foreign(self) -> None:
        """Wait for ever, or until a statement was heard that our guard does not know.

        :raises MustStop: it was.
        """
        await self._halted.wait()
        raise MustStop(self._reason or "")

    def _halt(self, unknown: UnknownStatement) -> None:
        path = self._data_dir / UNKNOWN_FILE
        try:
            keep_unknown(self._data_dir, unknown)
        except OSError as error:
            log.warning("the unknown statement could not be kept", error=str(error))
        self._reason = way_back(path)
        self._halted.set()


def _statements_of(evidence: Evidence) -> tuple[bytes, ...]:
    match evidence:
        case TwoStatements(first, second):
            return first, second
        case BrokenSequence(earlier, later):
            return earlier, later
        case WrongRanking(announcement):
            return (announcement,)
        case FalsePart(chunk, commitment):
            return chunk, commitment
        case FalseVerdict(verdict):
            return (verdict,)
        case _:
            return (evidence.commitment,)
