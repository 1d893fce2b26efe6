"""Errors of our own dialect: the neutral value as it is."""

from __future__ import annotations

from typing import Any

from node.api.errors import ApiError


def wording(error: ApiError, request_id: str) -> dict[str, Any]:
    """The document."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "parameter": error.parameter,
            "retry_after_ms": error.retry_after_ms,
            "request_id": request_id,
        }
    }
