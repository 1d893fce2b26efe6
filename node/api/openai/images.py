"""`POST /v1/images/generations` and `POST /v1/images/edits`: from the request to the plain answer.

Is: the handlers. Extras of ours (`seed`, `steps`, `guidance`, `negative_prompt` and others) travel as further
fields; an answer's field `cuckoo` names the task behind each picture, whose receipt is at
`/v1/cuckoo/tasks/{id}`. Is not: the stream (`streaming`), or what a body means (`generation`, `edits`).
"""

from __future__ import annotations

import base64
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from node.api.fields import Fields
from node.api.json_answers import json_response
from node.api.json_bodies import parse_object
from node.api.links import LINK_PATH
from node.api.openai import edits
from node.api.openai.generation import Generation, parse, target_of
from node.api.openai.streaming import GenerationStream
from node.api.quoting import quote_document
from node.api.services import Services
from node.api.serving import (
    JSON_BYTES_MAX,
    RequestName,
    read_body,
    until_disconnect,
)
from node.api.tokens.caller import Caller
from node.coordinator.outcomes import Delivered
from node.system.clock import now_ms
from protocol.work import WorkKind

STATUS_CLIENT_CLOSED = 499
"""For nobody: the app has gone."""


class Images:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def generate(self, request: Request) -> Response:
        """`POST /v1/images/generations`."""
        body = await read_body(request, JSON_BYTES_MAX, "application/json")
        return await self._serve(
            request, await self.parse_generation(body), await RequestName.of(request, body)
        )

    async def edit(self, request: Request) -> Response:
        """`POST /v1/images/edits`."""
        generation, name = await self._read_edit(request)
        return await self._serve(request, await generation.counted(self._services.prompt_tokens), name)

    async def parse_generation(self, body: bytes) -> Generation:
        """The request that a body of generations is.

        :raises Refused: it is not JSON. :raises BadRequest: a field is wrong.
        :raises UnknownModel: no such model.
        """
        services, fields = self._services, Fields(parse_object(body))
        target = target_of(fields, services.catalogue, services.options.aliases, WorkKind.TEXT_TO_IMAGE)
        return await parse(fields, target).counted(services.prompt_tokens)

    async def _read_edit(self, request: Request) -> tuple[Generation, RequestName]:
        """The request that a form is, and its name. The form ends here: it may be 16 MB, the work long."""
        body = await read_body(request, edits.FORM_BYTES_MAX, "multipart/form-data")
        form = await edits.read_form(request.headers, body)
        services = self._services
        generation = await edits.parse(form, services.catalogue, services.options.aliases)
        return generation, await RequestName.of(request, *form.content)

    async def _serve(self, request: Request, generation: Generation, name: RequestName) -> Response:
        if generation.parameters.dry_run:
            self._services.desk.require_rate(name.caller)
            quote = quote_document(
                self._services.coordinator, generation.requests, self._services.options.currency
            )
            document = _answer(generation, [], {"quote": quote})
            return json_response(document, headers=generation.headers())
        if generation.parameters.stream:
            return GenerationStream(self._services.serving, generation, name)

        async def make() -> Response:
            delivered = await self._services.serving.deliver(generation.requests, name)
            data = [await self._picture(request.scope, generation, item, name.caller) for item in delivered]
            tasks = [item.receipt.announcement.digest.hex() for item in delivered]
            document = _answer(generation, data, {"tasks": tasks})
            return json_response(document, headers=generation.headers())

        response = await until_disconnect(request.receive, name.caller, make)
        return Response(status_code=STATUS_CLIENT_CLOSED) if response is None else response

    async def _picture(
        self, scope: Scope, generation: Generation, item: Delivered, caller: Caller
    ) -> dict[str, str]:
        picture_format = generation.parameters.format
        data = await picture_format.of_png(item.output)
        if not generation.parameters.as_link:
            return {"b64_json": base64.b64encode(data).decode()}
        name = f"{secrets.token_urlsafe(24)}.{picture_format.name}"
        self._services.links.keep(name, data, picture_format.media_type, caller.token_id, now_ms())
        return {"url": f"{self._services.base_url(scope)}{LINK_PATH}/{name}"}


def _answer(generation: Generation, data: list[dict[str, str]], extras: dict[str, Any]) -> dict[str, Any]:
    return {
        "created": now_ms() // 1000,
        "data": data,
        "background": "opaque",
        "output_format": generation.parameters.format.name,
        "size": generation.size,
        "usage": generation.usage(),
        "cuckoo": generation.extras() | extras,
    }
