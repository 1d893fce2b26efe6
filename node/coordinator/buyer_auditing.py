"""The hands of the buyer's own audits: miners are asked, their work is checked, and who lied is accused.

Is: one check at a time in an inference process that is started for it, goes last on its machine and ends when
nothing is left to check; and the act `audit`, by which the operator has one task checked.
Is not: which work is checked (`buyer_audits`), how it is asked for and checked (`node/exchange`).
"""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from node.coordinator.buyer_audits import BuyerAudits, Check, Finding, Why, in_words
from node.coordinator.verdict_pay import VerdictPay
from node.exchange.accusing import evidence_of
from node.exchange.audit_asking import OpenedAnswer
from node.exchange.audit_checking import audit_once
from node.inference.jobs.audit_job import Audited
from node.inference.packages import package
from node.inference.packages.errors import PackageError
from node.inference.packages.package import ModelPackage
from node.inference.pool.pool import WorkerPool, open_pool
from node.inference.pool.process import NICENESS_MAX, LocalWorkers, Machine
from node.peer.peer import Peer
from node.system.clock import steady_ms
from node.system.events import TaskAudited
from p2p.wakeups import Signal
from protocol.audit import PLACED_REASONS, AuditReason, AuditVerdict
from protocol.errors import CuckooError, LocalError, ProtocolError, Refusal
from protocol.receipt import Receipt
from protocol.statement import Statement

IDLE_S: Final = 60.0
"""Without work for so long, the inference process ends: its memory is others' again."""
LOOK_S: Final = 1.0
"""Between two looks whether a check is due."""
ARRIVED_MAX: Final = 256
"""Deliveries and verdicts between two looks; beyond, the oldest is not looked at."""
AUDIT_TIMEOUT_MS: Final = 300_000
"""How long the operator's wish may take: an inference process starts, and a miner is asked twice."""
WISHES_MAX: Final = 4
"""Checks that the operator waits for."""

log = structlog.get_logger()


class NotAudited(Refusal):
    """A task cannot be audited here; the reason says why."""


