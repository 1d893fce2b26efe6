"""Bodies of requests that are JSON. Is: their type and form. Is not: what they mean."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from node.portal.errors import PortalRefusal


def require_json(request: Request) -> None:
    """:raises PortalRefusal: ``not_json``: the body is of another type."""
    # A form of another page cannot send this type without asking first (CORS), which is refused.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise PortalRefusal("not_json")


async def json_of(request: Request) -> dict[str, Any]:
    """The object that a body is. :raises PortalRefusal: ``not_json``, or ``bad_json``: it is not one."""
    require_json(request)
    try:
        document = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise PortalRefusal("bad_json") from error
    if not isinstance(document, dict):
        raise PortalRefusal("bad_json")
    return document
