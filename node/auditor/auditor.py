"""The auditor: hears of work, and does what its engine says with streams, workers, files and clock.

Is: the I/O around `engine`, which decides everything about audits. It runs beside a miner, on its workers
and after its paid work, or as a role of its own.
Is not: the way to a miner and the check (`node/exchange`), or a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from node.auditor.actions import (
    Action,
    Ask,
    Check,
    Count,
    Drop,
    Judged,
    Note,
    Outcome,
    Publish,
    Subject,
    Unable,
    WantsMore,
    WorkId,
)
from node.auditor.engine import AuditorEngine
from node.auditor.journal import AuditJournal, JournalFailed
from node.exchange.accusing import evidence_of
from node.exchange.audit_asking import ASK_TIMEOUT_MS, OpenedAnswer, ask_miner
from node.exchange.audit_checking import Unchecked, check_answer
from node.exchange.openings import WINDOW_MS
from node.inference.jobs.audit_job import Audited
from node.inference.pool.pool import WorkerPool
from node.peer.peer import Peer
from node.system.clock import now_ms
from node.system.context import NodeContext
from protocol.audit import PLACED_REASONS, AuditReason
from protocol.bounded import Bounded
from protocol.errors import CuckooError, LocalError
from protocol.messages import ResultCommitment
from protocol.model_table import SchedulerRule
from protocol.rules import results, verdicts
from protocol.statement import Statement

TICK_S: Final = 0.5
"""From one look of the engine at the time to the next."""
ASKS_PER_MINER_MAX: Final = 25
"""Questions to one miner in one `WINDOW_MS`: less than half of what it answers, whatever its clock says."""
MINERS_MAX: Final = 1024
"""Miners whose questions are counted at a time."""
ASK_PARTS: Final = 8
"""A question takes at most so small a part of the time for audits, if that is less than `ASK_TIMEOUT_MS`."""

log = structlog.get_logger()


class TooOften(LocalError):
    """A question has to wait."""


@dataclass(frozen=True, slots=True)
class AuditorStatus:
    """How the auditor is.

    :ivar states: audits that are not over, by their state.
    :ivar counts: since the start; see `actions.Count`.
    :ivar held: answers in memory. :ivar accused: faults that were proved and gossiped.
    :ivar unproved: faults that an audit has found here and that do not prove themselves: nobody was accused.
    :ivar not_noted, damaged: of the file; see `JournalCounts`.
    :ivar paused: whether nothing is checked now; the miner is paused then.
    """

    states: Mapping[str, int]
    counts: Mapping[Count, int]
    held: int
    accused: int
    unproved: int
    not_noted: int
    damaged: int
    paused: bool


class Auditor:
    """One node's. Nothing in here decides about an audit."""

    def __init__(
        self, peer: Peer, workers: WorkerPool, journal: AuditJournal, may_check: Callable[[], bool]
    ) -> None:
        """
        :param workers: that check; their packages are those that can be audited here.
        :param may_check: whether the machine may be used for it now.
        :raises JournalFailed: what was written down cannot be read.
        """
        self._peer, self._workers, self._journal, self._may_check = peer, workers, journal, may_check
        noted = journal.noted()
        self._engine = AuditorEngine(
            peer.key.address, peer.view.audit_terms, self._can_check, self._looks_back, noted
        )
        self._noted = [note.subject for note in noted]
        self._asking: dict[WorkId, Ask] = {}
        self._held: dict[WorkId, OpenedAnswer] = {}
        self._paces: Bounded[bytes, tuple[int, int]] = Bounded(MINERS_MAX)
        self._accused = self._unproved = 0
        self._nursery: trio.Nursery

    async def run(self) -> None:
        """Audit until cancelled."""
        for subject in self._noted:
            # Heard and accepted before the restart; nobody says it again.
            self._peer.recall(subject.task, subject.commitment)
        async with trio.open_nursery() as self._nursery:
            self._peer.listen(results.TOPIC, self._hear)
            for commitment in list(self._peer.seen.commitments.values()):
                self._hear(commitment)
            while True:
                idle = self._may_check() and not self._workers.statistics().jobs_waiting
                self._act(self._engine.tick(self._peer.view, now_ms(), idle=idle))
                await trio.sleep(TICK_S)

    # Status

    def show(self, context: NodeContext) -> None:
        """Register what is to be seen of the audits."""
        context.observable.register("audits", self.status)

    def status(self) -> AuditorStatus:
        """For people and monitors."""
        engine, journal = self._engine.snapshot(), self._journal.counts
        return AuditorStatus(
            engine.states,
            engine.counts,
            held=len(self._held),
            accused=self._accused,
            unproved=self._unproved,
            not_noted=journal.failed,
            damaged=journal.damaged,
            paused=not self._may_check(),
        )

    # What the engine asks about, and hears

    def _can_check(self, model_id: bytes) -> bool:
        return model_id in self._workers.packages

    def _looks_back(self, model_id: bytes) -> bool:
        package = self._workers.packages.get(model_id)
        return package is not None and package.table.head.scheduler_rule == SchedulerRule.TWO_STEPS

    def _hear(self, commitment: Statement[ResultCommitment]) -> None:
        task = self._peer.seen.tasks.get(commitment.message.task_id)
        if task is not None:
            epoch = self._peer.view.epoch_of(task.message)
            self._act(self._engine.heard(task, commitment, epoch, now_ms()))

    # What the engine wants

    def _act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Ask():
                    self._asking[action.subject.id] = action
                    self._nursery.start_soon(self._ask, action)
                case Check():
                    self._nursery.start_soon(self._check, action)
                case Note():
                    self._note(action)
                case Publish():
                    self._nursery.start_soon(self._publish, action)
                case Drop(work_id=work_id, reason=reason):
                    log.info("audit over", task=work_id[0].hex(), miner=work_id[1].hex(), reason=reason)
                    self._asking.pop(work_id, None)
                    self._held.pop(work_id, None)
                    self._journal.drop(work_id)

    async def _ask(self, action: Ask) -> None:
        subject, peer = action.subject, self._peer
        answer, alone = None, False
        try:
            self._count_question(subject.id[1])
            timeout_ms = min(ASK_TIMEOUT_MS, peer.view.audit_terms.window_ms // ASK_PARTS)
            answer = await ask_miner(
                peer.host, peer.lookup, subject.task, subject.commitment, action.steps, timeout_ms
            )
        except CuckooError as error:
            # Whoever is connected to nobody, or fails at home, has not asked.
            alone = isinstance(error, LocalError) or not peer.host.connected_peers()
            log.info("audited miner did not open", task=subject.id[0].hex(), reason=str(error), ours=alone)
        except Exception:  # an answer is a stranger's: it ends this audit at most, and accuses nobody
            log.exception("a question failed by our fault", task=subject.id[0].hex())
            alone = True
        if self._asking.get(subject.id) is not action:
            return  # over meanwhile, or begun anew by other dice
        del self._asking[subject.id]
        if answer is None:
            self._act(self._engine.missed(subject.id, now_ms(), own_failure=alone))
        else:
            self._held[subject.id] = answer
            self._act(self._engine.opened(subject.id))

    def _count_question(self, miner: bytes) -> None:
        """:raises TooOften: another question would be refused now, and not by the miner's fault."""
        window = now_ms() // WINDOW_MS
        counted_in, asked = self._paces.get(miner, (window, 0))
        asked = asked + 1 if counted_in == window else 1
        if asked > ASKS_PER_MINER_MAX:
            raise TooOften("this miner was asked often enough for now")
        self._paces[miner] = (window, asked)

    async def _check(self, action: Check) -> None:
        subject = action.subject
        answer = self._held.get(subject.id)
        outcome: Outcome = Unable("what was opened is gone")
        if answer is not None:
            try:
                found = await check_answer(self._workers, answer, self._peer.key.address, action.drawing.dice)
                outcome = await self._outcome_of(subject, answer, found)
            except Unchecked as error:
                outcome = Unable(str(error))
            except Exception as error:  # likewise
                log.exception("a check failed by our fault", task=subject.id[0].hex())
                outcome = Unable(f"the check failed: {type(error).__name__}")
        if self._held.get(subject.id) is not answer:
            return  # begun anew by other dice, while this one waited for the workers
        self._held.pop(subject.id, None)
        if isinstance(outcome, Unable):
            log.warning("work not audited", task=subject.id[0].hex(), reason=outcome.reason)
        self._act(self._engine.checked(subject.id, outcome, now_ms()))

    async def _outcome_of(self, subject: Subject, answer: OpenedAnswer, found: Audited) -> Outcome:
        """The outcome of a check, in the engine's words; what a contract judges is proved first."""
        if found.to_open:
            return WantsMore(found.to_open)
        reason = AuditReason(found.reason)
        if reason in PLACED_REASONS:
            package = self._workers.packages[subject.task.message.model_id]
            try:
                evidence = await trio.to_thread.run_sync(
                    evidence_of, self._peer.domain, answer, package, reason, found.place[0]
                )
                self._peer.accuse(evidence)
            except (CuckooError, ValueError, LookupError) as error:
                # Ours, not the miner's: whoever says it would lose its stake for a false verdict.
                self._unproved += 1
                return Unable(f"a fault that was found does not prove itself: {error}")
            self._accused += 1
        if reason is not AuditReason.NONE:
            log.warning("fault found", task=subject.id[0].hex(), miner=subject.id[1].hex(),
                        reason=reason.name.lower(), place=found.place)  # fmt: skip
        # It hashes all of the answer, which may be tens of megabytes.
        bundle = await trio.to_thread.run_sync(lambda: answer.bundle)
        return Judged(reason, found.checked, found.worst_excess_ppb, found.place, bundle)

    def _note(self, note: Note) -> None:
        work_id = note.subject.id
        try:
            self._journal.note(note)
        except JournalFailed as error:
            log.warning("audit not written down", task=work_id[0].hex(), error=str(error))
            if note.verdict is not None:
                self._act(self._engine.not_noted(work_id, now_ms()))
            return
        if note.verdict is not None:
            self._act(self._engine.noted(work_id, now_ms()))

    async def _publish(self, action: Publish) -> None:
        subject = action.subject
        try:
            statement = self._peer.seal(action.verdict, subject.task.message)
            await self._peer.publish(verdicts.TOPIC, statement.encoded)
        except CuckooError as error:
            log.info("verdict not published", task=subject.id[0].hex(), reason=str(error))
            self._act(self._engine.not_published(subject.id, now_ms()))
        else:
            self._act(self._engine.published(subject.id))
