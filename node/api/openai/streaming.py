"""A request answered as server-sent events: partial images, then the completed ones.

Is: OpenAI's events, and comments beside them. Of several pictures each has its own partial images and its own
completed one, as they come; `image_index`, which OpenAI does not have, says which picture an event is of.
Is not: the plain answer (`images`).
"""

from __future__ import annotations

import base64
import json
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from node.api import errors
from node.api.errors import REQUEST_ID, WORDING
from node.api.openai.generation import Generation
from node.api.serving import Placed, RequestName, Serving, until_disconnect
from node.coordinator.outcomes import Announced, FailedOver, OrderEvent, Preview, Progress
from node.system.clock import now_ms
from protocol.errors import Refusal
from protocol.work import WorkKind


class GenerationStream(Response):
    """The answer.

    Written as an ASGI application of its own: an async generator with a nursery inside cannot be
    cancelled safely when the app goes away.
    """

    def __init__(self, serving: Serving, generation: Generation, name: RequestName) -> None:
        super().__init__()
        self._serving = serving
        self._generation = generation
        self._name = name
        self._began = False
        self._format = generation.parameters.format
        is_edit = generation.requests[0].work_kind == WorkKind.IMAGE_TO_IMAGE
        self._event = "image_edit" if is_edit else "image_generation"
        # A server takes one message of an answer at a time.
        self._writing = trio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until the end of the orders or of the connection, whichever is first."""
        try:
            await until_disconnect(receive, self._name.caller, partial(self._serve, scope, send))
        except Refusal as refusal:
            if self._began:
                await self._send_error(scope, send, refusal)
                await send({"type": "http.response.body", "body": b""})
            else:
                # Refused before anything was sent: an ordinary error with its status.
                await errors.respond(errors.of_refusal(refusal), scope)(scope, receive, send)

    async def _serve(self, scope: Scope, send: Send) -> None:
        texts = {"content-type": "text/event-stream", "cache-control": "no-store"}
        texts |= self._generation.headers()
        headers = [(name.encode(), value.encode()) for name, value in texts.items()]
        async with AsyncExitStack() as stack:
            # All of them, before the answer begins: what is refused at once has its own status.
            requests = self._generation.requests
            admitted = stack.enter_context(self._serving.admitted(requests, self._name))
            orders = [
                await stack.enter_async_context(self._serving.placed(admitted, self._name, index))
                for index in range(len(requests))
            ]
            self._began = True
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            refusal = await self._send_all(send, orders)
            if refusal is not None:
                await self._send_error(scope, send, refusal)
        await send({"type": "http.response.body", "body": b""})

    async def _send_all(self, send: Send, orders: list[Placed]) -> Refusal | None:
        """Send what happens to each order; the first refusal ends all of them, and is returned."""
        refused: list[Refusal] = []

        async def follow(order: Placed) -> None:
            try:
                await self._send_events(send, order)
            except Refusal as refusal:
                async with self._writing:  # nobody else's event is cut off in its middle
                    refused.append(refusal)
                    nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for order in orders:
                nursery.start_soon(follow, order)
        return refused[0] if refused else None

    async def _send_events(self, send: Send, order: Placed) -> None:
        previews = 0

        async def tell(event: OrderEvent) -> None:
            nonlocal previews
            match event:
                case Preview(png=png) if previews < self._generation.parameters.previews:
                    further: dict[str, Any] = {"partial_image_index": previews, "image_index": order.index}
                    await self._send_picture(send, "partial_image", png, further)
                    previews += 1
                case Progress(miner=miner, units=step, units_all=steps):
                    await self._send_comment(send, f"step {step} of {steps} by 0x{miner.hex()}")
                case Announced(task_id=task_id):
                    await self._send_comment(send, f"task {task_id.hex()}")
                case FailedOver(miner=miner, reason=reason):
                    await self._send_comment(send, f"lost 0x{miner.hex()}: {reason}")

        image = await order.follow(tell)
        tasks = [image.receipt.announcement.digest.hex()]
        further = {
            "image_index": order.index,
            "usage": self._generation.usage(),
            "cuckoo": self._generation.extras() | {"tasks": tasks},
        }
        await self._send_picture(send, "completed", image.output, further)

    async def _send_picture(self, send: Send, kind: str, png: bytes, further: dict[str, Any]) -> None:
        picture = await self._format.of_png(png)
        data = {
            "b64_json": base64.b64encode(picture).decode(),
            "created_at": now_ms() // 1000,
            "size": self._generation.size,
            "quality": "auto",
            "background": "opaque",
            "output_format": self._format.name,
        }
        async with self._writing:
            await _send_event(send, f"{self._event}.{kind}", data | further)

    async def _send_error(self, scope: Scope, send: Send, refusal: Refusal) -> None:
        await _send_event(send, "error", scope[WORDING](errors.of_refusal(refusal), scope[REQUEST_ID]))

    async def _send_comment(self, send: Send, text: str) -> None:
        """A comment, which clients skip: progress for whoever reads the raw stream, and a sign of life."""
        line = text.replace("\n", " ").replace("\r", " ")
        body = f": {line}\n\n".encode(errors="replace")
        async with self._writing:
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _send_event(send: Send, name: str, data: dict[str, Any]) -> None:
    body = f"event: {name}\ndata: {json.dumps({'type': name} | data)}\n\n"
    await send({"type": "http.response.body", "body": body.encode(), "more_body": True})
