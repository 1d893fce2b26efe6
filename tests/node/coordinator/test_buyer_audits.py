"""The buyer's own audits as a machine: the coin, suspicion, tries, bounds, and any sequence of events."""

import dataclasses
import itertools
import random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.coordinator import buyer_audits
from node.coordinator.buyer_audits import (
    FINDINGS_MAX,
    LATE_MS,
    SUSPECT_TASKS,
    TRIES,
    TRY_AGAIN_MS,
    WAITING_MAX,
    BuyerAudits,
    Count,
    Finding,
    Why,
)
from node.coordinator.choice import FALSE_PASS_MS, Experience
from node.coordinator.outcomes import NoMiner
from protocol.audit import Verdict
from protocol.audit_draw import steps_each
from protocol.terms import PPM
from tests.node.coordinator.desk import MINERS as DESK_MINERS
from tests.node.coordinator.desk import Desk
from tests.protocol import builders
from tests.protocol.builders import COMMITTED, MINERS, TASK
from tests.protocol.strategies import lawful

NOW_MS = 1_000_000
RATE_PERCENT = 5
NEVER, ALWAYS = PPM - 1, 0


class Buyer(BuyerAudits):
    """With a coin that falls as it is told, and work of any miner."""

    def __init__(self, rate_percent=RATE_PERCENT, *, models=True):
        self.falls = ALWAYS
        self.experience = Experience()
        dice = (number.to_bytes(32, "big") for number in itertools.count())
        super().__init__(
            rate_percent,
            self.experience,
            can_check=lambda model_id: models,
            coin=lambda: self.falls,
            new_dice=lambda: next(dice),
        )
        self._numbers = itertools.count()

    def deliver(self, miner=MINERS["ann"], *, was_heard=True, now_ms=NOW_MS):
        task = dataclasses.replace(TASK, digest=next(self._numbers).to_bytes(32, "big"))
        signer = dataclasses.replace(COMMITTED.signer, address=miner.address)
        commitment = dataclasses.replace(COMMITTED, signer=signer)
        self.delivered(task, commitment, now_ms, was_heard=was_heard)
        return task.digest

    def find(self, finding, now_ms=NOW_MS):
        check = self.next(now_ms)
        self.ended(check, finding, now_ms)
        return check


def test_the_coin_alone_decides_of_an_honest_miners_work():
    buyer = Buyer()
    buyer.falls = RATE_PERCENT * PPM // 100
    buyer.deliver()
    assert buyer.next(NOW_MS) is None
    buyer.falls -= 1
    digest = buyer.deliver()
    check = buyer.next(NOW_MS)
    assert (check.task.digest, check.why) == (digest, Why.COIN)
    assert len(check.steps) == steps_each(TASK.message.work.units)
    assert buyer.counts[Count.SPARED] == buyer.counts[Count.TAKEN] == 1


def test_a_twentieth_of_ten_thousand_deliveries_is_checked():
    buyer, coin = Buyer(), random.Random(7)
    for _ in range(10_000):
        buyer.falls = coin.randrange(PPM)
        buyer.deliver()
        if (check := buyer.next(NOW_MS)) is not None:
            buyer.ended(check, Finding.HONEST, NOW_MS)
    assert 400 < buyer.counts[Count.HONEST] < 600


@pytest.mark.parametrize(("rate_percent", "models"), [(0, True), (100, False)])
def test_nothing_is_checked_where_it_is_switched_off_or_the_model_is_not_here(rate_percent, models):
    buyer = Buyer(rate_percent, models=models)
    buyer.deliver(was_heard=False)
    assert buyer.next(NOW_MS) is None
    assert buyer.counts[Count.NO_MODEL] == (not models)


def test_work_whose_commitment_nobody_heard_in_time_is_always_checked():
    buyer = Buyer()
    buyer.falls = NEVER
    buyer.deliver(was_heard=False)
    assert buyer.next(NOW_MS).why is Why.UNHEARD


def test_a_miner_found_false_is_passed_over_for_a_day_and_then_checked_without_exception():
    buyer, ann, bob = Buyer(), MINERS["ann"], MINERS["bob"]
    digest = buyer.deliver(ann)
    buyer.find(Finding.FALSE)
    assert buyer.experience.is_false(ann.address, NOW_MS + FALSE_PASS_MS - 1)
    assert not buyer.experience.is_false(ann.address, NOW_MS + FALSE_PASS_MS)
    assert buyer.findings[digest].words.endswith("because of a private coin: the work is false")
    buyer.falls = NEVER
    buyer.deliver(bob)
    for _ in range(SUSPECT_TASKS):
        buyer.deliver(ann)
        assert buyer.find(Finding.HONEST).why is Why.SUSPECT
    buyer.deliver(ann)
    assert buyer.next(NOW_MS) is None
    assert buyer.status().suspects == 0


def test_after_a_verdict_of_others_a_miners_work_is_checked_for_a_while():
    buyer, ann = Buyer(), MINERS["ann"]
    buyer.falls = NEVER
    buyer.suspect(ann.address)
    buyer.deliver(ann)
    assert buyer.next(NOW_MS).why is Why.SUSPECT
    assert not buyer.experience.is_false(ann.address, NOW_MS)


def test_a_delivery_does_not_make_up_for_false_work():
    experience = Experience()
    experience.note_false(b"m", 5)
    experience.note_success(b"m")
    assert experience.is_false(b"m", 6)
    assert experience.passed_until_ms(b"m") == 5 + FALSE_PASS_MS


