"""A dialect: a way of asking that some clients speak already, as a list of routes and a wording of errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.routing import Route

from node.api.described import Operation, Schema
from node.api.errors import Wording


def bearer_token(headers: Headers) -> str:
    """The token of an `Authorization: Bearer`; empty for none."""
    # The scheme has no case, and any number of spaces may follow it (RFC 9110, 11.4).
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect.

    :ivar name: in a word.
    :ivar prefix: of its paths; the longest that fits a path decides how errors on it are worded.
    :ivar error: schema of its errors.
    :ivar operations: what is said of each route, by method and path.
    :ivar routes: that ask for a token.
    :ivar open_routes: that do not.
    :ivar token_of: how its clients send their token; a bearer token is understood beside it.
    :ivar anonymous_key: stands for the token that the operator has named `anonymous`, if there is one.
    :ivar run: tasks of its own, until cancelled.
    """

    name: str
    prefix: str
    wording: Wording
    error: Schema
    operations: Mapping[str, Operation]
    routes: tuple[Route, ...]
    open_routes: tuple[Route, ...] = ()
    token_of: Callable[[Headers], str] = bearer_token
    anonymous_key: str = ""
    run: Callable[[], Awaitable[None]] | None = None
