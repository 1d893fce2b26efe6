"""The way into the API: the token, and what keeps a browser's page of somebody else's from using it.

Is: framing, Host, Origin, and tokens; the operator's stands in the data directory.
Is not: what a route does with its request.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api import errors
from node.api.dialect import Dialect, bearer_token
from node.api.envelope import is_ambiguous
from node.api.tokens.caller import CALLER, OPERATOR, Caller
from node.api.tokens.store import TokenStore
from node.system.clock import now_ms
from node.system.files import require_private, write_private
from protocol.hashing import sha256

ANONYMOUS: Final = "anonymous"
"""Name of the token that the anonymous key of a dialect stands for."""
TOKEN_FILE: Final = "api-token"  # noqa: S105 - the name of a file
LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine. Any other in a Host header was resolved by somebody's name server: a page of theirs
may be behind it, which the browser takes to be of one origin with us.
"""


def load_token(data_dir: Path) -> str:
    """The operator's token of a data directory; made at the first call, mode 0600.

    :raises UnsafeFile: others may read it.
    """
    path = data_dir / TOKEN_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode() + b"\n")
    require_private(path)
    return path.read_text().strip()


class Frontier:
    """Middleware: refuses what could be read in two ways, and what a foreign page has sent."""

    def __init__(self, app: ASGIApp, public_url: str, origins: Iterable[str]) -> None:
        """:param public_url: under which a proxy shows this node; may be empty.

        :param origins: of pages that may use it.
        """
        self._app = app
        self._hosts = LOOPBACK_NAMES | {urlsplit(public_url).hostname or "localhost"}
        self._origins = {*origins, _origin_of(public_url)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if is_ambiguous(dict(scope["headers"])):
            await errors.respond(errors.AMBIGUOUS_LENGTH, scope)(scope, receive, send)
        elif host and _name_of(host) not in self._hosts:
            await errors.respond(errors.FOREIGN_HOST, scope)(scope, receive, send)
        elif origin and origin not in self._origins and origin != f"http://{host}":
            await errors.respond(errors.FOREIGN_ORIGIN, scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class TokenGate:
    """Middleware: refuses what has no valid token, except on open routes; says whose the rest is."""

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        tokens: TokenStore,
        open_routes: Iterable[BaseRoute],
        dialect_of: Callable[[str], Dialect],
    ) -> None:
        """:param token: the operator's.

        :param tokens: all others.
        :param dialect_of: the dialect of a path, which knows how its clients send a token.
        """
        self._app = app
        self._token = token.encode()
        self._tokens = tokens
        self._open_routes = tuple(open_routes)
        self._dialect_of = dialect_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if self._is_open(scope):
            await self._app(scope, receive, send)
            return
        caller = self._caller(scope)
        if caller is None:
            await errors.respond(errors.WRONG_TOKEN, scope)(scope, receive, send)
            return
        scope[CALLER] = caller
        await self._app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] == Match.FULL for route in self._open_routes)

    def _caller(self, scope: Scope) -> Caller | None:
        dialect, headers = self._dialect_of(scope["path"]), Headers(scope=scope)
        text = dialect.token_of(headers) or bearer_token(headers)
        if text and text == dialect.anonymous_key:
            return self._tokens.named(ANONYMOUS, now_ms())
        token = text.encode("latin-1")  # as the bytes that they are
        if hmac.compare_digest(sha256(token), sha256(self._token)):
            return OPERATOR
        return self._tokens.find(token, now_ms())


def _name_of(host: str) -> str:
    """The name in a Host header, without the port; empty if it is not one."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
