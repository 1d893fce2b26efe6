"""How a miner answers a verdict that finds a right number of its work false: with the number, to everybody.

Is: from the verdict to evidence against its auditor, out of the kept trace. Nobody has to be believed for it.
Is not: an answer to what networks alone can tell; nor needed by a miner for its own stake, which no such
verdict takes: it is the auditor's that the evidence costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
import trio

from node.exchange.accusing import refutation_of
from node.exchange.audit_asking import OpenedAnswer
from node.exchange.kept_work import KeptWork
from node.exchange.openings import OpenedTrace
from node.inference.traces.trace_file import TraceFile
from protocol.audit import Verdict
from protocol.errors import CuckooError, LocalError
from protocol.evidence.false_verdict import FORM_OF_REASON
from protocol.messages import TaskAnnouncement
from protocol.statement import open_statement
from protocol.trace import open_leaves

if TYPE_CHECKING:
    from node.exchange.work_records import WorkRecords
    from node.inference.packages.package import ModelPackage
    from node.inference.traces.trace_store import TraceStore
    from protocol.audit import AuditVerdict
    from protocol.evidence import Evidence, FalseVerdict
    from protocol.messages import ResultCommitment
    from protocol.statement import Domain, Statement

log = structlog.get_logger()


class NothingKept(LocalError):
    """The work that a verdict is on is not here any more."""


@dataclass(slots=True)
class DefenceCounts:
    """Verdicts that find a number of this miner's work false, by what became of them.

    :ivar refuted: the number was right, and everybody was shown that.
    :ivar unrefuted: it was not, or the work is gone.
    """

    refuted: int = 0
    unrefuted: int = 0


class Defence:
    """One miner's. :ivar counts: see `DefenceCounts`."""

    def __init__(
        self,
        address: bytes,
        domain: Domain,
        store: TraceStore,
        records: WorkRecords,
        packages: Mapping[bytes, ModelPackage],
        accuse: Callable[[Evidence], None],
        now_ms: Callable[[], int],
    ) -> None:
        """
        :param address: the miner's.
        :param accuse: keeps evidence and gossips it.
        """
        self.counts = DefenceCounts()
        self._address, self._domain, self._store, self._records = address, domain, store, records
        self._packages, self._accuse, self._now_ms = packages, accuse, now_ms

    def concerns(self, verdict: Statement[AuditVerdict]) -> bool:
        """Whether a verdict finds a number of this miner's work false."""
        message = verdict.message
        is_ours = message.miner == self._address and message.verdict == Verdict.FAULT
        return is_ours and message.reason in FORM_OF_REASON

    async def answer(self, verdict: Statement[AuditVerdict]) -> None:
        """Show to everybody that the number is right, if it is."""
        task_id = verdict.message.task_id
        try:
            task, commitment = self._signed(task_id)
            package = self._packages.get(task.message.model_id)
            if package is None:
                raise NothingKept("the work's model is not here any more")
            self._accuse(await trio.to_thread.run_sync(self._refute, task, commitment, package, verdict))
        except (CuckooError, ValueError, OSError) as error:
            self.counts.unrefuted += 1
            log.warning("an auditor finds this miner's work false", task=task_id.hex(), reason=str(error))
            return
        self.counts.refuted += 1
        auditor = "0x" + verdict.signer.address.hex()
        log.warning("an auditor's verdict is false, which is proved", task=task_id.hex(), auditor=auditor)

    def _signed(self, task_id: bytes) -> tuple[Statement[TaskAnnouncement], Statement[ResultCommitment]]:
        """:raises CuckooError: not kept any more, or damaged."""
        encoded = self._store.announcement_of(task_id, self._now_ms())
        commitment = self._records.commitment_of(task_id)
        if encoded is None or commitment is None:
            raise NothingKept("the work is not kept any more")
        return open_statement(self._domain, encoded, TaskAnnouncement), commitment

    def _refute(
        self,
        task: Statement[TaskAnnouncement],
        commitment: Statement[ResultCommitment],
        package: ModelPackage,
        verdict: Statement[AuditVerdict],
    ) -> FalseVerdict:
        """:raises CuckooError, ValueError, OSError: the verdict is right, or the trace is damaged."""
        answer = self._opened(task, commitment, verdict.message.place[0].step)
        return refutation_of(self._domain, answer, package, verdict)

    def _opened(
        self, task: Statement[TaskAnnouncement], commitment: Statement[ResultCommitment], step: int
    ) -> OpenedAnswer:
        """The kept work, a step of it open with those around it."""
        work = KeptWork.decode(self._store.work_of(task.digest))
        with TraceFile(self._store.path_of(task.digest)) as trace:
            asked = tuple(at for at in (step - 1, step, step + 1) if 0 <= at < len(trace.leaves))
            opening = open_leaves(task.digest, trace.leaves, trace.final_latent, asked, trace.source_latent)
            opened = OpenedTrace(
                leaves={place.index: place.leaf for place in opening.leaves},
                tensors={at: trace.tensors(at) for at in asked},
                final_latent=trace.final_latent,
                final=trace.final(),
                source=trace.source(),
                opening=opening,
            )
        return OpenedAnswer(task, commitment, work, opened)
