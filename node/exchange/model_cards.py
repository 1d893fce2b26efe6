"""A coordinator's part of a model that it does not have: its card, and the text files that requests need.

Is: the asking end of `/cuckoo/models/1` for these; bounded in bytes and time, and nothing believed that the
`model_id` does not confirm. Is not: weights, or the choice of whom to ask.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import trio

from node.exchange.models import PeerSource
from node.exchange.protocols import MODELS_PROTOCOL
from node.inference.packages.download import SourceFailed, download_files
from node.inference.packages.manifest import PackagedFile
from node.inference.packages.model import Model
from p2p.host import Host
from p2p.identity import PeerId
from protocol.errors import DecodeError, ProtocolError, Refusal
from protocol.model_card import PROVED_CARD_BYTES_MAX, ModelCard, ProvedCard
from protocol.transfer import CARD_WITH_PROOF, ModelRequest

CARD_TIMEOUT_MS: Final = 5_000
"""For all of a card, from the first byte asked to the last one heard."""
REQUEST_FILES_TIMEOUT_MS: Final = 120_000
"""For all request files of a model together."""


async def fetch_card(host: Host, peer_id: PeerId, model_id: bytes) -> ModelCard:
    """A model's card from a connected peer that serves it.

    :raises SourceFailed: the peer does not give it, or not in time.
    :raises ProtocolError: what it gave is not the card of that id, is too long, or is not a card.
    """
    request = ModelRequest(model_id, CARD_WITH_PROOF, 0).encode()
    with trio.move_on_after(CARD_TIMEOUT_MS / 1000):
        try:
            async with host.open_direct_stream(
                peer_id, MODELS_PROTOCOL, payload_bytes_max=PROVED_CARD_BYTES_MAX
            ) as stream:
                await stream.send(request)
                payload = await stream.receive(timeout_ms=CARD_TIMEOUT_MS)
        except Refusal as error:
            raise SourceFailed(f"the peer does not give the card: {error.reason}") from error
        if payload is None:
            raise DecodeError("the peer gave no card")
        return ProvedCard.decode(payload).open(model_id)
    raise SourceFailed("the peer did not give the card in time")


async def fetch_request_files(host: Host, peer_id: PeerId, model: Model, folder: Path) -> None:
    """Bring the text files that requests of a model need to `folder`, at most 32 MiB; what is there stays.

    :raises SourceFailed: the peer does not give them, or not in time; what came stays for the next try.
    :raises WrongContent: a file is not the one that the card names; it was removed.
    :raises DoesNotFit: the disk is too full.
    """
    files = {item.path: PackagedFile(item.sha256, item.size_bytes) for item in model.card.request_files}
    with trio.move_on_after(REQUEST_FILES_TIMEOUT_MS / 1000):
        try:
            await download_files(PeerSource(host, peer_id, model.model_id), files, folder)
        except ProtocolError as error:
            raise SourceFailed(f"the peer broke the protocol: {error}") from error
        return
    raise SourceFailed("the peer did not give the request files in time")
