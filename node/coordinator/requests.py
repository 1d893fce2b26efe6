"""Requests of apps to their coordinator: between the local API and orders.

Is: plain values with their bounds.
Is not: HTTP, or the protocol's messages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from node.coordinator.records import OrderRequest
from node.inference.packages.limits import (
    SEED_MAX,
    STRENGTH_MILLI_MAX,
    BadRequest,
    RequestedImage,
    check_request,
)
from node.inference.packages.model import Model
from protocol.audit import Audits
from protocol.pay import price_of, unit_price_wei
from protocol.work import ImageNumbers, Work, WorkKind

__all__ = ["SEED_MAX", "STRENGTH_MILLI_MAX", "BadRequest"]


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
    :ivar price_max_micro_cai: most that the app pays for it; None for whatever the coordinator pays.
    :ivar audits: whose audits the work is open to.
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
    price_max_micro_cai: int | None = None
    audits: Audits = Audits.PUBLIC

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
        """Its description in the announcement."""
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

    def order(self, price_max_micro_cai: int) -> OrderRequest:
        """The order that it makes.

        :param price_max_micro_cai: most that is paid for the model's default work.
        """
        default = replace(self.model.default_work, kind=int(self.work_kind))
        price_max_wei = unit_price_wei(price_max_micro_cai, default)
        (quantity,), (default_quantity,) = self.work.quantities(), default.quantities()
        ceiling = price_of(self.work, (price_max_wei,)).whole_micro_cai
        if self.price_max_micro_cai is not None:
            ceiling = min(ceiling, self.price_max_micro_cai)
        return OrderRequest(
            model_id=self.model.model_id,
            work=self.work,
            numbers=ImageNumbers(self.seed, self.guidance_milli, self.steps).encode(),
            prompts=(self.prompt, self.negative_prompt),
            preview_every_units=self.preview_every_steps,
            price_max_micro_cai=ceiling,
            typical_permille=-(-1000 * quantity // default_quantity),
            audits=self.audits,
        )
