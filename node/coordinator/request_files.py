"""Text files that requests of others' models need (tokenizer, chat template), fetched at a model's first use.

Is: which models' files are wanted, whom to ask, and the bound of what is kept in the data directory.
Is not: a reader of them, or weights, which are never fetched. Each file is held against the hash in the card.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from node.exchange.model_cards import fetch_request_files
from node.inference.packages.model import Model
from p2p.host import Host
from p2p.lookup import Lookup
from protocol.errors import CuckooError

FOLDER: Final = "request-files"
"""In a coordinator's data directory; a folder by model id for each model."""
MODELS_MAX: Final = 16
"""Models whose files are kept, 32 MiB each at most; the one used longest ago goes first."""
WANTED_MAX: Final = 64
"""Models whose files wait to be fetched; of more, the next use asks again."""
MINERS_ASKED_MAX: Final = 3
"""Miners that are asked for the files of one model; then its next use asks again."""

log = structlog.get_logger()


@dataclass(slots=True)
class RequestFilesStatus:
    """:ivar fetched: models. :ivar failed: attempts. :ivar dropped: wishes beyond `WANTED_MAX`."""

    fetched: int = 0
    failed: int = 0
    dropped: int = 0


class RequestFiles:
    """One coordinator's store. :ivar counts: see `RequestFilesStatus`."""

    def __init__(
        self,
        data_dir: Path,
        fetch: Callable[[bytes, Model, Path], Awaitable[None]],
        miners_of: Callable[[bytes], Iterable[bytes]],
    ) -> None:
        """:param fetch: brings a model's files from a miner, by address, to a folder.

        :param miners_of: addresses of the miners that offer a model now.
        """
        self.counts = RequestFilesStatus()
        self._folder = data_dir / FOLDER
        self._fetch = fetch
        self._miners_of = miners_of
        self._waiting: set[bytes] = set()
        self._want, self._wanted = trio.open_memory_channel[Model](WANTED_MAX)

    def folder_of(self, model: Model) -> Path:
        """Where a model's files are, or will be."""
        return self._folder / model.model_id.hex()

    def has(self, model: Model) -> bool:
        """Whether all its files are here."""
        folder = self.folder_of(model)
        return all((folder / item.path).is_file() for item in model.card.request_files)

    def use(self, model: Model) -> None:
        """A request names a model that is not of the operator's folders: its files are fetched if they are
        missing.
        """
        if model.model_id in self._waiting or self.has(model):
            return
        try:
            self._want.send_nowait(model)
        except trio.WouldBlock:
            self.counts.dropped += 1
        else:
            self._waiting.add(model.model_id)

    async def run(self) -> None:
        """Fetch what is wanted, one model at a time, until cancelled."""
        async for model in self._wanted:
            try:
                await self._bring(model)
            finally:
                self._waiting.discard(model.model_id)

    async def _bring(self, model: Model) -> None:
        await trio.to_thread.run_sync(self._make_room, model)
        for miner in list(self._miners_of(model.model_id))[:MINERS_ASKED_MAX]:
            try:
                await self._fetch(miner, model, self.folder_of(model))
            except (CuckooError, OSError) as error:
                self.counts.failed += 1
                log.info("request files not fetched", model=model.name, miner=miner.hex(), error=str(error))
            else:
                self.counts.fetched += 1
                return

    def _make_room(self, model: Model) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = [path for path in self._folder.iterdir() if path.is_dir() and path != self.folder_of(model)]
        kept.sort(key=lambda path: path.stat().st_mtime)
        for path in kept[: max(0, len(kept) + 1 - MODELS_MAX)]:
            shutil.rmtree(path, ignore_errors=True)


def fetch_over(host: Host, lookup: Lookup) -> Callable[[bytes, Model, Path], Awaitable[None]]:
    """A fetch from the miner itself, wherever the network knows it to be."""

    async def fetch(miner: bytes, model: Model, folder: Path) -> None:
        await fetch_request_files(host, await lookup.connect(miner), model, folder)

    return fetch
