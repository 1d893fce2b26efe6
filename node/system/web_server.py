"""Serves an ASGI application on trio, with anycorn: for the local API and the portal.

Is: the one place that sets the server's limits. Only a node that shows something needs it.
Is not: who may ask for what; the applications decide that.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import trio
from anycorn import Config, serve
from starlette.types import ASGIApp

from protocol.errors import LocalError, leaves

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

KEEP_ALIVE_S: Final = 30
"""How long a connection may say nothing between two requests, and the headers of one may take."""
GRACE_S: Final = 2
"""How long answers under way may take when the node stops."""


async def serve_web(
    application: ASGIApp,
    host: str,
    port: int,
    server_name: str,
    *,
    task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; starts with the base URL.

    :param host: IP address to listen at.
    :param port: TCP port; 0 takes any that is free.
    :param server_name: for people, such as "the portal".
    :raises LocalError: the port is taken.
    """
    config = Config()
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    config.accesslog = None
    config.errorlog = None
    config.keep_alive_timeout = KEEP_ALIVE_S
    # No read_timeout: it would end an answer or a stream whose reader sends nothing meanwhile. Headers must
    # come within the keep-alive, and bodies within the bound of the application.
    config.graceful_timeout = GRACE_S
    config.include_server_header = False
    try:
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(partial(serve, cast("Any", application), config, mode="asgi"))
            task_status.started(bound[0])
    except* OSError as failures:
        message = f"{server_name} cannot listen on {host}:{port}: {leaves(failures)[0]}"
        raise LocalError(message) from failures
