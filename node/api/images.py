"""`POST /v1/images/generations` in the OpenAI shape: parsing, the plain answer and the stream, also of edits.

Is: the dialect. Extras of ours (`seed`, `steps`, `guidance`, `negative_prompt`) travel as further fields;
an answer's field `cuckoo` names the task behind each image, whose receipt is at `/v1/cuckoo/tasks/{id}`.
Is not: the work; that is `roles/coordinator`.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import trio
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from node.api import errors
from node.coordinator.catalogue import Catalogue
from node.coordinator.coordinator import Coordinator
from node.coordinator.outcomes import Announced, Delivered, FailedOver, Preview, Progress
from node.coordinator.requests import SEED_MAX, STRENGTH_MILLI_MAX, BadRequest, ImageRequest
from node.coordinator.watching import Watch
from node.inference.packages.model import Model
from node.system.clock import now_ms
from protocol.errors import Refusal
from protocol.work import WorkKind

IMAGES_MAX = 4
PARTIAL_IMAGES_MAX = 3
SIDE_PIXELS_MAX = 1 << 14

_IGNORED = frozenset({"background", "moderation", "output_compression", "quality", "style", "user"})
"""Fields of OpenAI's that have no meaning here; stock clients send them."""
_KNOWN = _IGNORED | {
    "guidance",
    "model",
    "n",
    "negative_prompt",
    "output_format",
    "partial_images",
    "prompt",
    "response_format",
    "seed",
    "size",
    "steps",
    "stream",
}


@dataclass(frozen=True, slots=True)
class Generation:
    """A parsed request.

    :ivar requests: one an image.
    :ivar stream: whether to answer as events.
    :ivar key: the app's name for it (`Idempotency-Key`); empty for none.
    :ivar body_hash: SHA-256 of its body, to tell a repetition from another request of that name.
    """

    requests: tuple[ImageRequest, ...]
    stream: bool
    key: str = ""
    body_hash: bytes = b""

    def key_of(self, index: int) -> str:
        """The name of one of its images; empty for none."""
        return f"{self.key}/{index}" if self.key else ""


def model_of(body: Mapping[str, Any], catalogue: Catalogue, work_kind: WorkKind) -> Model:
    """The model that a body names, else the default one for the kind of work.

    :raises BadRequest: it is not text, or there is no default.
    :raises UnknownModel: no such model.
    """
    name = _text(body, "model", "")
    return catalogue.find(name) if name else catalogue.default(work_kind)


def size_of(body: Mapping[str, Any], model: Model) -> tuple[int, int]:
    """Width and height that a body asks for, at most `SIDE_PIXELS_MAX`; the model may not have them.

    :raises BadRequest: it is not a size.
    """
    return _size(body, (model.width, model.height))


def parse(
    body: Mapping[str, Any], model: Model, source: bytes = b"", strength_milli: int = STRENGTH_MILLI_MAX
) -> Generation:
    """An app's request for images of a model.

    :param source: the image to start from, as a plain PNG; empty for noise.
    :param strength_milli: how much of the schedule is run from it.

    :raises BadRequest: a field is wrong; names it.
    """
    unknown = sorted(set(body) - _KNOWN)
    if unknown:
        raise BadRequest(unknown[0], f"the parameter {unknown[0]!r} is not known")
    if body.get("response_format", "b64_json") != "b64_json":
        raise BadRequest("response_format", "images are answered as b64_json only")
    if body.get("output_format", "png") != "png":
        raise BadRequest("output_format", "images are answered as png only")
    count = _integer(body, "n", 1, 1, IMAGES_MAX)
    stream = body.get("stream") or False
    if not isinstance(stream, bool):
        raise BadRequest("stream", "stream is not true or false")
    if stream and count > 1:
        raise BadRequest("n", "one image at a time can be streamed")
    width, height = size_of(body, model)
    guidance = body.get("guidance", model.card.default_guidance_milli / 1000)
    if not isinstance(guidance, int | float) or isinstance(guidance, bool):
        raise BadRequest("guidance", "guidance is not a number")
    first = ImageRequest(
        model=model,
        prompt=_text(body, "prompt", ""),
        negative_prompt=_text(body, "negative_prompt", ""),
        width=width,
        height=height,
        steps=_integer(body, "steps", model.card.default_steps, 1, model.card.steps_max),
        seed=_integer(body, "seed", secrets.randbelow(SEED_MAX), 0, SEED_MAX),
        guidance_milli=_milli(guidance),
        previews=_integer(body, "partial_images", 0, 0, PARTIAL_IMAGES_MAX) if stream else 0,
        source=source,
        strength_milli=strength_milli,
    )
    return Generation(
        tuple(replace(first, seed=(first.seed + index) % (SEED_MAX + 1)) for index in range(count)), stream
    )


def _milli(guidance: float) -> int:
    """Thousandths; what is out of range, infinite or no number becomes -1, which no request allows."""
    return round(guidance * 1000) if 0 <= guidance <= 1000 else -1  # noqa: PLR2004 - far above any bound


