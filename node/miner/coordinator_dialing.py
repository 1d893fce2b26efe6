"""How a node reaches one that it must speak to: where it is told, else where the network knows it to be.

Is: the dialling of a coordinator, over what its announcement says and the lookup.
Is not: the choice of whom to reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from multiaddr import Multiaddr

from p2p.identity import PeerId, address_of_peer, peer_id_from_public_key
from protocol.errors import CuckooError, Refusal

if TYPE_CHECKING:
    from p2p.host import Host
    from p2p.lookup import Lookup
    from protocol.messages import TaskAnnouncement
    from protocol.statement import Statement

log = structlog.get_logger()


async def reach_coordinator(host: Host, lookup: Lookup, task: Statement[TaskAnnouncement]) -> PeerId:
    """Connect to the coordinator of `task` at the first of its addresses that answers.

    The key that signed the announcement is the identity that must answer. If it has moved since, or the
    addresses lead nowhere from here, its newest record is looked for by its on-chain address.

    :raises Refusal: it is not to be found, or none of its addresses answers.
    """
    peer_id = peer_id_from_public_key(task.signer.public_key)
    if host.is_connected(peer_id):
        return peer_id
    for encoded in task.message.multiaddrs:
        try:
            return await host.connect(Multiaddr(encoded).encapsulate(Multiaddr(f"/p2p/{peer_id}")))
        except (CuckooError, ValueError, LookupError) as error:
            log.info("coordinator not reached", address=encoded.hex(), error=str(error))
    try:
        found = await lookup.connect(address_of_peer(peer_id))
    except Refusal as error:
        raise Refusal("the coordinator cannot be reached at any of its addresses, nor be found") from error
    log.info("coordinator found by its on-chain address", peer=str(found))
    return found
