"""The way of a request in every dialect: its body is read, its orders placed side by side and watched.

Is: limits of bodies, names of requests (`Idempotency-Key`), orders, and the end when an app goes away, or its
token is revoked.
Is not: what a body means (the dialects), or an order's life (`node/coordinator`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import trio
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from node.api import errors
from node.api.errors import Refused
from node.api.queue import Queue
from node.api.quoting import require_affordable
from node.api.tokens.caller import Caller, caller_of
from node.api.tokens.desk import Admitted, Desk
from node.coordinator.capacity import capacity_of
from node.coordinator.coordinator import Coordinator
from node.coordinator.drawing import NotReady
from node.coordinator.outcomes import Announced, Busy, Delivered, NoMiner, OrderEvent, Preview, Progress
from node.coordinator.requests import BadRequest, ImageRequest
from node.coordinator.watching import Watch
from node.system.clock import now_ms
from protocol.errors import Refusal
from protocol.hashing import sha256_of_parts

T = TypeVar("T")

JSON_BYTES_MAX: Final = 64 * 1024
"""Longest body in JSON."""
KEY_HEADER_BYTES_MAX: Final = 200
"""Longest `Idempotency-Key`."""
HASHED_INLINE_BYTES_MAX: Final = 256 * 1024
"""Longer content is hashed in a thread: 22 MB take a slow core 50 ms, in which the node would hear nobody."""
BODY_S_MAX: Final = 120.0
"""How long a body may take to come."""


@dataclass(frozen=True, slots=True)
class RequestName:
    """An app's name for its request, so that asking again finds it and pays nothing.

    :ivar key: `Idempotency-Key`; empty for none.
    :ivar body_hash: SHA-256 of path and content, to tell a repetition from another request of that name.
    :ivar caller: whose the name is; nobody else finds its orders by it.
    """

    key: str
    body_hash: bytes
    caller: Caller

    @classmethod
    async def of(cls, request: Request, *content: bytes) -> RequestName:
        """The name of a request. Long content, of an image, is hashed in a thread.

        :param content: the same whenever the app says the same, in parts.
        :raises BadRequest: the name is too long.
        """
        key = request.headers.get("idempotency-key", "")
        if len(key.encode()) > KEY_HEADER_BYTES_MAX:
            raise BadRequest(
                "Idempotency-Key", f"Idempotency-Key is longer than {KEY_HEADER_BYTES_MAX} bytes"
            )
        parts = (request.url.path.encode(), b"\0", *content)
        if sum(map(len, parts)) <= HASHED_INLINE_BYTES_MAX:
            body_hash = sha256_of_parts(parts)
        else:
            body_hash = await trio.to_thread.run_sync(sha256_of_parts, parts)
        return cls(key, body_hash, caller_of(request.scope))

    def key_of(self, index: int) -> str:
        """The name of one of its orders; empty for none."""
        return f"{self.caller.token_id}/{self.key}/{index}" if self.key else ""


async def read_body(request: Request, bytes_max: int, content_type: str) -> bytes:
    """The body of a request.

    :raises Refused: of another type, too long (told by its header, before it is read), too slow, or cut off.
    """
    sent_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent_type != content_type:
        raise Refused(errors.unsupported_type(content_type))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise Refused(errors.too_long(bytes_max))
    body = bytearray()
    with trio.move_on_after(BODY_S_MAX):
        try:
            async with aclosing(request.stream()) as parts:
                async for part in parts:
                    body += part
                    if len(body) > bytes_max:
                        raise Refused(errors.too_long(bytes_max))
        except ClientDisconnect as error:
            raise Refused(errors.CUT_OFF) from error
        return bytes(body)
    raise Refused(errors.TOO_SLOW)


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


Tell: TypeAlias = Callable[[OrderEvent], Awaitable[None]]


class Placed:
    """An order of a request that was let in, watched. :ivar index: its place among the request's orders."""

    def __init__(self, admitted: Admitted, index: int, watch: Watch) -> None:
        self.index = index
        self._admitted = admitted
        self._watch = watch

    async def follow(self, tell: Tell | None = None) -> Delivered:
        """The result; what happens on the way is told.

        :raises OrderLost: there is none.
        """
        async for event in self._watch.events:
            self._note(event)
            if tell is not None:
                await tell(event)
        try:
            delivered = await self._watch.outcome()
        except Refusal:
            self._admitted.lost(self.index)
            raise
        self._admitted.delivered(self.index)
        return delivered

    def close(self) -> None:
        """Note what nobody has heard of yet: whose its tasks are, and that it has begun."""
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                self._note(self._watch.events.receive_nowait())
        self._admitted.left(self._watch.order_id)

    def _note(self, event: OrderEvent) -> None:
        match event:
            case Announced(task_id=task_id):
                self._admitted.own(task_id)
            case Progress() | Preview():
                self._admitted.begun(self.index)


