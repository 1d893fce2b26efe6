"""The auditor's engine: whole audits, silence, restarts, and its laws under any sequence of events."""

import dataclasses
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.auditor import engine as engine_module
from node.auditor.actions import (
    Ask,
    Check,
    Count,
    Drawing,
    Drop,
    Judged,
    Note,
    Publish,
    Subject,
    Unable,
    WantsMore,
)
from node.auditor.engine import OPEN_MAX, REST_MS, SPACING_PARTS, TRIES, AuditorEngine
from protocol.audit import NO_BUNDLE, AuditReason, Audits, AuditVerdict, FaultPlace, Verdict
from protocol.messages import ResultCommitment
from protocol.rules.verdicts import check_form
from protocol.statement import Statement
from protocol.terms import PPM, AuditTerms
from tests.protocol import builders
from tests.protocol.builders import AUDIT, AUDITED_STEP, AUDITOR, COMMITTED, EPOCH, NOW_MS, TASK, changed

TERMS = AuditTerms()
DEADLINE_MS = TASK.message.deadline_ms
END_MS = DEADLINE_MS + TERMS.window_ms
SILENCE_MS = END_MS - TERMS.window_ms // 16
DICE_MS = DEADLINE_MS + 25_000
SUBJECT = Subject(TASK, COMMITTED)
WORK = SUBJECT.id
DRAWING = Drawing(builders.beacon().hash, AUDIT.dice, (AUDITED_STEP,))
BLIND = changed(builders.view(), beacons={})
HONEST = Judged(AuditReason.NONE, builders.checked(AUDITED_STEP), 1_800, (), b"\x0b" * 32)
VERDICT = builders.verdict(bundle=b"\x0b" * 32)
EVERY_WORK = AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM)


def an_engine(noted=(), auditor=AUDITOR.address, **changes):
    wants = {"can_check": lambda model: True, "looks_back": lambda model: False, **changes}
    return AuditorEngine(auditor, TERMS, **wants, noted=noted)


