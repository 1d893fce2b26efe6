"""Errors before an app hears of them: one neutral value, which each dialect words.

Is: status, code, and whether asking again helps, by what was refused.
Is not: the shape of a dialect's errors (`openai/errors`, `cuckoo/errors`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from starlette.responses import Response
from starlette.types import Scope

from node.api.json_answers import json_response
from node.coordinator.catalogue import UnknownModel
from node.coordinator.coordinator import KeyConflict
from node.coordinator.drawing import NotReady
from node.coordinator.outcomes import Busy, NoMiner, OrderLost
from node.coordinator.records import FailureKind
from node.coordinator.requests import BadRequest
from node.pay.purse import DepositUsedUp
from protocol.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_AFTER_MS: Final = 5_000
"""After how long a node that is busy, or waits for miners, is worth asking again."""
WAIT_MS_MAX: Final = 60_000
"""A stock client that is told of a longer wait waits as it likes instead, and asks in vain."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """One error.

    :ivar status: HTTP.
    :ivar code: for programs: lower-case words with underscores.
    :ivar message: for people.
    :ivar parameter: the field that is wrong, by its name in the dialect.
    :ivar retry_ms: after how long asking again may help, where that is known better than by the status.
    """

    status: int
    code: str
    message: str
    parameter: str | None = None
    retry_ms: int | None = None

    @property
    def retry_after_ms(self) -> int | None:
        """After how long asking again may help; None where it cannot."""
        if self.retry_ms is not None:
            return self.retry_ms
        return RETRY_AFTER_MS if self.status in {429, 503} else None


class Refused(Refusal):
    """An error of the API's own, raised where it is found. :ivar error: what the app is told."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


Wording: TypeAlias = "Callable[[ApiError, str], dict[str, Any]]"
"""A dialect's document of an error; the text is the request's id."""
WORDING: Final = "cuckoo.wording"
REQUEST_ID: Final = "cuckoo.request_id"
"""Keys of a request's ASGI scope, which the outermost layer sets (`envelope`)."""


def respond(error: ApiError, scope: Scope) -> Response:
    """The answer in the dialect of the request; stock clients obey what it says of asking again."""
    wording: Wording = scope[WORDING]
    headers, wait_ms = {}, error.retry_after_ms
    if wait_ms is not None:
        headers = {"retry-after": str(-(-wait_ms // 1000)), "retry-after-ms": str(wait_ms)}
    if wait_ms is None or wait_ms > WAIT_MS_MAX:
        headers["x-should-retry"] = "false"
    if error.status == WRONG_TOKEN.status:
        headers["www-authenticate"] = "Bearer"
    return json_response(wording(error, scope[REQUEST_ID]), error.status, headers)


_ANSWERS: Final[dict[type[Refusal], tuple[int, str, str | None]]] = {
    UnknownModel: (404, "model_not_found", "model"),
    Busy: (429, "too_many_requests", None),
    NoMiner: (503, "no_miner_available", None),
    DepositUsedUp: (402, "deposit_used_up", None),
    NotReady: (503, "node_not_ready", None),
    KeyConflict: (422, "idempotency_key_reused", "Idempotency-Key"),
}
"""Status, code and parameter by what was refused."""

_LOST: Final[dict[FailureKind, tuple[int, str]]] = {
    FailureKind.NO_MINER: (503, "no_miner_available"),
    FailureKind.REFUSED: (400, "refused_by_miners"),
    FailureKind.FAILED: (502, "task_failed"),
    FailureKind.EXPIRED: (504, "task_expired"),
    FailureKind.CANCELLED: (503, "cancelled_by_operator"),
    FailureKind.UNPAID: (402, "deposit_used_up"),
}
"""Status and code of an order that ended without a result."""


def of_refusal(refusal: Refusal) -> ApiError:
    """How an app is told a refusal of ours."""
    if isinstance(refusal, Refused):
        return refusal.error
    if isinstance(refusal, BadRequest):
        return ApiError(400, "invalid_value", refusal.reason, refusal.field)
    if isinstance(refusal, OrderLost):
        return ApiError(*_LOST[refusal.kind], refusal.reason)
    kinds = (kind for kind in type(refusal).__mro__ if kind in _ANSWERS)
    status, code, parameter = _ANSWERS.get(next(kinds, Refusal), (503, "unavailable", None))
    return ApiError(status, code, refusal.reason, parameter)


def too_long(bytes_max: int) -> ApiError:
    """A body over its limit."""
    return ApiError(413, "request_too_large", f"the request's body is longer than {bytes_max:,} bytes")


def unsupported_type(expected: str) -> ApiError:
    """A body of another content type than the route takes."""
    return ApiError(
        415, "unsupported_media_type", f"the body's Content-Type is not {expected}", "Content-Type"
    )


WRONG_TOKEN: Final = ApiError(
    401,
    "invalid_api_key",
    "the token is missing, wrong, expired or revoked; the operator's stands in the file api-token of the "
    "data directory, and cuckoo-peer token new makes others",
)
CUT_OFF: Final = ApiError(400, "cut_off", "the request's body was cut off")
TOO_SLOW: Final = ApiError(408, "body_too_slow", "the request's body took too long to come")
OPERATOR_ONLY: Final = ApiError(403, "operator_only", "this is for the operator's own token")
NOT_JSON: Final = ApiError(400, "invalid_json", "the body is not a JSON object")
AMBIGUOUS_LENGTH: Final = ApiError(
    400, "ambiguous_length", "Content-Length and Transfer-Encoding do not go together"
)
FOREIGN_HOST: Final = ApiError(
    421,
    "foreign_host",
    "this node does not answer under the name of the Host header; its operator names one with --public-url",
    "Host",
)
FOREIGN_ORIGIN: Final = ApiError(
    403,
    "foreign_origin",
    "pages of this origin may not use this node; its operator allows one with --cors-origin",
    "Origin",
)
INTERNAL_ERROR: Final = ApiError(500, "internal_error", "the node failed; its log says why")
