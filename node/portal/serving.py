"""Serves the portal, on trio, with anycorn: on this machine alone, unless it is said under which URL.

Is: where it listens, and for whom.
Is not: encryption; the proxy at `--portal-url` has the certificate.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import structlog
import trio
from anycorn import Config, serve
from starlette.types import ASGIApp

from node.peer.peer import Peer
from node.portal.app import Portal
from node.settings import StakedSettings
from protocol.errors import LocalError, leaves

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

NO_PORTAL: Final = -1
"""As the port."""
KEEP_ALIVE_S: Final = 30
GRACE_S: Final = 1
"""How long answers under way may take when the node stops."""

log = structlog.get_logger()


@asynccontextmanager
async def open_portal(settings: StakedSettings, peer: Peer) -> AsyncIterator[str | None]:
    """The portal that the settings describe, until the context ends; its URL, or ``None`` without one.

    :raises LocalError: it may not be shown there, or the port is taken.
    """
    if settings.portal_port == NO_PORTAL:
        yield None
        return
    require_allowed(settings.portal_host, settings.portal_url)
    portal = Portal(peer, settings.role, settings.portal_url)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(portal.run)
        url = await nursery.start(serve_portal, portal.frontier, settings.portal_host, settings.portal_port)
        log.info("portal", url=settings.portal_url or url)
        yield url
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


async def serve_portal(
    application: ASGIApp, host: str, port: int, *, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled; starts with the URL.

    :param port: TCP port; 0 takes any that is free.
    :raises LocalError: the port is taken.
    """
    config = Config()
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    config.accesslog = None
    config.errorlog = None
    config.keep_alive_timeout = KEEP_ALIVE_S
    # No read_timeout: it would end an answer or a stream whose reader sends nothing meanwhile. Headers must
    # come within the keep-alive, and bodies within the frontier's bound.
    config.graceful_timeout = GRACE_S
    config.include_server_header = False
    try:
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(partial(serve, cast("Any", application), config, mode="asgi"))
            task_status.started(bound[0])
    except* OSError as failures:
        message = f"the portal cannot listen on {host}:{port}: {leaves(failures)[0]}"
        raise LocalError(message) from failures
