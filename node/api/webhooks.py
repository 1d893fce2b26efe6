"""Calls of URLs that apps name (webhooks): of hosts that the operator listed, and of nobody else.

Is: the form of such a URL, one question for its host's addresses, and one POST to one of these: over https,
to a public address, without a redirect, in five seconds. Bounded.
Is not: what is told (the dialects), or a second try; whoever misses a call asks for the status.

An app that may name any URL makes the node knock at doors that are closed to the app: those of its own
machine and network, or of a cloud's metadata (server-side request forgery, CWE-918). So the address is
looked at that is called, and a name is not asked for again (CWE-367).
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import httpx2
import structlog
import trio

from node.coordinator.requests import BadRequest
from protocol.errors import LocalError

URL_CHARACTERS_MAX: Final = 2_048
HOSTS_MAX: Final = 64
"""Hosts on the operator's list."""
HTTPS_PORT: Final = 443
PORT_MAX: Final = 65_535
CALL_S_MAX: Final = 5.0
"""For the addresses of a host, and for a call: connection, handshake, request and status."""
CALLS: Final = 4
"""Calls under way at a time; one of each token, so that a host that never answers delays its app alone."""
WAITING_MAX: Final = 256
"""Calls that wait or are under way, of all tokens."""
WAITING_OF_TOKEN_MAX: Final = 16
"""Likewise of one."""
_HOST: Final = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_LISTED: Final = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?", re.ASCII)
# Nothing that parsers read differently: no name or password, backslash, white space, fragment, other script.
_URL: Final = re.compile(
    rf"https://({_HOST})(?::([0-9]{{1,5}}))?(/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?", re.ASCII | re.IGNORECASE
)
_LOOKUPS: Final = trio.CapacityLimiter(CALLS)
"""Threads that ask for addresses: of their own, since one that is given up goes on until its answer comes.
One of each token.
"""
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_TUNNELS: Final = tuple(map(ipaddress.IPv6Network, ("2001::/32", "2002::/16")))
"""IPv6 addresses with an IPv4 address in them, Teredo's and 6to4's (RFC 4380, RFC 3056). All others with one,
mapped and translated (RFC 4291, RFC 6052), are no global unicast.
"""
_NO_INTERNET: Final = ipaddress.IPv4Network("192.0.0.0/24")
"""IETF protocol assignments (RFC 6890), of which some versions of Python know the first eight only."""
log = structlog.get_logger()

Lookup: TypeAlias = Callable[[str, int], list[str]]
"""Addresses of a host with a port; it runs in a thread. Raises OSError: there are none."""


class BadHookHost(LocalError):
    """A host in the settings is not of the form, or one too many. :ivar text: it."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"--webhook-host {text!a}: {reason}")
        self.text = text


@dataclass(frozen=True, slots=True)
class Hook:
    """A URL that will be called.

    :ivar host: lower-case, as TLS and the server are told. :ivar target: path and query.
    :ivar address: IP address that the host had; it is called, whatever the name leads to later.
    """

    host: str
    port: int
    target: str
    address: str


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """Since the start, but `waiting`.

    :ivar waiting: calls that wait or are under way.
    :ivar called: that were answered with a status of 200 to 299. :ivar failed: others.
    :ivar refused: URLs that may not be called. :ivar dropped: calls beyond a bound, or with nothing to tell
        any more when their turn came.
    """

    waiting: int
    called: int
    failed: int
    refused: int
    dropped: int


def parse_hosts(texts: Iterable[str]) -> frozenset[tuple[str, int]]:
    """The operator's list: hosts with their ports. :raises BadHookHost: an entry is of another form."""
    hosts = set()
    for text in texts:
        match = _LISTED.fullmatch(text)
        port = int(match[2] or HTTPS_PORT) if match else 0
        if match is None or not 0 < port <= PORT_MAX:
            raise BadHookHost(text, "it is not HOST or HOST:PORT in lower case")
        hosts.add((match[1], port))
        if len(hosts) > HOSTS_MAX:
            raise BadHookHost(text, f"there are more than {HOSTS_MAX} hosts")
    return frozenset(hosts)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, for a single receiver."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        in_tunnel = any(ip in network for network in _TUNNELS)
        return ip in _GLOBAL_UNICAST and not in_tunnel and ip.is_global
    return ip.is_global and not ip.is_multicast and ip not in _NO_INTERNET


def addresses_of(host: str, port: int) -> list[str]:
    """IP addresses of a host, by the machine's resolver. :raises OSError: it has none."""
    return [str(item[4][0]) for item in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)]


class _Place:
    """A token's place in `_LOOKUPS`. trio gives it back when the thread has returned, also one given up."""

    def __init__(self, looking: set[str], token_id: str) -> None:
        self._looking = looking
        self._token_id = token_id

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        self._looking.add(self._token_id)
        try:
            await _LOOKUPS.acquire_on_behalf_of(borrower)
        except BaseException:
            self._looking.discard(self._token_id)
            raise

    def release_on_behalf_of(self, borrower: object) -> None:
        self._looking.discard(self._token_id)
        _LOOKUPS.release_on_behalf_of(borrower)


