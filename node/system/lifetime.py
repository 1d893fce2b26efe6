"""The frame around every node's work, whatever its role: it says where it runs, and stops at a signal.

Is: the file that tells others where a running node is, and the end by SIGINT or SIGTERM. Light: the bootstrap
peer, which must stay small, imports it too.
Is not: any of the work, which is `run`'s and the roles'.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from node.settings import RoleSettings
from node.system.files import write_private
from protocol.errors import CuckooError, LocalError

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.host import Host

NODE_FILE = "node.json"
"""In the data directory while the node runs: its process, its addresses, its API and its page."""
KEY_FILE = "node-key.json"

log = structlog.get_logger()


@contextlib.contextmanager
def node_file(
    settings: RoleSettings,
    address: bytes,
    host: Host,
    health_url: str | None,
    api_url: str | None = None,
    portal_url: str | None = None,
) -> Iterator[None]:
    """Say in the data directory that and where this node runs, as long as it does.

    :param address: the node's, 20 bytes.
    :param health_url: of its health page, if it has one. :param api_url: of a coordinator's API.
    :param portal_url: of its portal, if it has one.
    :raises LocalError: the file cannot be written.
    """
    path = settings.data_dir / NODE_FILE
    document = {
        "role": settings.role,
        "process": os.getpid(),
        "address": "0x" + address.hex(),
        "multiaddrs": [str(address) for address in host.addresses()],
        "health_url": health_url,
        "api_url": api_url,
        "portal_url": portal_url,
    }
    try:
        write_private(path, json.dumps(document, indent=2).encode() + b"\n")
    except OSError as error:
        raise LocalError(f"{path} cannot be written: {error}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def leave_startup_uncollected() -> None:
    """Have the garbage collector pass over everything that is there now; once, when a node is up.

    Modules and what was wired from them live as long as the node. To walk over hundreds of thousands of such
    objects again and again frees nothing, and stops every task meanwhile. What starting took and has freed
    goes back to the system, where the C library knows how (malloc_trim(3) of glibc).
    """
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@asynccontextmanager
async def stopped_by_signals() -> AsyncIterator[None]:
    """Cancel the body at SIGINT or SIGTERM; the context then ends without an error.

    A failure in the body from then on is a consequence, and logged only: Ctrl-C may reach a child process
    before us, and its death is no news then.
    """
    stopping = False

    async def watch(*, task_status: TaskStatus[None]) -> None:
        nonlocal stopping
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                stopping = True
                # The interpreter collects garbage at its end, among all that modules have made: over half a
                # second of a processor for memory that the system takes back anyway.
                gc.freeze()
                log.info("stopping", signal=signal.Signals(number).name)
                nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(watch)
            yield
            nursery.cancel_scope.cancel()
    except* CuckooError as failures:
        if not stopping:
            raise
        log.info("failed while stopping", errors=[str(error) for error in failures.exceptions])