def test_a_miner_found_false_gets_no_task_even_if_nobody_else_is_left():
    desk = Desk(miners=DESK_MINERS[:2])
    liar, other = (miner.address for miner in DESK_MINERS[:2])
    desk.engine.experience.note_false(liar, desk.now_ms)
    desk.place(1)
    assert desk.announced().message.assigned == (other,)
    desk.engine.experience.note_false(other, desk.now_ms)
    with pytest.raises(NoMiner, match="have found false work of every miner that offers this"):
        desk.place(2)
    desk.now_ms += FALSE_PASS_MS
    desk.place(3)


def test_silence_counts_after_three_questions_and_not_before():
    buyer, ann = Buyer(), MINERS["ann"].address
    digest = buyer.deliver()
    for tries in range(TRIES):
        assert ann not in buyer._suspects
        assert buyer.next(NOW_MS + tries * TRY_AGAIN_MS - 1) is None or not tries
        buyer.find(Finding.NOT_OPENED, NOW_MS + tries * TRY_AGAIN_MS)
    assert buyer.next(NOW_MS + 10 * TRY_AGAIN_MS) is None
    assert buyer.findings[digest].finding is Finding.NOT_OPENED
    assert buyer.experience.failures(ann) == 1
    assert not buyer.experience.is_false(ann, NOW_MS)
    assert buyer.status().suspects == 1


def test_a_failure_of_this_machine_says_nothing_of_the_miner():
    buyer = Buyer()
    digest = buyer.deliver()
    buyer.find(Finding.UNCHECKED)
    assert buyer.findings[digest].finding is Finding.UNCHECKED
    assert (buyer.status().suspects, len(buyer.experience)) == (0, 0)


def test_verdicts_by_others_than_the_drawn_on_other_work_or_without_sketches_are_not_paid():
    buyer, own = Buyer(), builders.verdict()
    silence = builders.verdict(verdict=Verdict.NO_OPENING, checked=())
    for signer, said in (
        (builders.STRANGER, own),
        (builders.AUDITOR, builders.verdict(commitment=bytes(32))),
        (builders.AUDITOR, silence),
    ):
        buyer.heard_verdict(TASK, COMMITTED, builders.opened(signer, said), builders.AUDIT, NOW_MS)
    assert buyer.next(NOW_MS) is None
    verdict = builders.opened(builders.AUDITOR, own)
    for switched_off in (Buyer(0), Buyer(models=False)):
        switched_off.heard_verdict(TASK, COMMITTED, verdict, builders.AUDIT, NOW_MS)
        assert switched_off.next(NOW_MS) is None
    for _ in range(WAITING_MAX + 1):
        buyer.heard_verdict(TASK, COMMITTED, verdict, builders.AUDIT, NOW_MS)
    check = buyer.next(NOW_MS)
    assert (check.verdict, check.steps, check.drawn) == (verdict, own.steps, 1)
    assert (buyer.status().waiting, buyer.counts[Count.OVERFLOW]) == (WAITING_MAX - 1, 1)


def test_work_that_its_miner_need_not_have_any_more_is_not_asked_for():
    buyer = Buyer()
    buyer.deliver()
    buyer.deliver(now_ms=NOW_MS + 1)
    assert buyer.next(NOW_MS + LATE_MS + 1).delivered_ms == NOW_MS + 1
    assert (buyer.counts[Count.LATE], buyer.status().waiting) == (1, 0)


def test_no_more_work_waits_than_the_bound():
    buyer = Buyer()
    for _ in range(WAITING_MAX + 3):
        buyer.deliver()
    assert (buyer.status().waiting, buyer.counts[Count.OVERFLOW]) == (WAITING_MAX, 3)


def test_no_more_findings_and_suspects_are_remembered_than_the_bounds(monkeypatch):
    monkeypatch.setattr(buyer_audits, "SUSPECTS_MAX", 2)
    buyer = Buyer()
    for miner in list(MINERS.values())[:3]:
        buyer.deliver(miner)
        buyer.find(Finding.FALSE)
    assert buyer.status().suspects == 2
    for _ in range(FINDINGS_MAX):
        buyer.deliver()
        buyer.find(Finding.HONEST)
    assert len(buyer.findings) == FINDINGS_MAX


class AnySequence(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.buyer, self.now_ms, self.running = Buyer(), NOW_MS, None
        self.asked = {}

    @rule(
        miner=st.sampled_from(list(MINERS.values())),
        falls=st.sampled_from([NEVER, ALWAYS]),
        heard=st.booleans(),
    )
    def deliver(self, miner, falls, heard):
        self.buyer.falls = falls
        was_suspect = miner.address in self.buyer._suspects
        taken = self.buyer.counts[Count.TAKEN] + self.buyer.counts[Count.OVERFLOW]
        self.buyer.deliver(miner, was_heard=heard, now_ms=self.now_ms)
        checked = self.buyer.counts[Count.TAKEN] + self.buyer.counts[Count.OVERFLOW] - taken
        assert checked == (was_suspect or not heard or falls == ALWAYS)

    @rule(passed_ms=st.sampled_from([0, 1, TRY_AGAIN_MS]))
    def look(self, passed_ms):
        self.now_ms += passed_ms
        check = self.buyer.next(self.now_ms)
        assert check is None or self.running is None
        if check is not None:
            self.running = check
            self.asked[check.task.digest] = self.asked.get(check.task.digest, 0) + 1
            assert self.asked[check.task.digest] <= TRIES

    @precondition(lambda self: self.running is not None)
    @rule(finding=st.sampled_from(list(Finding)), late=st.booleans())
    def end(self, finding, late):
        check, self.running = self.running, None
        self.buyer.ended(check, finding, self.now_ms)
        if late:
            counts = dict(self.buyer.counts)
            self.buyer.ended(check, finding, self.now_ms)
            assert self.buyer.counts == counts

    @invariant()
    def bounds_hold(self):
        assert self.buyer.status().waiting <= WAITING_MAX + 1


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = lawful
