"""The portal's application: its routes behind the frontier, and how errors are told.

Is: the route table and HTTP. What stands here is open to everybody, and changes nothing; what a session shows
and does stands in `own`.
Is not: what is told (`reading`, `planning`, `pulse`).
"""

from __future__ import annotations

import re
from typing import Any, Final

import structlog
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contracts.records import Role
from node.peer.peer import Peer
from node.portal.bodies import require_json
from node.portal.errors import PortalRefusal, answer, refusal_of
from node.portal.files import Files
from node.portal.frontier import Frontier
from node.portal.ledger import Ledger
from node.portal.own import Own
from node.portal.planning import Planning
from node.portal.pulse import Pulse
from node.portal.questions import Questions
from node.portal.reading import Reading
from node.portal.streams import NO_STORE, EventStream
from node.portal.tasks import Tasks
from node.portal.wishes import parse_address, parse_wish
from node.settings import RoleName
from protocol.errors import CuckooError
from protocol.rules import evidence, results, tasks, verdicts

OFFSET_MAX: Final = 1 << 20
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_EPOCH: Final = re.compile(r"[0-9]{1,20}")
_OFFSET: Final = re.compile(r"[0-9]{1,7}")

log = structlog.get_logger()


class Portal:
    """One node's.

    :ivar frontier: the ASGI application.
    :ivar pulse: what it hears.
    :ivar own: what a session shows.
    """

    def __init__(self, peer: Peer, role: RoleName, portal_url: str = "") -> None:
        """Registers what is seen of it with the peer's context, and listens to the peer's gossip."""
        self._peer = peer
        self.pulse = Pulse(peer.key.address)
        self._questions = Questions()
        self._ledger = Ledger(peer.clients.positions())
        self._reading = Reading(peer, role, self._questions, self.pulse, self._ledger, portal_url)
        self._planning = Planning(peer, self._questions, self._reading)
        self._tasks = Tasks(peer, self._questions)
        self.own = Own(peer, role)
        self.frontier = Frontier(Starlette(routes=self._routes(), exception_handlers=HANDLERS), portal_url)
        observable = peer.context.observable
        observable.register("portal", lambda: self.frontier.counts)
        observable.register("portal_sessions", self.own.sessions.status)
        observable.register("portal_questions", lambda: self._questions.counts)
        observable.register("portal_feed", lambda: self.pulse.counts)
        observable.register("portal_positions", self._ledger.status)
        peer.listen(tasks.TOPIC, self.pulse.hear_task)
        peer.listen(results.TOPIC, self.pulse.hear_result)
        peer.listen(verdicts.TOPIC, self.pulse.hear_verdict)
        peer.listen(evidence.TOPIC, self.pulse.hear_evidence)

    async def run(self) -> None:
        """Hear and read, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.pulse.follow_bus, self._peer.context.events)
            nursery.start_soon(self._ledger.run)

    def _routes(self) -> list[Route]:
        files = Files()
        return [
            *[Route(path, files.serve) for path in files.files],
            Route("/api/network", self._network),
            Route("/api/overview", self._overview),
            Route("/api/nodes", self._nodes),
            Route("/api/nodes/{address}", self._node),
            Route("/api/accounts/{address}", self._account),
            Route("/api/transactions/{hash}", self._transaction),
            Route("/api/tasks/{hash}", self._task),
            Route("/api/epochs/{number}", self._epoch),
            Route("/api/events", self._events),
            Route("/api/plan", self._plan, methods=["POST"]),
            *self.own.routes(),
        ]

    async def _network(self, request: Request) -> Response:
        del request
        return _json(await self._reading.network())

    async def _overview(self, request: Request) -> Response:
        del request
        return _json(await self._reading.overview())

    async def _nodes(self, request: Request) -> Response:
        try:
            role = Role[request.query_params.get("role", "miner").upper()]
        except KeyError as error:
            raise PortalRefusal("bad_query") from error
        return _json(await self._reading.nodes(role, _offset(request)))

    async def _node(self, request: Request) -> Response:
        return _json(await self._reading.node(parse_address(request.path_params["address"], "bad_node")))

    async def _account(self, request: Request) -> Response:
        account = parse_address(request.path_params["address"], "bad_account")
        return _json(await self._reading.account(account, _offset(request)))

    async def _transaction(self, request: Request) -> Response:
        return _json(await self._reading.transaction(_hash(request, "bad_transaction")))

    async def _task(self, request: Request) -> Response:
        await trio.lowlevel.checkpoint()
        return _json(self._tasks.task(_hash(request, "unknown_task")))

    async def _epoch(self, request: Request) -> Response:
        text = request.path_params["number"]
        if not _EPOCH.fullmatch(text):
            raise PortalRefusal("unknown_epoch")
        body = await self._tasks.epoch(int(text))
        return Response(body, media_type="application/json", headers=NO_STORE)

    async def _plan(self, request: Request) -> Response:
        require_json(request)
        return _json(await self._planning.plan(parse_wish(await request.body())))

    async def _events(self, request: Request) -> Response:
        del request
        return EventStream(self.pulse)


def _json(document: Any) -> Response:
    return JSONResponse(document, headers=NO_STORE)


def _hash(request: Request, code: str) -> bytes:
    """The 32 bytes that a path names. :raises PortalRefusal: of that code; it is no hash."""
    text = request.path_params["hash"]
    if not _HASH.fullmatch(text):
        raise PortalRefusal(code)
    return bytes.fromhex(text[2:])


def _offset(request: Request) -> int:
    text = request.query_params.get("offset", "0")
    if not _OFFSET.fullmatch(text) or int(text) > OFFSET_MAX:
        raise PortalRefusal("bad_query")
    return int(text)


async def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, CuckooError)
    return answer(refusal_of(error))


async def _not_found(request: Request, error: Exception) -> Response:
    del request, error
    return answer(PortalRefusal("not_found"))


async def _wrong_method(request: Request, error: Exception) -> Response:
    del request, error
    return answer(PortalRefusal("method"))


async def _our_fault(request: Request, error: Exception) -> Response:
    log.error("a request of the portal failed by our fault", path=request.url.path, exc_info=error)
    return answer(PortalRefusal("our_fault"))


HANDLERS: Final[Any] = {CuckooError: _refused, 404: _not_found, 405: _wrong_method, 500: _our_fault}
