"""The routes under `/v1/cuckoo/`: receipts, results, quotes, usage, status, and pictures behind links."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.api.cuckoo.errors import wording
from node.api.cuckoo.operations import ERROR, OPERATIONS
from node.api.dialect import Dialect
from node.api.errors import OPERATOR_ONLY, ApiError, Refused
from node.api.explaining import task_id_of
from node.api.json_answers import json_response
from node.api.links import LINK_PATH
from node.api.openai.images import Images
from node.api.quoting import quote_document
from node.api.readers import receipt_document
from node.api.services import Services
from node.api.serving import JSON_BYTES_MAX, read_body
from node.api.tokens.acts import limits_document, used_document
from node.api.tokens.caller import OPERATOR, caller_of
from node.system.clock import now_ms
from protocol.amounts import WEI_PER_MICRO_CAI

DAYS_SHOWN: Final = 31
NO_TASK: Final = ApiError(404, "task_not_found", "no finished task of that id is remembered")
NO_HISTORY: Final = ApiError(404, "task_not_found", "no task of that id is remembered")
NO_PICTURE: Final = ApiError(404, "picture_not_found", "this link leads nowhere, or does no longer")


def cuckoo_dialect(services: Services) -> Dialect:
    """The dialect, over a coordinator."""
    handlers = Handlers(services)
    routes = (
        Route("/v1/cuckoo/tasks/{task_id}", handlers.receipt),
        Route("/v1/cuckoo/tasks/{task_id}/output", handlers.output),
        Route("/v1/cuckoo/tasks/{task_id}/explain", handlers.explain),
        Route("/v1/cuckoo/quote", handlers.quote, methods=["POST"]),
        Route("/v1/cuckoo/status", handlers.status),
        Route("/v1/cuckoo/usage", handlers.usage),
        Route("/v1/cuckoo/spending", handlers.spending),
    )
    open_routes = (Route(f"{LINK_PATH}/{{name}}", handlers.picture),)
    return Dialect("cuckoo", "/v1/cuckoo/", wording, ERROR, OPERATIONS, routes, open_routes)


class Handlers:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._images = Images(services)

    async def status(self, request: Request) -> Response:
        """`GET /v1/cuckoo/status`: all that is to be seen of the node; for its operator alone."""
        if not caller_of(request.scope).is_operator:
            raise Refused(OPERATOR_ONLY)
        return json_response(self._services.context.observable.document())

    async def usage(self, request: Request) -> Response:
        """`GET /v1/cuckoo/usage`: the caller's limits, and what it has used by day."""
        caller = caller_of(request.scope)
        days = self._services.tokens.used_by_day(caller.token_id, DAYS_SHOWN)
        document = {"name": caller.name, "limits": limits_document(caller.limits)}
        return json_response(document | {"used": [used_document(day) for day in days]})

    async def spending(self, request: Request) -> Response:
        """`GET /v1/cuckoo/spending`: what all tokens used by day; for the node's operator alone."""
        if not caller_of(request.scope).is_operator:
            raise Refused(OPERATOR_ONLY)
        tokens, currency = self._services.tokens, self._services.options.currency
        names = {item.caller.token_id: item.caller.name for item in tokens.listed()} | {"": OPERATOR.name}
        days: dict[str, dict[str, Any]] = {}
        for token_id, used in tokens.all_used(DAYS_SHOWN):
            day = days.setdefault(used.date, {"day": used.date, "images": 0, "spent_wei": 0, "tokens": []})
            day["images"] += used.images
            day["spent_wei"] += used.spent_wei
            name = names.get(token_id, token_id)
            day["tokens"].append({"name": name, "images": used.images, "spent_wei": str(used.spent_wei)})
        for day in days.values():
            day["spent"] = currency.price(-(-day["spent_wei"] // WEI_PER_MICRO_CAI))
            day["spent_wei"] = str(day["spent_wei"])
        return json_response({"days": list(days.values())})

    async def receipt(self, request: Request) -> Response:
        """`GET /v1/cuckoo/tasks/{id}`: the receipt of a finished task, and who could read it."""
        receipt = self._services.coordinator.receipt(self._task_id(request))
        if receipt is None:
            raise Refused(NO_TASK)
        return json_response(receipt_document(receipt))

    async def output(self, request: Request) -> Response:
        """`GET /v1/cuckoo/tasks/{id}/output`: the result of a finished task, as signed, while it is kept."""
        output = self._services.coordinator.output(self._task_id(request))
        if output is None:
            raise Refused(NO_TASK)
        return _file(output, "image/png")

    async def explain(self, request: Request) -> Response:
        """`GET /v1/cuckoo/tasks/{id}/explain`: why a task went as it did."""
        document = self._services.histories.explain(self._task_id(request))
        if document is None:
            raise Refused(NO_HISTORY)
        return json_response(document)

    async def quote(self, request: Request) -> Response:
        """`POST /v1/cuckoo/quote`: what a body of `/v1/images/generations` would cost as offers stand."""
        body = await read_body(request, JSON_BYTES_MAX, "application/json")
        generation = await self._images.parse_generation(body)
        services = self._services
        services.desk.require_rate(caller_of(request.scope))
        document = quote_document(services.coordinator, generation.requests, services.options.currency)
        document |= {"size": generation.size, "steps": generation.requests[0].steps}
        return json_response(document | generation.extras(), headers=generation.headers())

    async def picture(self, request: Request) -> Response:
        """`GET /v1/cuckoo/pictures/{name}`: the picture of a link. Needs no token; the name is one."""
        picture = self._services.links.find(request.path_params["name"], now_ms())
        if picture is None:
            raise Refused(NO_PICTURE)
        return _file(picture.data, picture.media_type)

    def _task_id(self, request: Request) -> bytes:
        """The task of a path; an id that is not one is nobody's, and others' are no ids to the caller."""
        task_id = task_id_of(request.path_params["task_id"])
        return task_id if self._services.tokens.may_see(caller_of(request.scope), task_id) else b""


def _file(data: bytes, media_type: str) -> Response:
    headers = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}
    return Response(data, media_type=media_type, headers=headers)
