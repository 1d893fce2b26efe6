"""Several RPC endpoints of one chain, of which the first that is well answers.

Is: `Endpoints`, a provider for web3 that passes over who does not answer, lags or serves another chain, and
the look at all of them now and then that lets them come back and holds their answers against each other.
Is not: a vote on every answer. What is read comes from one endpoint, and it can lie about all that is not
compared; compared are heads, a block behind them, and an epoch's seed (`rpc.Rpc.ask_each`).

A request that fails is asked again of the next endpoint, also one that sends a transaction: it is signed, so
that the same bytes arriving twice are the same transaction. So is a question that one refuses for no
contract's sake, or answers with what cannot be read: if another one answers it, the first has failed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import trio

from contracts.endpoint_health import EndpointHealth, EndpointsStatus, lags, majority
from contracts.errors import (
    AnswerTooLarge,
    BadChainAnswer,
    ChainError,
    ChainUnreachable,
    EndpointUnfit,
    RpcError,
    WrongChain,
)
from contracts.libraries import AsyncJSONBaseProvider, RPCEndpoint, RPCResponse
from contracts.provider import ANSWER_BYTES_MAX, TrioProvider, quantity
from protocol.errors import LocalError

ENDPOINTS_MAX: Final = 8
"""Endpoints of one chain: each is asked now and then."""
PATIENCE_S: Final = 0.9
"""So long is an endpoint waited for while there is another one to ask; the last one has all of its time.
Twice as long is less than a coordinator waits for the chain, so that the next one's answer is in time."""
PATIENCE_LONG_S: Final = 2.5
"""So long where nobody waits for the answer in a hurry: for logs, and in a look at all endpoints."""
LOOK_S: Final = 10.0
"""From one look at all endpoints to the next."""
SETTLED_BLOCKS: Final = 16
"""The block that is compared lies so far behind the lowest head: nearer ones may differ for a moment."""
_NUMBER_MAX: Final = 2**64 - 1
_LOOK_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest answer to a look; a block comes with the hashes of its transactions."""

_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


class BadEndpoint(LocalError):
    """Not URLs of RPC endpoints, or too many."""


@dataclass(frozen=True, slots=True, eq=False)
class _Endpoint:
    provider: TrioProvider
    health: EndpointHealth


_answered_by: ContextVar[_Endpoint | None] = ContextVar("answered_by", default=None)
"""Of the last request of this task; none if it failed."""
_avoided: ContextVar[frozenset[_Endpoint]] = ContextVar("avoided", default=frozenset())
"""Endpoints whose answer to the question that this task asks now could not be read."""


@dataclass(frozen=True, slots=True)
class _Look:
    """:ivar genesis: hash of block 0 as text; ``None`` where an endpoint does not keep it."""

    chain_id: int
    genesis: str | None
    head: int


def distinct_urls(urls: str | Sequence[str]) -> tuple[str, ...]:
    """The endpoints to use, in their order.

    :raises BadEndpoint: none, more than `ENDPOINTS_MAX`, or one that is no URL of the web.
    """
    found = tuple(dict.fromkeys((urls,) if isinstance(urls, str) else urls))
    if not 1 <= len(found) <= ENDPOINTS_MAX:
        message = f"{len(found)} RPC endpoints, where 1 to {ENDPOINTS_MAX} are allowed"
        raise BadEndpoint(message)
    for place, url in enumerate(found, 1):
        if not _is_web_url(url):
            # Not the text itself: whatever it is, it may hold somebody's key.
            message = f"RPC endpoint {place} is not an http:// or https:// URL"
            raise BadEndpoint(message)
    return found


class Endpoints(AsyncJSONBaseProvider):
    """All endpoints, as one provider. Safe to use from any number of tasks.

    :ivar chain_id: that all of them serve; as `open` has found it.
    :ivar disagreement: what two endpoints say differently, while no majority settles it; else ``None``.
    :ivar answered_at_s: when one answered a request last, by trio's clock; minus infinity before.
    """

    global_ccip_read_enabled = False
    """A contract does not tell us which web server to ask."""

    def __init__(self, providers: Sequence[TrioProvider], chain_id: int | None) -> None:
        """:param providers: in the order in which they are preferred.

        :param chain_id: that they must serve; ``None`` takes the first one's.
        """
        super().__init__()
        self._all = [
            _Endpoint(provider, EndpointHealth(_label(providers, place)))
            for place, provider in enumerate(providers)
        ]
        self._expected = chain_id
        self._genesis: str | None = None
        self._failovers = 0
        self.chain_id = 0
        self.disagreement: str | None = None
        self.answered_at_s = -math.inf

    @property
    def endpoint(self) -> str:
        """Host of the endpoint that is asked first now."""
        return self._in_order()[0].health.host

    @property
    def is_several(self) -> bool:
        """Whether there is more than one."""
        return len(self._all) > 1

    def well(self) -> list[tuple[int, str]]:
        """Place and host of those that are used now, in the order in which they are asked."""
        return [
            (place, endpoint.health.host)
            for place, endpoint in enumerate(self._all)
            if endpoint.health.passed_over is None
        ]

    def status(self) -> EndpointsStatus:
        """Now."""
        shown = tuple(endpoint.health.status() for endpoint in self._all)
        return EndpointsStatus(self.endpoint, self._failovers, self.disagreement, shown)

    async def open(self) -> None:
        """Look at all endpoints, and find out which chain it is.

        One alone that serves another chain is left out, with a warning.

        :raises WrongChain: all that answer serve another chain.
        :raises ChainError: none answers.
        """
        looks, faults = await self._look_at(self._all, first=True)
        if not looks:
            raise faults[0]
        served = {endpoint: look.chain_id for endpoint, look in looks.items()}
        self.chain_id = next(iter(served.values())) if self._expected is None else self._expected
        if self.chain_id not in served.values():
            raise WrongChain(self.chain_id, next(iter(served.values())))
        told = {
            endpoint: look.genesis
            for endpoint, look in looks.items()
            if look.genesis is not None and look.chain_id == self.chain_id
        }
        # Without a majority the operator's first choice is right.
        self._genesis = majority(told) or next(iter(told.values()), None)
        await self._judge(looks)

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Ask, and return the answer's JSON; what web3 calls. Raises as `TrioProvider.make_request` does."""
        return await self.ask(method, params, ANSWER_BYTES_MAX)

    async def ask(self, method: RPCEndpoint, params: Any, bytes_max: int) -> RPCResponse:
        """`make_request` with another bound; raises what the last endpoint has, if none answers."""
        _answered_by.set(None)
        order = [endpoint for endpoint in self._in_order() if endpoint not in _avoided.get()]
        fault: ChainError | None = None
        refused: dict[_Endpoint, ChainError] = {}
        for place, endpoint in enumerate(order):
            if refused and endpoint.health.passed_over is not None:
                break  # an answer is here, and none of those that rest is waited for to gainsay it
            patience_s = self._patience_s(method, endpoint, order[place + 1 :])
            try:
                answer = await self._ask_one(endpoint, method, params, bytes_max, patience_s)
            except (RpcError, AnswerTooLarge) as error:
                self._heard(endpoint)
                if not _is_of_no_use(error, method, params):
                    if isinstance(error, RpcError):
                        error.is_second_hand = fault is not None
                    raise
                refused[endpoint] = error
                continue
            except (ChainUnreachable, BadChainAnswer, WrongChain, EndpointUnfit) as error:
                self._pass_over(endpoint, error)
                fault = error
                continue
            self._heard(endpoint)
            self._all_failed(refused)
            self._failovers += endpoint is not order[0]
            _answered_by.set(endpoint)
            return answer
        raise next(iter(refused.values()), fault or EndpointUnfit("none is left to ask"))

    async def readable(self, question: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Ask a question; of the next endpoint again if the answer to a request in it cannot be read.

        :param question: makes requests, and raises `BadChainAnswer` if it cannot read what they return.
        :raises BadChainAnswer: nobody's answer can be read.
        """
        before = _avoided.get()
        unread: dict[_Endpoint, ChainError] = {}
        while True:
            token = _avoided.set(before | frozenset(unread))
            _answered_by.set(None)
            try:
                found = await question()
            except ChainError as error:
                endpoint = _answered_by.get()
                if isinstance(error, BadChainAnswer) and endpoint is not None:
                    unread[endpoint] = error
                    if any(other not in before and other not in unread for other in self._well()):
                        continue
                first = next(iter(unread.values()), error)
                if first is error:
                    raise
                raise first from error
            finally:
                _avoided.reset(token)
            self._all_failed(unread)
            return found

    def outvoted(self, hosts: Collection[str], reason: str) -> None:
        """Pass over endpoints that most others contradict. :param hosts: as in `well`."""
        for endpoint in self._all:
            if endpoint.health.host in hosts:
                self._pass_over(endpoint, EndpointUnfit(reason))

    async def look(self) -> None:
        """Look at all endpoints but those that rest, once, and at what they agree on."""
        now_s = trio.current_time()
        due = [
            endpoint
            for endpoint in self._all
            if endpoint.health.passed_over is None or now_s >= endpoint.health.rest_until_s
        ]
        looks, _ = await self._look_at(due)
        await self._judge(looks)

    async def run(self) -> None:
        """Look now and then until cancelled. One endpoint alone shows how it is by what it is asked."""
        while self.is_several:
            await trio.sleep(LOOK_S)
            await self.look()

    # Internals

    def _in_order(self) -> list[_Endpoint]:
        """All endpoints: those that are well, then those that rest, by when their rest ends."""
        return sorted(
            self._all,
            key=lambda one: (
                one.health.passed_over is not None,
                one.health.rest_until_s if one.health.passed_over is not None else 0.0,
            ),
        )

    def _patience_s(self, method: str, endpoint: _Endpoint, later: Sequence[_Endpoint]) -> float:
        """How long to wait for one that is asked before some others; without end for the last of any use."""
        now_s = trio.current_time()
        is_last_well = endpoint.health.passed_over is None and not any(
            other.health.passed_over is None or now_s >= other.health.rest_until_s for other in later
        )
        if not later or is_last_well:
            return math.inf
        return PATIENCE_LONG_S if method == "eth_getLogs" else PATIENCE_S

    async def _ask_one(
        self, endpoint: _Endpoint, method: RPCEndpoint, params: Any, bytes_max: int, patience_s: float
    ) -> RPCResponse:
        """Ask one, after the check that it needs when it has failed before; one time limit for both."""
        with trio.move_on_after(patience_s):
            if not endpoint.health.is_checked:
                await self._check(endpoint)
            return await endpoint.provider.ask(method, params, bytes_max)
        raise ChainUnreachable(endpoint.provider.endpoint, f"no answer in {patience_s:g} s")

    def _heard(self, endpoint: _Endpoint) -> None:
        """It has answered; when all were passed over, it is used again at once."""
        endpoint.health.served()
        self.answered_at_s = trio.current_time()
        if not self._well() and endpoint.health.came_back(self.answered_at_s) and self.is_several:
            _log.info("RPC endpoint %s is used again", endpoint.health.host)

    def _all_failed(self, faults: Mapping[_Endpoint, ChainError]) -> None:
        """Another one has answered what these did not."""
        for endpoint, error in faults.items():
            self._pass_over(endpoint, error)

    def _well(self) -> list[_Endpoint]:
        return [endpoint for endpoint in self._all if endpoint.health.passed_over is None]

    def _pass_over(self, endpoint: _Endpoint, error: ChainError) -> None:
        if endpoint.health.failed(error, trio.current_time()) and self.is_several:
            _log.warning("RPC endpoint %s is passed over: %s", endpoint.health.host, error)

    async def _check(self, endpoint: _Endpoint) -> None:
        """Make sure that an endpoint that has failed serves the right chain before it is asked again."""
        chain_id = await self._chain_id(endpoint, None)
        genesis = await self._block(endpoint, 0, None) if self.is_several else None
        self._hold_to_chain(chain_id, genesis)
        endpoint.health.checked()

    def _hold_to_chain(self, chain_id: int, genesis: str | None) -> None:
        if chain_id != self.chain_id:
            raise WrongChain(self.chain_id, chain_id)
        if None not in {genesis, self._genesis} and genesis != self._genesis:
            message = f"its chain {chain_id} begins with another block than that of the others"
            raise EndpointUnfit(message)

    async def _look_at(
        self, endpoints: Sequence[_Endpoint], *, first: bool = False
    ) -> tuple[dict[_Endpoint, _Look], list[ChainError]]:
        """Look at some endpoints side by side: what they said, in their order, and the others' faults."""
        found: dict[_Endpoint, _Look] = {}
        faults: list[ChainError] = []
        timeout_s = PATIENCE_LONG_S if self.is_several else None

        async def look(endpoint: _Endpoint) -> None:
            try:
                chain_id = await self._chain_id(endpoint, timeout_s)
                head, genesis = 0, None
                if self.is_several:
                    head = quantity(
                        "eth_blockNumber",
                        await self._result(endpoint, "eth_blockNumber", [], timeout_s),
                        _NUMBER_MAX,
                    )
                    is_known = endpoint.health.is_checked and not first
                    genesis = None if is_known else await self._block(endpoint, 0, timeout_s)
                found[endpoint] = _Look(chain_id, genesis, head)
            except ChainError as error:
                self._pass_over(endpoint, error)
                faults.append(error)

        async with trio.open_nursery() as nursery:
            for endpoint in endpoints:
                nursery.start_soon(look, endpoint)
        return {endpoint: found[endpoint] for endpoint in endpoints if endpoint in found}, faults

    async def _judge(self, looks: dict[_Endpoint, _Look]) -> None:
        """Pass over those of another chain, that lag or that a majority contradicts; the others are well."""
        fit: dict[_Endpoint, int] = {}
        before = {endpoint: endpoint.health.head for endpoint in looks}
        for endpoint, look in looks.items():
            endpoint.health.head = look.head
            try:
                self._hold_to_chain(look.chain_id, look.genesis)
            except ChainError as error:
                self._pass_over(endpoint, error)
            else:
                endpoint.health.checked()
                fit[endpoint] = look.head
        for endpoint, blocks in lags(fit, before).items():
            self._pass_over(endpoint, EndpointUnfit(f"it is {blocks} blocks behind the others"))
            del fit[endpoint]
        if self.is_several:
            await self._compare(fit)
        for endpoint in fit:
            if endpoint.health.came_back(trio.current_time()):
                _log.info("RPC endpoint %s is used again", endpoint.health.host)

    async def _compare(self, fit: dict[_Endpoint, int]) -> None:
        """Hold the endpoints' blocks against each other, at a height that all have had for a while."""
        number = min(fit.values(), default=0) - SETTLED_BLOCKS
        if len(fit) < 2 or number < 0:  # noqa: PLR2004 - nobody to compare with
            return
        said: dict[_Endpoint, str] = {}
        for endpoint in list(fit):
            try:
                block = await self._block(endpoint, number, PATIENCE_LONG_S)
            except ChainError as error:
                self._pass_over(endpoint, error)
                del fit[endpoint]
            else:
                if block is not None:
                    said[endpoint] = block
        agreed = majority(said)
        if agreed is None and said:
            told = ", ".join(f"{one.health.host} says {block[:18]}" for one, block in said.items())
            self._note_disagreement(f"the chain's RPCs disagree about block {number}: {told}")
            return
        for endpoint, block in said.items():
            if block != agreed:
                self._pass_over(endpoint, EndpointUnfit(f"it has another block {number} than most others"))
                fit.pop(endpoint, None)
        if len(fit) > 1:
            self._note_disagreement(None)

    def _note_disagreement(self, text: str | None) -> None:
        if text is not None and self.disagreement is None:
            _log.warning("%s", text)
        self.disagreement = text

    async def _chain_id(self, endpoint: _Endpoint, timeout_s: float | None) -> int:
        found = await self._result(endpoint, "eth_chainId", [], timeout_s)
        return quantity("eth_chainId", found, _NUMBER_MAX)

    async def _block(self, endpoint: _Endpoint, number: int, timeout_s: float | None) -> str | None:
        """Hash of a block as text; ``None`` if the endpoint has it not, or no more."""
        method = "eth_getBlockByNumber"
        found = await self._result(endpoint, method, [hex(number), False], timeout_s)
        if found is None:
            return None
        if not isinstance(found, dict) or not isinstance(found.get("hash"), str):
            raise BadChainAnswer(method, "a block without a hash")
        return str(found["hash"]).lower()

    async def _result(
        self, endpoint: _Endpoint, method: str, params: list[Any], timeout_s: float | None
    ) -> Any:
        answer = await endpoint.provider.ask(RPCEndpoint(method), params, _LOOK_BYTES_MAX, timeout_s)
        return answer.get("result")


def _is_of_no_use(error: RpcError | AnswerTooLarge, method: str, params: Any) -> bool:
    """Whether an endpoint's refusal is a reason to ask the next one.

    Not a contract's, which is an answer; nor one of a transaction, which is given to one endpoint that speaks
    (`transactions` finds out what it means). Nor what is asked in another way next: for fewer blocks of logs,
    or of the newest block in place of the one to come.
    """
    if isinstance(error, RpcError) and error.data is not None:
        return False
    if method == "eth_getLogs":
        return bool(params[0].get("fromBlock") == params[0].get("toBlock"))
    return method != "eth_sendRawTransaction" and "pending" not in params


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        return False


def _label(providers: Sequence[TrioProvider], place: int) -> str:
    """Host and port, numbered where several endpoints share them."""
    host = providers[place].endpoint
    before = [provider.endpoint for provider in providers[:place]].count(host)
    return host if before == 0 else f"{host} ({before + 1})"
