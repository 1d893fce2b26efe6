"""The buyer's own audits: which delivered work a coordinator has checked, and what its findings lead to.

Is: a private coin, a queue and suspicion, as a machine without I/O, clock or randomness of its own. Nobody
else knows what is looked at, not even afterwards, and nothing waits for a block.
Is not: asking and checking (`buyer_auditing`), evidence, or the draw that passes a miner over (`choice`).

Laws, tested with any sequence of events: nothing is raised, no bound is passed, one check runs at a time, no
work is asked for more than `TRIES` times, and of a suspect miner everything is checked.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from protocol.audit_draw import AuditedWork, drawn_steps
from protocol.audit_pay import shows_work
from protocol.bounded import Bounded
from protocol.terms import PPM

if TYPE_CHECKING:
    from node.coordinator.choice import Experience
    from protocol.audit import AuditVerdict
    from protocol.audit_draw import AuditDraw
    from protocol.messages import ResultCommitment, TaskAnnouncement
    from protocol.statement import Statement

WAITING_MAX: Final = 64
"""Pieces of work that wait for a check; further ones are left unchecked."""
TRIES: Final = 3
"""So often a miner is asked before its silence counts: three lost streams are no accident."""
TRY_AGAIN_MS: Final = 20_000
"""Between two tries."""
LATE_MS: Final = 240_000
"""So long after its delivery work is asked for: any miner keeps it for five minutes. Later silence would be
no fault."""
SUSPECT_TASKS: Final = 20
"""So much work of a miner is checked without exception after a fault or silence."""
SUSPECTS_MAX: Final = 1_024
"""Miners that are suspect at a time; the oldest is forgotten first."""
FINDINGS_MAX: Final = 2_000
"""Findings that are remembered for whoever asks."""


class Why(enum.StrEnum):
    """Why work is checked."""

    COIN = "a private coin"
    SUSPECT = "an earlier fault or silence of its miner"
    UNHEARD = "a commitment that was not heard in time, so that no dice decide"
    WISH = "the operator's wish"
    VERDICT = "a verdict that is to be paid"


class Finding(enum.StrEnum):
    """The outcome of a check."""

    HONEST = "honest"
    FALSE = "false"
    NOT_OPENED = "not_opened"
    """The miner has shown nothing that is whole."""
    UNCHECKED = "unchecked"
    """This machine cannot check it, which says nothing of the miner."""


class Count(enum.StrEnum):
    """Everything that is counted."""

    DELIVERED = "delivered"
    NO_MODEL = "no_model"
    SPARED = "spared"
    TAKEN = "taken"
    OVERFLOW = "overflow"
    LATE = "late"
    ASKED_AGAIN = "asked_again"
    HONEST = "honest"
    FALSE = "false"
    NOT_OPENED = "not_opened"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Check:
    """A piece of work to be asked for and checked; the answer is `ended`.

    :ivar steps: of the trace, ascending.
    :ivar dice: 32 random bytes, which nobody else knows.
    :ivar auditor: at whose places sketches are made; empty for this node's own.
    :ivar verdict: that is to be paid; None for none. :ivar drawn: steps that its signer was drawn for.
    :ivar delivered_ms: when the work came, by the clock of waits; 0 for a wish.
    :ivar tries: questions without an answer. :ivar due_ms: it is not asked for before.
    """

    task: Statement[TaskAnnouncement]
    commitment: Statement[ResultCommitment]
    steps: tuple[int, ...]
    dice: bytes
    why: Why
    auditor: bytes = b""
    verdict: Statement[AuditVerdict] | None = None
    drawn: int = 0
    delivered_ms: int = 0
    tries: int = 0
    due_ms: int = 0

    @property
    def miner(self) -> bytes:
        """Address of whose work it is."""
        return self.commitment.signer.address


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, for whoever asks. :ivar words: of what was looked at and what came of it."""

    finding: Finding
    words: str


@dataclass(frozen=True, slots=True)
class BuyerAuditsStatus:
    """:ivar waiting: pieces of work. :ivar suspects: miners. :ivar counts: see `Count`."""

    waiting: int
    suspects: int
    counts: dict[str, int]


