"""Errors in the shape of AUTOMATIC1111's API, whose clients show `detail` or `errors`."""

from __future__ import annotations

from typing import Any, Final

from node.api.errors import ApiError

FIELDS: Final = {
    "background": "restore_faces",
    "guidance": "cfg_scale",
    "image": "init_images",
    "model": "override_settings.sd_model_checkpoint",
    "n": "batch_size",
    "size": "width",
    "strength": "denoising_strength",
}
"""Names of fields that are others here."""


def wording(error: ApiError, request_id: str) -> dict[str, Any]:
    """The document."""
    parameter = error.parameter
    return {
        "error": error.code,
        "detail": error.message,
        "errors": error.message,
        "body": "",
        "parameter": None if parameter is None else FIELDS.get(parameter, parameter),
        "request_id": request_id,
    }
