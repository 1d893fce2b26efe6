"""The words of `/openapi.json` about AUTOMATIC1111's routes."""

from __future__ import annotations

from typing import Any, Final

from node.api.a1111.bodies import WITHOUT_EFFECT
from node.api.described import (
    ANY,
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Operation,
    Schema,
    answered,
    asked,
    listed,
    numbered,
    optional,
)
from node.api.openai.parameters import IMAGES_MAX
from node.coordinator.requests import SEED_MAX
from protocol.model_card import GUIDANCE_MILLI_MAX, PIXELS_MAX
from protocol.model_table import SCHEDULE_STEPS_MAX

ERROR: Final = answered(
    error=TEXT, detail=TEXT, errors=TEXT, body=TEXT, parameter=optional(TEXT), request_id=TEXT
)
PICTURE: Final[dict[str, Schema]] = {
    **dict.fromkeys(WITHOUT_EFFECT, ANY),
    "batch_size": numbered(1, IMAGES_MAX),
    "cfg_scale": numbered(0, GUIDANCE_MILLI_MAX / 1000, "number"),
    "height": numbered(1, PIXELS_MAX),
    "n_iter": numbered(1, IMAGES_MAX),
    "negative_prompt": TEXT,
    "override_settings": {"type": "object"},
    "prompt": {"type": "string", "minLength": 1},
    "sampler_index": TEXT,
    "sampler_name": TEXT,
    "scheduler": TEXT,
    "seed": numbered(-1, SEED_MAX),
    "steps": numbered(1, SCHEDULE_STEPS_MAX),
    "width": numbered(1, PIXELS_MAX),
}
IMAGES: Final = listed(TEXT) | {"minItems": 1, "maxItems": 1}
EDIT: Final = PICTURE | {"init_images": IMAGES, "denoising_strength": numbered(0, 1, "number")}
PICTURES: Final = answered(images=listed(TEXT), parameters={"type": "object"}, info=TEXT)
NAMED: Final = listed(answered(name=TEXT))
_FIXED: Final[dict[str, Any]] = {
    "upscalers": NAMED,
    "latent-upscale-modes": NAMED,
    "sd-vae": listed(ANY),
    "sd-modules": listed(ANY),
    "loras": listed(ANY),
    "cmd-flags": {"type": "object"},
    "memory": answered(ram=ANY, cuda=ANY),
}
OPERATIONS: Final = {
    "POST /sdapi/v1/txt2img": Operation("Pictures of a prompt", PICTURES, asked(PICTURE, ("prompt",))),
    "POST /sdapi/v1/img2img": Operation(
        "Pictures from a picture", PICTURES, asked(EDIT, ("prompt", "init_images"))
    ),
    "GET /sdapi/v1/options": Operation("The token's options", answered(sd_model_checkpoint=TEXT)),
    "POST /sdapi/v1/options": Operation(
        "Choose the token's model",
        {"type": "null"},
        {"type": "object", "properties": {"sd_model_checkpoint": TEXT}},
    ),
    "GET /sdapi/v1/sd-models": Operation(
        "Models on offer",
        listed(answered(title=TEXT, model_name=TEXT, hash=TEXT, sha256=TEXT, filename=TEXT)),
    ),
    "GET /sdapi/v1/samplers": Operation("Samplers of models on offer", NAMED),
    "GET /sdapi/v1/schedulers": Operation("Schedules", NAMED),
    "GET /sdapi/v1/progress": Operation(
        "The token's oldest request under way",
        answered(
            progress=NUMBER,
            eta_relative=NUMBER,
            state=answered(skipped=FLAG, interrupted=FLAG, job_count=WHOLE),
            current_image=optional(TEXT),
        ),
        query={"skip_current_image": FLAG},
    ),
    "POST /sdapi/v1/interrupt": Operation("End the token's requests", {"type": "object"}),
    "POST /sdapi/v1/skip": Operation("End the token's next picture", {"type": "object"}),
    **{f"GET /sdapi/v1/{name}": Operation(f"Nothing: {name}", schema) for name, schema in _FIXED.items()},
}