class BuyerAudits:
    """Those of one coordinator. :ivar counts: see `Count`. :ivar findings: by task id."""

    def __init__(
        self,
        rate_percent: int,
        experience: Experience,
        *,
        can_check: Callable[[bytes], bool],
        coin: Callable[[], int],
        new_dice: Callable[[], bytes],
    ) -> None:
        """
        :param rate_percent: of delivered work that the coin selects; 0 checks nothing at all.
        :param experience: hears of miners that are to be passed over.
        :param can_check: whether work of a model, by id, can be checked here.
        :param coin: an unpredictable number below `PPM`.
        :param new_dice: 32 unpredictable bytes.
        """
        self.counts: Counter[Count] = Counter()
        self.findings: Bounded[bytes, Found] = Bounded(FINDINGS_MAX)
        self._rate_ppm = rate_percent * PPM // 100
        self._experience = experience
        self._can_check, self._coin, self._new_dice = can_check, coin, new_dice
        self._waiting: deque[Check] = deque()
        self._running: Check | None = None
        self._suspects: Bounded[bytes, int] = Bounded(SUSPECTS_MAX)

    def status(self) -> BuyerAuditsStatus:
        """For people and monitors."""
        counts = {str(name): count for name, count in self.counts.items()}
        return BuyerAuditsStatus(len(self._waiting), len(self._suspects), counts)

    def delivered(
        self,
        task: Statement[TaskAnnouncement],
        commitment: Statement[ResultCommitment],
        now_ms: int,
        *,
        was_heard: bool,
    ) -> None:
        """Work was delivered and paid.

        :param was_heard: its commitment counts on gossip: public dice may select it as well.
        """
        if not self._rate_ppm:
            return
        self.counts[Count.DELIVERED] += 1
        if not self._can_check(task.message.model_id):
            self.counts[Count.NO_MODEL] += 1
            return
        why = self._why(commitment.signer.address, was_heard=was_heard)
        if why is None:
            self.counts[Count.SPARED] += 1
        elif len(self._waiting) >= WAITING_MAX:
            self.counts[Count.OVERFLOW] += 1
        else:
            self.counts[Count.TAKEN] += 1
            check = self.check_of(task, commitment, why)
            self._waiting.append(replace(check, delivered_ms=now_ms, due_ms=now_ms))

    def heard_verdict(
        self,
        task: Statement[TaskAnnouncement],
        commitment: Statement[ResultCommitment],
        verdict: Statement[AuditVerdict],
        draw: AuditDraw,
        now_ms: int,
    ) -> None:
        """A drawn auditor has said something of delivered work: it is to be paid if it has done the work.

        :param commitment: of the work that was delivered. :param draw: of its dice.
        """
        said, auditor = verdict.message, verdict.signer.address
        drawn = draw.steps_of(auditor)
        is_due = said.commitment == commitment.digest and drawn is not None and shows_work(said)
        if not self._rate_ppm or not is_due or not self._can_check(task.message.model_id):
            return
        if len(self._waiting) >= WAITING_MAX:
            self.counts[Count.OVERFLOW] += 1
            return
        self.counts[Count.TAKEN] += 1
        check = Check(
            task, commitment, said.steps, draw.dice, Why.VERDICT, auditor, verdict, len(drawn or ())
        )
        self._waiting.append(replace(check, delivered_ms=now_ms, due_ms=now_ms))

    def suspect(self, miner: bytes) -> None:
        """Check all of a miner's work for a while: somebody says that some of it is false, or not shown."""
        self._suspects[miner] = SUSPECT_TASKS

    def check_of(
        self, task: Statement[TaskAnnouncement], commitment: Statement[ResultCommitment], why: Why
    ) -> Check:
        """A check of some work, its steps drawn anew."""
        dice = self._new_dice()
        steps = drawn_steps(dice, AuditedWork.of(task.message, commitment).steps, 0)
        return Check(task, commitment, steps, dice, why)

    def next(self, now_ms: int) -> Check | None:
        """The check that is to run now; None while one runs, or nothing is due."""
        if self._running is not None:
            return None
        waiting = len(self._waiting)
        self._waiting = deque(check for check in self._waiting if check.delivered_ms + LATE_MS >= now_ms)
        self.counts[Count.LATE] += waiting - len(self._waiting)
        for check in self._waiting:
            if check.due_ms <= now_ms:
                self._waiting.remove(check)
                self._running = check
                return check
        return None

    def ended(self, check: Check, finding: Finding, now_ms: int, detail: str = "") -> None:
        """The answer to a check that `next` gave.

        :param detail: which check failed, or why nothing was opened or checked, in words.
        """
        if check is not self._running:
            return
        self._running = None
        if finding is Finding.NOT_OPENED and check.tries + 1 < TRIES:
            self.counts[Count.ASKED_AGAIN] += 1
            again = replace(check, tries=check.tries + 1, due_ms=now_ms + TRY_AGAIN_MS)
            self._waiting.append(again)
            return
        self.judge(check, finding, now_ms, detail)

    def judge(self, check: Check, finding: Finding, now_ms: int, detail: str = "") -> None:
        """Draw the consequences of a finding, and remember it."""
        self.counts[Count(finding.value)] += 1
        self.findings[check.task.digest] = Found(finding, in_words(check, finding, detail))
        match finding:
            case Finding.FALSE:
                self.suspect(check.miner)
                self._experience.note_false(check.miner, now_ms)
            case Finding.NOT_OPENED:
                self.suspect(check.miner)
                self._experience.note_failure(check.miner, now_ms)
            case _:
                pass

    def _why(self, miner: bytes, *, was_heard: bool) -> Why | None:
        left = self._suspects.get(miner, 0)
        if left > 1:
            self._suspects[miner] = left - 1
        elif left:
            del self._suspects[miner]
        if left:
            return Why.SUSPECT
        if not was_heard:
            return Why.UNHEARD
        return Why.COIN if self._coin() < self._rate_ppm else None


def in_words(check: Check, finding: Finding, detail: str) -> str:
    """A finding for people."""
    steps = ", ".join(map(str, check.steps))
    looked = f"its buyer looked at step{'s' * (len(check.steps) > 1)} {steps} because of {check.why}"
    came_to = {
        Finding.HONEST: "everything fits",
        Finding.FALSE: "the work is false",
        Finding.NOT_OPENED: "its miner opened nothing",
        Finding.UNCHECKED: "it could not be checked here",
    }[finding]
    return f"{looked}: {came_to}{f' ({detail})' if detail else ''}"
