"""Pay of auditors: what a verdict earns, and what its coordinator sets aside for it beside the task's price.

Is: the sum, in wei and integers, and which verdicts can earn it at all.
Is not: the comparison of sketches, which needs the model (`node/inference/audit/sketch.py`), or the voucher
that the sum goes by (`pay`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.audit import SKETCH_BYTES, Audits, AuditVerdict
from protocol.audit_draw import AUDITORS_PER_WORK, steps_each
from protocol.pay import SignedVoucher
from protocol.schema import Address, Encoded, Hash

STEPS_BESIDE: Final = 2
"""Costs of an audit besides its steps, as steps: the text model, the decoder, and what was opened."""
MARGIN_PARTS: Final = 5
"""So many parts are paid..."""
MARGIN_WHOLE: Final = 4
"""...for so many of cost: a quarter more than the same work is worth to its miner."""


@dataclass(frozen=True, slots=True)
class AuditPay(Encoded):
    """A coordinator: "this is for your verdict". Unsigned: the stream and the voucher are authenticated.

    :ivar task_id: that the verdict is on.
    :ivar miner: whose work it is on.
    :ivar voucher: its `task_amount` is what the verdict earns.
    """

    task_id: Hash
    miner: Address
    voucher: SignedVoucher


def audit_fee_wei(price_wei: int, steps: int, checked: int) -> int:
    """The pay for one auditor's verdict, rounded down, and never more than the task's price.

    :param price_wei: of the task, at least 0.
    :param steps: the units that were announced, at least 1.
    :param checked: steps that the auditor was drawn for, however many it has opened.
    """
    fee_wei = price_wei * (checked + STEPS_BESIDE) * MARGIN_PARTS // (steps * MARGIN_WHOLE)
    return min(price_wei, fee_wei)


def reserve_wei(price_wei: int, units: int, audits: int) -> int:
    """The most that all auditors of one miner's work for a task can earn; 0 where nobody is drawn.

    :param price_wei: of the task. :param units: that were announced. :param audits: an `Audits`.
    """
    if audits != Audits.PUBLIC:
        return 0
    return AUDITORS_PER_WORK * audit_fee_wei(price_wei, units, steps_each(units))


def shows_work(verdict: AuditVerdict) -> bool:
    """Whether a verdict says by sketches that its signer ran the model: others earn nothing.

    A fault that was found before the model ran is paid by the contract; silence costs its witness nothing.
    """
    return bool(verdict.checked) and all(len(one.sketch) == SKETCH_BYTES for one in verdict.checked)
