"""The auditor's shell: whole audits against a peer that only notes, and each way to come to nothing."""

from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from node.auditor import auditor as auditor_module
from node.auditor.actions import Count, Note
from node.auditor.auditor import ASK_PARTS, ASKS_PER_MINER_MAX, TICK_S, Auditor, TooOften
from node.auditor.journal import AUDITS_FILE, JournalFailed, open_audits
from node.exchange.audit_checking import Unchecked
from node.exchange.openings import REQUESTS_PER_PEER_MAX, WINDOW_MS
from node.inference.jobs.audit_job import Audited
from node.signing.guard import MustNotSign
from protocol.audit import AuditReason, AuditVerdict, CheckedStep, FaultPlace, Verdict
from protocol.errors import InvalidMessage, LocalError, Refusal
from protocol.model_table import SchedulerRule
from protocol.rules import verdicts
from protocol.rules.view import Seen
from protocol.statement import open_statement
from tests.node.auditor.test_engine import DEADLINE_MS, DICE_MS, DRAWING, END_MS, SILENCE_MS, SUBJECT, TERMS
from tests.node.inference.builders import HEAD
from tests.protocol import builders
from tests.protocol.builders import AUDITED_STEP, AUDITOR, COMMITTED, DOMAIN, TASK, changed

SKETCH = b"\x05" * 16
HONEST = Audited("", AuditReason.NONE, (CheckedStep(AUDITED_STEP, SKETCH),), 1_800, (), (), 0)
PLACE = FaultPlace(AUDITED_STEP, 0, 3)
FALSE_STEP = replace(HONEST, reason=AuditReason.SCHEDULER_STEP, place=(PLACE,))
FIRST_ASK_MS = TERMS.window_ms // 32


class Peer:
    """Notes what the auditor does. :ivar on_sign, on_publish: raise, if they are to."""

    key, domain = SimpleNamespace(address=AUDITOR.address), DOMAIN
    lookup = object()

    def __init__(self):
        self.view, self.seen = builders.view(), Seen()
        self.connected = ("somebody",)
        self.host = SimpleNamespace(connected_peers=lambda: self.connected)
        self.accused, self.published, self.recalled, self.listeners = [], [], [], []
        self.on_sign = self.on_publish = self.on_accuse = None
        self.seen.tasks[TASK.digest] = TASK

    def listen(self, topic, listener):
        assert topic == "results"
        self.listeners.append(listener)

    def recall(self, task, commitment):
        self.recalled.append((task, commitment))

    def accuse(self, evidence):
        if self.on_accuse:
            raise self.on_accuse
        self.accused.append(evidence)

    def seal(self, message, task):
        assert task == TASK.message
        if self.on_sign:
            raise self.on_sign
        return builders.opened(AUDITOR, message)

    async def publish(self, topic, data):
        await trio.lowlevel.checkpoint()
        assert topic == verdicts.TOPIC
        if self.on_publish:
            raise self.on_publish
        self.published.append(data)


async def pass_ticks(times):
    for _ in range(times):
        await trio.sleep(TICK_S)
        await trio.testing.wait_all_tasks_blocked()


