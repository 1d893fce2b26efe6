"""The routes of the local API and who may use them.

Is: authentication, limits and dispatch. The bearer token stands in the data directory; the server listens
on 127.0.0.1 alone.
Is not: the dialects (`images`) or the work (`roles/coordinator`).
"""

from __future__ import annotations

import hmac
import json
import secrets
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
import trio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api import edits, errors, images
from node.coordinator.catalogue import Catalogue
from node.coordinator.coordinator import Coordinator
from node.coordinator.requests import BadRequest
from node.system.context import NodeContext
from node.system.files import require_private, write_private
from node.system.health_page import probe_answers
from protocol.errors import Refusal
from protocol.hashing import sha256
from protocol.receipt import to_document
from protocol.work import WorkKind, kind_name

BODY_BYTES_MAX = 64 * 1024
KEY_HEADER_BYTES_MAX = 200
"""Longest `Idempotency-Key`."""
log = structlog.get_logger()

TOKEN_FILE = "api-token"  # noqa: S105 - the name of a file
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""For probes, which have no token."""
_NO_TASK = errors.ApiError(
    404, "invalid_request_error", "task_not_found", "no finished task of that id is remembered"
)


def load_token(data_dir: Path) -> str:
    """The bearer token of a data directory; made at the first call, mode 0600.

    :raises UnsafeFile: others may read it.
    """
    path = data_dir / TOKEN_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode() + b"\n")
    require_private(path)
    return path.read_text().strip()


class Gate:
    """Middleware: refuses what has no valid token, or could be read in two ways."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if b"content-length" in headers and b"transfer-encoding" in headers:
            await errors.AMBIGUOUS_LENGTH.response()(scope, receive, send)
        elif scope["path"] in OPEN_PATHS or hmac.compare_digest(
            headers.get(b"authorization", b""), self._expected
        ):
            await self._app(scope, receive, send)
        else:
            await errors.WRONG_TOKEN.response()(scope, receive, send)


