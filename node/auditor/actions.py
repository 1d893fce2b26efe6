"""Values of the auditor's engine: what it is told, what it asks of its shell, and its counts.

Is not: a decision; `engine` makes them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from protocol.audit import AuditReason, AuditVerdict, CheckedStep, FaultPlace
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.statement import Statement

WorkId: TypeAlias = tuple[bytes, bytes]
"""Id of the task and address of the miner: one piece of work."""


class Count(enum.StrEnum):
    """Everything that the engine counts: what it drops, with the reason, and what it does."""

    HEARD = "heard"
    HEARD_OVERFLOW = "heard_overflow"
    DRAWN = "drawn"
    DRAWN_OVERFLOW = "drawn_overflow"
    NOT_DRAWN = "not_drawn"
    DICE_CHANGED = "dice_changed"
    EPOCH_UNKNOWN = "epoch_unknown"
    ASKED = "asked"
    OPENED = "opened"
    MISSED = "missed"
    OWN_FAILURE = "own_failure"
    WANTED_MORE = "wanted_more"
    HONEST = "honest"
    FAULT = "fault"
    NO_OPENING = "no_opening"
    NOT_NOTED = "not_noted"
    NOT_PUBLISHED = "not_published"
    PUBLISHED = "published"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Subject:
    """One piece of work that may be audited: what its coordinator and its miner have signed.

    :ivar task: that was announced.
    :ivar commitment: the first one of this miner that was heard.
    """

    task: Statement[TaskAnnouncement]
    commitment: Statement[ResultCommitment]

    @property
    def id(self) -> WorkId:
        """The name by which the engine knows it."""
        return self.task.digest, self.commitment.signer.address


@dataclass(frozen=True, slots=True)
class Drawing:
    """That this node was drawn.

    :ivar block_hash: of the block that threw the dice, 32 bytes.
    :ivar dice: 32 bytes.
    :ivar steps: that it is to check, ascending.
    """

    block_hash: bytes
    dice: bytes
    steps: tuple[int, ...]


# What a check of opened work comes to


@dataclass(frozen=True, slots=True)
class Judged:
    """The check has come to an end.

    :ivar reason: which check failed first; NONE of honest work.
    :ivar checked: every step that was opened, ascending, with its sketch.
    :ivar worst_excess_ppb: see `AuditVerdict`.
    :ivar place: likewise.
    :ivar bundle: SHA-256 of what was opened.
    """

    reason: AuditReason
    checked: tuple[CheckedStep, ...]
    worst_excess_ppb: int
    place: tuple[FaultPlace, ...]
    bundle: bytes


@dataclass(frozen=True, slots=True)
class WantsMore:
    """A latent does not fit by its hash. :ivar steps: that show its numbers, besides those opened."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unable:
    """This machine cannot check the work; that says nothing of the miner. :ivar reason: for the log."""

    reason: str


Outcome: TypeAlias = Judged | WantsMore | Unable


# What is to be done


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the miner to open steps; answer with `opened` or `missed`.

    :ivar steps: ascending; those that were drawn, and what they need besides.
    """

    subject: Subject
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """Check what was opened, and answer with `checked`. :ivar drawing: for the places of the sketches."""

    subject: Subject
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class Note:
    """Write down, and answer with `noted` or `not_noted` where there is a verdict.

    :ivar verdict: None as long as there is none.
    """

    subject: Subject
    drawing: Drawing
    verdict: AuditVerdict | None


@dataclass(frozen=True, slots=True)
class Publish:
    """Sign the verdict, which is written down, and publish it; answer with `published` or `not_published`."""

    subject: Subject
    verdict: AuditVerdict


@dataclass(frozen=True, slots=True)
class Drop:
    """The audit is over: what was opened and what was written down may go. :ivar reason: for the log."""

    work_id: WorkId
    reason: str


Action: TypeAlias = Ask | Check | Note | Publish | Drop


@dataclass(frozen=True, slots=True)
class AuditorSnapshot:
    """The engine at one moment: audits by their state, and counts since the start."""

    states: Mapping[str, int]
    counts: Mapping[Count, int]
