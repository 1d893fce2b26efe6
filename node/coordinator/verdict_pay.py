"""Pays auditors for verdicts whose sketches hold against this coordinator's own run of the same steps.

Is: the comparison, the promise and its way to the auditor. Is not: the run (`buyer_auditing`), or the sum
(`protocol/audit_pay.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from contracts.errors import ChainError, ContractReverted
from node.exchange.audit_paying import bring_pay
from node.inference.audit.sketch import SketchRule, sketches_agree
from node.inference.audit.thresholds import thresholds_of
from node.inference.packages.errors import PackageError
from node.pay.ledger import MustNotPromise
from node.pay.purse import DepositUsedUp
from protocol.amounts import WEI_PER_MICRO_CAI, format_cai
from protocol.audit import AuditReason, Verdict
from protocol.audit_pay import AuditPay, audit_fee_wei
from protocol.bounded import Bounded
from protocol.errors import ProtocolError, Refusal
from protocol.sketch import unpack_bins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.coordinator.audit_reserve import AuditReserve
    from node.inference.jobs.audit_job import Audited
    from node.inference.packages.package import ModelPackage
    from node.pay.audit_promises import AuditPromises
    from node.pay.purse import Purse
    from node.peer.peer import Peer
    from protocol.audit import AuditVerdict, CheckedStep
    from protocol.messages import TaskAnnouncement
    from protocol.statement import Statement

TOLD_MAX: Final = 2_000
"""Tasks whose auditors' pay is remembered for whoever asks."""

log = structlog.get_logger()


@dataclass(slots=True)
class VerdictPayCounts:
    """:ivar false_sketches: verdicts that whoever signed them did no work for.

    :ivar contradicted: verdicts that are not what this node finds.
    :ivar not_promised: for want of deposit, or of the chain's or the disk's answer.
    :ivar not_brought: promised, and not heard by the auditor: the next voucher makes it good.
    """

    paid: int = 0
    false_sketches: int = 0
    contradicted: int = 0
    not_promised: int = 0
    not_brought: int = 0


def sketches_hold(claimed: Sequence[CheckedStep], own: Sequence[CheckedStep], rule: SketchRule) -> bool:
    """Whether every sketch of a verdict agrees with one of our own of the same step.

    :param claimed: with whole sketches. :param own: as the check gave them; an empty one agrees with nothing.
    """
    ours = {one.step: one.sketch for one in own if one.sketch}
    return all(
        one.step in ours and sketches_agree(unpack_bins(one.sketch), unpack_bins(ours[one.step]), rule)
        for one in claimed
    )


class VerdictPay:
    """One coordinator's. :ivar counts: of verdicts. :ivar words: by task, for whoever asks."""

    def __init__(self, peer: Peer, purse: Purse, promises: AuditPromises, reserve: AuditReserve) -> None:
        """:param reserve: what was set aside for it."""
        self.counts = VerdictPayCounts()
        self.words: Bounded[bytes, tuple[str, ...]] = Bounded(TOLD_MAX)
        self._peer, self._purse, self._promises, self._reserve = peer, purse, promises, reserve

    async def settle(
        self,
        task: Statement[TaskAnnouncement],
        verdict: Statement[AuditVerdict],
        drawn: int,
        own: Audited,
        package: ModelPackage,
    ) -> None:
        """Pay for a verdict, if its sketches hold, it is not wrong, and it was not paid before.

        :param drawn: steps that the auditor was drawn for.
        :param own: this coordinator's check, with sketches at the auditor's places.
        """
        auditor = verdict.signer.address
        try:
            rule = thresholds_of(package).sketch
        except PackageError as error:
            self.counts.not_promised += 1
            self._tell(task.digest, auditor, f"is not paid for its verdict: {error}")
            return
        if not sketches_hold(verdict.message.checked, own.checked, rule):
            self.counts.false_sketches += 1
            self._tell(task.digest, auditor, "has false sketches: its verdict is not paid and does not count")
            return
        if (verdict.message.verdict == Verdict.HONEST) != (own.reason == AuditReason.NONE):
            self.counts.contradicted += 1
            self._tell(task.digest, auditor, "is not paid: this node finds otherwise")
            return
        fee_wei = audit_fee_wei(
            task.message.price_micro_cai * WEI_PER_MICRO_CAI, task.message.work.units, drawn
        )
        slot = verdict.message.slot()
        try:
            if self._promises.was_paid(auditor, slot):
                return
            await self._purse.load_account(auditor)
            self._reserve.take(task.digest, fee_wei)
            voucher = self._promises.promise(auditor, slot, fee_wei)
        except (ChainError, ContractReverted, DepositUsedUp, MustNotPromise) as error:
            self.counts.not_promised += 1
            self._tell(task.digest, auditor, f"is not paid for its verdict: {error}")
            return
        if voucher is None:
            return
        self.counts.paid += 1
        self._tell(task.digest, auditor, f"is paid {format_cai(fee_wei)} for its verdict")
        try:
            pay = AuditPay(task.digest, verdict.message.miner, voucher)
            await bring_pay(self._peer.host, self._peer.lookup, verdict.signer, pay)
        except (Refusal, ProtocolError) as error:
            self.counts.not_brought += 1
            log.info("pay not heard by its auditor", auditor=auditor.hex(), error=str(error))

    def _tell(self, task_id: bytes, auditor: bytes, words: str) -> None:
        log.info("verdict settled", task=task_id.hex(), auditor=auditor.hex(), words=words)
        self.words[task_id] = (*self.words.get(task_id, ()), f"0x{auditor.hex()} {words}")
