"""The portal's static files: read once, served from memory, checked by the browser each time it comes.

Is: the files of `static/`, and no path but theirs: there is none to be tried.
Is not: made of anything; there is no build chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from protocol.hashing import sha256

HOME: Final = "index.html"
MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}
FIRST_PAGE_BYTES_MAX: Final = 200_000
"""Of all files together, so of a first page that asks for all of them."""
_STATUS_NOT_MODIFIED: Final = 304


@dataclass(frozen=True, slots=True)
class StaticFile:
    """:ivar body: its bytes. :ivar etag: names them."""

    body: bytes
    media_type: str
    etag: str


def load_files() -> dict[str, StaticFile]:
    """All files by the path under which they are served."""
    found: dict[str, StaticFile] = {}
    for item in resources.files("node.portal").joinpath("static").iterdir():
        media_type = MEDIA_TYPES.get(item.name.rpartition(".")[2])
        if media_type is not None:
            body = item.read_bytes()
            path = "/" if item.name == HOME else f"/{item.name}"
            found[path] = StaticFile(body, media_type, f'"{sha256(body).hex()[:32]}"')
    return found


class Files:
    """The handler."""

    def __init__(self) -> None:
        self.files = load_files()

    async def serve(self, request: Request) -> Response:
        """`GET /` and each file; the newest always, and nothing where the browser has it."""
        file = self.files[request.url.path]
        headers = {"etag": file.etag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=_STATUS_NOT_MODIFIED, headers=headers)
        return Response(file.body, media_type=file.media_type, headers=headers)
