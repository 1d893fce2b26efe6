"""Verdicts that are paid, and those that are not: sketches, findings, money, and an auditor that is away."""

from types import SimpleNamespace

import pytest

from contracts.errors import ChainUnreachable
from node.coordinator import verdict_pay
from node.coordinator.verdict_pay import TOLD_MAX, VerdictPay, sketches_hold
from node.inference.audit.sketch import SketchRule
from node.inference.audit.thresholds import class_a
from node.inference.packages.errors import PackageError
from node.pay.ledger import MustNotPromise
from node.pay.purse import DepositUsedUp
from protocol.amounts import WEI_PER_MICRO_CAI, format_cai
from protocol.audit import AuditReason, CheckedStep, Verdict
from protocol.audit_pay import AuditPay, audit_fee_wei
from protocol.errors import Refusal
from protocol.pay import SignedVoucher
from protocol.sketch import pack_bins
from tests.protocol import builders
from tests.protocol.builders import AUDITOR, TASK

RULE = SketchRule(1, circular=False)
FEE_WEI = audit_fee_wei(TASK.message.price_micro_cai * WEI_PER_MICRO_CAI, TASK.message.work.units, 1)
NAME = f"0x{AUDITOR.address.hex()}"


def sketch(*wrong):
    """A sketch in which these places, of 32, are far from the true ones."""
    return pack_bins([15 if place in wrong else 3 for place in range(32)])


def checked(*sketches):
    return tuple(CheckedStep(step, one) for step, one in enumerate(sketches))


@pytest.mark.parametrize(
    ("claimed", "own", "hold"),
    [
        (checked(sketch()), checked(sketch()), True),
        (checked(sketch()), checked(sketch(1, 2, 3, 4)), True),
        (checked(sketch()), checked(sketch(1, 2, 3, 4, 5)), False),
        (checked(sketch(), sketch()), checked(sketch()), False),
        (checked(sketch(), sketch()), checked(sketch(), sketch(*range(9))), False),
        (checked(sketch()), checked(b""), False),
        (checked(sketch()), checked(sketch(), sketch()), True),
    ],
)
def test_each_sketch_has_to_agree_with_one_of_our_own(claimed, own, hold):
    assert sketches_hold(claimed, own, RULE) is hold


class Desk:
    """One coordinator's pay of verdicts. :ivar promised: of what was asked for, and how that ends."""

    def __init__(self, monkeypatch):
        self.promised, self.brought, self.taken, self.failure = [], [], [], None
        self.voucher = SignedVoucher.of(FEE_WEI, FEE_WEI, bytes(65))
        peer = SimpleNamespace(host="host", lookup="lookup")
        self.pay = VerdictPay(peer, SimpleNamespace(load_account=self.load_account), self, self)
        monkeypatch.setattr(verdict_pay, "thresholds_of", lambda package: class_a())
        monkeypatch.setattr(verdict_pay, "bring_pay", self.bring)

    async def load_account(self, auditor):
        if isinstance(self.failure, ChainUnreachable):
            raise self.failure

    def was_paid(self, auditor, slot):
        return self.voucher is None

    def take(self, task_id, fee_wei):
        self.taken.append((task_id, fee_wei))

    def promise(self, auditor, slot, fee_wei):
        if isinstance(self.failure, DepositUsedUp | MustNotPromise):
            raise self.failure
        self.promised.append((auditor, slot, fee_wei))
        return self.voucher

    async def bring(self, host, lookup, auditor, pay):
        if isinstance(self.failure, Refusal):
            raise self.failure
        self.brought.append((auditor.address, pay))

    async def settle(self, own=None, finds=AuditReason.NONE, **changes):
        said = builders.verdict(**{"checked": checked(sketch()), **changes})
        verdict = builders.opened(AUDITOR, said)
        found = SimpleNamespace(checked=checked(sketch()) if own is None else own, reason=finds)
        await self.pay.settle(TASK, verdict, 1, found, "package")

    @property
    def words(self):
        return self.pay.words[TASK.digest]


@pytest.fixture
def desk(monkeypatch):
    return Desk(monkeypatch)


async def test_a_verdict_whose_sketches_hold_is_paid(desk):
    await desk.settle()
    said = builders.verdict()
    assert desk.promised == [(AUDITOR.address, said.slot(), FEE_WEI)]
    assert desk.brought == [(AUDITOR.address, AuditPay(TASK.digest, said.miner, desk.voucher))]
    assert desk.words == (f"{NAME} is paid {format_cai(FEE_WEI)} for its verdict",)
    assert desk.taken == [(TASK.digest, FEE_WEI)]


async def test_attack_a_lazy_auditor_writes_sketches_that_it_has_not_computed(desk):
    await desk.settle(own=checked(sketch(*range(20))))
    assert (desk.promised, desk.brought, desk.pay.counts.false_sketches) == ([], [], 1)
    assert desk.words == (f"{NAME} has false sketches: its verdict is not paid and does not count",)


@pytest.mark.parametrize(
    ("verdict", "said", "own"),
    [
        (Verdict.HONEST, AuditReason.NONE, AuditReason.MODEL_OUTPUT),
        (Verdict.FAULT, AuditReason.MODEL_OUTPUT, AuditReason.NONE),
    ],
)
async def test_attack_an_auditor_does_the_work_and_lies_about_it_either_way(desk, verdict, said, own):
    await desk.settle(finds=own, verdict=verdict, reason=said)
    assert (desk.promised, desk.pay.counts.contradicted) == ([], 1)
    assert desk.words == (f"{NAME} is not paid: this node finds otherwise",)


@pytest.mark.parametrize(
    "failure",
    [
        ChainUnreachable("http://rpc", "gone"),
        DepositUsedUp(bytes(20), 5, 1),
        MustNotPromise("the file failed; nothing was signed"),
    ],
)
async def test_where_nothing_can_be_promised_nothing_is_paid(desk, failure):
    desk.failure = failure
    await desk.settle()
    assert (desk.promised, desk.brought, desk.pay.counts.not_promised) == ([], [], 1)
    assert desk.words == (f"{NAME} is not paid for its verdict: {failure}",)


async def test_by_a_package_that_cannot_be_audited_nobody_is_judged(desk, monkeypatch):
    def refuse(_):
        raise PackageError("calibration.json is malformed", "calibration.json")

    monkeypatch.setattr(verdict_pay, "thresholds_of", refuse)
    await desk.settle()
    assert (desk.promised, desk.pay.counts.false_sketches, desk.pay.counts.not_promised) == ([], 0, 1)


async def test_an_auditor_that_is_away_is_promised_its_pay_all_the_same(desk):
    desk.failure = Refusal("not connected")
    await desk.settle()
    assert (len(desk.promised), desk.pay.counts.paid, desk.pay.counts.not_brought) == (1, 1, 1)


async def test_a_verdict_that_was_paid_before_is_not_told_of_again(desk):
    desk.voucher = None
    await desk.settle()
    assert (desk.taken, desk.brought, desk.pay.counts.paid, desk.pay.words) == ([], [], 0, {})


async def test_no_more_is_remembered_than_the_bound(desk):
    for number in range(TOLD_MAX + 1):
        desk.pay._tell(number.to_bytes(32, "big"), AUDITOR.address, "is paid")
    assert len(desk.pay.words) == TOLD_MAX
