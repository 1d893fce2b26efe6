"""The way of a request in every dialect: its body is read, its orders placed side by side and watched.

Is: limits of bodies, names of requests (`Idempotency-Key`), orders, and the end when an app goes away.
Is not: what a body means (the dialects), or an order's life (`node/coordinator`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import trio
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from node.api import errors
from node.api.errors import Refused
from node.api.quoting import require_affordable
from node.coordinator.coordinator import Coordinator
from node.coordinator.drawing import NotReady
from node.coordinator.outcomes import Delivered, NoMiner
from node.coordinator.requests import BadRequest, ImageRequest
from node.coordinator.watching import Watch
from protocol.errors import Refusal
from protocol.hashing import sha256

T = TypeVar("T")

JSON_BYTES_MAX: Final = 64 * 1024
"""Longest body in JSON."""
KEY_HEADER_BYTES_MAX: Final = 200
"""Longest `Idempotency-Key`."""


@dataclass(frozen=True, slots=True)
class RequestName:
    """An app's name for its request, so that asking again finds it and pays nothing.

    :ivar key: `Idempotency-Key`; empty for none.
    :ivar body_hash: SHA-256 of path and content, to tell a repetition from another request of that name.
    """

    key: str
    body_hash: bytes

    @classmethod
    def of(cls, request: Request, content: bytes) -> RequestName:
        """The name of a request. :param content: the same whenever the app says the same.

        :raises BadRequest: the name is too long.
        """
        key = request.headers.get("idempotency-key", "")
        if len(key.encode()) > KEY_HEADER_BYTES_MAX:
            raise BadRequest(
                "Idempotency-Key", f"Idempotency-Key is longer than {KEY_HEADER_BYTES_MAX} bytes"
            )
        return cls(key, sha256(request.url.path.encode() + b"\0" + content))

    def key_of(self, index: int) -> str:
        """The name of one of its orders; empty for none."""
        return f"{self.key}/{index}" if self.key else ""


async def read_body(request: Request, bytes_max: int, content_type: str) -> bytes:
    """The body of a request.

    :raises Refused: of another type, too long (told by its header, before it is read), or cut off.
    """
    sent_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent_type != content_type:
        raise Refused(errors.unsupported_type(content_type))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise Refused(errors.too_long(bytes_max))
    body = bytearray()
    try:
        async with aclosing(request.stream()) as parts:
            async for part in parts:
                body += part
                if len(body) > bytes_max:
                    raise Refused(errors.too_long(bytes_max))
    except ClientDisconnect as error:
        raise Refused(errors.CUT_OFF) from error
    return bytes(body)


def json_object(body: bytes) -> dict[str, Any]:
    """The object that a body is; a field that is null counts as absent.

    :raises Refused: the body is not a JSON object.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(errors.NOT_JSON) from error
    if not isinstance(document, dict):
        raise Refused(errors.NOT_JSON)
    return {name: value for name, value in document.items() if value is not None}


@asynccontextmanager
async def placed(
    coordinator: Coordinator, request: ImageRequest, name: RequestName, index: int
) -> AsyncIterator[Watch]:
    """An order of a request, watched. :param index: its place among the request's orders.

    :raises BadRequest: every miner asks for more than the request's own ceiling.
    :raises Refusal: as `Coordinator.submit`.
    """
    order = coordinator.submit(request, key=name.key_of(index), body_hash=name.body_hash)
    try:
        async with order as watch:
            yield watch
    except NotReady:
        raise
    except NoMiner:
        require_affordable(coordinator, request)
        raise


async def deliver(
    coordinator: Coordinator, requests: tuple[ImageRequest, ...], name: RequestName
) -> list[Delivered]:
    """Results of all requests, made side by side, in their order.

    :raises Refusal: one was refused, or failed; the others are cancelled.
    """
    delivered: dict[int, Delivered] = {}
    refused: list[Refusal] = []

    async def make(index: int, request: ImageRequest) -> None:
        try:
            async with placed(coordinator, request, name, index) as watch:
                delivered[index] = await watch.outcome()
        except Refusal as refusal:
            refused.append(refusal)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for index, request in enumerate(requests):
            nursery.start_soon(make, index, request)
    if refused:
        raise refused[0]
    return [delivered[index] for index in range(len(requests))]


async def until_disconnect(receive: Receive, work: Callable[[], Awaitable[T]]) -> T | None:
    """The result of `work`; None, and it is cancelled, if the app goes away before.

    :raises Refusal: as `work`.
    """
    result: list[T] = []
    refused: list[Refusal] = []

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        nursery.cancel_scope.cancel()

    # A nursery would raise a group; a refusal is an answer, and leaves by itself.
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        try:
            result.append(await work())
        except Refusal as refusal:
            refused.append(refusal)
        nursery.cancel_scope.cancel()
    if refused:
        raise refused[0]
    return result[0] if result else None
