"""Errors in AI Horde's shape: `message` for people, `rc` for programs, `errors` by field."""

from __future__ import annotations

from typing import Any, Final

from node.api.errors import ApiError

CODES: Final = {
    "invalid_api_key": "InvalidAPIKey",
    "invalid_json": "BadRequest",
    "invalid_value": "ValidationError",
    "no_miner_available": "NoValidWorkers",
    "quota_exceeded": "TooManyPrompts",
    "rate_limit_exceeded": "TooManyPrompts",
    "too_many_requests": "TooManyPrompts",
}
"""Its words for ours; others are ours in its spelling."""
FIELDS: Final = {
    "guidance": "params.cfg_scale",
    "image": "source_image",
    "model": "models",
    "n": "params.n",
    "seed": "params.seed",
    "size": "params.width",
    "steps": "params.steps",
    "strength": "params.denoising_strength",
}
"""Names of fields that are others here."""


def wording(error: ApiError, request_id: str) -> dict[str, Any]:
    """The document."""
    parameter = error.parameter
    return {
        "message": error.message,
        "rc": CODES.get(error.code, "".join(word.capitalize() for word in error.code.split("_"))),
        "errors": {} if parameter is None else {FIELDS.get(parameter, parameter): error.message},
        "request_id": request_id,
    }
