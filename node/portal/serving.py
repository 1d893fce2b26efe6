"""Serves the portal: on this machine alone, unless it is said under which URL.

Is: where it listens, and for whom.
Is not: encryption; the proxy at `--portal-url` has the certificate.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog
import trio

from node.peer.peer import Peer
from node.portal.app import Portal
from node.portal.own import Own
from node.settings import StakedSettings
from node.system.web_server import serve_web
from protocol.errors import LocalError

NO_PORTAL: Final = -1
"""As the port."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OpenedPortal:
    """A portal that is served. :ivar url: of this machine. :ivar own: where a role puts what is its own."""

    url: str
    own: Own


@asynccontextmanager
async def open_portal(settings: StakedSettings, peer: Peer) -> AsyncIterator[OpenedPortal | None]:
    """The portal that the settings describe, until the context ends; ``None`` without one.

    :raises LocalError: it may not be shown there, or the port is taken.
    """
    if settings.portal_port == NO_PORTAL:
        yield None
        return
    require_allowed(settings.portal_host, settings.portal_url)
    portal = Portal(peer, settings.role, settings.portal_url)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(portal.run)
        host, port = settings.portal_host, settings.portal_port
        url = await nursery.start(serve_web, portal.frontier, host, port, "the portal")
        portal.own.register(settings.portal_url or url)
        log.info("portal", url=settings.portal_url or url)
        yield OpenedPortal(url, portal.own)
        nursery.cancel_scope.cancel()


def require_allowed(host: str, url: str) -> None:
    """Make sure that nobody else's machine is shown pages without encryption.

    :raises LocalError: `host` is no IP address, or not of this machine alone and there is no `url`; or
        `url` is not a plain ``https`` one.
    """
    parts = urlsplit(url)
    if url and (parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"} or parts.query):
        raise LocalError(f"--portal-url is {url!r}; it has to be like https://node.example, without a path")
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise LocalError(f"--portal-host is {host!r}, which is no IP address") from error
    if not address.is_loopback and not url:
        raise LocalError(
            f"--portal-host {host} shows the portal to other machines: say under which https URL with "
            "--portal-url, and put a proxy with a certificate before it"
        )
