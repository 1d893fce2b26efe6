"""The bootstrap peer: whom everybody dials first. It relays, judges and keeps evidence, as all peers do."""

from __future__ import annotations

import structlog
import trio

from node.peer import Peer

log = structlog.get_logger()


async def run_bootstrap(peer: Peer) -> None:
    """Run until cancelled."""
    log.info("ready", role="bootstrap", addresses=[str(address) for address in peer.host.listen_addresses()])
    await trio.sleep_forever()
