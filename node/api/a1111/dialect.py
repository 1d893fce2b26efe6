"""The routes under `/sdapi/v1/`; their clients send a token as the password of basic authentication."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import trio
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.api.a1111 import bodies
from node.api.a1111.bodies import CHECKPOINT, PREVIEWS, Picture
from node.api.a1111.errors import wording
from node.api.a1111.operations import ERROR, OPERATIONS
from node.api.a1111.samplers import sampler_documents, sampler_of, scheduler_documents
from node.api.a1111.sessions import Sessions
from node.api.dialect import Dialect
from node.api.jobs import Job
from node.api.json_answers import json_response
from node.api.json_bodies import parse_object, read_object
from node.api.openai.parameters import IGNORED_HEADER
from node.api.services import Services
from node.api.serving import JSON_BYTES_MAX, RequestName, read_body, until_disconnect
from node.api.sources import BODY_BYTES_MAX
from node.api.tokens.caller import caller_of
from node.coordinator.outcomes import Delivered
from node.coordinator.requests import BadRequest
from node.inference.packages.model import Model
from protocol.work import WorkKind

PREFIX: Final = "/sdapi/v1"
HASH_DIGITS: Final = 10
STATUS_CLIENT_CLOSED: Final = 499
"""For nobody: the app has gone."""
NOTHING: Final = {"name": "None", "model_name": None, "model_path": None, "model_url": None, "scale": 1}
FIXED: Final[dict[str, Any]] = {
    "upscalers": [NOTHING],
    "latent-upscale-modes": [{"name": "None"}],
    "sd-vae": [],
    "sd-modules": [],
    "loras": [],
    "cmd-flags": {},
    "memory": {"ram": {}, "cuda": {}},
}
"""Answers of routes whose things are not served: so clients show that there are none."""


def a1111_dialect(services: Services) -> Dialect:
    """The dialect, over a coordinator."""
    handlers = Handlers(services)
    routes = [
        Route(f"{PREFIX}/txt2img", handlers.txt2img, methods=["POST"]),
        Route(f"{PREFIX}/img2img", handlers.img2img, methods=["POST"]),
        Route(f"{PREFIX}/options", handlers.options),
        Route(f"{PREFIX}/options", handlers.set_options, methods=["POST"]),
        Route(f"{PREFIX}/sd-models", handlers.models),
        Route(f"{PREFIX}/samplers", handlers.samplers),
        Route(f"{PREFIX}/schedulers", handlers.schedulers),
        Route(f"{PREFIX}/progress", handlers.progress),
        Route(f"{PREFIX}/interrupt", handlers.interrupt, methods=["POST"]),
        Route(f"{PREFIX}/skip", handlers.skip, methods=["POST"]),
        *[Route(f"{PREFIX}/{name}", _fixed(document)) for name, document in FIXED.items()],
    ]
    return Dialect("a1111", "/sdapi/", wording, ERROR, OPERATIONS, tuple(routes), token_of=password_of)


def password_of(headers: Headers) -> str:
    """The password of basic authentication (RFC 7617), whatever the user's name; empty for none."""
    scheme, _, credentials = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return ""
    return text.partition(":")[2]


def _fixed(document: Any) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        del request
        await trio.lowlevel.checkpoint()
        return json_response(document)

    return answer


