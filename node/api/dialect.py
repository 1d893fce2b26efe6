"""A dialect: a way of asking that some clients speak already, as a list of routes and a wording of errors."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route

from node.api.errors import Wording


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect.

    :ivar prefix: of its paths; the longest that fits a path decides how errors on it are worded.
    :ivar routes: that ask for a token.
    :ivar open_routes: that do not.
    """

    prefix: str
    wording: Wording
    routes: tuple[Route, ...]
    open_routes: tuple[Route, ...] = ()
