"""Fetching a model package from a hub or from a peer, whichever the text names.

Is: the choice of the source, and a host for as long as a peer is asked. Is not: the download itself.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from multiaddr import Multiaddr

from node.exchange.models import PeerSource
from node.inference.packages.download import Progress, download
from node.inference.packages.model_sources import HUB_URL, HubId, HubSource, open_http
from node.inference.packages.package import ModelPackage
from p2p.host import open_host
from protocol.errors import LocalError

_SECRET_BYTES = 32
_ID_CHARACTERS = 8


class BadSource(LocalError):
    """The text names neither a peer nor a repository of a hub."""


async def pull_package(
    source: str, model_id: bytes, folder: Path, hub_url: str | None, progress: Progress
) -> ModelPackage:
    """Bring a package into a subfolder of `folder`.

    :param source: multiaddr of a peer with its id, or a hub's id.
    :raises BadSource, BadHubId: it is neither.
    :raises CuckooError: as `download`, or the peer cannot be reached.
    """
    if source.startswith("/"):
        return await _pull_from_peer(source, model_id, folder / model_id.hex()[:_ID_CHARACTERS], progress)
    hub_id = HubId.parse(source)
    async with open_http() as http:
        hub = HubSource(http, hub_id, hub_url or HUB_URL)
        return await download(hub, model_id, folder / hub_id.name, progress)


async def _pull_from_peer(
    address: str, model_id: bytes, destination: Path, progress: Progress
) -> ModelPackage:
    try:
        multiaddr = Multiaddr(address)
    except ValueError as error:
        raise BadSource(f"{address!r} is no multiaddr") from error
    # A key of the moment: whoever asks for files needs no name.
    async with open_host(secrets.token_bytes(_SECRET_BYTES), []) as host:
        peer_id = await host.connect(multiaddr)
        return await download(PeerSource(host, peer_id, model_id), model_id, destination, progress)
