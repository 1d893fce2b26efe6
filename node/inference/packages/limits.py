"""The one check of a request against what a model's card allows.

Is: pure; API, coordinator, miner and worker all call it, so that none of them takes what another must refuse.
Is not: whether anybody serves the model, or whether the pixels of a source image can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.inference.packages.model import Model
from protocol.errors import Refusal
from protocol.png import is_plain_png
from protocol.work import SPECS, Work, kind_name

SEED_MAX: Final = (1 << 64) - 1
STRENGTH_MILLI_MAX: Final = 1000
_MILLI: Final = 1000


class BadRequest(Refusal):
    """A request cannot be served as it is. :ivar field: the one to change, by its name in the local API."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class LimitExceeded(BadRequest):
    """A field is beyond what the model allows.

    :ivar bound: the most that is allowed (for a size or a kind of work: all that are).
    :ivar value: what was asked for.
    """

    def __init__(self, field: str, bound: object, value: object, reason: str) -> None:
        super().__init__(field, reason)
        self.bound, self.value = bound, value


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedImage:
    """A request, as it is held against a model.

    :ivar width: pixels.
    :ivar height: pixels.
    :ivar schedule_steps: steps of the schedule.
    :ivar run_steps: how many of them are run, the last ones; all of them without a source image.
    :ivar guidance_milli: thousandths.
    :ivar source_png: the image to start from; empty for noise.
    """

    work_kind: int
    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    schedule_steps: int
    run_steps: int
    guidance_milli: int
    source_png: bytes
    strength_milli: int = STRENGTH_MILLI_MAX


def check_request(model: Model, request: RequestedImage) -> None:
    """Hold a request against a model's card.

    :raises LimitExceeded: a field is beyond its bound; names both.
    :raises BadRequest: a prompt that is empty or not text, or a source image of another form.
    """
    card = model.card
    check_shape(model, request.work_kind, request.width, request.height, request.run_steps)
    _check_range("steps", request.schedule_steps, request.run_steps, card.steps_max)
    _check_range("seed", request.seed, 0, SEED_MAX)
    _check_range("strength", request.strength_milli, 1, STRENGTH_MILLI_MAX, _MILLI)
    _check_range("guidance", request.guidance_milli, 0, card.guidance_milli_max, _MILLI)
    _check_text(model, "prompt", request.prompt)
    _check_text(model, "negative_prompt", request.negative_prompt)
    if not request.prompt.strip():
        raise BadRequest("prompt", "the prompt is empty")
    if request.source_png:
        if not is_plain_png(request.source_png, request.width, request.height):
            raise BadRequest("image", "the source image is not a plain PNG of the image's size")
    elif request.run_steps != request.schedule_steps:
        raise BadRequest("steps", "without a source image the whole schedule is run")


def check_work(model: Model, work: Work) -> None:
    """Hold the public half of a request, which a miner knows before its input, against a model's card.

    :param work: whose details are its kind's (`protocol.work.require_form`).
    :raises LimitExceeded: a field is beyond its bound; names both.
    """
    _check_kind(model, work.kind)
    width, height = work.image_size()
    check_shape(model, work.kind, width, height, work.units)


def check_shape(model: Model, work_kind: int, width: int, height: int, steps: int) -> None:
    """As `check_work`, of numbers that may be beyond what `Work` can carry."""
    card = model.card
    _check_kind(model, work_kind)
    if (width, height) not in card.sizes:
        sizes = ", ".join(f"{one}x{other}" for one, other in card.sizes)
        raise LimitExceeded(
            "size", card.sizes, (width, height), f"{card.name} draws {sizes}, not {width}x{height}"
        )
    _check_range("steps", steps, 1, card.steps_max)


def _check_kind(model: Model, work_kind: int) -> None:
    kinds = model.card.work_kinds
    if work_kind not in kinds or work_kind not in SPECS:
        does = ", ".join(kind_name(kind) for kind in kinds)
        reason = f"{model.name} does {does}, not {kind_name(work_kind)}"
        raise LimitExceeded("model", kinds, work_kind, reason)


def _check_range(field: str, value: int, least: int, most: int, unit: int = 1) -> None:
    """:param unit: how many of `value` make one of what the API counts in."""
    if not least <= value <= most:
        shown = (least, most, value) if unit == 1 else (least / unit, most / unit, value / unit)
        # Up to 2^64 - 1, which a float would round.
        lower, upper = (f"{bound:g}" if isinstance(bound, float) else str(bound) for bound in shown[:2])
        raise LimitExceeded(field, shown[1], shown[2], f"{field} is not in its range of {lower} to {upper}")


def _check_text(model: Model, field: str, text: str) -> None:
    """Hold one text against its bounds.

    :raises LimitExceeded: too long.
    :raises BadRequest: it has half of a surrogate pair, which no UTF-8 can carry.
    """
    characters_max, bytes_max = model.card.prompt_characters_max, model.card.prompt_bytes_max
    if len(text) > characters_max:
        raise LimitExceeded(
            field,
            characters_max,
            len(text),
            f"{field} has {len(text):,} characters, and {model.name} takes {characters_max:,} at most",
        )
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise BadRequest(
            field, f"{field} is not text: character {error.start + 1} is half of a surrogate pair"
        ) from error
    if size_bytes > bytes_max:
        raise LimitExceeded(
            field,
            bytes_max,
            size_bytes,
            f"{field} has {size_bytes:,} bytes in UTF-8, and {model.name} takes {bytes_max:,} at most",
        )
