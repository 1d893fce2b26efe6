"""Messages of JSON-RPC 2.0 as the Model Context Protocol uses them. Pure.

Is: what is asked, and answers. Is not: HTTP, or the tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from node.api.errors import NOT_JSON, ApiError

REVISIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Revisions of the protocol that begin with `initialize`, the latest first."""
NOTIFICATIONS: Final = "notifications/"
"""How the methods of all notifications begin."""
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_REVISION: Final = -32022
"""Of the protocol's own, from revision 2026-07-28 on, as the one above."""
SERVER_ERROR: Final = -32000
RequestId: TypeAlias = str | int


class NotAMessage(Exception):
    """A body that is no message. :ivar code: JSON-RPC's. :ivar request_id: if it could be read."""

    def __init__(
        self, code: int, reason: str, request_id: RequestId | None = None, data: dict[str, Any] | None = None
    ) -> None:
        """:param data: for programs."""
        super().__init__(reason)
        self.code = code
        self.request_id = request_id
        self.data = data


@dataclass(frozen=True, slots=True)
class Message:
    """A request, or a notification, which has no id and gets no answer."""

    method: str
    params: dict[str, Any]
    request_id: RequestId | None


def parse_message(document: dict[str, Any]) -> Message | None:
    """The one message that a body is; None for an answer, which this server asks for nothing and so ignores.

    :param document: the body, without what is null in it.
    :raises NotAMessage: it is not one.
    """
    if document.get("jsonrpc") != "2.0":
        raise NotAMessage(INVALID_REQUEST, "the body is not one message of JSON-RPC 2.0")
    if "method" not in document and ("result" in document or "error" in document):
        return None
    method, params, request_id = document.get("method"), document.get("params", {}), document.get("id")
    if not isinstance(method, str) or not isinstance(params, dict):
        raise NotAMessage(INVALID_REQUEST, "method is not text, or params is not an object")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | None):
        raise NotAMessage(INVALID_REQUEST, "id is not text or a whole number")
    if request_id is None and not method.startswith(NOTIFICATIONS):
        # Whoever has forgotten its id would wait for an answer that nobody may give.
        raise NotAMessage(INVALID_REQUEST, "a request has an id; only notifications have none")
    return Message(method, params, request_id)


def result(request_id: RequestId | None, value: dict[str, Any]) -> dict[str, Any]:
    """An answer."""
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def error(
    request_id: RequestId | None, code: int, reason: str, data: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An answer that says why there is none."""
    document: dict[str, Any] = {"code": code, "message": reason}
    if data is not None:
        document["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": document}


def wording(api_error: ApiError, request_id: str) -> dict[str, Any]:
    """An error of HTTP in this dialect."""
    code = PARSE_ERROR if api_error.code == NOT_JSON.code else SERVER_ERROR
    return error(None, code, api_error.message, {"code": api_error.code, "request_id": request_id})
