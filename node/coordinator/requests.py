"""What an app asks of its coordinator, and what it hears back; between `api` and `roles/coordinator`.

Is: plain values with their bounds.
Is not: HTTP, or the protocol's messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from node.inference.packages.limits import (
    SEED_MAX,
    STRENGTH_MILLI_MAX,
    BadRequest,
    RequestedImage,
    check_request,
)
from node.inference.packages.model import Model
from protocol.errors import Refusal
from protocol.receipt import Receipt
from protocol.work import Work, WorkKind

__all__ = ["SEED_MAX", "STRENGTH_MILLI_MAX", "BadRequest"]


class Busy(Refusal):
    """As many tasks are under way as this node carries at a time."""


class NoMiner(Refusal):
    """Nobody who could do it is here right now; asking again later may help."""


class TaskFailed(Refusal):
    """The task ended without a result; the reason says how."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image to make, within the limits of its model's card (`limits.check_request`).

    :ivar model: to run.
    :ivar prompt: what to show.
    :ivar negative_prompt: what to steer away from; may be empty.
    :ivar width: pixels, one of the model's sizes.
    :ivar height: pixels, likewise.
    :ivar steps: of the schedule, 1 to the model's most.
    :ivar seed: 0 to 2^64-1.
    :ivar guidance_milli: thousandths, 0 to the model's most.
    :ivar previews: how many unfinished images the app wants to see, 0 for none.
    :ivar source: the image to start from, a plain PNG of this size (`protocol.png`); empty for noise.
    :ivar strength_milli: how much of the schedule is run from a source image, in thousandths, 1 to 1000.
    """

    model: Model
    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    seed: int
    guidance_milli: int
    previews: int
    source: bytes = b""
    strength_milli: int = STRENGTH_MILLI_MAX

    def __post_init__(self) -> None:
        """:raises BadRequest: a value out of its bounds."""
        check_request(
            self.model,
            RequestedImage(
                work_kind=self.work_kind,
                prompt=self.prompt,
                negative_prompt=self.negative_prompt,
                seed=self.seed,
                width=self.width,
                height=self.height,
                schedule_steps=self.steps,
                run_steps=self.run_steps,
                guidance_milli=self.guidance_milli,
                source_png=self.source,
                strength_milli=self.strength_milli,
            ),
        )

    @property
    def work_kind(self) -> WorkKind:
        """Which kind of work it is."""
        return WorkKind.IMAGE_TO_IMAGE if self.source else WorkKind.TEXT_TO_IMAGE

    @property
    def work(self) -> Work:
        """What its announcement says of it."""
        return Work.image(self.work_kind, self.width, self.height, self.run_steps)

    @property
    def run_steps(self) -> int:
        """Steps that are run, the last of the schedule: all of them from noise, and one at least."""
        if not self.source:
            return self.steps
        return max(1, self.steps * self.strength_milli // STRENGTH_MILLI_MAX)

    @property
    def preview_every_steps(self) -> int:
        """So many steps between previews that `previews` of them fit before the end; 0 for none."""
        return max(1, self.run_steps // (self.previews + 1)) if self.previews else 0


@dataclass(frozen=True, slots=True)
class Announced:
    """The task is public. :ivar task_id: 32 bytes. :ivar assigned: drawn miners, in order."""

    task_id: bytes
    assigned: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """A miner has done `step` of `steps`. :ivar miner: its address."""

    miner: bytes
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The unfinished image after `step`. :ivar png: the whole file."""

    step: int
    png: bytes


@dataclass(frozen=True, slots=True)
class FailedOver:
    """A miner was lost; the next in the ranking has the turn. :ivar miner: the lost one's address."""

    miner: bytes
    reason: str


TaskEvent: TypeAlias = Announced | Progress | Preview | FailedOver


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a task should end. :ivar png: the image. :ivar receipt: the proof, verified."""

    png: bytes
    receipt: Receipt
