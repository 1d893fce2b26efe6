"""The hands of the buyer's own audits: what is asked, what is concluded, and who hears of it."""

import dataclasses
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from node.coordinator import buyer_auditing
from node.coordinator.buyer_auditing import (
    ARRIVED_MAX,
    IDLE_S,
    WISHES_MAX,
    AuditTask,
    BuyerAuditor,
    NotAudited,
    checkable,
)
from node.coordinator.buyer_audits import TRIES, BuyerAudits, Count, Finding, Why
from node.coordinator.choice import Experience
from node.coordinator.journal_file import JournalUnavailable
from node.exchange.audit_asking import NotAnswered
from node.exchange.audit_checking import Unchecked
from node.inference.packages.errors import PackageError
from node.system.events import TaskAudited
from protocol.audit import AuditReason, FaultPlace, TraceTensor
from protocol.errors import InvalidMessage
from protocol.rules.view import Seen
from tests.node.builders import PACKAGE
from tests.protocol import builders
from tests.protocol.builders import COMMITTED, TASK

PLACE = FaultPlace(3, TraceTensor.LATENT, 7)
MINER = COMMITTED.signer.address
MODEL = dataclasses.replace(PACKAGE, model_id=TASK.message.model_id)


def found(reason=AuditReason.NONE, *place, excess_ppb=90):
    return SimpleNamespace(reason=reason, place=place, worst_excess_ppb=excess_ppb)


class Place:
    """Stands where a peer and a pool do. :ivar answers: of `audit_once`, the next first; raised if errors."""

    def __init__(self, monkeypatch, *answers, rate_percent=100):
        self.answers, self.asked, self.accused, self.events = list(answers), [], [], []
        self.pools_open, self.pools, self.settled = 0, 0, []
        self.seen = Seen()
        self.seen.commitments[TASK.digest, MINER] = COMMITTED
        self.experience = Experience()
        packages = {MODEL.model_id: MODEL}
        self.receipts, self.connected = {TASK.digest: builders.receipt()}, {"somebody"}
        self.audits = BuyerAudits(
            rate_percent,
            self.experience,
            can_check=packages.__contains__,
            coin=lambda: 0,
            new_dice=lambda: bytes(32),
        )
        peer = SimpleNamespace(
            host=SimpleNamespace(connected_peers=lambda: self.connected),
            lookup="lookup",
            key=SimpleNamespace(address=b"\x0c" * 20),
            domain=builders.DOMAIN,
            seen=self.seen,
            view=builders.view(),
            accuse=self.accused.append,
            context=SimpleNamespace(events=SimpleNamespace(publish=self.events.append)),
        )
        self.auditor = BuyerAuditor(peer, self.audits, packages, self.receipts.get, self)
        monkeypatch.setattr(buyer_auditing, "steady_ms", lambda: round(1000 * trio.current_time()))
        monkeypatch.setattr(buyer_auditing, "audit_once", self.audit_once)
        monkeypatch.setattr(buyer_auditing, "open_pool", self.open_pool)
        monkeypatch.setattr(buyer_auditing, "evidence_of", lambda *about: about)
        monkeypatch.setattr(buyer_auditing.package, "verify", lambda item: None)

    async def settle(self, *what):
        self.settled.append(what)

    @asynccontextmanager
    async def open_pool(self, packages, backend):
        assert packages == [MODEL]
        self.pools += 1
        self.pools_open += 1
        try:
            yield SimpleNamespace(ready=trio.lowlevel.checkpoint)
        finally:
            self.pools_open -= 1

    async def audit_once(self, host, lookup, pool, task, commitment, steps, auditor, dice):
        await trio.lowlevel.checkpoint()
        self.asked.append((task.digest, steps))
        self.places = auditor, dice
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(task=task, commitment=commitment), answer

    @property
    def words(self):
        return self.audits.findings[TASK.digest].words


@pytest.fixture(autouse=True)
def no_threads(monkeypatch):
    """The clock of a test runs on while a thread works."""

    async def at_once(function, *arguments, **_options):
        await trio.lowlevel.checkpoint()
        return function(*arguments)

    monkeypatch.setattr("trio.to_thread.run_sync", at_once)