class Handlers:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sessions = Sessions()

    async def txt2img(self, request: Request) -> Response:
        """`POST /sdapi/v1/txt2img`."""
        return await self._make(request, WorkKind.TEXT_TO_IMAGE, JSON_BYTES_MAX)

    async def img2img(self, request: Request) -> Response:
        """`POST /sdapi/v1/img2img`."""
        return await self._make(request, WorkKind.IMAGE_TO_IMAGE, BODY_BYTES_MAX)

    async def options(self, request: Request) -> Response:
        """`GET /sdapi/v1/options`: of the caller's token."""
        title = self._sessions.of(caller_of(request.scope)).checkpoint
        titles = [self._title(model) for model in self._models(request)]
        return json_response({CHECKPOINT: title or next(iter(titles), ""), "samples_format": "png"})

    async def set_options(self, request: Request) -> Response:
        """`POST /sdapi/v1/options`: the model is the one option that can be chosen.

        :raises UnknownModel: there is no such model.
        """
        body = parse_object(await read_body(request, JSON_BYTES_MAX, "application/json"))
        headers = {}
        if CHECKPOINT in body:
            catalogue = self._services.catalogue
            handle = bodies.handle_of(body[CHECKPOINT], catalogue)
            if handle and handle not in self._services.options.aliases:
                handle = self._title(catalogue.peek(handle))
            self._sessions.of(caller_of(request.scope)).checkpoint = handle
        others = sorted(name for name in body if name not in (CHECKPOINT, "samples_format"))
        if others:
            headers[IGNORED_HEADER] = _header_text(", ".join(others))
        return json_response(None, headers=headers)

    async def models(self, request: Request) -> Response:
        """`GET /sdapi/v1/sd-models`: models on offer, then the operator's aliases for some of them."""
        models = self._models(request)
        documents = [_model_document(self._title(model), model) for model in models]
        for alias in self._services.options.aliases.values():
            documents += [
                _model_document(alias.name, model)
                for model in models
                if model.name == alias.model or model.model_id.hex() == alias.model
            ]
        return json_response(documents)

    async def samplers(self, request: Request) -> Response:
        """`GET /sdapi/v1/samplers`."""
        return json_response(sampler_documents(self._models(request)))

    async def schedulers(self, request: Request) -> Response:
        """`GET /sdapi/v1/schedulers`."""
        del request
        return json_response(scheduler_documents())

    async def progress(self, request: Request) -> Response:
        """`GET /sdapi/v1/progress`: of the caller's own pictures."""
        with_image = request.query_params.get("skip_current_image", "").lower() not in {"true", "1"}
        return json_response(self._sessions.of(caller_of(request.scope)).progress(with_image=with_image))

    async def interrupt(self, request: Request) -> Response:
        """`POST /sdapi/v1/interrupt`: the caller's own pictures."""
        self._sessions.of(caller_of(request.scope)).interrupt()
        return json_response({})

    async def skip(self, request: Request) -> Response:
        """`POST /sdapi/v1/skip`: the caller's own next picture."""
        self._sessions.of(caller_of(request.scope)).skip()
        return json_response({})

    # Internals

    async def _make(self, request: Request, kind: WorkKind, bytes_max: int) -> Response:
        services, caller = self._services, caller_of(request.scope)
        session = self._sessions.of(caller)
        asked, name = await self._read(request, kind, bytes_max, session.checkpoint)
        generation = await asked.generation.counted(services.prompt_tokens)
        job = Job([replace(item, previews=min(PREVIEWS, item.run_steps)) for item in generation.requests])

        async def make() -> bool:
            await job.run(services.serving, name)
            return True

        with session.seen(job):
            if await until_disconnect(request.receive, caller, make) is None:
                return Response(status_code=STATUS_CLIENT_CLOSED)
        delivered = sorted(job.delivered.items())
        headers = generation.headers()
        if asked.ignored:
            headers[IGNORED_HEADER] = ", ".join(asked.ignored)
        document = _answer(replace(asked, generation=generation), delivered)
        return json_response(document, headers=headers)

    async def _read(
        self, request: Request, kind: WorkKind, bytes_max: int, checkpoint: str
    ) -> tuple[Picture, RequestName]:
        """The pictures that a request asks for, and its name. Its body ends here; it may be 22 MB."""
        content = await read_body(request, bytes_max, "application/json")
        services = self._services
        asked = await bodies.parse_body(
            await read_object(content), checkpoint, services.catalogue, services.options.aliases, kind
        )
        return asked, await RequestName.of(request, content)

    def _models(self, request: Request) -> list[Model]:
        """Models that live miners offer and the caller may use."""
        services, caller = self._services, caller_of(request.scope)
        known = (services.catalogue.get(item.model_id) for item in services.coordinator.offered_models())
        return [model for model in known if model and services.desk.may_use(caller, model.model_id)]

    def _title(self, model: Model) -> str:
        handle = self._services.catalogue.handles().get(model.model_id, model.name)
        return f"{handle} [{model.model_id.hex()[:HASH_DIGITS]}]"


def _model_document(title: str, model: Model) -> dict[str, Any]:
    return {
        "title": title,
        "model_name": title.partition(" [")[0],
        "hash": model.model_id.hex()[:HASH_DIGITS],
        "sha256": model.model_id.hex(),
        "filename": f"{model.name}.safetensors",
        "config": None,
    }


def _answer(asked: Picture, delivered: list[tuple[int, Delivered]]) -> dict[str, Any]:
    requests, model = asked.generation.requests, asked.generation.target.model
    first = requests[0]
    seeds = [requests[index].seed for index, _ in delivered]
    count = len(delivered)
    info = {
        "prompt": first.prompt,
        "all_prompts": [first.prompt] * count,
        "negative_prompt": first.negative_prompt,
        "all_negative_prompts": [first.negative_prompt] * count,
        "seed": seeds[0] if seeds else first.seed,
        "all_seeds": seeds,
        "subseed": 0,
        "all_subseeds": [0] * count,
        "subseed_strength": 0,
        "width": first.width,
        "height": first.height,
        "sampler_name": sampler_of(model),
        "cfg_scale": first.guidance_milli / 1000,
        "steps": first.steps,
        "batch_size": count,
        "sd_model_name": model.name,
        "sd_model_hash": model.model_id.hex()[:HASH_DIGITS],
        "denoising_strength": first.strength_milli / 1000 if first.source else None,
        "infotexts": [
            f"{first.prompt}\nSteps: {first.steps}, Sampler: {sampler_of(model)}, CFG scale: "
            f"{first.guidance_milli / 1000:g}, Seed: {seed}, Size: {first.width}x{first.height}, "
            f"Model hash: {model.model_id.hex()[:HASH_DIGITS]}, Model: {model.name}"
            for seed in seeds
        ],
        "cuckoo": {"tasks": [item.receipt.announcement.digest.hex() for _, item in delivered]},
    }
    images = [base64.b64encode(item.output).decode() for _, item in delivered]
    return {"images": images, "parameters": asked.shown, "info": json.dumps(info)}


def _header_text(text: str) -> str:
    """Names that an app sent, as a header can carry them. :raises BadRequest: they are too long for one."""
    if len(text) > JSON_BYTES_MAX // 16:
        raise BadRequest("options", "there are too many options")
    return ascii(text)[1:-1]
