"""Bodies of `txt2img` and `img2img`, made into requests to a model.

Is: their fields; which work, which have no effect, which are refused by name when they say something.
Is not: HTTP (`dialect`), or OpenAI's bodies, whose last steps these share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.api.a1111.samplers import AUTOMATIC, sampler_of
from node.api.aliases import Alias
from node.api.fields import Fields
from node.api.openai.generation import Generation, Target, parse, target_of
from node.api.openai.parameters import IMAGES_MAX, NAME_SHOWN_MAX
from node.api.sources import source_of
from node.coordinator.catalogue import AmbiguousModel, Catalogue, UnknownModel
from node.coordinator.requests import BadRequest
from node.inference.packages.model import Model
from protocol.work import WorkKind

DEFAULT_DENOISING_MILLI: Final = 750
PREVIEWS: Final = 3
"""Of each picture, for `progress`."""
TITLE_DIGITS_MIN: Final = 8
ANY_SEED: Final = -1
SHOWN_CHARACTERS_MAX: Final = 4_096
"""Of a text that the answer repeats."""
CHECKPOINT: Final = "sd_model_checkpoint"

WORKING: Final = frozenset(
    {
        "batch_size",
        "cfg_scale",
        "height",
        "n_iter",
        "negative_prompt",
        "override_settings",
        "prompt",
        "sampler_index",
        "sampler_name",
        "scheduler",
        "seed",
        "steps",
        "width",
    }
)
WITHOUT_EFFECT: Final = frozenset(
    {
        "clip_skip",
        "distilled_cfg_scale",
        "do_not_save_grid",
        "do_not_save_samples",
        "eta",
        "force_task_id",
        "hr_additional_modules",
        "hr_cfg",
        "hr_checkpoint_name",
        "hr_negative_prompt",
        "hr_prompt",
        "hr_resize_x",
        "hr_resize_y",
        "hr_sampler_name",
        "hr_scale",
        "hr_scheduler",
        "hr_second_pass_steps",
        "hr_upscaler",
        "infotext",
        "initial_noise_multiplier",
        "inpaint_full_res",
        "inpaint_full_res_padding",
        "inpainting_fill",
        "inpainting_mask_invert",
        "mask_blur",
        "mask_blur_x",
        "mask_blur_y",
        "mask_round",
        "override_settings_restore_afterwards",
        "resize_mode",
        "s_churn",
        "s_min_uncond",
        "s_noise",
        "s_tmax",
        "s_tmin",
        "save_images",
        "seed_resize_from_h",
        "seed_resize_from_w",
        "send_images",
        "subseed",
    }
)
"""Fields that clients send as a matter of course."""
REFUSED: Final = {
    "alwayson_scripts": "extensions are not served",
    "comments": "comments are not kept",
    "enable_hr": "pictures are not scaled up; ask for one of the model's sizes",
    "firstphase_height": "pictures are not scaled up",
    "firstphase_width": "pictures are not scaled up",
    "firstpass_image": "pictures are not scaled up",
    "image_cfg_scale": "models here have one guidance; leave image_cfg_scale out",
    "include_init_images": "source images are not sent back",
    "latent_mask": "masks are not served; models draw whole images",
    "mask": "masks are not served; models draw whole images",
    "refiner_checkpoint": "a picture is made by one model",
    "refiner_switch_at": "a picture is made by one model",
    "restore_faces": "faces are not restored",
    "script_args": "scripts are not served",
    "script_name": "scripts are not served",
    "styles": "styles are not kept here; say it in the prompt",
    "subseed_strength": "seeds are not mixed",
    "tiling": "tiles are not served",
}
"""Fields that would change the picture; refused where they say more than nothing."""
_SETTINGS_REFUSED: Final = {"sd_vae": "a model has one autoencoder, its own"}
_VAE_OF_ITS_OWN: Final = frozenset({"", "Automatic", "None"})


@dataclass(frozen=True, slots=True)
class Picture:
    """A parsed body.

    :ivar generation: its pictures.
    :ivar ignored: names of fields that had no effect.
    :ivar shown: what the answer repeats of it: plain values, in their bounds.
    """

    generation: Generation
    ignored: tuple[str, ...]
    shown: Mapping[str, Any]


async def parse_body(
    body: Mapping[str, Any],
    checkpoint: str,
    catalogue: Catalogue,
    aliases: Mapping[str, Alias],
    work_kind: WorkKind,
) -> Picture:
    """The pictures that a body asks for. An image is decoded and scaled in a thread of its own.

    :param checkpoint: the model of bodies that name none; empty for the node's default.
    :raises BadRequest: a field is wrong, unknown, or cannot be followed; names it.
    :raises UnknownModel: no such model.
    """
    fields = Fields(body)
    is_edit = work_kind == WorkKind.IMAGE_TO_IMAGE
    ignored = _check_names(body, {"init_images", "denoising_strength"} if is_edit else set())
    settings = _settings(body)
    wished: dict[str, Any] = {
        "model": handle_of(settings.get(CHECKPOINT, checkpoint), catalogue),
        "prompt": fields.text("prompt"),
        "negative_prompt": fields.text("negative_prompt"),
        "n": _count(fields),
    }
    if "width" in fields or "height" in fields:
        wished["size"] = f"{fields.integer('width', 0, 1, 99_999)}x{fields.integer('height', 0, 1, 99_999)}"
    for ours, theirs in (("steps", "steps"), ("guidance", "cfg_scale"), ("seed", "seed")):
        if theirs in fields and not (theirs == "seed" and body[theirs] == ANY_SEED):
            wished[ours] = body[theirs]
    target = target_of(Fields(wished), catalogue, aliases, work_kind)
    _require_sampler(fields, target.model)
    shown = _shown(body)
    if not is_edit:
        return Picture(parse(Fields(wished), target), ignored, shown)
    source = await _source(body, target)
    strength = fields.milli("denoising_strength", DEFAULT_DENOISING_MILLI) or 1
    return Picture(parse(Fields(wished), target, source=source, strength_milli=strength), ignored, shown)


def handle_of(title: Any, catalogue: Catalogue) -> str:
    """A model's handle from a title of `sd-models`: `name [digits of its id]`, or the name.

    :raises BadRequest: it is not text.
    :raises UnknownModel: no model has both name and digits. :raises AmbiguousModel: several have.
    """
    if not isinstance(title, str):
        raise BadRequest("model", f"{CHECKPOINT} is not text")
    name, bracket, rest = title.strip().partition(" [")
    digits = rest.removesuffix("]")
    if not bracket:
        return name
    # Anybody can make a card whose id begins with given digits: they alone say nothing.
    own_name = name.partition("@")[0]
    fits = [
        model.model_id
        for model in catalogue.models()
        if model.name == own_name and model.model_id.hex().startswith(digits)
    ]
    if len(digits) < TITLE_DIGITS_MIN or not fits:
        raise UnknownModel(title)
    if len(fits) > 1:
        # The one that was listed under this very title, so that no card of later closes it.
        handles = catalogue.handles()
        fits = [model_id for model_id in fits if handles[model_id] == name]
    if len(fits) != 1:
        raise AmbiguousModel(title)
    return fits[0].hex()


def _check_names(body: Mapping[str, Any], further: set[str]) -> tuple[str, ...]:
    """Names of the fields without effect. :raises BadRequest: one is unknown, or says what cannot be done."""
    ignored = []
    for name in sorted(body):
        if name in REFUSED:
            if body[name] not in (False, 0, "", [], {}, -1, ["None"]):
                raise BadRequest(name, f"{name}: {REFUSED[name]}")
        elif name in WITHOUT_EFFECT or (name == "denoising_strength" and name not in further):
            ignored.append(name)
        elif name not in WORKING | further:
            shown = ascii(name[:NAME_SHOWN_MAX])
            raise BadRequest(shown[1:-1], f"the field {shown} is not known")
    return tuple(ignored)


def _shown(body: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that an answer can repeat: no images, and nothing that holds something else."""
    return {
        name: value
        for name, value in body.items()
        if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= SHOWN_CHARACTERS_MAX)
    }


