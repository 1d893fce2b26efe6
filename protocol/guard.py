"""The equivocation guard's decision: may this be signed, given what was signed before?

Is: `decide`, a pure function of what a store knows about one slot.
Is not: the store (`node/guard`), which must make question, answer and record one transaction.
"""

from __future__ import annotations

import enum

from protocol.messages import Kind

NUMBERED_KINDS = frozenset({Kind.OFFER, Kind.TASK_ANNOUNCEMENT})
"""Kinds whose slot is a rising number, so that a watermark can say "nothing at or below"."""


class Decision(enum.Enum):
    """The guard's answer."""

    SIGN = "sign"
    """Nothing was signed in this slot: record the body, then sign."""
    SAME = "same"
    """Exactly this was signed already; signing it again says nothing new."""
    REFUSE = "refuse"
    """It would contradict what was signed, or what may have been signed elsewhere."""


def decide(
    previous_body: bytes | None,
    body: bytes,
    number: int | None = None,
    watermark: int | None = None,
) -> Decision:
    """Whether `body` may be signed in its slot.

    :param previous_body: what was signed in this slot; None when nothing is recorded.
    :param number: of the slot, for a kind of `NUMBERED_KINDS`; None for the others.
    :param watermark: highest number that an imported history has signed for this kind; None without one.
        At or below it only what is recorded is safe, since a history may be incomplete (EIP-3076).
    """
    if previous_body is not None:
        return Decision.SAME if previous_body == body else Decision.REFUSE
    if number is not None and watermark is not None and number <= watermark:
        return Decision.REFUSE
    return Decision.SIGN
