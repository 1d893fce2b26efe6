"""A page that says how a node is: for probes at `/healthz` and `/readyz`, for a person at `/`.

Is: four answers to GET, over HTTP/1.1 without keep-alive. So little that a web server would be most of a
bootstrap peer.
Is not: an API; it takes nothing, and tells nothing that is secret. By default it is on loopback only.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import trio

from node.system.observable import to_document
from node.system.readiness import Readiness
from protocol.errors import LocalError

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

REQUEST_BYTES_MAX: Final = 8 * 1024
"""Bytes of a request with its headers."""
REQUEST_TIMEOUT_MS: Final = 2_000
"""Time for a request and its answer."""
VISITORS_MAX: Final = 64
"""Visitors at once. A further one takes the place of the one that has been there longest: a question is
answered at once, so those who stay are silent."""
PATHS: Final = "GET /, /healthz, /readyz or /status\n"
STATUS_OK: Final = 200
STATUS_NOT_READY: Final = 503

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """The content of the page.

    :ivar title: of the page for people.
    :ivar readiness: answers `/readyz`.
    :ivar describe: what `/` and `/status` show now: names to numbers, texts, lists and further such mappings.
    """

    title: str
    readiness: Readiness
    describe: Callable[[], Mapping[str, Any]]


def probe_answers(readiness: Readiness) -> dict[str, tuple[int, dict[str, Any]]]:
    """Answers to probes, by path: an HTTP status and a JSON document. The API answers the same."""
    status = readiness.status()
    return {
        "/healthz": (STATUS_OK, {"alive": True}),
        "/readyz": (STATUS_OK if status.ready else STATUS_NOT_READY, to_document(status)),
    }


async def serve_health(
    address: str, page: Page, *, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve the page until cancelled; starts with its URL.

    :param address: IP address and port, such as ``127.0.0.1:8430``; port 0 takes any.
    :raises LocalError: it is no such address, or it is taken.
    """
    ip, _, port = address.rpartition(":")
    try:
        listeners = await trio.open_tcp_listeners(int(port), host=ip.strip("[]") or "127.0.0.1")
    except (OSError, ValueError) as error:
        raise LocalError(f"the health page cannot be shown at {address}: {error}") from error
    visitors: dict[object, trio.CancelScope] = {}

    async def visit(stream: trio.SocketStream) -> None:
        if len(visitors) >= VISITORS_MAX:
            visitors.pop(next(iter(visitors))).cancel()
        with trio.move_on_after(REQUEST_TIMEOUT_MS / 1000) as scope:
            visitors[stream] = scope
            await _answer(stream, page)
        visitors.pop(stream, None)

    bound = listeners[0].socket.getsockname()
    task_status.started(f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}")
    await trio.serve_listeners(visit, listeners)


async def _answer(stream: trio.SocketStream, page: Page) -> None:
    try:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                data = await stream.receive_some(REQUEST_BYTES_MAX)
                request += data
                if not data or len(request) > REQUEST_BYTES_MAX:
                    return
            await stream.send_all(_response(request.split(b"\r\n", 1)[0], page))
    except trio.BrokenResourceError:
        _log.debug("a visitor of the health page left")


def _response(request_line: bytes, page: Page) -> bytes:
    method, _, rest = request_line.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0].decode("ascii", "replace")
    if method not in {b"GET", b"HEAD"}:
        return _http("405 Method Not Allowed", "text/plain", PATHS)
    probes = probe_answers(page.readiness)
    if path in probes:
        status, document = probes[path]
        response = _json("200 OK" if status == STATUS_OK else "503 Service Unavailable", document)
    elif path == "/status":
        response = _json("200 OK", page.describe())
    elif path == "/":
        response = _http("200 OK", "text/html; charset=utf-8", _html(page))
    else:
        response = _http("404 Not Found", "text/plain", PATHS)
    return response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == b"HEAD" else response


def _json(status: str, document: Mapping[str, Any]) -> bytes:
    return _http(status, "application/json", json.dumps(document, indent=2) + "\n")


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


def _html(page: Page) -> str:
    title = html.escape(f"{page.title}: {'ready' if page.readiness.status().ready else 'not ready'}")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        "<style>body{font:1em/1.5 system-ui;margin:2em;max-width:60em}table{border-collapse:collapse}"
        "th{text-align:left;padding-right:2em;vertical-align:top;font-weight:normal;color:#555}"
        "td{font-variant-numeric:tabular-nums;overflow-wrap:anywhere}</style>"
        f"<h1>{title}</h1>{_table(page.describe())}</html>\n"
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
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return html.escape(f"{value:,}" if is_number else str(value))
