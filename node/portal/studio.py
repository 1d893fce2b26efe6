"""A place to try a prompt, and the pictures that came of it: over HTTP, for who has a session.

Is: the routes under `/api/own` that a coordinator has, and the stream of one order's events.
Is not: the orders. They are taken by a narrow port (`OwnOrders`), which the API has a class for; rooms beside
each other do not know each other.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import structlog
import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from node.coordinator.offered import OfferedModel
from node.coordinator.outcomes import Announced, Delivered, FailedOver, OrderEvent, Preview, Progress
from node.portal.bodies import json_of
from node.portal.errors import Busy, PortalRefusal, answer
from node.portal.streams import EVENT_STREAM, NO_STORE, leave_with, send_event
from node.system.observable import to_document
from protocol.errors import Refusal
from protocol.receipt import Receipt
from protocol.receipt import to_document as receipt_document
from protocol.work import WorkKind

STREAMS_MAX: Final = 8
"""Orders that are watched at a time; those that nobody watches go on."""
PAGE_PICTURES: Final = 12
PICTURES_MAX: Final = 10_000
"""As far back as the list goes: no journal keeps more."""
TEXTS: Final = ("prompt", "negative_prompt", "model")
NUMBERS: Final = ("seed", "steps")
_NAME: Final = re.compile(r"[0-9a-f]{32}")
_HASH: Final = re.compile(r"0x[0-9a-f]{64}")
_OFFSET: Final = re.compile(r"[0-9]{1,5}")
_HANDLER = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger()


class OwnOrder(Protocol):
    """An order that is watched."""

    async def follow(self, tell: Callable[[OrderEvent], Awaitable[None]] | None = None) -> Delivered:
        """The result; what happens on the way is told. :raises OrderLost: there is none."""
        ...


class OwnOrders(Protocol):
    """The orders of this node's own people; see `node.api.own_orders`."""

    def models(self) -> Sequence[OfferedModel]:
        """Models that live miners serve."""
        ...

    def placed(self, wish: Mapping[str, Any], name: str) -> AbstractAsyncContextManager[OwnOrder]:
        """Place an order and watch it. :raises Refusal: it is not taken."""
        ...

    def cancel(self, name: str) -> bool:
        """Cancel a live order. Whether there was one."""
        ...

    def receipts(self, offset: int, limit: int) -> Sequence[Receipt]:
        """Of delivered pictures, the newest first."""
        ...

    def receipt(self, task_id: bytes) -> Receipt | None:
        """Of one."""
        ...

    def picture(self, task_id: bytes) -> bytes | None:
        """Of one, while it is kept."""
        ...

    def forget(self, task_id: bytes) -> bool:
        """Forget one. Whether it was there."""
        ...


class Studio:
    """One portal's. :ivar orders: None until a coordinator has them; a miner has none."""

    def __init__(self) -> None:
        self.orders: OwnOrders | None = None
        self._streams = 0

    def routes(self, behind_session: Callable[[_HANDLER], _HANDLER]) -> list[Route]:
        """All of them. :param behind_session: keeps strangers out."""
        handlers: dict[tuple[str, str], _HANDLER] = {
            ("GET", "models"): self._models,
            ("POST", "orders"): self._order,
            ("POST", "orders/cancel"): self._cancel,
            ("GET", "pictures"): self._pictures,
            ("GET", "tasks/{hash}/picture"): self._picture,
            ("GET", "tasks/{hash}/receipt"): self._receipt,
            ("POST", "tasks/{hash}/delete"): self._delete,
        }
        return [
            Route(f"/api/own/{path}", behind_session(handler), methods=[method])
            for (method, path), handler in handlers.items()
        ]

    def _its_orders(self) -> OwnOrders:
        """:raises PortalRefusal: ``no_studio``: this node has no orders of its own."""
        if self.orders is None:
            raise PortalRefusal("no_studio")
        return self.orders

    async def _models(self, request: Request) -> Response:
        """`GET /api/own/models`: what can be asked for now, and from how much on."""
        del request
        await trio.lowlevel.checkpoint()
        found = [
            {
                "name": model.name,
                "sizes": [list(size) for size in model.sizes],
                "default_steps": model.default_steps,
                "steps_max": model.steps_max,
                "miners": model.miners,
                "price_micro_cai": None if model.price_micro_cai is None else str(model.price_micro_cai),
            }
            for model in self._its_orders().models()
            if WorkKind.TEXT_TO_IMAGE in model.work_kinds
        ]
        return JSONResponse({"models": found}, headers=NO_STORE)

    async def _order(self, request: Request) -> Response:
        """`POST /api/own/orders`: a picture, as events."""
        orders, document = self._its_orders(), await json_of(request)
        name = _name_of(document)
        wish = {key: document[key] for key in (*TEXTS, *NUMBERS) if document.get(key) not in (None, "")}
        return OrderStream(self, orders.placed(wish, name))

    async def _cancel(self, request: Request) -> Response:
        """`POST /api/own/orders/cancel`: the order of that name, if it is not over."""
        orders, document = self._its_orders(), await json_of(request)
        return JSONResponse({"cancelled": orders.cancel(_name_of(document))}, headers=NO_STORE)

    async def _pictures(self, request: Request) -> Response:
        """`GET /api/own/pictures`: a page of them, the newest first."""
        orders, text = self._its_orders(), request.query_params.get("offset", "0")
        if not _OFFSET.fullmatch(text) or int(text) > PICTURES_MAX:
            raise PortalRefusal("bad_query")
        await trio.lowlevel.checkpoint()
        # One more than is shown says whether there are further ones.
        receipts = orders.receipts(int(text), PAGE_PICTURES + 1)
        document = {
            "offset": int(text),
            "page": PAGE_PICTURES,
            "more": len(receipts) > PAGE_PICTURES,
            "pictures": [_picture_document(receipt) for receipt in receipts[:PAGE_PICTURES]],
        }
        return JSONResponse(document, headers=NO_STORE)

    async def _picture(self, request: Request) -> Response:
        """`GET /api/own/tasks/{id}/picture`: the file, as its miner signed it."""
        picture = self._its_orders().picture(_task_of(request))
        await trio.lowlevel.checkpoint()
        if picture is None:
            raise PortalRefusal("no_picture")
        return Response(picture, media_type="image/png", headers=NO_STORE)

    async def _receipt(self, request: Request) -> Response:
        """`GET /api/own/tasks/{id}/receipt`: what `cuckoo-peer receipt verify` takes."""
        receipt = self._its_orders().receipt(_task_of(request))
        await trio.lowlevel.checkpoint()
        if receipt is None:
            raise PortalRefusal("no_picture")
        return JSONResponse(receipt_document(receipt), headers=NO_STORE)

    async def _delete(self, request: Request) -> Response:
        """`POST /api/own/tasks/{id}/delete`: picture and receipt."""
        is_gone = self._its_orders().forget(_task_of(request))
        await trio.lowlevel.checkpoint()
        if not is_gone:
            raise PortalRefusal("no_picture")
        return JSONResponse({}, headers=NO_STORE)

    # For `OrderStream`

    def begin(self) -> None:
        """One more is watched. :raises Busy: as many as may are."""
        if self._streams >= STREAMS_MAX:
            raise Busy(retry_after_s=5)
        self._streams += 1

    def end(self) -> None:
        """One less."""
        self._streams -= 1


