"""Errors as apps see them: the OpenAI envelope, so that stock clients understand."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import JSONResponse

from node.coordinator.catalogue import UnknownModel
from node.coordinator.coordinator import KeyConflict
from node.coordinator.drawing import NotReady
from node.coordinator.outcomes import Busy, NoMiner, OrderLost
from node.coordinator.records import FailureKind
from node.coordinator.requests import BadRequest
from node.pay.purse import DepositUsedUp
from protocol.errors import Refusal

RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class ApiError:
    """One error. :ivar status: HTTP. The rest are the fields of the envelope."""

    status: int
    kind: str
    code: str
    message: str
    parameter: str | None = None

    def body(self) -> dict[str, object]:
        """The envelope, for JSON."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.parameter,
                "code": self.code,
            }
        }

    def response(self) -> JSONResponse:
        """The HTTP response; with `Retry-After` where asking again later may help, and a word that stock
        clients obey where it cannot.
        """
        if self.status in {429, 503}:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
        else:
            headers = {"x-should-retry": "false"}
        return JSONResponse(self.body(), self.status, headers=headers)


_ANSWERS: dict[type[Refusal], tuple[int, str, str, str | None]] = {
    UnknownModel: (404, "invalid_request_error", "model_not_found", "model"),
    Busy: (429, "rate_limit_error", "too_many_requests", None),
    NoMiner: (503, "server_error", "no_miner_available", None),
    DepositUsedUp: (402, "insufficient_quota", "deposit_used_up", None),
    NotReady: (503, "server_error", "node_not_ready", None),
    KeyConflict: (422, "invalid_request_error", "idempotency_key_reused", "Idempotency-Key"),
}
"""Status, kind, code and parameter by what was refused."""

_LOST: dict[FailureKind, tuple[int, str, str]] = {
    FailureKind.NO_MINER: (503, "server_error", "no_miner_available"),
    FailureKind.REFUSED: (400, "invalid_request_error", "refused_by_miners"),
    FailureKind.FAILED: (502, "server_error", "task_failed"),
    FailureKind.EXPIRED: (504, "server_error", "task_expired"),
    FailureKind.CANCELLED: (503, "server_error", "cancelled_by_operator"),
    FailureKind.UNPAID: (402, "insufficient_quota", "deposit_used_up"),
}
"""Status, kind and code of an order that ended without a result."""


def of_refusal(refusal: Refusal) -> ApiError:
    """How an app is told a refusal of ours."""
    if isinstance(refusal, BadRequest):
        return ApiError(400, "invalid_request_error", "invalid_value", refusal.reason, refusal.field)
    if isinstance(refusal, OrderLost):
        return ApiError(*_LOST[refusal.kind], refusal.reason)
    status, kind, code, parameter = _ANSWERS.get(type(refusal), (503, "server_error", "unavailable", None))
    return ApiError(status, kind, code, refusal.reason, parameter)


def too_long(bytes_max: int) -> ApiError:
    """A body over its limit."""
    reason = f"the request's body is longer than {bytes_max:,} bytes"
    return ApiError(413, "invalid_request_error", "request_too_large", reason)


WRONG_TOKEN = ApiError(
    401,
    "authentication_error",
    "invalid_api_key",
    "the bearer token is missing or wrong; it stands in the file api-token of the data directory",
)
CUT_OFF = ApiError(400, "invalid_request_error", "cut_off", "the request's body was cut off")
NOT_JSON = ApiError(400, "invalid_request_error", "invalid_json", "the body is not a JSON object")
AMBIGUOUS_LENGTH = ApiError(
    400,
    "invalid_request_error",
    "ambiguous_length",
    "Content-Length and Transfer-Encoding do not go together",
)
