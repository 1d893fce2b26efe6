"""The words of `/openapi.json` about OpenAI's routes."""

from __future__ import annotations

from typing import Final

from node.api.described import (
    ANY,
    FILE,
    FLAG,
    JSON,
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
from node.api.openai.parameters import AUDITS, IMAGES_MAX, PARTIAL_IMAGES_MAX, WITHOUT_EFFECT
from node.api.picture_formats import COMPRESSION_MAX, FORMATS
from node.coordinator.requests import SEED_MAX
from protocol.model_card import GUIDANCE_MILLI_MAX
from protocol.model_table import SCHEDULE_STEPS_MAX
from protocol.pay import PRICE_MICRO_CAI_MAX

ERROR: Final = answered(
    error=answered(message=TEXT, type=TEXT, param=optional(TEXT), code=TEXT, request_id=TEXT)
)
GENERATION: Final[dict[str, Schema]] = {
    **{
        name: {"type": "string", "enum": list(words)} if words else TEXT
        for name, words in WITHOUT_EFFECT.items()
    },
    "audits": {"type": "string", "enum": list(AUDITS)},
    "background": {"type": "string", "enum": ["auto", "opaque"]},
    "dry_run": FLAG,
    "guidance": numbered(0, GUIDANCE_MILLI_MAX / 1000, "number"),
    "model": TEXT,
    "n": numbered(1, IMAGES_MAX),
    "negative_prompt": TEXT,
    "output_compression": numbered(0, COMPRESSION_MAX),
    "output_format": {"type": "string", "enum": list(FORMATS)},
    "partial_images": numbered(0, PARTIAL_IMAGES_MAX),
    "price_max_micro_cai": numbered(0, PRICE_MICRO_CAI_MAX),
    "prompt": {"type": "string", "minLength": 1},
    "response_format": {"type": "string", "enum": ["b64_json", "url"]},
    "seed": numbered(0, SEED_MAX),
    "size": {"type": "string", "pattern": "^(auto|[0-9]{1,5}x[0-9]{1,5})$"},
    "steps": numbered(1, SCHEDULE_STEPS_MAX),
    "stream": FLAG,
    "truncation": {"type": "string", "enum": ["auto", "disabled"]},
}
EDIT: Final[dict[str, Schema]] = GENERATION | {
    "image": FILE,
    "strength": numbered(0, 1, "number"),
}
PICTURES: Final = answered(
    created=WHOLE,
    data=listed({"type": "object", "properties": {"b64_json": TEXT, "url": TEXT}}),
    background=TEXT,
    output_format=TEXT,
    size=TEXT,
    usage=answered(input_tokens=WHOLE, output_tokens=WHOLE, total_tokens=WHOLE, input_tokens_details=ANY),
    cuckoo=answered(model=TEXT, model_id=TEXT, prompt_cut=ANY),
)
MODEL: Final = answered(
    id=TEXT,
    object=TEXT,
    created=WHOLE,
    owned_by=TEXT,
    cuckoo=answered(
        model_id=TEXT,
        sizes=listed(TEXT),
        default_steps=WHOLE,
        steps_max=WHOLE,
        miners=WHOLE,
        price_micro_cai=optional(NUMBER),
        work_kinds=listed(TEXT),
        readers=answered(prompt=TEXT, picture=TEXT),
    ),
)
OPERATIONS: Final = {
    "GET /v1/models": Operation("Models on offer", answered(object=TEXT, data=listed(MODEL))),
    "GET /v1/models/{model}": Operation("One of them", MODEL),
    "POST /v1/images/generations": Operation(
        "Pictures of a prompt",
        PICTURES,
        asked(GENERATION, ("prompt",)),
        answer_types=(JSON, "text/event-stream"),
    ),
    "POST /v1/images/edits": Operation(
        "Pictures from a picture and a prompt",
        PICTURES,
        asked(EDIT, ("image", "prompt"), nullable=False),
        "multipart/form-data",
        (JSON, "text/event-stream"),
    ),
}