class World:
    """An auditor and all around it. :ivar answers, found, proof: what the others say, or raise."""

    def __init__(self, monkeypatch, path):
        self.path, self.peer, self.now_ms = path, Peer(), DICE_MS
        self.waiting, self.may_check = 0, True
        package = SimpleNamespace(table=SimpleNamespace(head=HEAD))
        self.workers = SimpleNamespace(
            packages={TASK.message.model_id: package},
            statistics=lambda: SimpleNamespace(jobs_waiting=self.waiting),
        )
        self.answers, self.found, self.proof, self.asked = [], [], "evidence", []
        for name in ("ask_miner", "check_answer", "evidence_of"):
            monkeypatch.setattr(auditor_module, name, getattr(self, name))
        monkeypatch.setattr(auditor_module, "now_ms", lambda: self.now_ms)
        # A virtual clock runs on while a real thread works.
        monkeypatch.setattr(trio.to_thread, "run_sync", self.in_thread)

    async def ask_miner(self, host, lookup, task, commitment, steps, timeout_ms):
        assert (host, lookup, task, commitment) == (self.peer.host, self.peer.lookup, TASK, COMMITTED)
        assert timeout_ms == min(60_000, TERMS.window_ms // ASK_PARTS)
        self.asked.append(steps)
        await trio.lowlevel.checkpoint()
        return self.said(self.answers, SimpleNamespace(bundle=b"\x0b" * 32))

    async def check_answer(self, pool, answer, auditor, dice):
        assert (pool, auditor, dice) == (self.workers, AUDITOR.address, DRAWING.dice)
        await trio.lowlevel.checkpoint()
        return self.said(self.found, HONEST)

    async def in_thread(self, function, *arguments):
        await trio.lowlevel.checkpoint()
        return function(*arguments)

    def evidence_of(self, domain, answer, package, reason, place):
        assert (domain, reason, place) == (DOMAIN, AuditReason.SCHEDULER_STEP, PLACE)
        return self.said([self.proof], None)

    @staticmethod
    def said(words, default):
        word = words.pop(0) if words else default
        if isinstance(word, Exception):
            raise word
        return word

    @asynccontextmanager
    async def running(self):
        with open_audits(self.path, DOMAIN) as self.journal:
            self.auditor = Auditor(self.peer, self.workers, self.journal, lambda: self.may_check)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.auditor.run)
                await trio.testing.wait_all_tasks_blocked()
                yield self
                nursery.cancel_scope.cancel()

    async def tick(self, times=1):
        await pass_ticks(times)

    async def pass_to(self, now_ms, times=1):
        self.now_ms = now_ms
        await self.tick(times)

    def hear(self):
        for listener in self.peer.listeners:
            listener(COMMITTED)

    async def audited(self):
        """The work is heard of, drawn, opened, and as far as can be judged."""
        self.now_ms = DEADLINE_MS - 1
        self.hear()
        await self.pass_to(DICE_MS)
        await self.pass_to(self.now_ms + FIRST_ASK_MS, times=3)

    def verdict(self):
        """The one that was published."""
        (data,) = self.peer.published
        return open_statement(DOMAIN, data, AuditVerdict).message

    @property
    def counts(self):
        return self.auditor.status().counts


@pytest.fixture
def world(monkeypatch, tmp_path):
    return World(monkeypatch, tmp_path / AUDITS_FILE)


async def test_honest_work_from_the_commitment_to_the_verdict(autojump_clock, world):
    async with world.running():
        await world.audited()
        said = world.verdict()
        assert (said.verdict, said.reason, said.bundle) == (Verdict.HONEST, AuditReason.NONE, b"\x0b" * 32)
        assert said == builders.verdict(bundle=b"\x0b" * 32, checked=HONEST.checked)
        assert (world.asked, world.peer.accused, world.journal.noted()) == ([(AUDITED_STEP,)], [], [])
        status = world.auditor.status()
        assert (status.states, status.held, status.paused) == ({}, 0, False)
        assert status.counts[Count.PUBLISHED] == 1


async def test_a_fault_that_a_contract_judges_is_proved_to_everybody_before_it_is_said(autojump_clock, world):
    world.found = [FALSE_STEP]
    async with world.running():
        await world.audited()
        assert world.peer.accused == ["evidence"]
        said = world.verdict()
        assert (said.verdict, said.reason, said.place) == (Verdict.FAULT, FALSE_STEP.reason, (PLACE,))
        assert world.auditor.status().accused == 1


@pytest.mark.parametrize("fault", [InvalidMessage("the step is right"), ValueError("no such number")])
async def test_a_fault_that_does_not_prove_itself_is_said_to_nobody(autojump_clock, world, fault):
    """A bit that flipped here found it, or a bug of ours; the verdict would cost this node its stake."""
    world.found, world.proof = [FALSE_STEP], fault
    async with world.running():
        await world.audited()
        await world.pass_to(END_MS)
        assert (world.peer.accused, world.peer.published, world.journal.noted()) == ([], [], [])
        assert (world.auditor.status().unproved, world.counts[Count.OWN_FAILURE]) == (1, 1)


