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
two round; fewer where priority is short."""


class Step(enum.Enum):
    """The next step of a reporter."""

    COMMIT = enum.auto()
    AWAIT_DEPTH = enum.auto()
    REPORT = enum.auto()
    TAKE_PRIORITY = enum.auto()
    """Somebody was faster, but committed later or not at all."""
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


def is_stale(facts: ReportFacts) -> bool:
    """Whether a report on our commitment would come too late to be defended: half of its time is over."""
    committed = facts.committed_block
    return committed is not None and facts.block > committed + max(facts.priority_blocks // 2, 2)


def next_step(facts: ReportFacts) -> Step:
    """The next step of a reporter.

    It commits, waits, reports, takes the reward back from whoever copied, waits until nobody can show an
    earlier commitment any more, and claims.
    """
    committed, reported = facts.committed_block, facts.reported
    if reported is None:
        if committed is None or is_stale(facts):
            return Step.COMMIT
        return Step.REPORT if facts.block >= committed + facts.depth_blocks else Step.AWAIT_DEPTH
    if not reported.reward_wei:
        return Step.PAID
    if reported.reporter == facts.reporter:
        last_block = reported.since_block + facts.priority_blocks
        return Step.CLAIM if facts.block >= last_block else Step.AWAIT_CLAIM
    if committed is None or committed >= reported.since_block:
        return Step.LOST
    in_time = facts.block < committed + facts.priority_blocks
    return Step.TAKE_PRIORITY if in_time else Step.LOST
