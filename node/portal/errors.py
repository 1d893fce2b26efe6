"""Errors of the portal's API: codes, which the pages have words for in each language.

Is: every code, its HTTP status, and how it is said in JSON.
Is not: the words; they are in `static/strings.json`, under ``error.CODE``.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

from contracts.errors import ChainError, ContractReverted
from node.system.observable import to_document
from protocol.errors import CuckooError, Refusal

STATUS: Final = {
    "ambiguous": 400,
    "bad_account": 400,
    "bad_action": 400,
    "bad_amount": 400,
    "bad_code": 403,
    "bad_consent": 400,
    "bad_introduction": 400,
    "bad_json": 400,
    "bad_node": 400,
    "bad_percent": 400,
    "bad_query": 400,
    "bad_request_id": 400,
    "bad_transaction": 400,
    "busy": 503,
    "chain": 502,
    "foreign_host": 421,
    "foreign_origin": 403,
    "large_epoch": 413,
    "method": 405,
    "no_picture": 404,
    "no_session": 401,
    "no_studio": 404,
    "not_found": 404,
    "not_json": 415,
    "not_registered": 404,
    "order": 422,
    "our_fault": 500,
    "refused": 422,
    "slow": 408,
    "too_large": 413,
    "unknown_epoch": 404,
    "unknown_task": 404,
}
"""HTTP status by code."""


class PortalRefusal(Refusal):
    """An answer that says no. :ivar code: one of `STATUS`. :ivar values: what the words name."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


class Busy(PortalRefusal):
    """More is asked of the chain than this node asks it. :ivar retry_after_s: when to ask again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("busy", retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s


def refusal_of(error: CuckooError) -> PortalRefusal:
    """Any error of ours as one with a code. Nothing of what it says goes out: an RPC's address may be
    secret.
    """
    match error:
        case PortalRefusal():
            return error
        case ContractReverted(name=name, arguments=arguments):
            return PortalRefusal("refused", name=name, arguments=arguments_document(arguments))
        case ChainError():
            return PortalRefusal("chain")
    return PortalRefusal("our_fault")


def arguments_document(arguments: dict[str, Any]) -> dict[str, str]:
    """Arguments of a contract's error as text, since their numbers may be greater than JSON's."""
    return {name: str(to_document(value)) for name, value in arguments.items()}


def answer(refusal: PortalRefusal) -> Response:
    """Its HTTP answer."""
    headers = {"retry-after": str(refusal.retry_after_s)} if isinstance(refusal, Busy) else None
    return JSONResponse(
        {"error": {"code": refusal.code, **refusal.values}}, STATUS[refusal.code], headers=headers
    )