def _text(body: Mapping[str, Any], name: str, default: str) -> str:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise BadRequest(name, f"{name} is not text")
    return value


def _integer(body: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(name, f"{name} is not a whole number of {least} to {most}")
    return value


def _size(body: Mapping[str, Any], default: tuple[int, int]) -> tuple[int, int]:
    text = _text(body, "size", "auto")
    if text == "auto":
        return default
    width, _, height = text.partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()) or len(text) > 11:  # noqa: PLR2004 - two numbers of five digits
        raise BadRequest("size", "size is not 'auto' or WIDTHxHEIGHT")
    return min(int(width), SIDE_PIXELS_MAX), min(int(height), SIDE_PIXELS_MAX)


async def answer(coordinator: Coordinator, generation: Generation) -> Response:
    """All images of a request, made side by side, as one JSON answer."""
    delivered: dict[int, Delivered] = {}
    refused: list[Refusal] = []

    async def make(index: int, request: ImageRequest) -> None:
        try:
            order = coordinator.submit(request, key=generation.key_of(index), body_hash=generation.body_hash)
            async with order as watch:
                delivered[index] = await watch.outcome()
        except Refusal as refusal:
            refused.append(refusal)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for index, request in enumerate(generation.requests):
            nursery.start_soon(make, index, request)
    if refused:
        return errors.of_refusal(refused[0]).response()
    first = generation.requests[0]
    images = [delivered[index] for index in range(len(generation.requests))]
    return JSONResponse(
        {
            "created": now_ms() // 1000,
            "data": [{"b64_json": _base64(image.output)} for image in images],
            "output_format": "png",
            "size": f"{first.width}x{first.height}",
            "cuckoo": {"tasks": [image.receipt.announcement.digest.hex() for image in images]},
        }
    )


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode()


class GenerationStream(Response):
    """A request answered as server-sent events: partial images, then the completed one.

    Written as an ASGI application of its own: an async generator with a nursery inside cannot be
    cancelled safely when the app goes away.
    """

    def __init__(self, coordinator: Coordinator, generation: Generation) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._generation = generation
        self._request = request = generation.requests[0]
        is_edit = request.work_kind == WorkKind.IMAGE_TO_IMAGE
        self._event = "image_edit" if is_edit else "image_generation"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until the end of the task or of the connection, whichever is first."""
        del scope

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await self._serve(send)
            nursery.cancel_scope.cancel()

    async def _serve(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        try:
            order = self._coordinator.submit(
                self._request, key=self._generation.key_of(0), body_hash=self._generation.body_hash
            )
            async with order as watch:
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                try:
                    await self._send_events(send, watch)
                except Refusal as refusal:
                    await _send_event(send, "error", {"type": "error"} | errors.of_refusal(refusal).body())
        except Refusal as refusal:
            # Refused before anything was sent: an ordinary error with its status.
            response = errors.of_refusal(refusal).response()
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status_code,
                    "headers": response.raw_headers,
                }
            )
            await send({"type": "http.response.body", "body": response.body})
            return
        await send({"type": "http.response.body", "body": b""})

    async def _send_events(self, send: Send, watch: Watch) -> None:
        shared = {
            "size": f"{self._request.width}x{self._request.height}",
            "quality": "auto",
            "background": "auto",
            "output_format": "png",
        }
        previews = 0
        async for event in watch.events:
            match event:
                case Preview(png=png) if previews < self._request.previews:
                    partial = {"partial_image_index": previews, "b64_json": _base64(png)}
                    previews += 1
                    await _send_event(
                        send,
                        f"{self._event}.partial_image",
                        shared | partial | {"created_at": now_ms() // 1000},
                    )
                case Progress(miner=miner, units=step, units_all=steps):
                    await _send_comment(send, f"step {step} of {steps} by 0x{miner.hex()}")
                case Announced(task_id=task_id):
                    await _send_comment(send, f"task {task_id.hex()}")
                case FailedOver(miner=miner, reason=reason):
                    await _send_comment(send, f"lost 0x{miner.hex()}: {reason}")
        image = await watch.outcome()
        await _send_event(
            send,
            f"{self._event}.completed",
            shared
            | {
                "b64_json": _base64(image.output),
                "created_at": now_ms() // 1000,
                "usage": {
                    "input_tokens": 0,
                    "output_tokens": 0,
                    "total_tokens": 0,
                    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
                },
                "cuckoo": {"tasks": [image.receipt.announcement.digest.hex()]},
            },
        )


async def _send_event(send: Send, name: str, data: dict[str, Any]) -> None:
    body = f"event: {name}\ndata: {json.dumps({'type': name} | data)}\n\n"
    await send({"type": "http.response.body", "body": body.encode(), "more_body": True})


async def _send_comment(send: Send, text: str) -> None:
    """A comment, which clients skip: progress for whoever reads the raw stream, and a sign of life."""
    line = text.replace("\n", " ")
    await send({"type": "http.response.body", "body": f": {line}\n\n".encode(), "more_body": True})
