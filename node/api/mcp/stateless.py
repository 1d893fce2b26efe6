"""Revision 2026-07-28 of the Model Context Protocol: no handshake; each request says what it speaks. Pure.

Is: which requests are of it, what in them has to agree with their headers, and what its answers have besides.
Is not: the tools, or older revisions (`messages`).
Sources: the revision's "Streamable HTTP" (SEP-2243, SEP-2575) and its schema.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from starlette.datastructures import Headers

from node.api.mcp.messages import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    REVISIONS,
    UNSUPPORTED_REVISION,
    Message,
    NotAMessage,
)

REVISION: Final = "2026-07-28"
HANDSHAKES: Final = frozenset({*REVISIONS, "2024-11-05"})
"""Revisions that a header may name and that begin with `initialize`."""
REVISION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"
ROUTING_HEADERS: Final = (REVISION_HEADER, METHOD_HEADER, NAME_HEADER)
"""Said again outside of the body, so that whoever stands between can read them; who reads the one and who
reads the other must not understand two things.
"""
REVISION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
SERVER_KEY: Final = "io.modelcontextprotocol/serverInfo"
CACHEABLE: Final = frozenset({"server/discover", "tools/list"})
CACHED_MS: Final = 60 * 60 * 1000
"""How long a client may keep what does not change while the node runs."""
STATUS: Final = {METHOD_NOT_FOUND: 404}
"""Statuses of HTTP by JSON-RPC's code; all other errors of the protocol are 400."""
_ENCODED: Final = ("=?base64?", "?=")


def is_meant(headers: Headers) -> bool:
    """Whether a request is of this revision, or of one that only its kind of header can name."""
    named = headers.get(REVISION_HEADER)
    return named is not None and named not in HANDSHAKES


def require_coherent(message: Message, headers: Headers) -> None:
    """Hold a message against its headers.

    :raises NotAMessage: it does not say its revision, says another thing in its headers, or is of a revision
        that is not spoken; then its data names what is.
    """
    request_id = message.request_id
    if request_id is None:
        # A notification, which has no answer: its revision alone is looked at.
        _require_spoken(headers.get(REVISION_HEADER), None)
        return
    for name in ROUTING_HEADERS:
        if len(headers.getlist(name)) > 1:
            raise NotAMessage(HEADER_MISMATCH, f"the header {name} comes twice", request_id)
    meta = message.params.get("_meta")
    if not isinstance(meta, dict) or not {REVISION_KEY, CAPABILITIES_KEY} <= meta.keys():
        reason = f"params._meta lacks {REVISION_KEY} or {CAPABILITIES_KEY}"
        raise NotAMessage(INVALID_PARAMS, reason, request_id)
    said = [(REVISION_HEADER, meta[REVISION_KEY]), (METHOD_HEADER, message.method)]
    if message.method == "tools/call":
        said.append((NAME_HEADER, message.params.get("name")))
    for name, value in said:
        if value is None or _decoded(headers.get(name)) != value:
            raise NotAMessage(
                HEADER_MISMATCH, f"the header {name} says another thing than the body", request_id
            )
    _require_spoken(meta[REVISION_KEY], request_id)


def completed(method: str, document: dict[str, Any], server: dict[str, Any]) -> dict[str, Any]:
    """An answer with what this revision asks for: that it is whole, whose it is, how long it holds.

    :param server: name and version.
    """
    if "result" not in document:
        return document
    further: dict[str, Any] = {"resultType": "complete", "_meta": {SERVER_KEY: server}}
    if method in CACHEABLE:
        further |= {"ttlMs": CACHED_MS, "cacheScope": "private"}
    return document | {"result": document["result"] | further}


def status_of(document: dict[str, Any]) -> int:
    """The status of HTTP that goes with an answer."""
    return STATUS.get(document["error"]["code"], 400) if "error" in document else 200


def _require_spoken(revision: object, request_id: str | int | None) -> None:
    if revision != REVISION:
        data = {"supported": [REVISION], "requested": str(revision)[:64]}
        raise NotAMessage(
            UNSUPPORTED_REVISION, "the revision of the protocol is not spoken", request_id, data
        )


def _decoded(value: str | None) -> str | None:
    """The text of a header: as it is, or base64 of UTF-8 where a header could not carry it."""
    begin, end = _ENCODED
    if (
        value is None
        or len(value) < len(begin + end)
        or not (value.startswith(begin) and value.endswith(end))
    ):
        return value
    try:
        return base64.b64decode(value[len(begin) : -len(end)], validate=True).decode()
    except (binascii.Error, UnicodeError):
        return None