def _settings(body: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = body.get("override_settings", {})
    if not isinstance(settings, dict):
        raise BadRequest("override_settings", "override_settings is not an object")
    for name, reason in _SETTINGS_REFUSED.items():
        value = settings.get(name, "")
        if value is not None and not (isinstance(value, str) and value in _VAE_OF_ITS_OWN):
            raise BadRequest(f"override_settings.{name}", f"{name}: {reason}")
    return {name: value for name, value in settings.items() if value not in (None, "")}


def _count(fields: Fields) -> int:
    count = fields.integer("batch_size", 1, 1, IMAGES_MAX) * fields.integer("n_iter", 1, 1, IMAGES_MAX)
    if count > IMAGES_MAX:
        raise BadRequest("batch_size", f"batch_size times n_iter is {count}, and at most {IMAGES_MAX}")
    return count


def _require_sampler(fields: Fields, model: Model) -> None:
    own = sampler_of(model)
    for name in ("sampler_name", "sampler_index"):
        if fields.text(name) not in ("", own, AUTOMATIC):
            raise BadRequest(name, f"{model.name} samples by {own}; leave {name} out, or say that")
    if fields.text("scheduler").lower() not in ("", AUTOMATIC.lower()):
        raise BadRequest("scheduler", f"{model.name} has its own schedule; leave scheduler at {AUTOMATIC}")


async def _source(body: Mapping[str, Any], target: Target) -> bytes:
    images = body.get("init_images", [])
    if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], str):
        raise BadRequest("init_images", "init_images is not a list with one image in base64")
    return await source_of("init_images", images[0], target)