@pytest.fixture
def run(nursery, monkeypatch):
    """Runs an auditor that gets these answers."""

    def start(*answers, **options):
        place = Place(monkeypatch, *answers, **options)
        nursery.start_soon(place.auditor.run)
        return place

    return start


async def test_delivered_work_that_fits_is_told_of_and_the_process_ends(run, autojump_clock):
    place = run(found())
    place.auditor.delivered(place.receipts[TASK.digest])
    await trio.sleep(5)
    assert place.pools_open == 1
    assert place.words.endswith("because of a private coin: everything fits")
    assert place.events == [TaskAudited(TASK.digest, b"\x0c" * 20, passed=True)]
    await trio.sleep(IDLE_S)
    assert (place.pools_open, place.pools, place.accused) == (0, 1, [])


async def test_work_whose_commitment_is_not_on_gossip_is_checked_for_that(run, autojump_clock):
    place = run(found())
    del place.seen.commitments[TASK.digest, MINER]
    place.auditor.delivered(place.receipts[TASK.digest])
    await trio.sleep(5)
    assert str(Why.UNHEARD) in place.words


@pytest.mark.parametrize(
    ("reason", "places", "is_accused"),
    [(AuditReason.SCHEDULER_STEP, (PLACE,), True), (AuditReason.MODEL_OUTPUT, (), False)],
)
async def test_who_delivered_false_work_is_passed_over_and_accused_where_a_contract_decides(
    run, autojump_clock, reason, places, is_accused
):
    place = run(found(reason, *places))
    place.auditor.delivered(place.receipts[TASK.digest])
    await trio.sleep(5)
    assert place.words.endswith(f"the work is false (check {reason.name.lower().replace('_', ' ')})")
    assert [accused[3:] for accused in place.accused] == ([(reason, PLACE)] if is_accused else [])
    assert place.experience.passed_until_ms(MINER) > 0
    assert place.audits.counts[Count.FALSE] == 1
    assert place.events == [TaskAudited(TASK.digest, b"\x0c" * 20, passed=False)]


async def test_a_bit_that_flips_here_accuses_no_honest_miner(run, autojump_clock, monkeypatch):
    place = run(found(AuditReason.SCHEDULER_STEP, PLACE))

    def refuse(*_):
        raise InvalidMessage("the step is right")

    monkeypatch.setattr(buyer_auditing, "evidence_of", refuse)
    place.auditor.delivered(place.receipts[TASK.digest])
    await trio.sleep(5)
    assert "does not prove itself: the step is right" in place.words
    assert (place.accused, place.experience.passed_until_ms(MINER), place.events) == ([], 0, [])


async def test_a_verdict_is_checked_at_its_signers_places_and_settled(run, autojump_clock):
    answer = SimpleNamespace(**vars(found()), checked=("sketches",))
    place = run(answer)
    verdict = builders.opened(builders.AUDITOR, builders.verdict())
    place.seen.audits[COMMITTED.digest, builders.beacon().hash] = builders.AUDIT
    place.auditor.heard(verdict)
    await trio.sleep(5)
    assert place.places == (builders.AUDITOR.address, builders.AUDIT.dice)
    assert place.settled == [(TASK, verdict, 1, answer, MODEL)]
    assert str(Why.VERDICT) in place.words


async def test_a_verdict_whose_dice_or_task_are_not_known_is_not_paid(run, autojump_clock, monkeypatch):
    place = run()
    verdict = builders.opened(builders.AUDITOR, builders.verdict())
    place.auditor.heard(verdict)
    await trio.sleep(5)
    place.seen.audits[COMMITTED.digest, builders.beacon().hash] = builders.AUDIT
    place.receipts.clear()
    place.auditor.heard(verdict)
    await trio.sleep(5)

    def fail(_):
        raise JournalUnavailable("the disk is gone")

    monkeypatch.setattr(place.auditor, "_receipt_of", fail)
    place.auditor.heard(verdict)
    await trio.sleep(5)
    assert (place.asked, place.settled) == ([], [])


async def test_a_miner_that_opens_nothing_is_asked_again_before_that_counts(run, autojump_clock):
    place = run(NotAnswered("too slow"), InvalidMessage("not what was committed to"), NotAnswered("gone"))
    place.auditor.delivered(place.receipts[TASK.digest])
    await trio.sleep(200)
    assert len(place.asked) == TRIES
    assert place.words.endswith("its miner opened nothing (gone)")
    assert (place.experience.failures(MINER), place.events) == (1, [])


