"""`GET /v1/models` and `GET /v1/models/{id}`: models that live miners offer, in OpenAI's shape."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from node.api.aliases import Alias
from node.api.json_answers import json_response
from node.api.readers import READERS
from node.api.services import Services
from node.api.tokens.caller import Caller, caller_of
from node.coordinator.catalogue import UnknownModel
from node.coordinator.offered import OfferedModel
from node.system.clock import now_ms
from protocol.bounded import Bounded
from protocol.errors import Refusal
from protocol.work import kind_name

MODELS_SEEN_MAX: Final = 1_024
"""Models whose first appearance is remembered; beyond, the one that came first is forgotten."""


class Models:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._seen_at_s: Bounded[bytes, int] = Bounded(MODELS_SEEN_MAX)

    async def all(self, request: Request) -> Response:
        """`GET /v1/models`: models that the caller may use, then the operator's aliases for some of them."""
        return json_response({"object": "list", "data": self._documents(caller_of(request.scope))})

    async def retrieve(self, request: Request) -> Response:
        """`GET /v1/models/{id}`: one, by the id that the list shows, another handle, or an alias.

        :raises UnknownModel: it is not among those that are offered.
        """
        handle = request.path_params["model"]
        documents = self._documents(caller_of(request.scope))
        for document in documents:
            if handle in {document["id"], document["cuckoo"]["model_id"]}:
                return json_response(document)
        model_id = self._services.catalogue.peek(handle).model_id.hex()
        for document in documents:
            if model_id == document["cuckoo"]["model_id"]:
                return json_response(document)
        raise UnknownModel(handle)

    def _documents(self, caller: Caller) -> list[dict[str, Any]]:
        services = self._services
        offered = {
            model.model_id: model
            for model in services.coordinator.offered_models()
            if services.desk.may_use(caller, model.model_id)
        }
        documents = [self._document(model) for model in offered.values()]
        for alias in services.options.aliases.values():
            try:
                model = offered.get(services.catalogue.peek(alias.model).model_id)
            except Refusal:
                continue  # not known yet; its card may come
            if model is not None:
                documents.append(self._aliased(alias, model))
        return documents

    def _aliased(self, alias: Alias, model: OfferedModel) -> dict[str, Any]:
        document = self._document(model) | {"id": alias.name}
        document["cuckoo"]["alias_of"] = model.name
        return document

    def _document(self, model: OfferedModel) -> dict[str, Any]:
        known = self._services.catalogue.get(model.model_id)
        assert known is not None  # what is offered was listed from the catalogue
        return {
            "id": model.name,
            "object": "model",
            # A package does not say when it was made: when this node first listed it.
            "created": self._seen_at_s.setdefault(model.model_id, now_ms() // 1000),
            "owned_by": "cuckoo",
            "cuckoo": {
                "model_id": model.model_id.hex(),
                "sizes": [f"{width}x{height}" for width, height in model.sizes],
                "default_steps": model.default_steps,
                "steps_max": model.steps_max,
                "prompt_characters_max": known.card.prompt_characters_max,
                "prompt_bytes_max": known.card.prompt_bytes_max,
                "prompt_tokens_max": known.card.prompt_tokens_max or None,
                "prompt_tokens_counted": self._services.prompt_tokens.can_count(known),
                "miners": model.miners,
                "price_micro_cai": model.price_micro_cai,
                "price": self._services.options.currency.price(model.price_micro_cai),
                "work_kinds": [kind_name(kind) for kind in model.work_kinds],
                "readers": READERS,
            },
        }
