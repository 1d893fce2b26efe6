"""The application: dialects behind the gate, and the few open routes.

Is: the route table and the layers around it, outermost first: `envelope`, `gate.Frontier`, CORS for origins
that the operator allows, `gate.TokenGate`. Is not: a dialect.
"""

from __future__ import annotations

import structlog
import trio
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from node.api import errors, openapi, picture_threads
from node.api.a1111.dialect import a1111_dialect
from node.api.cuckoo.dialect import cuckoo_dialect
from node.api.dialect import Dialect
from node.api.envelope import Envelope
from node.api.errors import ApiError, Wording, respond
from node.api.explaining import ExplainAct, ExplainTask
from node.api.gate import Frontier, TokenGate
from node.api.histories import Histories
from node.api.home import Home
from node.api.horde.dialect import horde_dialect
from node.api.json_answers import json_response
from node.api.mcp.dialect import mcp_dialect
from node.api.openai.dialect import openai_dialect
from node.api.services import ApiOptions, Services
from node.api.serving import Serving
from node.api.tokens.acts import TokenActs
from node.api.tokens.desk import Desk
from node.api.tokens.store import TokenStore
from node.api.webhooks import Webhooks
from node.coordinator.catalogue import Catalogue
from node.coordinator.coordinator import Coordinator
from node.system.context import NodeContext
from node.system.health_page import probe_answers
from protocol.errors import Refusal

PROBES = ("/healthz", "/readyz")
PREFLIGHT_S = 600
"""How long a browser may remember that an origin is allowed."""
EXPOSED = (
    "retry-after",
    "retry-after-ms",
    "x-cuckoo-alias",
    "x-cuckoo-ignored",
    "x-cuckoo-prompt-cut",
    "x-request-id",
    "x-should-retry",
)
"""Headers of answers that a page of an allowed origin may read."""
log = structlog.get_logger()


class Api:
    """The API around one coordinator. :ivar dialects: what it speaks."""

    def __init__(
        self,
        coordinator: Coordinator,
        catalogue: Catalogue,
        context: NodeContext,
        tokens: TokenStore,
        options: ApiOptions | None = None,
    ) -> None:
        """:param context: what is seen of the node; shows how many links are out.

        :param tokens: all but the operator's.
        """
        desk = Desk(tokens, catalogue, coordinator)
        serving = Serving(coordinator, desk)
        histories = Histories(coordinator)
        chosen = options or ApiOptions()
        webhooks = Webhooks(chosen.webhooks)
        self.services = Services(
            coordinator, catalogue, context, chosen, tokens, desk, serving, histories, webhooks=webhooks
        )
        self.dialects: tuple[Dialect, ...] = (
            openai_dialect(self.services),
            a1111_dialect(self.services),
            horde_dialect(self.services),
            mcp_dialect(self.services),
            cuckoo_dialect(self.services),
        )
        context.observable.register("picture_links", self.services.links.status)
        context.observable.register("picture_threads", picture_threads.status)
        context.observable.register("tokens", tokens.status)
        context.observable.register("queue", serving.queue.status)
        context.observable.register("currency", chosen.currency.status)
        context.observable.register("webhooks", webhooks.status)

    async def run(self) -> None:
        """Keep the books of tokens, hear commands about them, and run the dialects, until cancelled."""
        services, control = self.services, self.services.context.control
        TokenActs(services.tokens).register(control)
        control.register("explain", ExplainTask, ExplainAct(services.histories).explain)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(services.serving.queue.run)
            nursery.start_soon(services.desk.run, services.context.events)
            nursery.start_soon(services.histories.run, services.context.events)
            for dialect in self.dialects:
                if dialect.run is not None:
                    nursery.start_soon(dialect.run)

    def open_routes(self) -> list[Route]:
        """Routes that need no token: all of them."""
        return [
            Route("/", Home(self.services).page),
            *[Route(path, self._probe) for path in PROBES],
            Route("/openapi.json", self._openapi),
            *[route for dialect in self.dialects for route in dialect.open_routes],
        ]

    def routes(self) -> list[Route]:
        """Routes that need a token."""
        return [route for dialect in self.dialects for route in dialect.routes]

    def application(self, token: str) -> ASGIApp:
        """The ASGI application, behind the gate. :param token: the operator's."""
        options, open_routes = self.services.options, self.open_routes()
        application: ASGIApp = Starlette(
            routes=[*open_routes, *self.routes()],
            exception_handlers={Refusal: _refused, 404: _not_found, 405: _not_found, 500: _our_fault},
        )
        application = TokenGate(application, token, self.services.tokens, open_routes, self._dialect_of)
        if options.origins:
            application = CORSMiddleware(
                application,
                allow_origins=options.origins,
                allow_methods=("GET", "POST", "DELETE"),
                allow_headers=("*",),
                expose_headers=EXPOSED,
                max_age=PREFLIGHT_S,
            )
        application = Frontier(application, options.public_url, options.origins)
        return Envelope(application, self._wording_of)

    def _dialect_of(self, path: str) -> Dialect:
        fits = [dialect for dialect in self.dialects if path.startswith(dialect.prefix)]
        return max(fits or self.dialects, key=lambda dialect: len(dialect.prefix))

    def _wording_of(self, path: str) -> Wording:
        return self._dialect_of(path).wording

    async def _openapi(self, request: Request) -> Response:
        """`GET /openapi.json`."""
        return json_response(openapi.document(self.dialects, self.services.base_url(request.scope)))

    async def _probe(self, request: Request) -> Response:
        """`GET /healthz`, `GET /readyz`: as the health page's."""
        status, document = probe_answers(self.services.context.readiness)[request.url.path]
        return json_response(document, status)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return respond(errors.of_refusal(refusal), request.scope)


async def _our_fault(request: Request, error: Exception) -> Response:
    log.error("a request failed by our fault", path=request.url.path, exc_info=error)
    return respond(errors.INTERNAL_ERROR, request.scope)


async def _not_found(request: Request, error: Exception) -> Response:
    del error
    reason = f"there is no {request.method} {request.url.path} here"
    return respond(ApiError(404, "not_found", reason), request.scope)
