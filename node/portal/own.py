"""This node's own part of the portal: what a session shows, and how one begins and ends, over HTTP.

Is: the routes under `/api/own`, each behind the secret of a session, and the one that gives a secret for a
code; and the act by which `cuckoo-peer portal open` gets a link with such a code.
Is not: the codes and secrets (`sessions`).

The secret travels in a header that no page of another origin can set without a question (CORS) that is
refused, and in no cookie: a browser sends cookies to every port of this machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from node.peer.peer import Peer
from node.portal.bodies import json_of
from node.portal.errors import PortalRefusal
from node.portal.sessions import CODE_LIFE_MS, Sessions
from node.portal.streams import NO_STORE
from node.portal.studio import Studio
from node.settings import RoleName
from node.system.observable import to_document

SESSION_HEADER: Final = "x-cuckoo-session"

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class OpenPortal:
    """The argument of the act `portal_open`: none."""


class Own:
    """One portal's. :ivar sessions: who is in. :ivar studio: what a coordinator has besides."""

    def __init__(self, peer: Peer, role: RoleName) -> None:
        self.sessions = Sessions()
        self.studio = Studio()
        self._peer = peer
        self._role = role

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/session", self._begin, methods=["POST"]),
            Route("/api/session/end", self.behind_session(self._end), methods=["POST"]),
            Route("/api/own", self.behind_session(self._show)),
            *self.studio.routes(self.behind_session),
        ]

    def register(self, url: str) -> None:
        """Let this machine's own user ask for a link. :param url: at which the portal is shown."""

        async def link(wish: OpenPortal) -> dict[str, Any]:
            del wish
            await trio.lowlevel.checkpoint()
            # After the `#`, which no browser sends anywhere, no proxy notes, and no page is told as referrer.
            code = self.sessions.new_code()
            return {"url": f"{url.rstrip('/')}/#open={code}", "good_for_s": CODE_LIFE_MS // 1000}

        self._peer.context.control.register("portal_open", OpenPortal, link)

    def behind_session(self, handler: Handler) -> Handler:
        """The same for who has a session's secret. :raises PortalRefusal: ``no_session``."""

        async def guarded(request: Request) -> Response:
            self.sessions.require(request.headers.get(SESSION_HEADER, ""))
            return await handler(request)

        return guarded

    async def _begin(self, request: Request) -> Response:
        """`POST /api/session`: a secret for a code."""
        code = (await json_of(request)).get("code")
        if not isinstance(code, str):
            raise PortalRefusal("bad_code")
        return JSONResponse({"secret": self.sessions.exchange(code)}, headers=NO_STORE)

    async def _end(self, request: Request) -> Response:
        """`POST /api/session/end`."""
        self.sessions.end(request.headers[SESSION_HEADER])
        await trio.lowlevel.checkpoint()
        return JSONResponse({}, headers=NO_STORE)

    async def _show(self, request: Request) -> Response:
        """`GET /api/own`: how this node is, for its own people."""
        left_ms = self.sessions.require(request.headers[SESSION_HEADER])
        context = self._peer.context
        readiness, pay = context.readiness.status(), context.observable.find("pay")
        await trio.lowlevel.checkpoint()
        document = {
            "role": self._role,
            "has_studio": self.studio.orders is not None,
            "ends_in_s": left_ms // 1000,
            "ready": readiness.ready,
            "reasons": readiness.reasons,
            "pay": None if pay is None else to_document(pay),
        }
        return JSONResponse(document, headers=NO_STORE)
