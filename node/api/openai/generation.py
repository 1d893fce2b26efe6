"""A body of OpenAI's, made into requests to a model.

Is: model, size, and the fields whose bounds are the model's; what the answer says besides its pictures.
Is not: HTTP (`images`, `edits`), or the check against the card (`node/inference/packages/limits`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from node.api.aliases import Alias
from node.api.fields import Fields
from node.api.openai.parameters import IGNORED_HEADER, Parameters, parse_parameters
from node.api.prompt_tokens import PromptCount, PromptTokens, require_whole
from node.coordinator.catalogue import Catalogue
from node.coordinator.requests import SEED_MAX, STRENGTH_MILLI_MAX, BadRequest, ImageRequest
from node.inference.packages.model import Model
from protocol.model_table import SCHEDULE_STEPS_MAX
from protocol.work import WorkKind

SIDE_DIGITS_MAX: Final = 5
ALIAS_HEADER: Final = "x-cuckoo-alias"
"""Says which model, at which size, an alias stood for."""
CUT_HEADER: Final = "x-cuckoo-prompt-cut"
"""Says of which text so many tokens of so many were read."""


@dataclass(frozen=True, slots=True)
class Target:
    """The model and size of a body. :ivar alias: by which the model was named; None for its own name."""

    model: Model
    width: int
    height: int
    alias: Alias | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """A parsed request.

    :ivar requests: one a picture.
    :ivar counts: how long its texts are to the model.
    """

    requests: tuple[ImageRequest, ...]
    parameters: Parameters
    target: Target
    counts: tuple[PromptCount, ...] = ()

    @property
    def size(self) -> str:
        """Width and height of its pictures, as the API writes them."""
        return f"{self.target.width}x{self.target.height}"

    async def counted(self, prompt_tokens: PromptTokens) -> Generation:
        """The same, with its texts counted. :raises BadRequest: one is cut, and may not be."""
        counts = await prompt_tokens.count(self.requests[0])
        if not self.parameters.may_be_cut:
            require_whole(counts)
        return replace(self, counts=counts)

    def headers(self) -> dict[str, str]:
        """Headers that say what was asked and not done."""
        headers = {}
        if self.parameters.ignored:
            headers[IGNORED_HEADER] = ", ".join(self.parameters.ignored)
        if self.target.alias is not None:
            headers[ALIAS_HEADER] = f"{self.target.alias.name}={self.target.alias.model}@{self.size}"
        cuts = [
            f"{count.field};tokens={count.tokens};read={count.tokens_max}"
            for count in self.counts
            if count.is_cut
        ]
        if cuts:
            headers[CUT_HEADER] = ", ".join(cuts)
        return headers

    def extras(self) -> dict[str, Any]:
        """The same, for the field `cuckoo` of an answer."""
        return {
            "model": self.target.model.name,
            "model_id": self.target.model.model_id.hex(),
            "prompt_cut": {
                count.field: {"tokens": count.tokens, "tokens_max": count.tokens_max}
                for count in self.counts
                if count.is_cut
            },
        }

    def usage(self) -> dict[str, Any]:
        """OpenAI's usage: tokens of the texts, where they can be counted; pictures are not sold by tokens."""
        text_tokens = sum(count.tokens or 0 for count in self.counts)
        return {
            "input_tokens": text_tokens,
            "output_tokens": 0,
            "total_tokens": text_tokens,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": text_tokens},
        }


def target_of(
    fields: Fields, catalogue: Catalogue, aliases: Mapping[str, Alias], work_kind: WorkKind
) -> Target:
    """The model that a body names, else the default one for the kind of work, and the size.

    :raises BadRequest: a field is wrong, or there is no default.
    :raises UnknownModel: no such model.
    """
    name = fields.text("model")
    alias = aliases.get(name)
    if alias is not None:
        name = alias.model
    model = catalogue.find(name) if name else catalogue.default(work_kind)
    size = _size_of(fields)
    if size is None:
        size = (model.width, model.height)
        if alias is not None and alias.size is not None:
            size = alias.size
    elif alias is not None and alias.size is not None and size not in model.card.sizes:
        size = alias.size
    return Target(model, *size, alias)


def parse(
    fields: Fields,
    target: Target,
    *,
    source: bytes = b"",
    strength_milli: int = STRENGTH_MILLI_MAX,
    further: frozenset[str] = frozenset(),
) -> Generation:
    """An app's request for pictures of a model.

    :param source: the image to start from, as a plain PNG; empty for noise.
    :param strength_milli: how much of the schedule is run from it.
    :param further: names of fields that the caller has read.
    :raises BadRequest: a field is wrong; names it.
    """
    parameters, model = parse_parameters(fields, further), target.model
    price_max = parameters.price_max_micro_cai
    first = ImageRequest(
        model=model,
        prompt=fields.text("prompt"),
        negative_prompt=fields.text("negative_prompt"),
        width=target.width,
        height=target.height,
        steps=fields.integer("steps", model.card.default_steps, 1, SCHEDULE_STEPS_MAX),
        seed=fields.integer("seed", secrets.randbelow(SEED_MAX), 0, SEED_MAX),
        guidance_milli=fields.milli("guidance", model.card.default_guidance_milli),
        previews=parameters.previews,
        source=source,
        strength_milli=strength_milli,
        price_max_micro_cai=None if price_max is None else price_max // parameters.count,
        audits=parameters.audits,
    )
    seeds = ((first.seed + index) % (SEED_MAX + 1) for index in range(parameters.count))
    return Generation(tuple(replace(first, seed=seed) for seed in seeds), parameters, target)


def _size_of(fields: Fields) -> tuple[int, int] | None:
    """Width and height that a body asks for; None for the model's own. :raises BadRequest: no size."""
    text = fields.text("size", "auto")
    if text == "auto":
        return None
    width, _, height = text.partition("x")
    for side in (width, height):
        if not (side.isascii() and side.isdigit()) or len(side) > SIDE_DIGITS_MAX:
            raise BadRequest("size", "size is not 'auto' or WIDTHxHEIGHT")
    return int(width), int(height)