async def test_a_fault_that_only_networks_can_tell_is_said_without_evidence(autojump_clock, world):
    world.found = [replace(HONEST, reason=AuditReason.MODEL_OUTPUT)]
    async with world.running():
        await world.audited()
        assert (world.verdict().reason, world.peer.accused) == (AuditReason.MODEL_OUTPUT, [])


async def test_what_is_known_by_its_hash_alone_is_asked_for(autojump_clock, world):
    more = (AUDITED_STEP + 1) % TASK.message.work.units
    world.found = [replace(HONEST, to_open=(more,)), FALSE_STEP]
    async with world.running():
        await world.audited()
        await world.tick(3)
        assert world.asked == [(AUDITED_STEP,), tuple(sorted((AUDITED_STEP, more)))]
        assert world.verdict().reason == AuditReason.SCHEDULER_STEP


async def test_a_machine_that_cannot_check_says_nothing(autojump_clock, world):
    world.found = [Unchecked("out of memory")]
    async with world.running():
        await world.audited()
        await world.pass_to(END_MS)
        assert (world.peer.published, world.counts[Count.OWN_FAILURE]) == ([], 1)
        assert world.auditor.status().held == 0


@pytest.mark.parametrize(
    "silence", [Refusal("no trace of this task is here"), InvalidMessage("leaf is not proved")]
)
async def test_a_miner_that_opens_nothing_is_named_when_the_time_is_nearly_over(
    autojump_clock, world, silence
):
    world.answers = [silence] * 9
    async with world.running():
        await world.audited()
        while world.now_ms < SILENCE_MS:
            assert world.peer.published == []
            await world.pass_to(world.now_ms + 60_000)
        await world.tick(2)
        assert (world.verdict().verdict, len(world.asked)) == (Verdict.NO_OPENING, 3)


@pytest.mark.parametrize(
    ("connected", "fault"), [((), Refusal("not reached")), (("somebody",), LocalError("no more streams"))]
)
async def test_a_node_that_could_not_ask_accuses_nobody(autojump_clock, world, connected, fault):
    world.answers, world.peer.connected = [fault] * 999, connected
    async with world.running():
        await world.audited()
        while world.now_ms < END_MS:
            await world.pass_to(world.now_ms + 60_000)
        assert world.peer.published == []
        assert Count.MISSED not in world.counts


async def test_paid_work_and_a_pause_go_first(autojump_clock, world):
    world.waiting = 1
    async with world.running():
        await world.audited()
        await world.tick(5)
        assert (world.peer.published, world.auditor.status().states) == ([], {"checking": 1})
        world.waiting, world.may_check = 0, False
        await world.tick(5)
        assert (world.peer.published, world.auditor.status().paused) == ([], True)
        world.may_check = True
        await world.tick(2)
        assert world.verdict().verdict == Verdict.HONEST


async def test_nothing_is_signed_that_the_disk_did_not_take(autojump_clock, world):
    async with world.running():
        note, failing = world.journal.note, True

        def refuse(noted):
            if noted.verdict is not None and failing:
                raise JournalFailed("disk full")
            note(noted)

        world.journal.note = refuse
        await world.audited()
        assert (world.peer.published, world.counts[Count.NOT_NOTED]) == ([], 1)
        failing = False
        await world.pass_to(world.now_ms + 1_000, times=2)
        assert world.verdict().verdict == Verdict.HONEST


@pytest.mark.parametrize("attribute", ["on_sign", "on_publish"])
async def test_a_verdict_that_does_not_go_out_is_said_again_in_the_same_words(
    autojump_clock, world, attribute
):
    setattr(world.peer, attribute, MustNotSign("not alone yet"))
    async with world.running():
        await world.audited()
        (note,) = world.journal.noted()
        assert (world.peer.published, world.counts[Count.NOT_PUBLISHED]) == ([], 1)
        setattr(world.peer, attribute, None)
        await world.pass_to(world.now_ms + 1_000, times=2)
        assert world.verdict() == note.verdict


