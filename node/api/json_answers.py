"""JSON as every dialect answers it: ASCII only, so that no text that an app sent can fail to be encoded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def json_response(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON. Half of a surrogate pair, which UTF-8 cannot carry, goes out as its escape."""
    body = json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii")
    return Response(body, status, headers, "application/json")
