"""The way into the portal: what another page of the browser must not get through, and how much at a time.

Is: Host, Origin and Fetch Metadata, methods, bounds, and the headers that every answer has.
Is not: who somebody is; here everybody is a stranger.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import trio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.portal.errors import Busy, PortalRefusal, answer

REQUESTS_MAX: Final = 64
"""Requests under way, streams of events among them."""
BODY_BYTES_MAX: Final = 8 * 1024
"""Bytes of a request's body: a consent with an introduction of 512 bytes has a tenth of it."""
BODY_S: Final = 5.0
"""In which a whole body has to come, from when it is first read."""
LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine. Any other in a Host header was resolved by somebody's name server: their page is
then of one origin with ours, to the browser (DNS rebinding)."""
METHODS: Final = frozenset({"GET", "HEAD", "POST"})
# Of blobs, pictures alone: a session's come with its header, which an address cannot bring.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_HOST: Final = re.compile(r"(?P<name>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LENGTH: Final = re.compile(r"[0-9]{1,12}")


@dataclass(slots=True)
class FrontierCounts:
    """:ivar served: requests. :ivar refused: of foreign pages and names, or malformed. :ivar busy: too
    many.
    """

    served: int = 0
    refused: int = 0
    busy: int = 0
    active: int = 0


class Frontier:
    """Middleware. :ivar counts: since the start."""

    def __init__(self, app: ASGIApp, portal_url: str = "") -> None:
        """:param portal_url: at which a proxy shows the portal; may be empty."""
        self.counts = FrontierCounts()
        self._app = app
        parts = urlsplit(portal_url)
        self._proxied_name = parts.hostname
        self._proxied_origin = f"{parts.scheme}://{parts.netloc}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await answer(refusal)(scope, receive, send_with_headers)
            return
        self.counts.active += 1
        try:
            self.counts.served += 1
            await self._app(scope, _bounded(receive), send_with_headers)
        finally:
            self.counts.active -= 1

    def _refusal(self, scope: Scope) -> PortalRefusal | None:
        refusal = self._malformed(scope)
        if refusal is not None:
            self.counts.refused += 1
        elif self.counts.active >= REQUESTS_MAX:
            self.counts.busy += 1
            return Busy(retry_after_s=2)
        return refusal

    def _malformed(self, scope: Scope) -> PortalRefusal | None:
        names = [name for name, _ in scope["headers"]]
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if any(names.count(name) > 1 for name in (b"host", b"origin", b"content-length")) or (
            b"transfer-encoding" in names and b"content-length" in names
        ):
            return PortalRefusal("ambiguous")
        host = headers.get("host", "")
        if not self._is_ours(host):
            return PortalRefusal("foreign_host")
        if self._is_of_another_page(headers, host, scope["method"]):
            return PortalRefusal("foreign_origin")
        if scope["method"] not in METHODS:
            return PortalRefusal("method")
        if not _LENGTH.fullmatch(length) or int(length) > BODY_BYTES_MAX:
            return PortalRefusal("too_large")
        return None

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        name = found["name"].strip("[]").lower() if found else ""
        return name in LOOPBACK_NAMES or (self._proxied_name is not None and name == self._proxied_name)

    def _is_of_another_page(self, headers: Headers, host: str, method: str) -> bool:
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}", self._proxied_origin}:
            return True
        # Fetch Metadata (W3C): another port of this machine is the same site, and not the same origin. A
        # link to us is followed in a window of its own, which is no way to read or to send anything.
        is_followed = method == "GET" and headers.get("sec-fetch-dest") == "document"
        return headers.get("sec-fetch-site") in {"cross-site", "same-site"} and not is_followed


def _bounded(receive: Receive) -> Receive:
    """The same, for a body of `BODY_BYTES_MAX` within `BODY_S`. :raises PortalRefusal: it goes on beyond."""
    taken, is_whole, deadline = 0, False, math.inf

    async def receive_bounded() -> Message:
        nonlocal taken, is_whole, deadline
        if is_whole:
            return await receive()  # which waits for the reader to leave, for as long as an answer takes
        deadline = min(deadline, trio.current_time() + BODY_S)
        try:
            with trio.fail_at(deadline):
                message = await receive()
        except trio.TooSlowError as error:
            raise PortalRefusal("slow") from error
        is_whole = not message.get("more_body", False)
        taken += len(message.get("body", b""))
        if taken > BODY_BYTES_MAX:
            raise PortalRefusal("too_large")
        return message

    return receive_bounded


async def _live(receive: Receive, send: Send) -> None:
    """Begin and end with nothing to do. Starlette's own makes an error of a cancellation."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
