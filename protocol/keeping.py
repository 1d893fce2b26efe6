"""How long a miner keeps what it may have to open: the rule, over what it knows of one piece of its work.

Is: a function without a clock.
Is not: the traces, or their bounds (`node/inference/traces/trace_store.py`).
"""

from __future__ import annotations

from typing import Final

from protocol.audit import Audits
from protocol.audit_draw import AuditDraw
from protocol.messages import TaskAnnouncement
from protocol.terms import AuditTerms

WORKS_MAX: Final = 16_384
"""Pieces of work that one miner keeps: its traces, the commitments and draws beside them, and the deadlines
whose block it looks for; one bound, so that none of these forgets what another one still needs."""
DICE_SETTLING_MS: Final = 5 * 60 * 1000
"""So long after the dice are due work is kept that they have not selected: the block may still change. And so
long after the last verdict counts work that they have, since it may have been on its way."""


def may_go(
    task: TaskAnnouncement, draw: AuditDraw | None, terms: AuditTerms, now_ms: int, *, is_held: bool
) -> bool:
    """Whether nobody may ask for the work for a task any more, while others' traces need the room.

    :param draw: the dice's word on it; None as long as that is not known.
    :param is_held: whether its buyer has asked for it, or a verdict has found a fault in it: the trace is
        what an honest miner defends itself with.
    """
    if is_held:
        return False
    is_decided = task.audits != Audits.PUBLIC or (draw is not None and not draw.is_selected)
    until_ms = terms.beacon_from_ms(task.deadline_ms) if is_decided else terms.ends_at_ms(task.deadline_ms)
    return until_ms + DICE_SETTLING_MS <= now_ms
