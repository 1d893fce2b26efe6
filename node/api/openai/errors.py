"""Errors in OpenAI's envelope, so that stock clients raise what they would at home."""

from __future__ import annotations

from typing import Any, Final

from node.api.errors import ApiError

_TYPES: Final = {401: "authentication_error", 402: "insufficient_quota", 429: "rate_limit_error"}
_SERVER_ERROR: Final = 500


def wording(error: ApiError, request_id: str) -> dict[str, Any]:
    """The envelope."""
    is_ours = error.status >= _SERVER_ERROR
    return {
        "error": {
            "message": error.message,
            "type": _TYPES.get(error.status, "server_error" if is_ours else "invalid_request_error"),
            "param": error.parameter,
            "code": error.code,
            "request_id": request_id,
        }
    }