class Webhooks:
    """The calls of one node."""

    def __init__(
        self,
        hosts: frozenset[tuple[str, int]] = frozenset(),
        lookup: Lookup = addresses_of,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """:param hosts: that may be called, with their ports.

        :param tls: whose certificates are believed; default: the machine's.
        """
        self._hosts = hosts
        self._lookup = lookup
        self._tls = tls
        self._calls = trio.CapacityLimiter(CALLS)
        self._waiting: Counter[str] = Counter()
        self._turns: dict[str, trio.Lock] = {}  # of tokens with calls that wait
        self._looking: set[str] = set()  # tokens with a lookup
        self._called = self._failed = self._refused = self._dropped = 0

    async def find(self, field: str, url: str, token_id: str) -> Hook:
        """The hook of a URL; its host is asked for here, and never again.

        :param token_id: whose it is; each has one lookup at a time.
        :raises BadRequest: it may not be called; names the field and the reason.
        """
        try:
            return await self._find(url, token_id)
        except ValueError as error:
            self._refused += 1
            raise BadRequest(field, f"{field}: {error}") from error

    async def tell(self, hook: Hook, make: Callable[[], Mapping[str, Any] | None], token_id: str) -> bool:
        """POST a document as JSON, once there is room. Never raises for what the host does.

        :param make: makes the document when its turn has come, so that what waits holds none; None: there
            is nothing to tell any more.
        :returns: whether it was taken.
        """
        if self._waiting.total() >= WAITING_MAX or self._waiting[token_id] >= WAITING_OF_TOKEN_MAX:
            self._dropped += 1
            return False
        self._waiting[token_id] += 1
        try:
            async with self._turns.setdefault(token_id, trio.Lock()), self._calls:
                document = make()
                taken = document is not None and await self._call(hook, document)
        finally:
            self._waiting[token_id] -= 1
            if not self._waiting[token_id]:
                del self._waiting[token_id], self._turns[token_id]
        if document is None:
            self._dropped += 1
        elif taken:
            self._called += 1
        else:
            self._failed += 1
        return taken

    def status(self) -> WebhookStatus:
        """How it is; see `WebhookStatus`."""
        return WebhookStatus(self._waiting.total(), self._called, self._failed, self._refused, self._dropped)

    # Internals

    async def _find(self, url: str, token_id: str) -> Hook:
        """:raises ValueError: it may not be called; says why."""
        if not self._hosts:
            raise ValueError("this node calls no URLs; ask for the status instead")
        match = _URL.fullmatch(url) if len(url) <= URL_CHARACTERS_MAX else None
        if match is None:
            raise ValueError("it is not https://HOST/PATH, without a name, password or fragment")
        host, port = match[1].lower(), int(match[2] or HTTPS_PORT)
        if (host, port) not in self._hosts:
            raise ValueError(f"the node's operator has not listed {host}:{port}; ask for the status instead")
        addresses = await self._looked_up(host, port, token_id)
        if not addresses:
            raise ValueError(f"the host {host} has no address")
        if not all(map(is_public, addresses)):
            raise ValueError(f"the host {host} has an address that is not public")
        return Hook(host, port, match[3] or "/", addresses[0])

    async def _looked_up(self, host: str, port: int, token_id: str) -> list[str]:
        """:raises ValueError: there is no address, or none in time, or the token has a lookup."""
        if token_id in self._looking:
            raise ValueError("another request of this token looks for its host; ask again in some seconds")
        with trio.move_on_after(CALL_S_MAX):
            try:
                found: list[str] = await trio.to_thread.run_sync(
                    self._lookup,
                    host,
                    port,
                    limiter=_Place(self._looking, token_id),  # type: ignore[arg-type]  # trio takes what is like one
                    abandon_on_cancel=True,  # type: ignore[call-arg]  # its stubs are older
                )
            except (OSError, UnicodeError) as error:
                raise ValueError(f"the host {host} has no address") from error
            return found
        raise ValueError(f"the address of {host} did not come in {CALL_S_MAX:g} s; ask again")

    async def _call(self, hook: Hook, document: Mapping[str, Any]) -> bool:
        address = f"[{hook.address}]" if ":" in hook.address else hook.address
        host = hook.host if hook.port == HTTPS_PORT else f"{hook.host}:{hook.port}"
        headers = {"Host": host, "Content-Type": "application/json", "User-Agent": "cuckoo-coordinator"}
        status = 0
        with trio.move_on_after(CALL_S_MAX) as limit:
            try:
                # Neither redirects nor a proxy of the environment, which would resolve the name by itself.
                async with (
                    httpx2.AsyncClient(
                        verify=self._trusted(), trust_env=False, follow_redirects=False, timeout=CALL_S_MAX
                    ) as http,
                    http.stream(
                        "POST",
                        f"https://{address}:{hook.port}{hook.target}",
                        content=json.dumps(document).encode(),
                        headers=headers,
                        extensions={"sni_hostname": hook.host},
                    ) as response,
                ):
                    status = response.status_code  # what else it says is not read
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
                log.info("a webhook was not reached", host=hook.host, error=type(error).__name__)
                return False
        # Not the URL: what is behind the host may be a secret of the app's.
        if limit.cancelled_caught or not httpx2.codes.is_success(status):
            log.info("a webhook did not take its call", host=hook.host, status=status)
            return False
        return True

    def _trusted(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