async def test_after_a_restart_a_verdict_goes_out_as_it_was_written_down_and_its_work_is_known_again(
    autojump_clock, world
):
    verdict = builders.verdict(bundle=b"\x0c" * 32)
    with open_audits(world.path, DOMAIN) as journal:
        journal.note(Note(SUBJECT, DRAWING, verdict))
    async with world.running():
        await world.tick(2)
        assert world.peer.recalled == [(TASK, COMMITTED)]
        assert (world.verdict(), world.asked) == (verdict, [])


async def test_what_was_heard_before_the_role_began_is_audited_too(autojump_clock, world):
    world.now_ms = DEADLINE_MS - 1
    world.peer.seen.commitments[TASK.digest, COMMITTED.signer.address] = COMMITTED
    async with world.running():
        await world.pass_to(DICE_MS)
        assert world.counts[Count.DRAWN] == 1


async def test_an_answer_to_dice_that_are_gone_is_not_taken_for_one_to_the_new(autojump_clock, world):
    """The block changes while the miner sends: what comes is of steps that nobody is to check any more."""
    late = trio.Event()

    async def slow(*_):
        world.asked.append("slow")
        await late.wait()
        return SimpleNamespace(bundle=b"\x0b" * 32)

    async with world.running():
        auditor_module.ask_miner = slow
        await world.audited()
        assert world.asked == ["slow"]
        world.peer.view = changed(builders.view(), beacons={DEADLINE_MS: not_drawn()})
        await world.tick()
        late.set()
        await world.tick(2)
        assert (world.auditor.status().held, world.peer.published) == (0, [])


def not_drawn():
    for number in range(10_000):
        block = builders.block(f"other {number}")
        if builders.audit(block).steps_of(AUDITOR.address) is None:
            return block
    raise AssertionError


def test_a_scheduler_that_looks_back_is_told_by_its_package(world):
    with open_audits(world.path, DOMAIN) as journal:
        auditor = Auditor(world.peer, world.workers, journal, lambda: True)
        model_id = TASK.message.model_id
        assert (auditor._looks_back(model_id), auditor._looks_back(bytes(32))) == (False, False)
        head = replace(HEAD, scheduler_rule=SchedulerRule.TWO_STEPS)
        world.workers.packages[model_id] = SimpleNamespace(table=SimpleNamespace(head=head))
        assert auditor._looks_back(model_id)


async def test_a_miner_is_asked_no_more_often_than_it_answers_and_is_not_blamed_for_what_waits(
    autojump_clock, world
):
    """On a network where all work is audited, more is drawn than a miner may be asked about in a minute."""
    assert 2 * ASKS_PER_MINER_MAX < REQUESTS_PER_PEER_MAX
    miner = COMMITTED.signer.address
    async with world.running():
        await world.audited()
        assert len(world.asked) == 1
        for _ in range(ASKS_PER_MINER_MAX - 1):
            world.auditor._count_question(miner)
        with pytest.raises(TooOften, match=r"^this miner was asked often enough for now$"):
            world.auditor._count_question(miner)
        world.auditor._count_question(bytes(20))
        world.now_ms += WINDOW_MS
        world.auditor._count_question(miner)


async def test_a_question_that_has_to_wait_is_no_try(autojump_clock, world):
    world.answers = [TooOften("this miner was asked often enough for now")] * 2
    async with world.running():
        await world.audited()
        while not world.peer.published:
            await world.pass_to(world.now_ms + 1_000)
        assert (world.verdict().verdict, world.counts[Count.OWN_FAILURE]) == (Verdict.HONEST, 2)
        assert Count.MISSED not in world.counts


def test_miners_that_are_counted_are_bounded(world, monkeypatch):
    monkeypatch.setattr(auditor_module, "MINERS_MAX", 2)
    with open_audits(world.path, DOMAIN) as journal:
        auditor = Auditor(world.peer, world.workers, journal, lambda: True)
        for number in range(5):
            auditor._count_question(bytes([number]) * 20)
        assert len(auditor._paces) == 2
