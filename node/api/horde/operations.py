"""The words of `/openapi.json` about AI Horde's routes."""

from __future__ import annotations

from typing import Final

from node.api.described import (
    ANY,
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Operation,
    answered,
    asked,
    listed,
    numbered,
    optional,
)
from node.api.horde.payload import PARAMS_WITHOUT_EFFECT, WITHOUT_EFFECT
from node.api.openai.parameters import IMAGES_MAX
from protocol.model_card import GUIDANCE_MILLI_MAX, PIXELS_MAX
from protocol.model_table import SCHEDULE_STEPS_MAX

ERROR: Final = answered(message=TEXT, rc=TEXT, errors={"type": "object"}, request_id=TEXT)
PARAMS: Final = asked(
    {
        **dict.fromkeys(PARAMS_WITHOUT_EFFECT, ANY),
        "cfg_scale": numbered(0, GUIDANCE_MILLI_MAX / 1000, "number"),
        "denoising_strength": numbered(0, 1, "number"),
        "height": numbered(1, PIXELS_MAX),
        "n": numbered(1, IMAGES_MAX),
        "seed": TEXT,
        "steps": numbered(1, SCHEDULE_STEPS_MAX),
        "width": numbered(1, PIXELS_MAX),
    }
)
PAYLOAD: Final = asked(
    {
        **dict.fromkeys(WITHOUT_EFFECT, ANY),
        "allow_downgrade": FLAG,
        "dry_run": FLAG,
        "models": listed(TEXT),
        "params": PARAMS,
        "prompt": {"type": "string", "minLength": 1},
        "r2": FLAG,
        "source_image": TEXT,
        "source_processing": {"type": "string", "enum": ["img2img"]},
        "webhook": TEXT,
    },
    ("prompt",),
)
STATE: Final = {
    "finished": WHOLE,
    "processing": WHOLE,
    "waiting": WHOLE,
    "done": FLAG,
    "faulted": FLAG,
    "wait_time": WHOLE,
    "queue_position": WHOLE,
    "kudos": NUMBER,
    "is_possible": FLAG,
}
WHOLE_STATE: Final = answered(
    **STATE, generations=listed(answered(img=TEXT, seed=TEXT, id=TEXT, censored=FLAG, model=TEXT))
)
MODELS: Final = listed(answered(name=TEXT, count=WHOLE, type=TEXT))
OPERATIONS: Final = {
    "POST /api/v2/generate/async": Operation(
        "Begin a request; 200 and its price with dry_run",
        answered(kudos=NUMBER),
        PAYLOAD,
        status=202,
    ),
    "GET /api/v2/generate/check/{entry_id}": Operation("How far it is", answered(**STATE)),
    "GET /api/v2/generate/status/{entry_id}": Operation("The same with its pictures", WHOLE_STATE),
    "DELETE /api/v2/generate/status/{entry_id}": Operation("End it", WHOLE_STATE),
    "GET /api/v2/status/models": Operation("Models on offer", MODELS, query={"type": optional(TEXT)}),
    "GET /api/v2/status/models/{name}": Operation("One of them", MODELS),
    "GET /api/v2/status/performance": Operation("How much is under way", {"type": "object"}),
    "GET /api/v2/status/heartbeat": Operation("Whether the node answers", answered(message=TEXT)),
    "GET /api/v2/workers": Operation("None", listed(ANY)),
    "GET /api/v2/find_user": Operation("The caller's token", answered(username=TEXT)),
}
