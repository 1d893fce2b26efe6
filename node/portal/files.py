"""The portal's static files: read once, served from memory, checked by the browser each time it comes.

Is: the files of `static/` and its folders, and no path but theirs: there is none to be tried.
Is not: made of anything; there is no build chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from protocol.hashing import sha256

HOME: Final = "index.html"
PACKAGE: Final = "package.json"
MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}
CHECKS: Final = "/checks/"
"""Before the paths of what a page fetches when somebody wants something checked."""
FIRST_PAGE_BYTES_MAX: Final = 200_000
"""Of all files but `CHECKS` together, so of a first page that asks for all of them."""
_STATUS_NOT_MODIFIED: Final = 304


@dataclass(frozen=True, slots=True)
class StaticFile:
    """:ivar body: its bytes. :ivar etag: names them."""

    body: bytes
    media_type: str
    etag: str


def load_files() -> dict[str, StaticFile]:
    """All files by the path under which they are served."""
    return dict(_within(resources.files("node.portal").joinpath("static"), "/"))


def _within(folder: Traversable, path: str) -> Iterator[tuple[str, StaticFile]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _within(item, f"{path}{item.name}/")
            continue
        media_type = MEDIA_TYPES.get(item.name.rpartition(".")[2])
        # What node reads to know of what kind the modules are is nothing for a browser.
        if media_type is not None and item.name != PACKAGE:
            body = item.read_bytes()
            name = "" if item.name == HOME else item.name
            yield path + name, StaticFile(body, media_type, f'"{sha256(body).hex()[:32]}"')


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