@dataclass(frozen=True, slots=True)
class AuditTask:
    """The argument of the act `audit`. :ivar task: id in hexadecimal."""

    task: str


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a check.

    :ivar finding: a `Finding`. :ivar words: the same for people.
    :ivar worst_excess_ppb: as of a verdict; 0 where nothing was checked.
    :ivar accused: whether evidence for the contract was made and gossiped.
    """

    task_id: bytes
    miner: bytes
    steps: tuple[int, ...]
    finding: str
    words: str
    worst_excess_ppb: int = 0
    accused: bool = False


@dataclass(slots=True)
class _Wish:
    check: Check
    done: trio.Event
    report: Report | None = None


def checkable(folders: Iterable[Path]) -> list[ModelPackage]:
    """The packages whose work can be checked on this machine: none without the extra `miner`.

    :raises PackageError: a folder is not a package.
    """
    if importlib.util.find_spec("torch") is None:
        return []
    return [package.load(folder) for folder in folders]


class BuyerAuditor:
    """One coordinator's."""

    def __init__(
        self,
        peer: Peer,
        audits: BuyerAudits,
        packages: dict[bytes, ModelPackage],
        receipt_of: Callable[[bytes], Receipt | None],
        pay: VerdictPay,
    ) -> None:
        """
        :param packages: whose work can be checked here, by id; one that is damaged is taken out.
        :param receipt_of: the receipt of a delivered task, by id, while it is kept.
        """
        self._peer, self._audits, self._receipt_of = peer, audits, receipt_of
        self._packages, self._sound, self._pay = packages, False, pay
        self._arrived: deque[Receipt | Statement[AuditVerdict]] = deque(maxlen=ARRIVED_MAX)
        self._wishes: deque[_Wish] = deque()
        self._changed = Signal()

    def delivered(self, receipt: Receipt) -> None:
        """A task was delivered. Synchronous; its commitment may not be gossiped yet."""
        self._arrived.append(receipt)

    def heard(self, verdict: Statement[AuditVerdict]) -> None:
        """A drawn auditor has said something of a task of ours. Synchronous."""
        self._arrived.append(verdict)

    async def audit(self, wished: AuditTask) -> Report:
        """Check one delivered task because its operator wants it.

        :raises NotAudited: it is not kept, its model is not here, or too many are waited for.
        """
        receipt = self._receipt_of(_bytes_of(wished.task))
        if receipt is None:
            raise NotAudited("no delivered task of that id is kept")
        if receipt.announcement.message.model_id not in self._packages:
            raise NotAudited("its model, or the extra `miner` that runs it, is not on this machine")
        if len(self._wishes) >= WISHES_MAX:
            raise NotAudited("as many audits are waited for as this node makes at a time")
        check = self._audits.check_of(receipt.announcement, receipt.commitment, Why.WISH)
        wish = _Wish(check, trio.Event())
        self._wishes.append(wish)
        self._changed.notify()
        try:
            await wish.done.wait()
        finally:
            if wish in self._wishes:
                self._wishes.remove(wish)
        assert wish.report is not None
        return wish.report

    async def run(self) -> None:
        """Check what is due and what is wished for, until cancelled."""
        while True:
            first = await self._take()
            await self._look_at_packages()
            if not self._packages:
                self._end(first, Finding.UNCHECKED, "every package here is damaged")
                continue
            machine = Machine(niceness=NICENESS_MAX)
            async with open_pool(list(self._packages.values()), LocalWorkers(machine)) as pool:
                await self._serve(pool, first)

    async def _look_at_packages(self) -> None:
        """Before the first check: by weights that have gone bad, honest work would look false."""
        if self._sound:
            return
        for item in list(self._packages.values()):
            try:
                await trio.to_thread.run_sync(package.verify, item)
            except (PackageError, OSError) as error:
                log.warning("a damaged package audits nothing", model=item.name, error=str(error))
                del self._packages[item.model_id]
        self._sound = True

    async def _serve(self, pool: WorkerPool, wanted: Check | _Wish | None) -> None:
        """Check one after the other, until nothing has been wanted for `IDLE_S`."""
        while wanted is not None:
            check = wanted.check if isinstance(wanted, _Wish) else wanted
            self._end(wanted, *await self._check(pool, check))
            wanted = None
            with trio.move_on_after(IDLE_S):
                wanted = await self._take()

    def _end(
        self,
        wanted: Check | _Wish,
        finding: Finding,
        detail: str,
        worst_ppb: int = 0,
        accused: bool = False,
    ) -> None:
        """Draw the consequences, and tell whoever waits."""
        check = wanted.check if isinstance(wanted, _Wish) else wanted
        task_id, miner, words = check.task.digest, check.miner, in_words(check, finding, detail)
        log.info("audited as the buyer", task=task_id.hex(), miner=miner.hex(), words=words)
        is_found = finding in {Finding.HONEST, Finding.FALSE}
        if is_found:
            passed = finding is Finding.HONEST
            self._peer.context.events.publish(TaskAudited(task_id, self._peer.key.address, passed))
        if isinstance(wanted, Check):
            self._audits.ended(check, finding, steady_ms(), detail)
            return
        if is_found:  # of work that may be long gone, silence says nothing
            self._audits.judge(check, finding, steady_ms(), detail)
        wanted.report = Report(task_id, miner, check.steps, finding.value, words, worst_ppb, accused)
        wanted.done.set()

    async def _take(self) -> Check | _Wish:
        """The next that is wanted. Nothing is lost where it is cancelled."""
        while True:
            while self._arrived:
                arrived = self._arrived.popleft()
                if isinstance(arrived, Receipt):
                    self._hear(arrived)
                else:
                    self._hear_verdict(arrived)
            if self._wishes:
                return self._wishes.popleft()
            check = self._audits.next(steady_ms())
            if check is not None:
                return check
            with trio.move_on_after(LOOK_S):
                await self._changed.wait()

    def _hear(self, receipt: Receipt) -> None:
        task, commitment = receipt.announcement, receipt.commitment
        known = self._peer.seen.commitments.get((task.digest, commitment.signer.address))
        was_heard = known is not None and known.digest == commitment.digest
        self._audits.delivered(task, commitment, steady_ms(), was_heard=was_heard)

    def _hear_verdict(self, verdict: Statement[AuditVerdict]) -> None:
        said = verdict.message
        try:
            receipt = self._receipt_of(said.task_id)
        except LocalError as error:
            log.warning("a verdict cannot be paid", error=str(error))
            return
        if receipt is None:
            return
        task, commitment = receipt.announcement, receipt.commitment
        beacon = self._peer.view.beacons.get(task.message.deadline_ms)
        draw = None if beacon is None else self._peer.seen.audits.get((said.commitment, beacon.hash))
        if draw is not None:
            self._audits.heard_verdict(task, commitment, verdict, draw, steady_ms())

    async def _check(self, pool: WorkerPool, check: Check) -> tuple[Finding, str, int, bool]:
        """See `_end` for what it gives."""
        try:
            await pool.ready()
            answer, found = await audit_once(
                self._peer.host,
                self._peer.lookup,
                pool,
                check.task,
                check.commitment,
                check.steps,
                check.auditor or self._peer.key.address,
                check.dice,
            )
        except LocalError as error:  # also of the worker
            return Finding.UNCHECKED, str(error), 0, False
        except (Refusal, ProtocolError) as error:
            # Whoever is connected to nobody has not asked.
            alone = not self._peer.host.connected_peers()
            return Finding.UNCHECKED if alone else Finding.NOT_OPENED, str(error), 0, False
        except Exception as error:  # an answer is a stranger's: it ends this check at most
            log.exception("a check failed by our fault", task=check.task.digest.hex())
            return Finding.UNCHECKED, type(error).__name__, 0, False
        if check.verdict is not None:
            item = self._packages[check.task.message.model_id]
            await self._pay.settle(check.task, check.verdict, check.drawn, found, item)
        finding, detail, accused = await self._judge(answer, found)
        return finding, detail, found.worst_excess_ppb, accused

    async def _judge(self, answer: OpenedAnswer, found: Audited) -> tuple[Finding, str, bool]:
        """The finding, which check failed, and whether there is evidence of it that a contract judges."""
        reason = AuditReason(found.reason)
        if reason is AuditReason.NONE:
            return Finding.HONEST, "", False
        detail = f"check {reason.name.lower().replace('_', ' ')}"
        if reason not in PLACED_REASONS:
            return Finding.FALSE, detail, False
        item = self._packages[answer.task.message.model_id]
        try:
            evidence = await trio.to_thread.run_sync(
                evidence_of, self._peer.domain, answer, item, reason, found.place[0]
            )
        except (CuckooError, ValueError, LookupError) as error:
            # What does not prove itself is this machine's fault, and is not said.
            return Finding.UNCHECKED, f"{detail} failed here and does not prove itself: {error}", False
        self._peer.accuse(evidence)
        return Finding.FALSE, detail, True


def _bytes_of(text: str) -> bytes:
    """Bytes of hexadecimal; of anything else, none."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return b""
