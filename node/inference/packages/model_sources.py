"""Where model packages come from over HTTP: a hub that serves files by repository and revision.

Is: the download address that Hugging Face's hub made common,
`/<owner>/<name>/resolve/<revision>/<path>`, with ranges. Is not: trust; what comes is held against its hash
(`download`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx2

from node.inference.packages.download import SourceFailed
from protocol.errors import LocalError

HUB_URL: Final = "https://huggingface.co"
TIMEOUT_S: Final = 30.0
REDIRECTS_MAX: Final = 5
_ID: Final = re.compile(r"(?P<repository>[\w][\w.-]*/[\w][\w.-]*)(@(?P<revision>[\w][\w.-]*))?", re.ASCII)


class BadHubId(LocalError):
    """The text is no `owner/name` or `owner/name@revision`."""


@dataclass(frozen=True, slots=True)
class HubId:
    """A repository of a hub. :ivar repository: owner/name. :ivar revision: branch, tag or commit."""

    repository: str
    revision: str

    @classmethod
    def parse(cls, text: str) -> HubId:
        """:raises BadHubId: it is not one."""
        match = _ID.fullmatch(text)
        if match is None or ".." in text:
            raise BadHubId(f"{text!r} is no hub id such as owner/name or owner/name@revision")
        return cls(match["repository"], match["revision"] or "main")

    @property
    def name(self) -> str:
        """The part after the owner."""
        return self.repository.partition("/")[2]


class HubSource:
    """A repository that holds a model package, manifest included."""

    def __init__(self, http: httpx2.AsyncClient, hub_id: HubId, hub_url: str = HUB_URL) -> None:
        """:param http: from `open_http`."""
        self._http = http
        self._base = f"{hub_url.rstrip('/')}/{hub_id.repository}/resolve/{hub_id.revision}/"

    @asynccontextmanager
    async def read(self, path: str, offset: int) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """The bytes of a file from `offset` on. :raises SourceFailed: the hub has no such bytes to give."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        headers["Accept-Encoding"] = "identity"
        try:
            async with self._http.stream("GET", self._base + path, headers=headers) as response:
                status = response.status_code
                expected = httpx2.codes.PARTIAL_CONTENT if offset else httpx2.codes.OK
                if status != expected and not (offset and status == httpx2.codes.OK):
                    raise SourceFailed(f"the hub answers {status} for {path}")
                skip = offset if status == httpx2.codes.OK else 0
                yield _skipping(response.aiter_bytes(), skip)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise SourceFailed(f"the hub cannot be read: {type(error).__name__}") from error


async def _skipping(pieces: AsyncIterator[bytes], skip: int) -> AsyncGenerator[bytes, None]:
    """The bytes after the first `skip`: for a hub that knows no ranges."""
    async for piece in pieces:
        if skip >= len(piece):
            skip -= len(piece)
            continue
        yield piece[skip:]
        skip = 0


def open_http() -> httpx2.AsyncClient:
    """A client for `HubSource`, to be used as a context."""
    return httpx2.AsyncClient(timeout=TIMEOUT_S, follow_redirects=True, max_redirects=REDIRECTS_MAX)