class Api:
    """The handlers, around one coordinator."""

    def __init__(self, coordinator: Coordinator, catalogue: Catalogue, context: NodeContext) -> None:
        """:param context: what is seen of the node."""
        self._context = context
        self._coordinator = coordinator
        self._catalogue = catalogue

    def application(self, token: str) -> ASGIApp:
        """The ASGI application, behind the gate."""
        handlers: dict[Any, Any] = {404: _not_found, 405: _not_found, 500: _our_fault}
        routes = [
            *[Route(path, self.probe) for path in sorted(OPEN_PATHS)],
            Route("/v1/models", self.models),
            Route("/v1/images/generations", self.generate, methods=["POST"]),
            Route("/v1/images/edits", self.edit, methods=["POST"]),
            Route("/v1/cuckoo/tasks/{task_id}", self.receipt),
            Route("/v1/cuckoo/tasks/{task_id}/output", self.output),
            Route("/v1/cuckoo/status", self.status),
        ]
        return Gate(Starlette(routes=routes, exception_handlers=handlers), token)

    async def probe(self, request: Request) -> Response:
        """`GET /healthz`, `GET /readyz`: as the health page's. Need no token."""
        status, document = probe_answers(self._context.readiness)[request.url.path]
        return JSONResponse(document, status)

    async def status(self, request: Request) -> Response:
        """`GET /v1/cuckoo/status`: all that is to be seen of the node."""
        del request
        return JSONResponse(self._context.observable.document())

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`: models that live miners offer, in the OpenAI shape."""
        del request
        models = [
            {
                "id": offered.name,
                "object": "model",
                "created": 0,
                "owned_by": "cuckoo",
                "cuckoo": {
                    "model_id": offered.model_id.hex(),
                    "sizes": [f"{width}x{height}" for width, height in offered.sizes],
                    "default_steps": offered.default_steps,
                    "steps_max": offered.steps_max,
                    "miners": offered.miners,
                    "price_micro_cai": offered.price_micro_cai,
                    "work_kinds": [kind_name(kind) for kind in offered.work_kinds],
                },
            }
            for offered in self._coordinator.offered_models()
        ]
        return JSONResponse({"object": "list", "data": models})

    async def receipt(self, request: Request) -> Response:
        """`GET /v1/cuckoo/tasks/{id}`: the receipt of a finished task."""
        receipt = self._coordinator.receipt(_task_id(request))
        return _NO_TASK.response() if receipt is None else JSONResponse(to_document(receipt))

    async def output(self, request: Request) -> Response:
        """`GET /v1/cuckoo/tasks/{id}/output`: the result of a finished task, while it is kept."""
        output = self._coordinator.output(_task_id(request))
        return _NO_TASK.response() if output is None else Response(output, media_type="image/png")

    async def generate(self, request: Request) -> Response:
        """`POST /v1/images/generations`."""
        try:
            data = await _read_body(request, BODY_BYTES_MAX)
            body = _json(data) if isinstance(data, bytes) else data
            if isinstance(body, errors.ApiError) or isinstance(data, errors.ApiError):
                return (body if isinstance(body, errors.ApiError) else errors.CUT_OFF).response()
            model = images.model_of(body, self._catalogue, WorkKind.TEXT_TO_IMAGE)
            generation = _named(request, data, images.parse(body, model))
        except Refusal as refusal:
            return errors.of_refusal(refusal).response()
        return await self._serve(request, generation)

    async def edit(self, request: Request) -> Response:
        """`POST /v1/images/edits`."""
        try:
            body = await _read_body(request, edits.FORM_BYTES_MAX)
            if isinstance(body, errors.ApiError):
                return body.response()
            form = await edits.read_form(request.headers, body)
            generation = _named(request, body, await edits.parse(form, self._catalogue))
        except Refusal as refusal:
            return errors.of_refusal(refusal).response()
        return await self._serve(request, generation)

    async def _serve(self, request: Request, generation: images.Generation) -> Response:
        if generation.stream:
            return images.GenerationStream(self._coordinator, generation)
        return await _until_disconnect(request, self._coordinator, generation)


async def _until_disconnect(
    request: Request, coordinator: Coordinator, generation: images.Generation
) -> Response:
    """The answer; or nothing, and the tasks cancelled, if the app goes away before."""
    response: Response = Response(status_code=499)

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        response = await images.answer(coordinator, generation)
        nursery.cancel_scope.cancel()
    return response


async def _read_body(request: Request, bytes_max: int) -> bytes | errors.ApiError:
    body = bytearray()
    try:
        async with aclosing(request.stream()) as parts:
            async for part in parts:
                body += part
                if len(body) > bytes_max:
                    return errors.too_long(bytes_max)
    except ClientDisconnect:
        return errors.CUT_OFF
    return bytes(body)


def _named(request: Request, body: bytes, generation: images.Generation) -> images.Generation:
    """The generation under the name that the app gives it, if it does.

    :raises BadRequest: the name is too long.
    """
    key = request.headers.get("idempotency-key", "")
    if len(key.encode()) > KEY_HEADER_BYTES_MAX:
        raise BadRequest("Idempotency-Key", f"Idempotency-Key is longer than {KEY_HEADER_BYTES_MAX} bytes")
    return replace(generation, key=key, body_hash=sha256(request.url.path.encode() + b"\0" + body))


def _task_id(request: Request) -> bytes:
    """The task of a path; an id that is not one is nobody's."""
    try:
        return bytes.fromhex(request.path_params["task_id"])
    except ValueError:
        return b""


def _json(body: bytes) -> dict[str, Any] | errors.ApiError:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return errors.NOT_JSON
    return document if isinstance(document, dict) else errors.NOT_JSON


async def _our_fault(request: Request, error: Exception) -> Response:
    log.error("a request failed by our fault", path=request.url.path, exc_info=error)
    return errors.ApiError(
        500, "server_error", "internal_error", "the node failed; its log says why"
    ).response()


async def _not_found(request: Request, error: Exception) -> Response:
    del error
    return errors.ApiError(
        404, "invalid_request_error", "not_found", f"there is no {request.method} {request.url.path} here"
    ).response()