class OrderStream(Response):
    """One order as events: announced, progress, previews, and how it ends. The order outlives its reader."""

    def __init__(self, studio: Studio, placing: AbstractAsyncContextManager[OwnOrder]) -> None:
        super().__init__(media_type=EVENT_STREAM, headers=NO_STORE)
        del self.headers["content-length"]
        self._studio = studio
        self._placing = placing
        self._began = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. :raises Busy: as many orders are watched as may be."""
        self._studio.begin()
        refused: list[Refusal] = []
        try:
            # A nursery would raise a group; a refusal is an answer, and leaves by itself.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(leave_with, receive, nursery.cancel_scope)
                try:
                    await self._serve(send)
                except Refusal as refusal:
                    refused.append(refusal)
                nursery.cancel_scope.cancel()
        finally:
            self._studio.end()
        if refused and not self._began:
            await answer(_words(refused[0]))(scope, receive, send)
            return
        if refused:
            words = _words(refused[0])
            await send_event(send, {"event": "lost", "code": words.code, **words.values})
        if self._began:
            await send({"type": "http.response.body", "body": b""})

    async def _serve(self, send: Send) -> None:
        async with self._placing as order:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            self._began = True

            async def tell(event: OrderEvent) -> None:
                await send_event(send, _event_document(event))

            delivered = await order.follow(tell)
            task_id = delivered.receipt.announcement.digest
            await send_event(send, {"event": "done", "task_id": to_document(task_id)})


def _words(refusal: Refusal) -> PortalRefusal:
    """The reason why there is no picture, for the page. Its text alone is the node's own English."""
    if isinstance(refusal, PortalRefusal):
        return refusal
    return PortalRefusal("order", reason=refusal.reason)


def _event_document(event: OrderEvent) -> dict[str, Any]:
    document: dict[str, Any]
    match event:
        case Announced(task_id=task_id, assigned=assigned):
            document = to_document({"event": "announced", "task_id": task_id, "drawn": assigned})
        case Progress(miner=miner, units=units, units_all=units_all):
            document = to_document(
                {"event": "progress", "miner": miner, "units": units, "units_all": units_all}
            )
        case Preview(units=units, png=png):
            document = {"event": "preview", "units": units, "png": base64.b64encode(png).decode()}
        case FailedOver(miner=miner, reason=reason):
            document = to_document({"event": "failed_over", "miner": miner, "reason": reason})
    return document


def _picture_document(receipt: Receipt) -> dict[str, Any]:
    task = receipt.announcement.message
    width, height = task.work.image_size()
    document: dict[str, Any] = to_document(
        {
            "task_id": receipt.announcement.digest,
            "at_ms": task.announced_at_ms,
            "price_micro_cai": str(task.price_micro_cai),
            "miner": receipt.commitment.signer.address,
            "width": width,
            "height": height,
        }
    )
    return document


def _name_of(document: Mapping[str, Any]) -> str:
    name = document.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PortalRefusal("bad_json")
    return name


def _task_of(request: Request) -> bytes:
    text = request.path_params["hash"]
    if not _HASH.fullmatch(text):
        raise PortalRefusal("no_picture")
    return bytes.fromhex(text[2:])
