"""Answers that are streams of events (WHATWG HTML, 9.2): the live feed, until its reader leaves.

Is: how events are written, and how a stream ends with its reader. Is not: what is told (`pulse`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from node.portal.errors import PortalRefusal
from node.portal.pulse import Pulse, Reader

HEARTBEAT_S: Final = 15.0
"""A comment goes out after so long a silence, so that a reader who left is noticed."""
STREAM_S_MAX: Final = 3_600.0
"""So long is one stream of events; browsers ask again by themselves."""
EVENT_STREAM: Final = "text/event-stream"
NO_STORE: Final = {"cache-control": "no-store"}


class EventStream(Response):
    """The live feed, until the reader leaves or `STREAM_S_MAX`."""

    def __init__(self, pulse: Pulse) -> None:
        super().__init__(media_type=EVENT_STREAM, headers=NO_STORE)
        self._pulse = pulse
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. :raises Busy: as many follow as may."""
        del scope
        with self._pulse.follow() as reader:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(leave_with, receive, nursery.cancel_scope)
                with trio.move_on_after(STREAM_S_MAX):
                    await _pour(reader, send)
                nursery.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})


async def leave_with(receive: Receive, scope: trio.CancelScope) -> None:
    """End the stream when its reader does, or sends what is not taken."""
    with suppress(PortalRefusal):
        while (await receive())["type"] != "http.disconnect":
            pass
    scope.cancel()


async def send_event(send: Send, document: Mapping[str, Any], head: str = "") -> None:
    """Send one event. :param head: lines before its data."""
    text = f"{head}data: {json.dumps(document)}\n\n"
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def send_comment(send: Send, text: str) -> None:
    """Send what readers skip."""
    await send({"type": "http.response.body", "body": f": {text}\n\n".encode(), "more_body": True})


async def _pour(reader: Reader, send: Send) -> None:
    await send({"type": "http.response.body", "body": b"retry: 3000\n\n", "more_body": True})
    while True:
        happening = None
        with trio.move_on_after(HEARTBEAT_S):
            happening = await reader.receive()
        if happening is None:
            await send_comment(send, "still here")
        else:
            head = f"id: {happening['sequence']}\n"
            await send_event(send, {**happening, "dropped": reader.dropped}, head)
