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
"""So long after the dice are due work is kept that they have not selected: the block may still change."""


def may_go(
    task: TaskAnnouncement, draw: AuditDraw | None, terms: AuditTerms, now_ms: int, *, is_asked_for: bool
) -> bool:
    """Whether nobody may ask for the work for a task any more, while others' traces need the room.

    Work that is selected is kept for the whole life of traces, since a verdict on it may be contested.

    :param draw: what the dice say of it; None as long as that is not known.
    :param is_asked_for: whether its buyer has asked for it.
    """
    if is_asked_for or task.audits != Audits.PUBLIC or draw is None or draw.is_selected:
        return False
    return terms.beacon_from_ms(task.deadline_ms) + DICE_SETTLING_MS <= now_ms
