"""The context that every part of a node can reach: what is seen, what happens, what is asked for.

Is: the observable, the readiness, the bus and the control socket of one node, opened together with its page.
Is not: any of the work; a part that has something to show or to do registers it here.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import trio

from node.settings import PeerSettings, RoleName
from node.system.clock import now_ms
from node.system.control import Control, open_control
from node.system.events import EventBus
from node.system.health_page import Page, serve_health
from node.system.observable import Observable
from node.system.readiness import DiskSpace, Readiness

SHOWN_TO_ALL: Final = ("node", "readiness")
"""Shown by the page of a coordinator or a miner; their money is shown by the control socket only."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """:ivar uptime_s: since the start, by a clock that nobody sets."""

    role: RoleName
    version: str
    process: int
    started_at_ms: int
    uptime_s: int


class NodeContext:
    """One node's.

    :ivar observable: what is to be seen of it.
    :ivar readiness: why it cannot do its work now.
    :ivar events: what happens in it.
    :ivar control: what commands can have done.
    :ivar health_url: of its page; None without one.
    """

    def __init__(self, observable: Observable, events: EventBus, control: Control) -> None:
        self.observable = observable
        self.readiness = Readiness()
        self.events = events
        self.control = control
        self.health_url: str | None = None
        self._starting: str | None = "the node is starting"
        self.readiness.register("starting", lambda: self._starting)

    def started(self) -> None:
        """The role works from now on, so far as nothing else is in its way."""
        self._starting = None


@asynccontextmanager
async def open_context(settings: PeerSettings) -> AsyncIterator[NodeContext]:
    """A node's context, with its control socket and its page, until the context ends.

    :raises LocalError: another node runs on the data directory, or the page's address is taken.
    """
    observable, events = Observable(), EventBus()
    began_ms, began_s, version = now_ms(), time.monotonic(), metadata.version("cuckoo-peer")

    def look() -> NodeStatus:
        uptime_s = int(time.monotonic() - began_s)
        return NodeStatus(settings.role, version, os.getpid(), began_ms, uptime_s)

    def describe() -> dict[str, Any]:
        document = observable.document()
        if settings.role == "bootstrap":
            return document
        return {name: document[name] for name in SHOWN_TO_ALL}

    async with (
        open_control(settings.data_dir, observable, events) as control,
        trio.open_nursery() as nursery,
    ):
        context = NodeContext(observable, events, control)
        disk = DiskSpace(settings.data_dir)
        context.readiness.register("disk_full", disk.reason)
        observable.register("node", look)
        observable.register("readiness", context.readiness.status)
        observable.register("events", lambda: events.counts)
        observable.register("control", lambda: control.counts)
        nursery.start_soon(disk.run)
        if settings.page_address:
            page = Page(f"Cuckoo {settings.role}", context.readiness, describe)
            context.health_url = await nursery.start(serve_health, settings.page_address, page)
        yield context
        nursery.cancel_scope.cancel()
