"""How web3 reaches a chain's RPC on trio.

Is: a provider for `AsyncWeb3` over httpx2, whose anyio back end runs under trio: one HTTP request a call,
with a limit on its time and its size, and typed errors.
Is not: web3's own `AsyncHTTPProvider`: it stands on aiohttp, which needs asyncio.

An RPC's refusal is raised here, as `RpcError` with its revert data, and does not go through web3's reading of
errors. That one gives up the error's code, ends in ``KeyError`` for a panic that it has no text for, and
takes one error of a contract as a request to ask some web server (EIP-3668).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import trio

from contracts.errors import AnswerTooLarge, BadChainAnswer, ChainUnreachable, RpcError
from contracts.libraries import AsyncJSONBaseProvider, DecodingError, RPCEndpoint, RPCResponse, Web3Exception

TIMEOUT_S: Final = 15.0
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""An RPC that sends more is broken or hostile. Pages of logs have a lower bound: see `contract`."""
_REASON_CHARACTERS_MAX: Final = 200
"""web3 repeats an answer in its errors, which may be as long as an answer may be."""
_GATEWAY_FAILED: Final = frozenset({429, 502, 503, 504})
"""HTTP's too many requests, and the gateway's word that what is behind it does not answer."""
_INTERNAL_ERROR: Final = -32603
_TOO_MANY: Final = re.compile(
    r"rate.?limit|too many (requests|connections)|request (rate|count|limit)"
    r"|(compute|throughput|call) (units|limit)"
)
"""How RPCs say it in words, with a code of their own or none. A limit of logs or blocks reads differently."""
_UNREADABLE: Final = (
    Web3Exception,
    DecodingError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


class TrioProvider(AsyncJSONBaseProvider):
    """One endpoint of one chain. Safe to use from any number of tasks.

    :ivar endpoint: host and port, for logs: the rest of an RPC's address is often a secret.
    """

    global_ccip_read_enabled = False
    """A contract does not tell us which web server to ask."""

    def __init__(self, http: httpx2.AsyncClient, endpoint: str, timeout_s: float) -> None:
        """:param timeout_s: for one request with its answer."""
        super().__init__()
        self.endpoint = urlsplit(endpoint).netloc.rpartition("@")[2]
        self._http = http
        self._url = endpoint
        self._timeout_s = timeout_s

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Ask, and return the answer's JSON; what web3 calls.

        :raises ChainUnreachable: no answer in time, or the word that there is none to be had now.
        :raises AnswerTooLarge: more than `ANSWER_BYTES_MAX`.
        :raises BadChainAnswer: no answer to this request.
        :raises RpcError: the RPC refused.
        """
        return await self.ask(method, params, ANSWER_BYTES_MAX)

    async def ask(
        self, method: RPCEndpoint, params: Any, bytes_max: int, timeout_s: float | None = None
    ) -> RPCResponse:
        """`make_request` with another bound: the longer an answer, the longer its JSON holds up all tasks.

        :param timeout_s: for this request; ``None`` for the provider's.
        """
        request = self.form_request(method, params)
        body = self.encode_rpc_dict(request)
        status, received = await self._post(method, body, bytes_max, timeout_s or self._timeout_s)
        if status in _GATEWAY_FAILED:
            raise ChainUnreachable(self.endpoint, f"HTTP {status}")
        try:
            answer = self.decode_rpc_response(received)
        except (ValueError, RecursionError) as error:
            # A gateway in front of a node that is down answers in HTML.
            if status >= httpx2.codes.BAD_REQUEST:
                raise ChainUnreachable(self.endpoint, f"HTTP {status}") from error
            raise BadChainAnswer(method, "not JSON") from error
        if not isinstance(answer, dict) or answer.get("id") != request["id"]:
            raise BadChainAnswer(method, "not an answer to this request")
        if (refusal := answer.get("error")) is not None:
            refused = _rpc_error(method, refusal)
            if isinstance(refused, RpcError) and _is_no_answer(refused, status):
                reason = f"HTTP {status}: {refused.rpc_message}"[:_REASON_CHARACTERS_MAX]
                raise ChainUnreachable(self.endpoint, reason)
            raise refused
        return answer

    async def _post(self, method: str, body: bytes, bytes_max: int, timeout_s: float) -> tuple[int, bytes]:
        """HTTP status and body of the answer."""
        headers = {"content-type": "application/json"}
        try:
            with trio.fail_after(timeout_s):
                async with self._http.stream("POST", self._url, content=body, headers=headers) as response:
                    received = bytearray()
                    async with aclosing(response.aiter_bytes()) as pieces:
                        async for piece in pieces:
                            received += piece
                            if len(received) > bytes_max:
                                raise AnswerTooLarge(method, bytes_max)
        except trio.TooSlowError as error:
            raise ChainUnreachable(self.endpoint, f"no answer in {timeout_s:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ChainUnreachable(self.endpoint, reason) from error
        return response.status_code, bytes(received)


@contextmanager
def reading(method: str) -> Iterator[None]:
    """Any error of web3 about an answer that it cannot read becomes a `BadChainAnswer`.

    web3 has no one error for it: besides its own it lets through what its formatters meet. Nothing but a call
    of web3 with arguments that are known to be good belongs inside.
    """
    try:
        yield
    except _UNREADABLE as error:
        reason = f"{type(error).__name__}: {error}"[:_REASON_CHARACTERS_MAX]
        raise BadChainAnswer(method, reason) from error


def _rpc_error(method: str, refusal: Any) -> RpcError | BadChainAnswer:
    if not isinstance(refusal, dict):
        return BadChainAnswer(method, "an error that is not an object")
    code, message, data = refusal.get("code"), refusal.get("message"), refusal.get("data")
    # Some RPCs put the revert data one level deeper.
    if isinstance(data, dict):
        data = data.get("data")
    return RpcError(method, code if isinstance(code, int) else 0, str(message), _revert_data(data))


def _is_no_answer(error: RpcError, status: int) -> bool:
    """Whether an RPC says that it cannot answer anybody now, and not that it does not take this request."""
    if error.data is not None:
        return False
    is_internal = status >= httpx2.codes.INTERNAL_SERVER_ERROR and error.code in {0, _INTERNAL_ERROR}
    is_too_many = error.code == httpx2.codes.TOO_MANY_REQUESTS or _TOO_MANY.search(error.rpc_message.lower())
    return is_internal or bool(is_too_many)


def quantity(method: str, text: Any, maximum: int) -> int:
    """A number in an answer that web3 does not read for us: hexadecimal text, from zero to `maximum`.

    :raises BadChainAnswer: it is something else.
    """
    with reading(method):
        found = int(text, 16)
        if text[:2] != "0x" or not 0 <= found <= maximum:
            raise BadChainAnswer(method, "not a number")
        return found


def _revert_data(data: Any) -> bytes | None:
    if not isinstance(data, str) or data[:2] != "0x":
        return None
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return None
