"""Bodies in JSON, as every dialect reads them: bounded before they are parsed, so that none stops the loop.

Is: how many parts a body may have, how deep it may be, and that its numbers are finite.
Is not: its length (`serving.read_body`), or what it means (the dialects).
"""

from __future__ import annotations

import math
from typing import Any, Final

import trio

from node.api.errors import ApiError, Refused
from node.api.serving import json_object

PARTS_MAX: Final = 4_096
"""Commas, brackets and braces of a body, those in texts among them: parsing holds the interpreter for as long
as there are parts, and each takes more memory than it has bytes. Two prompts of 1,000 commas have room; an
image in base64 has none.
"""
DEPTH_MAX: Final = 32
"""Lists and objects in one another; clients send five."""
INLINE_BYTES_MAX: Final = 64 * 1024
"""A longer body holds an image, and is read in a thread."""
SCAN_BYTES: Final = 64 * 1024
"""So much of a body is counted at a time: of a hostile one, no more than it takes to see it."""
TOO_MANY_PARTS: Final = ApiError(
    413,
    "request_too_large",
    f"the request's body has more than {PARTS_MAX:,} commas, brackets and braces",
)
TOO_DEEP: Final = ApiError(400, "invalid_json", f"the body is nested more than {DEPTH_MAX} deep")
NOT_FINITE: Final = ApiError(400, "invalid_json", "the body has a number that is not finite")


async def read_object(body: bytes) -> dict[str, Any]:
    """As `parse_object`; a long body is read in a thread."""
    if len(body) <= INLINE_BYTES_MAX:
        return parse_object(body)
    return await trio.to_thread.run_sync(parse_object, body)


def parse_object(body: bytes) -> dict[str, Any]:
    """The object that a body is; a field that is null counts as absent.

    :raises Refused: it is not a JSON object, has too many parts, is too deep, or has NaN or an infinity.
    """
    _require_few_parts(body)
    document = json_object(body)
    _require_plain(document)
    return document


def _require_few_parts(body: bytes) -> None:
    parts = 0
    for start in range(0, len(body), SCAN_BYTES):
        parts += sum(body.count(mark, start, start + SCAN_BYTES) for mark in (b",", b"[", b"{"))
        if parts > PARTS_MAX:
            raise Refused(TOO_MANY_PARTS)


def _require_plain(document: dict[str, Any]) -> None:
    """Level by level, not by recursion: how deep it is, is not known yet."""
    level: list[Any] = [document]
    for _ in range(DEPTH_MAX):
        below: list[Any] = []
        for value in level:
            below += value.values() if isinstance(value, dict) else value
        if any(isinstance(value, float) and not math.isfinite(value) for value in below):
            raise Refused(NOT_FINITE)
        level = [value for value in below if isinstance(value, dict | list)]
        if not level:
            return
    raise Refused(TOO_DEEP)
