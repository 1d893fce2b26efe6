"""`POST /mcp`: the streamable HTTP transport, without sessions: each request stands by itself.

Answers are JSON; this server begins no conversation, so there is no stream to open by GET. Revisions up to
2025-11-25 begin with a handshake; in 2026-07-28 each request says its own revision (`stateless`). And
`/llms.txt`, which tells a language model's program where things are.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from node.api import errors
from node.api.described import TEXT, WHOLE, Operation, answered, optional
from node.api.dialect import Dialect
from node.api.errors import ApiError
from node.api.fields import Fields
from node.api.json_answers import json_response
from node.api.json_bodies import read_object
from node.api.mcp import messages, stateless
from node.api.mcp.messages import REVISIONS, Message, NotAMessage, parse_message
from node.api.mcp.tools import Asked, Tools
from node.api.services import Services
from node.api.serving import RequestName, read_body, until_disconnect
from node.api.sources import BODY_BYTES_MAX
from protocol.errors import Refusal

PATH: Final = "/mcp"
CAPABILITIES: Final[dict[str, Any]] = {"tools": {}}
STATUS_CLIENT_CLOSED: Final = 499
"""For nobody: the app has gone."""
NO_STREAM: Final = ApiError(
    405, "method_not_allowed", "this server begins no conversation; POST alone is served"
)
ERROR: Final = answered(jsonrpc=TEXT, error=answered(code=WHOLE, message=TEXT))
OPERATIONS: Final = {
    "POST /mcp": Operation(
        "A message of the Model Context Protocol",
        answered(jsonrpc=TEXT),
        {
            "type": "object",
            "properties": {
                "jsonrpc": {"const": "2.0"},
                "id": {"type": ["string", "integer"]},
                "method": {"enum": ["ping", "tools/list", "initialize"]},
                "params": {"type": "object"},
            },
            "required": ["jsonrpc", "id", "method"],
        },
    ),
    "GET /mcp": Operation("Not served", answered(id=optional(TEXT))),
    "DELETE /mcp": Operation("Not served", answered(id=optional(TEXT))),
    "GET /llms.txt": Operation("Where things are", {}, answer_types=("text/plain",)),
}
LLMS: Final = """# Cuckoo coordinator

> A node of a market for AI inference: prompts in, pictures out, each with a receipt that proves who made it.

Everything but this file, /openapi.json, /healthz and /readyz needs a token, which the node's operator gives
(`cuckoo-peer token new`): as `Authorization: Bearer`.