class World:
    """An engine, and the time."""

    def __init__(self, engine=None, view=None):
        self.engine = engine or an_engine()
        self.view = view or builders.view()
        self.now_ms = NOW_MS + 60_000

    def hear(self, subject=SUBJECT, epoch=EPOCH):
        return self.engine.heard(subject.task, subject.commitment, epoch, self.now_ms)

    def tick(self, at_ms=None, view=None, *, idle=True):
        self.now_ms = self.now_ms if at_ms is None else at_ms
        return self.engine.tick(view or self.view, self.now_ms, idle=idle)

    def asked(self):
        """Heard, drawn, and the miner asked."""
        self.hear()
        assert self.tick(DICE_MS) == [Note(SUBJECT, DRAWING, None)]
        (ask,) = self.tick(self.now_ms + TERMS.window_ms // 32)
        return ask


def test_an_honest_audit_from_the_commitment_to_the_verdict():
    world = World()
    assert world.hear() == []
    assert world.tick(DICE_MS, BLIND) == []
    assert world.tick() == [Note(SUBJECT, DRAWING, None)]
    assert world.tick() == []
    assert world.tick(DICE_MS + TERMS.window_ms // 32) == [Ask(SUBJECT, (AUDITED_STEP,))]
    assert world.engine.opened(WORK) == []
    assert world.tick(idle=False) == []
    assert world.tick() == [Check(SUBJECT, DRAWING)]
    assert world.tick() == []
    assert world.engine.checked(WORK, HONEST, world.now_ms) == [Note(SUBJECT, DRAWING, VERDICT)]
    assert world.engine.noted(WORK, world.now_ms) == [Publish(SUBJECT, VERDICT)]
    assert world.engine.published(WORK) == [Drop(WORK, "published")]
    assert world.hear() == []
    snapshot = world.engine.snapshot()
    assert snapshot.states == {}
    assert snapshot.counts == dict.fromkeys(
        [Count.HEARD, Count.DRAWN, Count.ASKED, Count.OPENED, Count.HONEST, Count.PUBLISHED], 1
    )


def test_a_fault_is_said_with_its_place():
    world = World()
    world.asked()
    world.engine.opened(WORK)
    world.tick()
    place = (FaultPlace(AUDITED_STEP, 0, 7),)
    found = dataclasses.replace(HONEST, reason=AuditReason.SCHEDULER_STEP, place=place)
    (note,) = world.engine.checked(WORK, found, world.now_ms)
    assert (note.verdict.verdict, note.verdict.reason) == (Verdict.FAULT, AuditReason.SCHEDULER_STEP)
    assert note.verdict.place == place
    check_form(note.verdict)


def test_what_is_known_by_its_hash_alone_is_asked_for_before_anybody_is_accused():
    world = World()
    world.asked()
    world.engine.opened(WORK)
    world.tick()
    more = AUDITED_STEP + 1 if TASK.message.work.units > AUDITED_STEP + 1 else AUDITED_STEP - 1
    assert world.engine.checked(WORK, WantsMore((more,)), world.now_ms) == []
    assert world.tick() == [Ask(SUBJECT, tuple(sorted((AUDITED_STEP, more))))]
    world.engine.opened(WORK)
    world.tick()
    # The same again is a check that goes round in circles.
    (drop,) = world.engine.checked(WORK, WantsMore((more,)), world.now_ms)
    assert drop == Drop(WORK, "the check wants what it has, or what there is not")


@pytest.mark.parametrize("steps", [(-1,), (4,), (4_000,)])
def test_a_step_that_there_is_not_is_never_asked_for(steps):
    world = World()
    world.asked()
    world.engine.opened(WORK)
    world.tick()
    (drop,) = world.engine.checked(WORK, WantsMore(steps), world.now_ms)
    assert isinstance(drop, Drop)


def test_a_scheduler_that_looks_back_has_the_step_before_opened_too():
    world = World(an_engine(looks_back=lambda model: True))
    before = {AUDITED_STEP - 1} if AUDITED_STEP else set()
    assert world.asked() == Ask(SUBJECT, tuple(sorted({AUDITED_STEP, *before})))


# Silence


def silent_until_judged(world):
    """A miner that never opens: when it was asked, and what is written down in the end."""
    world.asked()
    asked_ms = [world.now_ms]
    world.engine.missed(WORK, world.now_ms)
    while True:
        actions = world.tick(world.now_ms + 10_000)
        if any(isinstance(action, Ask) for action in actions):
            asked_ms.append(world.now_ms)
            world.engine.missed(WORK, world.now_ms)
        elif actions:
            return asked_ms, actions


def test_no_opening_is_said_after_three_tries_and_at_the_end_of_the_window():
    world = World()
    asked_ms, (note,) = silent_until_judged(world)
    assert len(asked_ms) == TRIES
    assert asked_ms[-1] - asked_ms[0] > TERMS.window_ms // 3
    assert SILENCE_MS <= world.now_ms < END_MS
    silence = AuditVerdict(
        TASK.digest, WORK[1], COMMITTED.digest, Verdict.NO_OPENING, 0, (), 0, (), NO_BUNDLE
    )
    assert note == Note(SUBJECT, DRAWING, silence)
    check_form(silence)


def test_an_auditor_that_comes_late_leaves_time_between_its_tries():
    """So that a miner that starts again, or knows a block a moment later, is not said to be silent."""
    world = World()
    world.asked()
    world.engine.missed(WORK, world.now_ms, own_failure=True)
    (_ask,) = world.tick(SILENCE_MS)
    asked_ms, actions = [world.now_ms], []
    while not any(isinstance(action, Note) for action in actions):
        world.engine.missed(WORK, world.now_ms)
        while not (actions := world.tick(world.now_ms + 1_000)):
            pass
        asked_ms.append(world.now_ms)
    assert len(asked_ms) == TRIES + 1
    spaces_ms = [later - sooner for sooner, later in itertools.pairwise(asked_ms)]
    assert min(spaces_ms) >= TERMS.window_ms // SPACING_PARTS
    assert world.now_ms < END_MS


def test_a_miner_that_opens_at_the_third_try_is_checked_like_any():
    world = World()
    world.asked()
    for _ in range(TRIES - 1):
        world.engine.missed(WORK, world.now_ms)
        assert world.tick(world.now_ms + TERMS.window_ms // 4) == [Ask(SUBJECT, (AUDITED_STEP,))]
    world.engine.opened(WORK)
    assert world.tick() == [Check(SUBJECT, DRAWING)]


def test_who_could_not_ask_says_nothing_of_the_miner():
    """A node that is cut off asks again and again, and in the end falls silent itself."""
    world = World()
    world.asked()
    while world.now_ms < END_MS:
        world.engine.missed(WORK, world.now_ms, own_failure=True)
        actions = world.tick(world.now_ms + 20_000)
    assert actions == [Drop(WORK, "the time for the audit is over")]
    assert Count.NO_OPENING not in world.engine.counts
    assert Count.MISSED not in world.engine.counts


def test_a_machine_that_cannot_check_says_nothing_of_the_miner():
    world = World()
    world.asked()
    world.engine.opened(WORK)
    world.tick()
    assert world.engine.checked(WORK, Unable("no worker"), world.now_ms) == [Drop(WORK, "no worker")]


def test_paid_work_goes_first_even_if_the_audit_comes_to_nothing():
    world = World()
    world.asked()
    world.engine.opened(WORK)
    assert world.tick(END_MS - 1, idle=False) == []
    assert world.tick(END_MS, idle=False) == [Drop(WORK, "the time for the audit is over")]


# What is not audited


def test_who_is_not_drawn_does_nothing():
    stranger = next(one for one in builders.MINERS.values() if one not in builders.AUDITORS)
    world = World(an_engine(auditor=stranger.address))
    world.hear()
    assert world.tick(DICE_MS) == []
    assert world.engine.snapshot().states == {}
    assert world.engine.counts[Count.NOT_DRAWN] == (stranger.address != WORK[1])


@pytest.mark.parametrize(
    ("changes", "auditor"),
    [
        ({"audits": Audits.BUYER_ONLY}, AUDITOR.address),
        ({}, COMMITTED.signer.address),
        ({}, TASK.message.coordinator),
    ],
    ids=["the buyer's alone", "own work", "own task"],
)
def test_what_nobody_here_may_audit_is_not_remembered(changes, auditor):
    world = World(an_engine(auditor=auditor))
    task = Statement(changed(TASK.message, **changes), TASK.signer, TASK.encoded, TASK.digest)
    world.hear(Subject(task, COMMITTED))
    assert world.engine.snapshot().states == {}


def test_a_model_that_is_not_here_is_left_to_others():
    world = World(an_engine(can_check=lambda model: False))
    world.hear()
    assert world.engine.snapshot().states == {}


def test_the_epoch_may_have_been_forgotten_meanwhile():
    world = World(view=changed(builders.view(), epochs={}))
    world.hear()
    assert world.tick(DICE_MS) == [Note(SUBJECT, DRAWING, None)]
    unknown = World(view=changed(builders.view(), epochs={}))
    unknown.hear(epoch=None)
    assert unknown.tick(DICE_MS) == []
    assert unknown.engine.counts[Count.EPOCH_UNKNOWN] == 1


def other_block(drawn):
    """A view in which another block throws the dice. :param drawn: whether they draw this auditor."""
    for number in range(10_000):
        block = builders.block(f"other {number}")
        steps = builders.audit(block).steps_of(AUDITOR.address)
        if (steps is not None) == drawn and steps != DRAWING.steps:
            return changed(builders.view(), beacons={DEADLINE_MS: block}), block, steps
    raise AssertionError


def test_a_reorganisation_takes_the_audit_away():
    world = World()
    world.asked()
    view, _, _ = other_block(drawn=False)
    assert world.tick(view=view) == [Drop(WORK, "dice_changed")]
    assert world.engine.opened(WORK) == []


def test_a_reorganisation_that_draws_other_steps_has_those_asked_for():
    world = World()
    world.asked()
    view, block, steps = other_block(drawn=True)
    drop, note = world.tick(view=view)
    assert drop == Drop(WORK, "dice_changed")
    assert (note.drawing.block_hash, note.drawing.steps) == (block.hash, steps)
    assert world.tick(world.now_ms + TERMS.window_ms // 32, view) == [Ask(SUBJECT, steps)]


# Writing down


def judged(world):
    world.asked()
    world.engine.opened(WORK)
    world.tick()
    return world.engine.checked(WORK, HONEST, world.now_ms)


def test_nothing_is_signed_that_the_disk_has_not_taken():
    world = World()
    (note,) = judged(world)
    assert world.engine.published(WORK) == []
    assert world.engine.not_noted(WORK, world.now_ms) == []
    assert world.tick() == []
    assert world.tick(world.now_ms + REST_MS) == [note]
    assert world.engine.noted(WORK, world.now_ms) == [Publish(SUBJECT, VERDICT)]


def test_a_verdict_that_nobody_took_is_published_again_in_the_same_words():
    world = World()
    judged(world)
    world.engine.noted(WORK, world.now_ms)
    assert world.engine.not_published(WORK, world.now_ms) == []
    assert world.tick() == []
    assert world.tick(world.now_ms + REST_MS) == [Publish(SUBJECT, VERDICT)]
    assert world.tick(END_MS) == [Drop(WORK, "the time for the audit is over")]


def test_after_a_restart_a_drawn_audit_goes_on():
    world = World(an_engine(noted=[Note(SUBJECT, DRAWING, None)]))
    assert world.hear() == []
    assert world.tick(DICE_MS + 1, BLIND) == [Ask(SUBJECT, (AUDITED_STEP,))]


def test_after_a_restart_the_verdict_is_the_one_that_was_written_down():
    world = World(an_engine(noted=[Note(SUBJECT, DRAWING, VERDICT)]))
    assert world.tick(DICE_MS) == [Publish(SUBJECT, VERDICT)]
    # A late answer of the life before changes nothing.
    assert world.engine.checked(WORK, dataclasses.replace(HONEST, bundle=bytes(32)), DICE_MS) == []
    assert world.engine.published(WORK) == [Drop(WORK, "published")]


# Bounds


def many(number):
    """The work of one miner for another task of the same deadline, with commitments of their own."""
    task = builders.opened(builders.COORDINATOR, builders.announcement(number))
    signer = builders.KEY_OF[task.message.assigned[0]]
    message = changed(COMMITTED.message, task_id=task.digest)
    assert isinstance(message, ResultCommitment)
    return Subject(task, builders.opened(signer, message))


def test_what_is_heard_is_bounded_and_the_oldest_goes(monkeypatch):
    monkeypatch.setattr(engine_module, "HEARD_MAX", 3)
    world = World()
    for number in range(20, 25):
        world.hear(many(number))
    assert sum(world.engine.snapshot().states.values()) <= 3
    assert world.engine.counts[Count.HEARD_OVERFLOW] == world.engine.counts[Count.HEARD] - 3


def test_openings_held_at_a_time_are_bounded_and_so_is_what_is_drawn(monkeypatch):
    monkeypatch.setattr(engine_module, "DRAWN_MAX", 6)
    world = World(view=changed(builders.view(), audit_terms=EVERY_WORK))
    for number in range(20, 60):
        world.hear(many(number))
    assert len(world.tick(DICE_MS)) == 6
    assert world.engine.counts[Count.DRAWN] == 6
    assert world.engine.counts[Count.DRAWN_OVERFLOW] > 0
    asked = world.tick(DICE_MS + TERMS.window_ms // 32)
    assert len(asked) == OPEN_MAX
    for ask in asked:
        world.engine.opened(ask.subject.id)
    # One is checked at a time, and none more is asked for while so many wait.
    (check,) = world.tick()
    assert isinstance(check, Check)
    world.engine.checked(check.subject.id, Unable("no worker"), world.now_ms)
    assert sorted(type(action).__name__ for action in world.tick()) == ["Ask", "Check"]


# Laws

SUBJECTS = [SUBJECT, *map(many, range(30, 34))]
OUTCOMES = [
    HONEST,
    Unable("no worker"),
    WantsMore((0,)),
    WantsMore((9,)),
    dataclasses.replace(HONEST, reason=AuditReason.MODEL_OUTPUT),
]
VIEWS = [
    changed(builders.view(), audit_terms=EVERY_WORK),
    changed(builders.view(), audit_terms=EVERY_WORK),
    BLIND,
    changed(builders.view(), audit_terms=EVERY_WORK, beacons={DEADLINE_MS: builders.block("another")}),
]
STRAY = ["opened", "published"]
"""Answers that nobody waits for. That a verdict is written down only the disk says, which does not lie."""
acts = st.tuples(
    st.sampled_from(["tick", "tick", "answer", "answer", "answer", "hear", "stray", "restart"]),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from([0, 1_000, 120_000, 600_000]),
)


class Shell:
    """What stands around an engine: a disk, and the actions that are not answered yet."""

    def __init__(self):
        self.world, self.disk, self.pending = World(), {}, []
        self.published, self.missed = {}, {}
        self.reached = set()

    def act(self, kind, which, choice):
        engine, world = self.world.engine, self.world
        subject = SUBJECTS[which % len(SUBJECTS)]
        match kind:
            case "tick":
                view = VIEWS[which % len(VIEWS)]
                self.take(world.tick(view=view, idle=choice != 1))
            case "hear":
                self.take(world.hear(subject))
            case "stray":
                self.take(getattr(engine, STRAY[choice % len(STRAY)])(subject.id))
            case "restart":
                self.world.engine, self.pending = an_engine(noted=self.disk.values()), []
            case "answer" if self.pending:
                self.take(self.answer(self.pending.pop(which % len(self.pending)), choice))

    def answer(self, action, choice):
        engine, now_ms, work_id = self.world.engine, self.world.now_ms, action.subject.id
        good = choice < 3
        match action:
            case Ask():
                own = choice == 4
                self.missed[work_id] = self.missed.get(work_id, 0) + (not good and not own)
                return engine.opened(work_id) if good else engine.missed(work_id, now_ms, own_failure=own)
            case Check():
                return engine.checked(work_id, OUTCOMES[choice], now_ms)
            case Note() if good:
                self.disk[work_id] = action
                return engine.noted(work_id, now_ms)
            case Note():
                return engine.not_noted(work_id, now_ms)
            case _ if good:
                return engine.published(work_id)
        return engine.not_published(work_id, now_ms)

    def take(self, actions):
        for action in actions:
            self.reached.add(type(action))
            match action:
                case Drop(work_id=work_id):
                    self.disk.pop(work_id, None)
                case Note(verdict=None):
                    self.disk[action.subject.id] = action
                case Publish():
                    self.check_published(action)
                    self.pending.append(action)
                case _:
                    if isinstance(action, Note):
                        check_form(action.verdict)
                    self.pending.append(action)

    def check_published(self, action):
        work_id = action.subject.id
        assert self.disk[work_id].verdict == action.verdict
        assert self.published.setdefault(work_id, action.verdict) == action.verdict
        assert self.world.now_ms < END_MS
        if action.verdict.verdict == Verdict.NO_OPENING:
            assert self.missed[work_id] >= TRIES
            assert self.world.now_ms >= SILENCE_MS


def run_story(story):
    shell = Shell()
    for kind, which, choice, later_ms in story:
        shell.world.now_ms += later_ms
        shell.act(kind, which, choice)
        states = shell.world.engine.snapshot().states
        assert states.get("asked", 0) + states.get("checking", 0) <= OPEN_MAX
        assert sum(states.values()) <= len(SUBJECTS)
    return shell


@settings(max_examples=150, deadline=None)
@given(st.lists(acts, max_size=80))
def test_law_whatever_happens_nothing_is_published_that_is_not_written_down(story):
    run_story(story)


def test_the_law_is_tried_where_it_matters():
    """Stories by dice reach every action, verdicts of every kind, and restarts between them."""
    draw, reached, verdicts = random.Random(7), set(), set()
    kinds = ["tick", "answer", "hear", "stray", "restart"]
    for number in range(150):
        story = [("hear", which, 0, 0) for which in range(5)] + [("tick", 0, 0, 85_000)]
        # Every second miner mostly withholds, in stories that are long enough to say so.
        choices = [0, 1, 2, 3, 4] if number % 2 else [0, 3, 3, 3]
        for kind in draw.choices(kinds, [40, 20, 1, 1, number % 2], k=160):
            later_ms = draw.choice([0, 1_000, 30_000, 60_000])
            which = draw.choice([0, 0, 0, 1, 2, 3] if number % 2 else [0])
            story.append((kind, which, draw.choice(choices), later_ms))
        shell = run_story(story)
        reached |= shell.reached
        verdicts |= {verdict.verdict for verdict in shell.published.values()}
    assert reached == {Ask, Check, Note, Publish, Drop}
    assert verdicts == set(Verdict)
