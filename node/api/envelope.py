"""The outermost layer of the API: each answer has the request's id, and says when its connection ends.

Is: what holds of every answer, whoever gives it.
Is not: who may ask (`gate`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.errors import REQUEST_ID, WORDING, Wording

LINGER_BYTES_MAX: Final = 20 * 1024 * 1024
"""Of a body that is refused unread, so much is still taken in and thrown away, so that the client, which may
be writing all the while, reads the answer instead of a broken connection."""
LINGER_S: Final = 2.0
"""Likewise in time."""


class Envelope:
    """Middleware: names the request, and ends connections whose body was not read to its end."""

    def __init__(self, app: ASGIApp, wording_of: Callable[[str], Wording]) -> None:
        """:param wording_of: how errors are worded on a path."""
        self._app = app
        self._wording_of = wording_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets
        scope[REQUEST_ID] = f"req_{secrets.token_hex(16)}"
        scope[WORDING] = self._wording_of(scope["path"])
        exchange = _Exchange(scope, receive, send)
        await self._app(scope, exchange.receive, exchange.send)


async def _live(receive: Receive, send: Send) -> None:
    """Begin and end with nothing to do. Starlette's own makes an error of a cancellation."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._id = scope[REQUEST_ID].encode()
        headers = dict(scope["headers"])
        self._ambiguous = is_ambiguous(headers)
        self._unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        self._lingering = False

    async def receive(self) -> Message:
        """As ASGI's."""
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """As ASGI's."""
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"x-request-id", self._id)]
            if self._unread or self._ambiguous:
                headers.append((b"connection", b"close"))
                self._lingering = self._unread
            message = {**message, "headers": headers}
        elif self._lingering and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _linger(self) -> None:
        """Take in what the client is still writing. The answer is out; its length says that it is whole."""
        left = LINGER_BYTES_MAX
        with trio.move_on_after(LINGER_S):
            while self._unread and left > 0:
                left -= len((await self.receive()).get("body", b""))


def is_ambiguous(headers: MutableMapping[bytes, bytes]) -> bool:
    """Whether a body's end can be seen in two places: what one reader takes for the next request is part of
    this one to another (RFC 9112, 6.1).
    """
    return b"content-length" in headers and b"transfer-encoding" in headers