class Serving:
    """The way to the coordinator, past the desk."""

    def __init__(self, coordinator: Coordinator, desk: Desk) -> None:
        self.desk = desk
        self.queue = Queue(self._capacity_of)
        self._coordinator = coordinator

    def _capacity_of(self, model_id: bytes) -> int:
        return capacity_of(self._coordinator.engine.market.offers(), model_id, now_ms())

    def _knows(self, key: str) -> bool:
        return bool(key) and self._coordinator.knows(key)

    @contextmanager
    def admitted(self, requests: Sequence[ImageRequest], name: RequestName) -> Iterator[Admitted]:
        """Let a request in. :raises Refused: its token may not do this, or not now."""
        keys = [name.key_of(index) for index in range(len(requests))]
        with self.desk.admitted(name.caller, requests, keys) as admitted:
            yield admitted

    @asynccontextmanager
    async def placed(self, admitted: Admitted, name: RequestName, index: int) -> AsyncIterator[Placed]:
        """An order of a request, once its token has its turn; one that is known by its name, at once.

        :param index: its place among the request's.
        :raises Refused: too many wait, or its token has ended meanwhile.
        :raises BadRequest: every miner asks for more than the request's own ceiling.
        :raises Refusal: as `Coordinator.submit`.
        """
        request, key = admitted.requests[index], name.key_of(index)
        token_id, model_id = name.caller.token_id, request.model.model_id
        try:
            async with AsyncExitStack() as stack:
                place = None
                if not self._knows(key):
                    place = await stack.enter_async_context(self.queue.place(token_id, model_id))
                is_known = self._knows(key)
                self.desk.require_working(name.caller)
                if not is_known:
                    self.desk.require_few(name.caller)
                    admitted.require_counted(index)
                order = self._coordinator.submit(request, key=key, body_hash=name.body_hash)
                watch = await stack.enter_async_context(order)
                if place is not None:
                    place.watch = watch
                    place.lives = partial(self._coordinator.is_live, watch.order_id) if key else None
                admitted.placed(index, watch.order_id, key, is_known=is_known)
                placed = Placed(admitted, index, watch)
                try:
                    yield placed
                finally:
                    placed.close()
        except Busy as refusal:
            admitted.refused(index)
            raise self.queue.busy(token_id, model_id, refusal.reason) from refusal
        except NoMiner as refusal:
            admitted.refused(index)
            if not isinstance(refusal, NotReady):
                require_affordable(self._coordinator, request)
            raise
        except Refusal:
            admitted.refused(index)
            raise

    async def deliver(self, requests: Sequence[ImageRequest], name: RequestName) -> list[Delivered]:
        """Results of all requests, made side by side, in their order.

        :raises Refusal: one was refused, or failed; the others are cancelled.
        """
        delivered: dict[int, Delivered] = {}
        refused: list[Refusal] = []

        async def make(index: int) -> None:
            try:
                async with self.placed(admitted, name, index) as placed:
                    delivered[index] = await placed.follow()
            except Refusal as refusal:
                refused.append(refusal)
                nursery.cancel_scope.cancel()

        with self.admitted(requests, name) as admitted:
            async with trio.open_nursery() as nursery:
                for index in range(len(requests)):
                    nursery.start_soon(make, index)
        if refused:
            raise refused[0]
        return [delivered[index] for index in range(len(requests))]


async def until_disconnect(receive: Receive, caller: Caller, work: Callable[[], Awaitable[T]]) -> T | None:
    """The result of `work`; None, and it is cancelled, if the app goes away before.

    :raises Refused: the caller's token was revoked meanwhile. :raises Refusal: as `work`.
    """
    result: list[T] = []
    refused: list[Refusal] = []

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        nursery.cancel_scope.cancel()

    async def watch_token() -> None:
        await caller.ended.wait()
        refused.append(Refused(errors.WRONG_TOKEN))
        nursery.cancel_scope.cancel()

    # A nursery would raise a group; a refusal is an answer, and leaves by itself.
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        nursery.start_soon(watch_token)
        try:
            result.append(await work())
        except Refusal as refusal:
            refused.append(refusal)
        nursery.cancel_scope.cancel()
    if refused:
        raise refused[0]
    return result[0] if result else None
