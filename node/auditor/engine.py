"""The auditor as a machine: what is heard goes in, what is to be done comes out.

Is: which work this node audits, when it asks, when it checks, and what it says; by the table of
`protocol.task`. No I/O, clock or randomness.
Is not: the check itself (`node/inference/audit`), streams, files or signatures.

The laws of this file, tested with any sequence of events: nothing is raised, no bound is passed, nothing is
published that was not written down, at most one verdict is made of a piece of work, and NO_OPENING is said of
nobody that was asked fewer than `TRIES` times, with time between them, or before the time for the audit is
nearly over.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from node.auditor.actions import (
    Action,
    Ask,
    AuditorSnapshot,
    Check,
    Count,
    Drawing,
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
from node.auditor.audits import Audit, silence_of, verdict_of
from protocol.audit import CHECKED_STEPS_MAX, Audits, AuditVerdict, Verdict
from protocol.audit_draw import AuditDraw, AuditedWork, BeaconBlock, draw_audit
from protocol.bounded import Bounded
from protocol.draw import EpochView
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.rules.view import View
from protocol.statement import Statement
from protocol.task import AuditorEvent, AuditorState
from protocol.terms import AuditTerms

HEARD_MAX: Final = 4096
"""Pieces of work whose dice are waited for; beyond it the oldest are forgotten. As many as peers know."""
DRAWN_MAX: Final = 256
"""Pieces of work that this node was drawn for and has not ended; beyond it none is taken."""
OPEN_MAX: Final = 4
"""Openings that are asked for or held in memory at a time."""
OVER_MAX: Final = 4096
"""Pieces of work that are over and remembered as such."""
TRIES: Final = 3
"""So often a miner is asked before it is said to have opened nothing."""
FIRST_ASK_PARTS: Final = 32
"""So small a part of the time for audits passes from the dice to the first question: a miner looks too."""
TRY_PARTS: Final = 4
"""After a try so small a part of the time that is left passes before the next."""
SPACING_PARTS: Final = 64
"""At least so small a part of the time for audits passes between tries, however late they are: what keeps an
honest miner from answering, a restart or a block that it does not know, is over by then. If no three of them
fit in, nobody is accused."""
LAST_PARTS: Final = 16
"""So small a part of the time is left when it is said that a miner has opened nothing."""
REST_MS: Final = 1_000
"""Between attempts at what failed here: a disk that is full, a node that nobody hears."""


class AuditorEngine:
    """One node's. Every event returns the actions that it asks for, in order.

    :ivar counts: see `Count`.
    """

    def __init__(
        self,
        auditor: bytes,
        terms: AuditTerms,
        can_check: Callable[[bytes], bool],
        looks_back: Callable[[bytes], bool],
        noted: Iterable[Note] = (),
    ) -> None:
        """
        :param auditor: this node's address.
        :param can_check: whether a model, by its id, is here.
        :param looks_back: whether a model's scheduler reads the step before, which is opened then, too.
        :param noted: what was written down before a restart, and not dropped.
        """
        self.counts: Counter[Count] = Counter()
        self._auditor, self._terms = auditor, terms
        self._can_check, self._looks_back = can_check, looks_back
        self._audits: OrderedDict[WorkId, Audit] = OrderedDict()
        self._over: Bounded[WorkId, None] = Bounded(OVER_MAX)
        self._actions: list[Action] = []
        for note in noted:
            self._take_up(note)

    def snapshot(self) -> AuditorSnapshot:
        """The engine as it is now."""
        states = Counter(audit.life.state.value for audit in self._audits.values())
        return AuditorSnapshot(dict(states), dict(self.counts))

    # Events

    def heard(
        self,
        task: Statement[TaskAnnouncement],
        commitment: Statement[ResultCommitment],
        epoch: EpochView | None,
        now_ms: int,
    ) -> list[Action]:
        """A commitment that its rule has accepted.

        :param epoch: that the task names; None if it is not known.
        """
        subject = Subject(task, commitment)
        message = task.message
        ours = self._auditor in {subject.id[1], message.coordinator}
        if ours or message.audits != Audits.PUBLIC or not self._can_check(message.model_id):
            return []
        known = subject.id in self._audits or subject.id in self._over
        if known or self._ends_at_ms(subject) <= now_ms:
            return []
        self.counts[Count.HEARD] += 1
        self._audits[subject.id] = Audit(subject, epoch)
        if len(self._audits) > HEARD_MAX:
            waiting = [audit for audit in self._audits.values() if audit.life.state is AuditorState.HEARD]
            if len(waiting) > HEARD_MAX:
                self._end(waiting[0], AuditorEvent.EXPIRE, Count.HEARD_OVERFLOW)
        return self._take_actions()

    def opened(self, work_id: WorkId) -> list[Action]:
        """The miner has opened what it was asked for, and it is proved to be what was committed to."""
        audit = self._in(work_id, AuditorState.ASKED)
        if audit is not None:
            self.counts[Count.OPENED] += 1
            audit.life.move(AuditorEvent.GET_OPENING)
        return self._take_actions()

    def missed(self, work_id: WorkId, now_ms: int, *, own_failure: bool = False) -> list[Action]:
        """The miner has not opened what it was asked for.

        :param own_failure: it may be this node that could not ask: then it was no try.
        """
        audit = self._in(work_id, AuditorState.ASKED)
        if audit is not None:
            audit.life.move(AuditorEvent.MISS_OPENING)
            if own_failure:
                self.counts[Count.OWN_FAILURE] += 1
                audit.next_ms = now_ms + REST_MS
            else:
                self.counts[Count.MISSED] += 1
                audit.tries += 1
                left_ms = max(0, self._silence_at_ms(audit.subject) - now_ms)
                audit.next_ms = now_ms + max(self._terms.window_ms // SPACING_PARTS, left_ms // TRY_PARTS)
        return self._take_actions()

    def checked(self, work_id: WorkId, outcome: Outcome, now_ms: int) -> list[Action]:
        """The answer to `Check`."""
        audit = self._in(work_id, AuditorState.CHECKING)
        if audit is None or not audit.is_checked:
            return []
        audit.is_checked = False
        match outcome:
            case Judged():
                self._judge(audit, verdict_of(audit.subject, outcome), now_ms)
            case WantsMore(steps=more):
                self._want_more(audit, more, now_ms)
            case Unable(reason=reason):
                self._end(audit, AuditorEvent.EXPIRE, Count.OWN_FAILURE, reason)
        return self._take_actions()

    def noted(self, work_id: WorkId, now_ms: int) -> list[Action]:
        """A verdict is written down."""
        audit = self._in(work_id, AuditorState.JUDGED)
        if audit is not None and audit.verdict is not None:
            audit.life.move(AuditorEvent.NOTE)
            audit.next_ms = now_ms + REST_MS
            # Later than this nobody would pass it on.
            if now_ms < self._ends_at_ms(audit.subject):
                self._actions.append(Publish(audit.subject, audit.verdict))
        return self._take_actions()

    def not_noted(self, work_id: WorkId, now_ms: int) -> list[Action]:
        """A verdict cannot be written down; it is tried again."""
        return self._rest(work_id, AuditorState.JUDGED, Count.NOT_NOTED, now_ms)

    def published(self, work_id: WorkId) -> list[Action]:
        """A verdict is with others."""
        audit = self._in(work_id, AuditorState.NOTED)
        if audit is not None:
            self._end(audit, AuditorEvent.PUBLISH, Count.PUBLISHED, "published")
        return self._take_actions()

    def not_published(self, work_id: WorkId, now_ms: int) -> list[Action]:
        """A verdict cannot be signed or published now; it is tried again, in the same words."""
        return self._rest(work_id, AuditorState.NOTED, Count.NOT_PUBLISHED, now_ms)

    def tick(self, view: View, now_ms: int, *, idle: bool) -> list[Action]:
        """Time has passed.

        :param view: what the chain says.
        :param idle: whether no paid work waits: otherwise nothing is checked.
        """
        for audit in list(self._audits.values()):
            if self._ends_at_ms(audit.subject) <= now_ms:
                self._end(audit, AuditorEvent.EXPIRE, Count.EXPIRED, "the time for the audit is over")
            else:
                self._throw(audit, view, now_ms)
        is_open = {AuditorState.ASKED, AuditorState.CHECKING}
        held = sum(audit.life.state in is_open for audit in self._audits.values())
        for audit in list(self._audits.values()):
            held += self._go_on(audit, now_ms, may_ask=held < OPEN_MAX)
        checking = [audit for audit in self._audits.values() if audit.life.state is AuditorState.CHECKING]
        if idle and checking and not any(audit.is_checked for audit in checking):
            first = min(checking, key=lambda audit: audit.subject.task.message.deadline_ms)
            first.is_checked = True
            assert first.drawing is not None
            self._actions.append(Check(first.subject, first.drawing))
        return self._take_actions()

    # Internals

    def _take_up(self, note: Note) -> None:
        audit = Audit(note.subject)
        audit.life.move(AuditorEvent.DRAW)
        self._set_drawing(audit, note.drawing)
        if note.verdict is not None:
            audit.verdict = note.verdict
            audit.life.move(AuditorEvent.JUDGE)
            audit.life.move(AuditorEvent.NOTE)
        self._audits[note.subject.id] = audit

    def _throw(self, audit: Audit, view: View, now_ms: int) -> None:
        """See what the dice say, where that is not known, or another block throws them now."""
        message = audit.subject.task.message
        beacon = view.beacons.get(message.deadline_ms)
        state = audit.life.state
        if beacon is None or state in {AuditorState.JUDGED, AuditorState.NOTED}:
            return
        if audit.drawing is not None and audit.drawing.block_hash == beacon.hash:
            return
        epoch = view.epoch_of(message) or audit.epoch
        if epoch is None:
            self._end(audit, AuditorEvent.EXPIRE, Count.EPOCH_UNKNOWN)
            return
        work = AuditedWork.of(message, audit.subject.commitment)
        self._take_draw(audit, draw_audit(epoch, work, beacon, view.audit_terms), beacon, now_ms)

    def _take_draw(self, audit: Audit, draw: AuditDraw, beacon: BeaconBlock, now_ms: int) -> None:
        steps = draw.steps_of(self._auditor)
        is_new = audit.life.state is AuditorState.HEARD
        if steps is None:
            self._end(audit, AuditorEvent.PASS, Count.NOT_DRAWN if is_new else Count.DICE_CHANGED)
        elif not is_new and audit.drawing is not None and audit.drawing.steps != steps:
            # What was asked for is on its way, and of no use: whoever is drawn anew begins anew.
            self._end(audit, AuditorEvent.PASS, Count.DICE_CHANGED)
            del self._over[audit.subject.id]
            self._audits[audit.subject.id] = fresh = Audit(audit.subject, audit.epoch)
            self._take_draw(fresh, draw, beacon, now_ms)
        elif is_new and sum(other.drawing is not None for other in self._audits.values()) >= DRAWN_MAX:
            self._end(audit, AuditorEvent.EXPIRE, Count.DRAWN_OVERFLOW)
        else:
            self._set_drawing(audit, Drawing(beacon.hash, draw.dice, steps))
            if is_new:
                self.counts[Count.DRAWN] += 1
                audit.life.move(AuditorEvent.DRAW)
                audit.next_ms = now_ms + self._terms.window_ms // FIRST_ASK_PARTS
            assert audit.drawing is not None
            self._actions.append(Note(audit.subject, audit.drawing, None))

    def _set_drawing(self, audit: Audit, drawing: Drawing) -> None:
        audit.drawing, audit.steps = drawing, drawing.steps
        if self._looks_back(audit.subject.task.message.model_id):
            before = {step - 1 for step in drawing.steps if step}
            audit.steps = tuple(sorted({*drawing.steps, *before}))

    def _go_on(self, audit: Audit, now_ms: int, *, may_ask: bool) -> bool:
        """Do what is due. :returns: whether one more opening is asked for."""
        if audit.next_ms > now_ms or audit.drawing is None:
            return False
        match audit.life.state:
            case AuditorState.DRAWN if audit.tries >= TRIES:
                if self._silence_at_ms(audit.subject) <= now_ms:
                    self._judge(audit, silence_of(audit.subject), now_ms)
            case AuditorState.DRAWN if may_ask:
                self.counts[Count.ASKED] += 1
                audit.life.move(AuditorEvent.ASK)
                self._actions.append(Ask(audit.subject, audit.steps))
                return True
            case AuditorState.JUDGED:
                audit.next_ms = now_ms + REST_MS
                self._actions.append(Note(audit.subject, audit.drawing, audit.verdict))
            case AuditorState.NOTED if audit.verdict is not None:
                audit.next_ms = now_ms + REST_MS
                self._actions.append(Publish(audit.subject, audit.verdict))
        return False

    def _want_more(self, audit: Audit, more: tuple[int, ...], now_ms: int) -> None:
        steps = tuple(sorted({*audit.steps, *more}))
        possible = all(0 <= step < audit.subject.task.message.work.units for step in more)
        if steps == audit.steps or not possible or len(steps) > CHECKED_STEPS_MAX:
            reason = "the check wants what it has, or what there is not"
            self._end(audit, AuditorEvent.EXPIRE, Count.OWN_FAILURE, reason)
            return
        self.counts[Count.WANTED_MORE] += 1
        audit.life.move(AuditorEvent.WANT_MORE)
        audit.steps, audit.next_ms = steps, now_ms

    def _judge(self, audit: Audit, verdict: AuditVerdict, now_ms: int) -> None:
        self.counts[Count[Verdict(verdict.verdict).name]] += 1
        audit.verdict, audit.next_ms = verdict, now_ms + REST_MS
        audit.life.move(AuditorEvent.JUDGE)
        assert audit.drawing is not None
        self._actions.append(Note(audit.subject, audit.drawing, verdict))

    def _rest(self, work_id: WorkId, state: AuditorState, count: Count, now_ms: int) -> list[Action]:
        audit = self._in(work_id, state)
        if audit is not None:
            self.counts[count] += 1
            audit.next_ms = now_ms + REST_MS
        return self._take_actions()

    def _end(self, audit: Audit, event: AuditorEvent, count: Count, reason: str = "") -> None:
        self.counts[count] += 1
        audit.life.move(event)
        del self._audits[audit.subject.id]
        self._over[audit.subject.id] = None
        if audit.drawing is not None:
            self._actions.append(Drop(audit.subject.id, reason or count.value))

    def _in(self, work_id: WorkId, state: AuditorState) -> Audit | None:
        """An audit, if it is in this state: answers may come late, or twice."""
        audit = self._audits.get(work_id)
        return audit if audit is not None and audit.life.state is state else None

    def _ends_at_ms(self, subject: Subject) -> int:
        return self._terms.ends_at_ms(subject.task.message.deadline_ms)

    def _silence_at_ms(self, subject: Subject) -> int:
        """From when on it may be said that a miner has opened nothing."""
        return self._ends_at_ms(subject) - self._terms.window_ms // LAST_PARTS

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions
