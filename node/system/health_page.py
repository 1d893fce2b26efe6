"""A page that says how a node is: for a person at `/`, for a probe at `/health`.

Is: two answers to GET, over HTTP/1.1 without keep-alive. So little that a web server would be most of a
bootstrap peer.
Is not: an API; it takes nothing, and tells nothing that is secret. By default it is on loopback only.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import trio

from protocol.errors import LocalError

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

REQUEST_BYTES_MAX: Final = 8 * 1024
"""Bytes of a request with its headers."""
REQUEST_TIMEOUT_MS: Final = 2_000
"""Time for a request and its answer."""
VISITORS_MAX: Final = 16
"""Visitors at once; further ones wait."""

_log = logging.getLogger(__name__)


async def serve_health(
    address: str,
    describe: Callable[[], Mapping[str, Any]],
    *,
    task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the page until cancelled; starts with its URL.

    :param address: IP address and port, such as ``127.0.0.1:8430``; port 0 takes any.
    :param describe: what to show now: names to numbers, texts, lists and further such mappings.
    :raises LocalError: it is no such address, or it is taken.
    """
    ip, _, port = address.rpartition(":")
    try:
        listeners = await trio.open_tcp_listeners(int(port), host=ip.strip("[]") or "127.0.0.1")
    except (OSError, ValueError) as error:
        raise LocalError(f"the health page cannot be shown at {address}: {error}") from error
    limiter = trio.CapacityLimiter(VISITORS_MAX)

    async def visit(stream: trio.SocketStream) -> None:
        async with limiter:
            await _answer(stream, describe)

    bound = listeners[0].socket.getsockname()
    task_status.started(f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}")
    await trio.serve_listeners(visit, listeners)


async def _answer(stream: trio.SocketStream, describe: Callable[[], Mapping[str, Any]]) -> None:
    try:
        async with stream:
            with trio.move_on_after(REQUEST_TIMEOUT_MS / 1000):
                request = b""
                while b"\r\n\r\n" not in request:
                    data = await stream.receive_some(REQUEST_BYTES_MAX)
                    request += data
                    if not data or len(request) > REQUEST_BYTES_MAX:
                        return
                await stream.send_all(_response(request.split(b"\r\n", 1)[0], describe))
    except trio.BrokenResourceError:
        _log.debug("a visitor of the health page left")


def _response(request_line: bytes, describe: Callable[[], Mapping[str, Any]]) -> bytes:
    method, _, rest = request_line.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in {b"GET", b"HEAD"}:
        return _http("405 Method Not Allowed", "text/plain", "GET / or /health\n")
    if path == b"/health":
        response = _http("200 OK", "application/json", json.dumps(describe(), indent=2) + "\n")
    elif path == b"/":
        response = _http("200 OK", "text/html; charset=utf-8", _page(describe()))
    else:
        response = _http("404 Not Found", "text/plain", "GET / or /health\n")
    return response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == b"HEAD" else response


def _http(status: str, content_type: str, text: str) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
        "Connection: close",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _page(description: Mapping[str, Any]) -> str:
    title = html.escape(f"{description.get('name', 'node')}: {description.get('status', '')}")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        "<style>body{font:1em/1.5 system-ui;margin:2em;max-width:60em}table{border-collapse:collapse}"
        "th{text-align:left;padding-right:2em;vertical-align:top;font-weight:normal;color:#555}"
        "td{font-variant-numeric:tabular-nums;overflow-wrap:anywhere}</style>"
        f"<h1>{title}</h1>{_table(description)}</html>\n"
    )


def _table(values: Mapping[str, Any]) -> str:
    rows = (
        f"<tr><th>{html.escape(str(name).replace('_', ' '))}<td>{_cell(value)}"
        for name, value in values.items()
    )
    return f"<table>{''.join(rows)}</table>"


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        return _table(value) if value else "none"
    if isinstance(value, list | tuple):
        return "<br>".join(html.escape(str(item)) for item in value) or "none"
    return html.escape(f"{value:,}" if isinstance(value, int) else str(value))
