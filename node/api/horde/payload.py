"""The payload of `POST /api/v2/generate/async`, made into requests to a model.

Is: its fields; which work, which are answered with a warning, which are refused by name.
Is not: a caller of anybody. Nothing in a payload makes this node fetch a URL, and a `webhook` is called only
where its operator lists its host (`node/api/webhooks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.api.aliases import Alias
from node.api.fields import Fields
from node.api.openai.generation import Generation, Target, parse, target_of
from node.api.openai.parameters import IMAGES_MAX, NAME_SHOWN_MAX
from node.api.sources import source_of
from node.coordinator.catalogue import Catalogue, UnknownModel
from node.coordinator.requests import SEED_MAX, BadRequest
from protocol.errors import Refusal
from protocol.hashing import sha256
from protocol.work import WorkKind

MODELS_NAMED_MAX: Final = 64
SEPARATOR: Final = "###"
"""Between what is wanted and what is not, in a prompt."""
DEFAULT_DENOISING_MILLI: Final = 750
SIDE_MAX: Final = 99_999

WORKING: Final = frozenset(
    {
        "allow_downgrade",
        "dry_run",
        "models",
        "params",
        "prompt",
        "r2",
        "source_image",
        "source_processing",
        "webhook",
    }
)
WITHOUT_EFFECT: Final = frozenset(
    {
        "censor_nsfw",
        "disable_batching",
        "extra_slow_workers",
        "nsfw",
        "proxied_account",
        "replacement_filter",
        "shared",
        "slow_workers",
        "trusted_workers",
        "validated_backends",
        "worker_blacklist",
        "workers",
    }
)
REFUSED: Final = {
    "extra_source_images": "one image to start from is served",
    "source_mask": "masks are not served; models draw whole images",
    "style": "styles are not kept here; say it in the prompt",
}
PARAMS_WORKING: Final = frozenset(
    {"cfg_scale", "denoising_strength", "height", "n", "seed", "steps", "width"}
)
PARAMS_WITHOUT_EFFECT: Final = frozenset(
    {"clip_skip", "facefixer_strength", "karras", "sampler_name", "scheduler", "seed_variation"}
)
"""A package's own sampler is all that can be proved; clients name one as a matter of course."""
PARAMS_REFUSED: Final = {
    "control_type": "controls are not served",
    "extra_texts": "further texts are not served",
    "hires_fix": "pictures are not scaled up; ask for one of the model's sizes",
    "hires_fix_denoising_strength": "pictures are not scaled up",
    "image_is_control": "controls are not served",
    "loras": "a model is served as it is packed",
    "post_processing": "pictures are given as they are made",
    "return_control_map": "controls are not served",
    "special": "special fields are not served",
    "tiling": "tiles are not served",
    "tis": "a model is served as it is packed",
    "transparent": "transparent backgrounds are not served",
    "workflow": "workflows are not served",
}
"""Fields that would change the picture; refused where they say more than nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A parsed payload.

    :ivar by_link: whether pictures are answered as links (`r2`), not as bytes.
    :ivar dry_run: whether to say the price only.
    :ivar warnings: fields without effect, in words.
    :ivar webhook: URL that it wants to be called, as it was sent; empty for none.
    """

    generation: Generation
    by_link: bool
    dry_run: bool
    warnings: tuple[str, ...]
    webhook: str


async def parse_payload(body: Mapping[str, Any], catalogue: Catalogue, aliases: Mapping[str, Alias]) -> Asked:
    """The pictures that a payload asks for.

    :raises BadRequest: a field is wrong, unknown, or cannot be followed; names it.
    :raises UnknownModel: none of the models that it names is known.
    """
    fields, params = Fields(body), _params(body)
    warnings = _check_names("", body, WORKING, WITHOUT_EFFECT, REFUSED)
    warnings += _check_names("params.", params, PARAMS_WORKING, PARAMS_WITHOUT_EFFECT, PARAMS_REFUSED)
    fields.choice("source_processing", ("img2img",))
    wished, numbers = _wished(fields, params), Fields(params)
    wished["model"] = _model(body, catalogue, aliases)
    has_source = bool(fields.text("source_image"))
    kind = WorkKind.IMAGE_TO_IMAGE if has_source else WorkKind.TEXT_TO_IMAGE
    target = target_of(Fields(wished), catalogue, aliases, kind)
    if fields.flag("allow_downgrade"):
        target, said = _downgraded(target, wished)
        warnings += said
    by_link = fields.flag("r2") if "r2" in fields else True
    dry_run = fields.flag("dry_run")
    webhook = fields.text("webhook")
    strength = numbers.milli("denoising_strength", DEFAULT_DENOISING_MILLI)
    if not has_source:
        return Asked(parse(Fields(wished), target), by_link, dry_run, tuple(warnings), webhook)
    source = await source_of("source_image", fields.text("source_image"), target)
    generation = parse(Fields(wished), target, source=source, strength_milli=strength or 1)
    return Asked(generation, by_link, dry_run, tuple(warnings), webhook)


