"""The routes under `/api/v2/`; their clients send a token as `apikey`.

The anonymous key, `0000000000`, is the token that the operator has named `anonymous`, with its limits;
without one of that name it opens nothing. A request's state needs its id alone, which nobody can guess:
clients send no key with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.api.dialect import Dialect
from node.api.errors import ApiError, Refused
from node.api.horde.board import Board, Entry, generation_document
from node.api.horde.errors import wording
from node.api.horde.operations import ERROR, OPERATIONS
from node.api.horde.payload import parse_payload
from node.api.json_answers import json_response
from node.api.json_bodies import read_object
from node.api.quoting import quote_document
from node.api.services import Services
from node.api.serving import RequestName, read_body
from node.api.sources import BODY_BYTES_MAX
from node.api.tokens.caller import caller_of
from node.coordinator.offered import OfferedModel
from node.coordinator.requests import ImageRequest

PREFIX: Final = "/api/v2"
ANONYMOUS_KEY: Final = "0000000000"
NO_REQUEST: Final = ApiError(404, "request_not_found", "no request of that id is remembered")
NO_MODEL: Final = ApiError(404, "model_not_found", "no miner offers a model of that name")


def horde_dialect(services: Services) -> Dialect:
    """The dialect, over a coordinator."""
    board = Board(services.serving, services.links, services.webhooks)
    services.context.observable.register("horde", board.status)
    handlers = Handlers(services, board)
    routes = (
        Route(f"{PREFIX}/generate/async", handlers.generate, methods=["POST"]),
        Route(f"{PREFIX}/status/models", handlers.models),
        Route(f"{PREFIX}/status/models/{{name}}", handlers.model),
        Route(f"{PREFIX}/status/performance", handlers.performance),
        Route(f"{PREFIX}/workers", handlers.workers),
        Route(f"{PREFIX}/find_user", handlers.user),
    )
    open_routes = (
        Route(f"{PREFIX}/generate/check/{{entry_id}}", handlers.check),
        Route(f"{PREFIX}/generate/status/{{entry_id}}", handlers.status),
        Route(f"{PREFIX}/generate/status/{{entry_id}}", handlers.cancel, methods=["DELETE"]),
        Route(f"{PREFIX}/status/heartbeat", handlers.heartbeat),
    )
    return Dialect(
        "horde",
        "/api/v2/",
        wording,
        ERROR,
        OPERATIONS,
        routes,
        open_routes,
        token_of=key_of,
        anonymous_key=ANONYMOUS_KEY,
        run=board.run,
    )


def key_of(headers: Headers) -> str:
    """The key of a request; empty for none."""
    return headers.get("apikey", "")


class Handlers:
    """The handlers."""

    def __init__(self, services: Services, board: Board) -> None:
        self._services = services
        self._board = board

    async def generate(self, request: Request) -> Response:
        """`POST /api/v2/generate/async`."""
        content = await read_body(request, BODY_BYTES_MAX, "application/json")
        services = self._services
        asked = await parse_payload(await read_object(content), services.catalogue, services.options.aliases)
        kudos = self._kudos(asked.generation.requests)
        if asked.dry_run:
            services.desk.require_rate(caller_of(request.scope))
            return json_response({"kudos": kudos})
        hook = None
        if asked.webhook:
            token_id = caller_of(request.scope).token_id
            hook = await services.webhooks.find("webhook", asked.webhook, token_id)
        name = await RequestName.of(request, content)
        entry = await self._board.start(asked, name, services.base_url(request.scope), kudos, hook)
        document: dict[str, Any] = {"id": entry.entry_id, "kudos": kudos}
        if asked.warnings:
            document["message"] = "; ".join(asked.warnings)
            document["warnings"] = [{"code": "NoEffect", "message": text} for text in asked.warnings]
        return json_response(document, 202)

    async def check(self, request: Request) -> Response:
        """`GET /api/v2/generate/check/{id}`: how far a request is."""
        return json_response(_document(self._entry(request)))

    async def status(self, request: Request) -> Response:
        """`GET /api/v2/generate/status/{id}`: the same with the pictures."""
        return json_response(_whole(self._entry(request)))

    async def cancel(self, request: Request) -> Response:
        """`DELETE /api/v2/generate/status/{id}`: end a request; what is finished is given."""
        entry = self._entry(request)
        if entry.job is not None:
            entry.job.interrupt()
        await entry.over.wait()
        return json_response(_whole(entry))

    async def heartbeat(self, request: Request) -> Response:
        """`GET /api/v2/status/heartbeat`: whether the node answers."""
        del request
        return json_response({"message": "OK", "version": "2"})

    async def models(self, request: Request) -> Response:
        """`GET /api/v2/status/models`: models on offer that the caller may use; none of them is for text."""
        if request.query_params.get("type", "image") != "image":
            return json_response([])
        return json_response([_model_document(item) for item in self._offered(request)])

    async def model(self, request: Request) -> Response:
        """`GET /api/v2/status/models/{name}`: one of them."""
        name = request.path_params["name"]
        found = [_model_document(item) for item in self._offered(request) if item.name == name]
        if not found:
            raise Refused(NO_MODEL)
        return json_response(found)

    async def performance(self, request: Request) -> Response:
        """`GET /api/v2/status/performance`: how much is under way; numbers that are not kept are 0."""
        del request
        status = self._services.coordinator.status()
        document = dict.fromkeys(
            (
                "queued_text_requests",
                "text_worker_count",
                "text_thread_count",
                "queued_megapixelsteps",
                "past_minute_megapixelsteps",
                "queued_forms",
                "interrogator_count",
                "interrogator_thread_count",
                "queued_tokens",
                "past_minute_tokens",
            ),
            0,
        )
        document |= {
            "queued_requests": status.orders,
            "worker_count": status.live_offers,
            "thread_count": status.live_offers,
        }
        return json_response(document)

    async def workers(self, request: Request) -> Response:
        """`GET /api/v2/workers`: no miner is a worker of this node; who did a task, its receipt says."""
        del request
        return json_response([])

    async def user(self, request: Request) -> Response:
        """`GET /api/v2/find_user`: the caller's token."""
        caller = caller_of(request.scope)
        return json_response({"username": caller.name, "id": 0, "kudos": 0, "trusted": caller.is_operator})

    # Internals

    def _entry(self, request: Request) -> Entry:
        try:
            entry = self._board.find(str(uuid.UUID(request.path_params["entry_id"])))
        except ValueError:
            entry = None
        if entry is None:
            raise Refused(NO_REQUEST)
        return entry

    def _kudos(self, requests: Sequence[ImageRequest]) -> int:
        """The most that requests may cost, in micro-CAI, which here stand for kudos."""
        most = quote_document(self._services.coordinator, requests)["total_most_micro_cai"]
        return int(most or 0)

    def _offered(self, request: Request) -> list[OfferedModel]:
        caller, services = caller_of(request.scope), self._services
        offered = services.coordinator.offered_models()
        return [item for item in offered if services.desk.may_use(caller, item.model_id)]


def _document(entry: Entry) -> dict[str, Any]:
    """How far a request is."""
    job = entry.job
    finished = len(job.delivered) if job else len(entry.made)
    working = job.working if job else 0
    document = {
        "finished": finished,
        "processing": working,
        "restarted": 0,
        "waiting": len(job.requests) - finished - working if job else 0,
        "done": job is None and not entry.fault,
        "faulted": bool(entry.fault),
        "wait_time": -int(-job.left_s // 1) if job else 0,
        "queue_position": 0,
        "kudos": entry.kudos,
        "is_possible": True,
    }
    return document | ({"message": entry.fault} if entry.fault else {})


def _whole(entry: Entry) -> dict[str, Any]:
    """The same with the pictures."""
    generations = [generation_document(made) for _, made in sorted(entry.made.items())]
    return _document(entry) | {"generations": generations, "shared": False}


def _model_document(item: OfferedModel) -> dict[str, Any]:
    return {
        "name": item.name,
        "count": item.miners,
        "performance": 0,
        "queued": 0,
        "jobs": 0,
        "eta": 0,
        "type": "image",
    }
