"""Which step comes next for a reporter that wants to keep its reward; pure.

Is: the decision, from what the contract says now, so that a reporter that was interrupted goes on.
Is not: the steps themselves (`evidence_reports`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from contracts.records import ReportedOffence

COMMITMENT_DEPTH_BLOCKS: Final = 8
"""How deep a commitment is before the report shows the evidence, so that no usual reorganisation turns the
two round, and so that the contract lets its reporter keep the reward; fewer where priority is short."""
SETTLING_PART: Final = 4
"""Part of the time for commitments that is the reporter's alone, as the contract has it."""


class Step(enum.Enum):
    """The next step of a reporter."""

    COMMIT = enum.auto()
    AWAIT_DEPTH = enum.auto()
    REPORT = enum.auto()
    AWAIT_TURN = enum.auto()
    """Somebody was faster, and has some time to show that it had committed as well."""
    TAKE_PRIORITY = enum.auto()
    """Somebody was faster, but committed later or not at all; or nobody was, and the commitment is shown, so
    that nobody takes the reward any more."""
    AWAIT_CLAIM = enum.auto()
    CLAIM = enum.auto()
    LOST = enum.auto()
    """Somebody else has committed or reported before: the reward is theirs."""
    PAID = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """The contract's word.

    :ivar block: its newest. :ivar priority_blocks: for how many a commitment holds, and a reward waits.
    :ivar reporter: 20 bytes, ours.
    :ivar committed_block: of our commitment; None if there is none.
    :ivar reported: the offence as somebody has shown it; None if nobody has.
    """

    block: int
    priority_blocks: int
    reporter: bytes
    committed_block: int | None
    reported: ReportedOffence | None

    @property
    def depth_blocks(self) -> int:
        """How deep the commitment has to be before the report."""
        return max(1, min(COMMITMENT_DEPTH_BLOCKS, self.priority_blocks // 8))

    @property
    def is_in_time(self) -> bool:
        """Whether our commitment can still be shown."""
        committed = self.committed_block
        return committed is not None and self.block < committed + self.priority_blocks


def is_stale(facts: ReportFacts) -> bool:
    """Whether a report on our commitment would come too late to be defended: half of its time is over."""
    committed = facts.committed_block
    return committed is not None and facts.block > committed + max(facts.priority_blocks // 2, 2)


def next_step(facts: ReportFacts) -> Step:
    """The next step of a reporter.

    It commits, waits, reports, shows that it had committed, so that nobody who knew the offence before takes
    the reward, and claims. From whoever copied the report it takes the reward back, and waits until nobody
    can show an earlier commitment any more.
    """
    if facts.reported is None:
        return _before_a_report(facts)
    if not facts.reported.reward_wei:
        return Step.PAID
    if facts.reported.reporter == facts.reporter:
        return _with_the_reward(facts, facts.reported)
    return _behind_another(facts, facts.reported)


def _before_a_report(facts: ReportFacts) -> Step:
    committed = facts.committed_block
    if committed is None or is_stale(facts):
        return Step.COMMIT
    return Step.REPORT if facts.block >= committed + facts.depth_blocks else Step.AWAIT_DEPTH


def _with_the_reward(facts: ReportFacts, reported: ReportedOffence) -> Step:
    committed = facts.committed_block
    is_deep = committed is not None and committed + facts.depth_blocks <= reported.since_block
    if is_deep and facts.is_in_time:
        return Step.TAKE_PRIORITY
    is_over = facts.block >= reported.since_block + facts.priority_blocks
    return Step.CLAIM if is_over or reported.is_settled else Step.AWAIT_CLAIM


def _behind_another(facts: ReportFacts, reported: ReportedOffence) -> Step:
    committed = facts.committed_block
    if committed is None or committed >= reported.since_block or not facts.is_in_time:
        return Step.LOST
    is_our_turn = facts.block >= reported.since_block + facts.priority_blocks // SETTLING_PART
    return Step.TAKE_PRIORITY if is_our_turn else Step.AWAIT_TURN