- [{url}/openapi.json]({url}/openapi.json): all routes, as OpenAPI
- [{url}/v1]({url}/v1/models): OpenAI's API for images
- [{url}/mcp]({url}/mcp): the Model Context Protocol over HTTP; tools: {tools}
- {url}/sdapi/v1: AUTOMATIC1111's API; {url}/api/v2: AI Horde's API
- {url}/v1/cuckoo/tasks/ID: the receipt of a task; {url}/v1/cuckoo/tasks/ID/explain: why it went as it did
"""


def mcp_dialect(services: Services) -> Dialect:
    """The dialect, over a coordinator."""
    handlers = Handlers(services)
    routes = (
        Route(PATH, handlers.message, methods=["POST"]),
        Route(PATH, handlers.no_stream, methods=["GET", "DELETE"]),
    )
    open_routes = (Route("/llms.txt", handlers.llms),)
    return Dialect("mcp", PATH, messages.wording, ERROR, OPERATIONS, routes, open_routes)


class Handlers:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tools = Tools(services)

    async def message(self, request: Request) -> Response:
        """`POST /mcp`."""
        try:
            message, name = await self._read(request)
            is_stateless = stateless.is_meant(request.headers)
            if message is not None and is_stateless:
                stateless.require_coherent(message, request.headers)
        except NotAMessage as error:
            return json_response(messages.error(error.request_id, error.code, str(error), error.data), 400)
        if message is None or message.request_id is None:
            return Response(status_code=202)

        async def answer() -> dict[str, Any]:
            if is_stateless:
                return await self._answer_stateless(message, name)
            return await self._answer(message, name)

        document = await until_disconnect(request.receive, name.caller, answer)
        if document is None:
            return Response(status_code=STATUS_CLIENT_CLOSED)
        return json_response(document, stateless.status_of(document) if is_stateless else 200)

    async def no_stream(self, request: Request) -> Response:
        """`GET /mcp`, `DELETE /mcp`."""
        response = errors.respond(NO_STREAM, request.scope)
        response.headers["allow"] = "POST"
        return response

    async def llms(self, request: Request) -> Response:
        """`GET /llms.txt`."""
        url = self._services.base_url(request.scope)
        return PlainTextResponse(LLMS.format(url=url, tools=", ".join(self._tools.by_name)))

    # Internals

    async def _read(self, request: Request) -> tuple[Message | None, RequestName]:
        """A message, and its request's name. The body ends here: it may be 22 MB, and a tool's work long."""
        body = await read_body(request, BODY_BYTES_MAX, "application/json")
        return parse_message(await read_object(body)), await RequestName.of(request, body)

    async def _answer(self, message: Message, name: RequestName) -> dict[str, Any]:
        request_id = message.request_id
        match message.method:
            case "initialize":
                return messages.result(request_id, self._introduction(message))
            case "ping":
                return messages.result(request_id, {})
            case "tools/list":
                tools = [tool.document() for tool in self._tools.by_name.values()]
                return messages.result(request_id, {"tools": tools})
            case "tools/call":
                return await self._call(message, name)
        reason = f"the method {message.method[:64]!a} is not served"
        return messages.error(request_id, messages.METHOD_NOT_FOUND, reason)

    async def _answer_stateless(self, message: Message, name: RequestName) -> dict[str, Any]:
        """The same in revision 2026-07-28, which has no handshake and no ping."""
        match message.method:
            case "server/discover":
                found = {"supportedVersions": [stateless.REVISION], "capabilities": CAPABILITIES}
                document = messages.result(message.request_id, found)
            case "initialize" | "ping":
                reason = f"{message.method} is not of revision {stateless.REVISION}"
                document = messages.error(message.request_id, messages.METHOD_NOT_FOUND, reason)
            case _:
                document = await self._answer(message, name)
        return stateless.completed(message.method, document, self._server_info())

    def _introduction(self, message: Message) -> dict[str, Any]:
        asked = message.params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in REVISIONS else REVISIONS[0],
            "capabilities": CAPABILITIES,
            "serverInfo": self._server_info(),
        }

    def _server_info(self) -> dict[str, Any]:
        return {"name": "cuckoo-coordinator", "version": self._services.version}

    async def _call(self, message: Message, name: RequestName) -> dict[str, Any]:
        """A tool's answer; why there is none is an answer too, which a language model can read."""
        # Taken out, so that an image is gone once a tool has read it.
        arguments = message.params.pop("arguments", None) or {}
        tool = self._tools.by_name.get(str(message.params.get("name")))
        if tool is None or not isinstance(arguments, dict):
            reason = f"tools are: {', '.join(self._tools.by_name)}"
            return messages.error(message.request_id, messages.INVALID_PARAMS, reason)
        fields = Fields({key: value for key, value in arguments.items() if value is not None})
        del arguments
        unknown = sorted(set(fields.names()) - set(tool.properties))
        if unknown:
            reason = f"{tool.name} takes: {', '.join(tool.properties) or 'nothing'}"
            return messages.error(message.request_id, messages.INVALID_PARAMS, reason)
        try:
            content, failed = await tool.run(Asked(fields, name)), False
        except Refusal as refusal:
            error = errors.of_refusal(refusal)
            content, failed = [{"type": "text", "text": f"{error.code}: {error.message}"}], True
        return messages.result(message.request_id, {"content": content, "isError": failed})
