"""What an app asks of its coordinator, and what it hears back; between `api` and `roles/coordinator`.

Is: plain values with their bounds.
Is not: HTTP, or the protocol's messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from node.inference.packages.package import ModelPackage
from protocol.errors import Refusal
from protocol.messages import PROMPT_BYTES_MAX
from protocol.receipt import Receipt
from protocol.work import Work, WorkKind, kind_name

SEED_MAX = (1 << 64) - 1
GUIDANCE_MILLI_MAX = 30_000
STRENGTH_MILLI_MAX = 1000


class BadRequest(Refusal):
    """An app's request cannot be served as it is. :ivar parameter: the one to change."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(reason)
        self.parameter = parameter


class Busy(Refusal):
    """As many tasks are under way as this node carries at a time."""


class NoMiner(Refusal):
    """Nobody who could do it is here right now; asking again later may help."""


class TaskFailed(Refusal):
    """The task ended without a result; the reason says how."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image to make.

    :ivar model: package to run.
    :ivar prompt: 1 to `PROMPT_BYTES_MAX` bytes of UTF-8.
    :ivar negative_prompt: up to as much; may be empty.
    :ivar width: pixels, one of the model's sizes.
    :ivar height: pixels, likewise.
    :ivar steps: of the schedule, 1 to the model's most.
    :ivar seed: 0 to 2^64-1.
    :ivar guidance_milli: thousandths, 0 to `GUIDANCE_MILLI_MAX`.
    :ivar previews: how many unfinished images the app wants to see, 0 for none.
    :ivar source: the image to start from, a plain PNG of this size (`protocol.task_input`); empty for noise.
    :ivar strength_milli: how much of the schedule is run from a source image, in thousandths, 1 to 1000.
    """

    model: ModelPackage
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
        if not self.prompt.strip():
            raise BadRequest("prompt", "the prompt is empty")
        for name, text in (("prompt", self.prompt), ("negative_prompt", self.negative_prompt)):
            if len(text.encode(errors="replace")) > PROMPT_BYTES_MAX:
                raise BadRequest(name, f"{name} is longer than {PROMPT_BYTES_MAX} bytes")
        if (self.width, self.height) not in self.model.sizes:
            sizes = ", ".join(f"{width}x{height}" for width, height in self.model.sizes)
            raise BadRequest("size", f"{self.model.name} draws {sizes}, not {self.width}x{self.height}")
        for name, value, least, most in (
            ("steps", self.steps, 1, self.model.steps_max),
            ("seed", self.seed, 0, SEED_MAX),
            ("guidance", self.guidance_milli, 0, GUIDANCE_MILLI_MAX),
            ("strength", self.strength_milli, 1, STRENGTH_MILLI_MAX),
        ):
            if not least <= value <= most:
                raise BadRequest(name, f"{name} is not in its range of {least} to {most}")
        if self.work_kind not in self.model.work_kinds:
            kinds = ", ".join(kind_name(kind) for kind in self.model.work_kinds)
            raise BadRequest("model", f"{self.model.name} does {kinds}, not {kind_name(self.work_kind)}")

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
