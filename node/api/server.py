"""Serves the local API on 127.0.0.1, on trio, with anycorn."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import trio
from anycorn import Config, serve
from starlette.types import ASGIApp

from protocol.errors import LocalError, leaves

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

HOST = "127.0.0.1"
"""The API is for this machine alone; who wants it elsewhere puts a proxy of their own before it."""
KEEP_ALIVE_S = 30
GRACE_S = 2
"""How long answers under way may take when the node stops."""


async def serve_api(
    application: ASGIApp, port: int, *, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled; starts with the base URL.

    :param port: TCP port; 0 takes any that is free.
    :raises LocalError: the port is taken.
    """
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.accesslog = None
    config.errorlog = None
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.graceful_timeout = GRACE_S
    config.include_server_header = False
    try:
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(partial(serve, cast("Any", application), config, mode="asgi"))
            task_status.started(bound[0])
    except* OSError as failures:
        message = f"the local API cannot listen on {HOST}:{port}: {leaves(failures)[0]}"
        raise LocalError(message) from failures