async def test_a_coordinator_that_is_cut_off_says_nothing_of_its_miners(run, autojump_clock):
    place = run(*[NotAnswered("nobody is reached")] * TRIES)
    place.connected = set()
    place.auditor.delivered(place.receipts[TASK.digest])
    await trio.sleep(200)
    assert place.words.endswith("it could not be checked here (nobody is reached)")
    assert (place.experience.failures(MINER), place.events) == (0, [])


async def test_attack_an_answer_that_nobody_thought_of_ends_one_check_and_no_coordinator(run, autojump_clock):
    place = run(IndexError("list index out of range"))
    place.auditor.delivered(place.receipts[TASK.digest])
    await trio.sleep(5)
    assert place.words.endswith("it could not be checked here (IndexError)")
    assert (place.experience.failures(MINER), place.events) == (0, [])


async def test_a_failure_of_this_machine_is_no_finding(run, autojump_clock):
    place = run(Unchecked("no memory"))
    place.auditor.delivered(place.receipts[TASK.digest])
    await trio.sleep(5)
    assert place.words.endswith("it could not be checked here (no memory)")
    assert (place.experience.failures(MINER), place.events) == (0, [])


async def test_by_weights_that_have_gone_bad_nobody_is_judged(run, autojump_clock, monkeypatch):
    place = run()

    def refuse(item):
        raise PackageError("weights are not those of the manifest", "weights")

    monkeypatch.setattr(buyer_auditing.package, "verify", refuse)
    for _ in range(2):
        place.auditor.delivered(place.receipts[TASK.digest])
        await trio.sleep(5)
    assert place.words.endswith("it could not be checked here (every package here is damaged)")
    assert (place.pools, place.audits.counts[Count.NO_MODEL]) == (0, 1)


async def test_the_operator_hears_what_came_of_a_wish_also_at_a_rate_of_nothing(run, autojump_clock):
    place = run(found(), NotAnswered("gone"), rate_percent=0)
    report = await place.auditor.audit(AuditTask(f"0x{TASK.digest.hex()}"))
    assert (report.task_id, report.miner, report.finding) == (TASK.digest, MINER, "honest")
    assert report.worst_excess_ppb == 90
    assert str(Why.WISH) in report.words == place.words
    silent = await place.auditor.audit(AuditTask(TASK.digest.hex()))
    assert silent.finding == Finding.NOT_OPENED
    assert place.experience.failures(MINER) == 0


async def test_a_wish_that_cannot_be_met_is_refused(run, autojump_clock):
    place = run()
    for nonsense in ("", "zz", "03" * 32):
        with pytest.raises(NotAudited, match="no delivered task of that id is kept"):
            await place.auditor.audit(AuditTask(nonsense))
    other = dataclasses.replace(TASK, message=dataclasses.replace(TASK.message, model_id=b"\x09" * 32))
    place.receipts[other.digest] = dataclasses.replace(builders.receipt(), announcement=other)
    with pytest.raises(NotAudited, match="is not on this machine"):
        await place.auditor.audit(AuditTask(other.digest.hex()))


async def test_no_more_wishes_wait_than_the_bound_and_one_that_goes_leaves_no_trace(nursery, monkeypatch):
    place = Place(monkeypatch)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as waiting:
            for _ in range(WISHES_MAX):
                waiting.start_soon(place.auditor.audit, AuditTask(TASK.digest.hex()))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(NotAudited, match="as many audits are waited for"):
                await place.auditor.audit(AuditTask(TASK.digest.hex()))
            scope.cancel()
    assert not place.auditor._wishes


async def test_no_more_deliveries_are_remembered_than_the_bound(monkeypatch):
    place = Place(monkeypatch)
    for _ in range(ARRIVED_MAX + 1):
        place.auditor.delivered(place.receipts[TASK.digest])
    assert len(place.auditor._arrived) == ARRIVED_MAX


def test_without_the_extra_nothing_can_be_checked(monkeypatch, tmp_path):
    monkeypatch.setattr(buyer_auditing.importlib.util, "find_spec", lambda name: None)
    assert checkable([tmp_path]) == []
