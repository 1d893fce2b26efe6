"""Model packages between peers: a miner gives the files that it has, and a newcomer takes them.

Is: `/cuckoo/models/1` (`protocol/README.md`), both sides: the server, and a source for downloads.
Is not: the check of what came; that is the download's, or `model_cards`'.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from node.exchange.protocols import MODELS_PROTOCOL
from node.inference.packages.download import SourceFailed
from node.inference.packages.manifest import MANIFEST_NAME
from node.inference.packages.package import ModelPackage
from p2p.host import Host
from p2p.identity import PeerId
from p2p.streams import DirectStream
from protocol.errors import ProtocolError, Refusal
from protocol.transfer import CARD_WITH_PROOF, RANGE_BYTES_MAX, ModelRequest

PIECE_BYTES: Final = 256 * 1024
TRANSFERS_MAX: Final = 4
"""Transfers at a time; a miner's line is for images first."""
REQUEST_TIMEOUT_MS: Final = 5_000
PIECE_TIMEOUT_MS: Final = 30_000


class NotServed(Refusal):
    """There is no such file here, or too many others take theirs."""


@dataclass(slots=True)
class ModelServerCounts:
    """Counts of requests.

    :ivar served: files sent.
    :ivar sent_bytes: of these files.
    :ivar cards: cards sent.
    :ivar unknown: requests for files and models that are not here.
    """

    served: int = 0
    cards: int = 0
    unknown: int = 0
    busy: int = 0
    sent_bytes: int = 0


class ModelServer:
    """A miner's packages for others. :ivar counts: of requests."""

    def __init__(self, packages: Iterable[ModelPackage]) -> None:
        """:param packages: verified ones."""
        self.counts = ModelServerCounts()
        self._packages = {package.model_id: package for package in packages}
        self._transfers = 0

    async def handle(self, stream: DirectStream, peer_id: PeerId) -> None:
        """Serve one stream.

        :raises Refusal: the answer is no; the remote hears why.
        :raises ProtocolError: not a valid request.
        """
        del peer_id  # whoever it is
        payload = await stream.receive(timeout_ms=REQUEST_TIMEOUT_MS)
        request = ModelRequest.decode(payload or b"")
        if request.path == CARD_WITH_PROOF and request.model_id in self._packages:
            # Not counted among the transfers: it is what makes somebody buy, and smaller than a preview.
            card = self._packages[request.model_id].proved_card().encode()
            await stream.send(card, timeout_ms=REQUEST_TIMEOUT_MS)
            self.counts.cards += 1
            return
        path = self._path(request)
        if self._transfers >= TRANSFERS_MAX:
            self.counts.busy += 1
            raise NotServed("too many are taking models; try again later")
        self._transfers += 1
        try:
            await self._send(stream, path, request.offset)
        finally:
            self._transfers -= 1
        self.counts.served += 1

    def _path(self, request: ModelRequest) -> Path:
        """The file that is asked for; only what the manifest lists can be. :raises NotServed: none."""
        package = self._packages.get(request.model_id)
        if package is None or (request.path not in package.files and request.path != MANIFEST_NAME):
            self.counts.unknown += 1
            raise NotServed("no such model or file is here")
        return package.folder / request.path

    async def _send(self, stream: DirectStream, path: Path, offset: int) -> None:
        left = RANGE_BYTES_MAX
        async with await trio.open_file(path, "rb") as file:
            if offset > await file.seek(0, os.SEEK_END):
                raise NotServed("the file ends before that byte")
            await file.seek(offset)
            while left and (piece := await file.read(min(PIECE_BYTES, left))):
                await stream.send(piece, timeout_ms=PIECE_TIMEOUT_MS)
                left -= len(piece)
                self.counts.sent_bytes += len(piece)


class PeerSource:
    """A package that a connected peer serves."""

    def __init__(self, host: Host, peer_id: PeerId, model_id: bytes) -> None:
        self._host, self._peer_id, self._model_id = host, peer_id, model_id

    @asynccontextmanager
    async def read(self, path: str, offset: int) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """The bytes of a file from `offset` on, at most `RANGE_BYTES_MAX`; the download asks for the rest.

        :raises SourceFailed: the peer does not give them.
        """
        try:
            async with self._host.open_direct_stream(self._peer_id, MODELS_PROTOCOL) as stream:
                await stream.send(ModelRequest(self._model_id, path, offset).encode())
                yield _pieces(stream)
        except SourceFailed:
            raise
        except (ProtocolError, Refusal) as error:
            raise SourceFailed(f"the peer does not give {path}: {error}") from error


async def _pieces(stream: DirectStream) -> AsyncGenerator[bytes, None]:
    while (piece := await stream.receive(timeout_ms=PIECE_TIMEOUT_MS)) is not None:
        yield piece