def seed_of(text: str) -> int:
    """The number that a seed is: its digits, or, as at AI Horde, any other text's hash."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(SEED_MAX)) and int(text) <= SEED_MAX:
        return int(text)
    return int.from_bytes(sha256(text.encode())[:4], "big")


def _params(body: Mapping[str, Any]) -> dict[str, Any]:
    params = body.get("params", {})
    if not isinstance(params, dict):
        raise BadRequest("params", "params is not an object")
    return {name: value for name, value in params.items() if value is not None}


def _wished(fields: Fields, params: dict[str, Any]) -> dict[str, Any]:
    """The same wish in OpenAI's fields and ours. :raises BadRequest: a field is wrong."""
    numbers = Fields(params)
    wanted, _, unwanted = fields.text("prompt").partition(SEPARATOR)
    wished: dict[str, Any] = {
        "prompt": wanted.strip(),
        "negative_prompt": unwanted.strip(),
        "n": numbers.integer("n", 1, 1, IMAGES_MAX),
    }
    for ours, theirs in (("steps", "steps"), ("guidance", "cfg_scale")):
        if theirs in numbers:
            wished[ours] = params[theirs]
    if numbers.text("seed"):
        wished["seed"] = seed_of(params["seed"])
    if "width" in numbers or "height" in numbers:
        width, height = (numbers.integer(side, 0, 1, SIDE_MAX) for side in ("width", "height"))
        wished["size"] = f"{width}x{height}"
    return wished


def _check_names(
    prefix: str,
    body: Mapping[str, Any],
    working: frozenset[str],
    without_effect: frozenset[str],
    refused: Mapping[str, str],
) -> list[str]:
    """Warnings. :raises BadRequest: a field is unknown, or says what cannot be done."""
    warnings = []
    for name in sorted(body):
        if name in refused:
            if body[name] not in (False, 0, "", [], {}):
                raise BadRequest(prefix + name, f"{prefix}{name}: {refused[name]}")
        elif name in without_effect:
            warnings.append(f"{prefix}{name} has no effect here")
        elif name not in working:
            shown = ascii(name[:NAME_SHOWN_MAX])[1:-1]
            raise BadRequest(prefix + shown, f"the field {prefix}{shown} is not known")
    return warnings


def _model(body: Mapping[str, Any], catalogue: Catalogue, aliases: Mapping[str, Alias]) -> str:
    """The first model of the payload's list that is known; empty for the default one."""
    names = body.get("models", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest("models", "models is not a list of names")
    if len(names) > MODELS_NAMED_MAX:
        raise BadRequest("models", f"models has more than {MODELS_NAMED_MAX} names")
    for name in names:
        try:
            catalogue.peek(aliases[name].model if name in aliases else name)
        except Refusal:
            continue
        return str(name)
    if names:
        raise UnknownModel(names[0])
    return ""


def _downgraded(target: Target, wished: dict[str, Any]) -> tuple[Target, list[str]]:
    """The nearest that the model draws, if it does not draw what is wished (`allow_downgrade`)."""
    card, warnings = target.model.card, []
    width, height = target.width, target.height
    if (width, height) not in card.sizes:
        area = width * height
        width, height = min(card.sizes, key=lambda size: abs(size[0] * size[1] - area))
        warnings.append(f"params.width, params.height: {width}x{height} is the nearest that the model draws")
    steps = wished.get("steps")
    if isinstance(steps, int) and steps > card.steps_max:
        wished["steps"] = card.steps_max
        warnings.append(f"params.steps: the model makes {card.steps_max} at most")
    return Target(target.model, width, height, target.alias), warnings
