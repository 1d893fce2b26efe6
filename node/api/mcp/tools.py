"""The tools: make and edit pictures, list models, and ask about a task.

Is: their names, schemas and what each does, by the same way as every dialect's pictures.
Is not: the protocol (`dialect`, `messages`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from node.api.described import TEXT, Schema, numbered
from node.api.explaining import task_id_of
from node.api.fields import Fields
from node.api.openai.generation import Generation, parse, target_of
from node.api.readers import READERS, receipt_document
from node.api.services import Services
from node.api.serving import RequestName
from node.api.sources import source_of
from node.api.tokens.caller import Caller
from node.coordinator.requests import SEED_MAX, BadRequest
from protocol.errors import CuckooError
from protocol.model_table import SCHEDULE_STEPS_MAX
from protocol.receipt import verify_document
from protocol.work import WorkKind

Content = list[dict[str, Any]]
DEFAULT_STRENGTH_MILLI: Final = 600
_PICTURE: Final[dict[str, Schema]] = {
    "prompt": TEXT | {"description": "what to show"},
    "negative_prompt": TEXT | {"description": "what to steer away from"},
    "model": TEXT | {"description": "a name that list_models gives; default: the node's own"},
    "size": TEXT | {"description": "WIDTHxHEIGHT, one of the model's sizes"},
    "steps": numbered(1, SCHEDULE_STEPS_MAX),
    "seed": numbered(0, SEED_MAX),
}
_TASK: Final[dict[str, Schema]] = {"task": TEXT | {"description": "id of a task, 64 hexadecimal digits"}}


@dataclass(frozen=True, slots=True)
class Asked:
    """A call. :ivar name: of the request, whose caller it is."""

    fields: Fields
    name: RequestName

    @property
    def caller(self) -> Caller:
        """Whose call it is."""
        return self.name.caller


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. :ivar properties: schemas of its arguments. :ivar required: names of those it must have."""

    name: str
    description: str
    properties: dict[str, Schema]
    required: tuple[str, ...]
    run: Callable[[Asked], Awaitable[Content]]

    def document(self) -> dict[str, Any]:
        """As `tools/list` shows it."""
        schema = {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
            "additionalProperties": False,
        }
        return {"name": self.name, "description": self.description, "inputSchema": schema}


class Tools:
    """All of them, over a coordinator. :ivar by_name: in their order."""

    def __init__(self, services: Services) -> None:
        self._services = services
        image = TEXT | {"description": "a PNG, JPEG or WebP in base64; no URL"}
        strength = numbered(0, 1, "number") | {"description": "the less, the more of the image is kept"}
        tools = (
            Tool("generate_image", "Make a picture of a prompt.", _PICTURE, ("prompt",), self.generate),
            Tool(
                "edit_image",
                "Make a picture from a picture and a prompt.",
                _PICTURE | {"image": image, "strength": strength},
                ("prompt", "image"),
                self.edit,
            ),
            Tool("list_models", "Models on offer, their sizes and prices.", {}, (), self.models),
            Tool("task_status", "How far a task is, or what it came to.", _TASK, ("task",), self.status),
            Tool("explain", "Why a task went as it did.", _TASK, ("task",), self.explain),
            Tool("verify_receipt", "Prove who was drawn and what was signed.", _TASK, ("task",), self.verify),
        )
        self.by_name = {tool.name: tool for tool in tools}

    async def generate(self, asked: Asked) -> Content:
        """`generate_image`."""
        services = self._services
        target = target_of(asked.fields, services.catalogue, services.options.aliases, WorkKind.TEXT_TO_IMAGE)
        return await self._make(asked, parse(asked.fields, target))

    async def edit(self, asked: Asked) -> Content:
        """`edit_image`."""
        services, fields = self._services, asked.fields
        target = target_of(fields, services.catalogue, services.options.aliases, WorkKind.IMAGE_TO_IMAGE)
        source = await source_of("image", fields.take("image"), target)
        strength = fields.milli("strength", DEFAULT_STRENGTH_MILLI) or 1
        further = frozenset({"image", "strength"})
        generation = parse(fields, target, source=source, strength_milli=strength, further=further)
        return await self._make(asked, generation)

    async def models(self, asked: Asked) -> Content:
        """`list_models`."""
        desk = self._services.desk
        offered = [
            {
                "name": model.name,
                "sizes": [f"{width}x{height}" for width, height in model.sizes],
                "default_steps": model.default_steps,
                "steps_max": model.steps_max,
                "price_micro_cai": model.price_micro_cai,
                "miners": model.miners,
                "readers": READERS,
            }
            for model in self._services.coordinator.offered_models()
            if desk.may_use(asked.caller, model.model_id)
        ]
        return _said({"models": offered})

    async def status(self, asked: Asked) -> Content:
        """`task_status`."""
        document = self._explained(asked)
        return _said({name: document[name] for name in ("task", "outcome", "phases_ms")})

    async def explain(self, asked: Asked) -> Content:
        """`explain`."""
        return _said(self._explained(asked))

    async def verify(self, asked: Asked) -> Content:
        """`verify_receipt`."""
        receipt = self._services.coordinator.receipt(self._task(asked))
        if receipt is None:
            raise BadRequest("task", "no finished task of that id is remembered")
        document = receipt_document(receipt)
        try:
            verify_document(document)
        except CuckooError as error:
            return _said({"valid": False, "reason": str(error)})
        return _said({"valid": True, "receipt": document})

    # Internals

    async def _make(self, asked: Asked, generation: Generation) -> Content:
        counted = await generation.counted(self._services.prompt_tokens)
        (delivered,) = await self._services.serving.deliver(counted.requests, asked.name)
        document = counted.extras() | {
            "task": delivered.receipt.announcement.digest.hex(),
            "size": counted.size,
            "seed": counted.requests[0].seed,
        }
        data = base64.b64encode(delivered.output).decode()
        return [{"type": "image", "data": data, "mimeType": "image/png"}, *_said(document)]

    def _task(self, asked: Asked) -> bytes:
        task_id = task_id_of(asked.fields.text("task"))
        return task_id if self._services.tokens.may_see(asked.caller, task_id) else b""

    def _explained(self, asked: Asked) -> dict[str, Any]:
        document = self._services.histories.explain(self._task(asked))
        if document is None:
            raise BadRequest("task", "no task of that id is remembered")
        return document


def _said(document: dict[str, Any]) -> Content:
    return [{"type": "text", "text": json.dumps(document)}]
