"""Peers that gossip names when it prunes: how we name others, and what we make of those named to us.

Is: two of the hooks of :class:`p2p.gossip.hooks.GossipHooks`, over the address book.
Is not: a choice of whom to name, which is the router's, nor whom to dial, which is the connection keeper's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from p2p.gossip.wire import PxPeer
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p.identity import PeerId
    from p2p.record_store import PeerRecords

_log = logging.getLogger(__name__)


def name_peer(records: PeerRecords) -> Callable[[PeerId], PxPeer | None]:
    """A peer with its signed record, or None without one: a peer that cannot be dialled is not named."""

    def name(peer: PeerId) -> PxPeer | None:
        envelope = records.record_of(peer)
        return None if envelope is None else PxPeer(peer.to_bytes(), envelope)

    return name


def take_named_peers(
    records: PeerRecords, remote_ip: Callable[[PeerId], str | None]
) -> Callable[[tuple[PxPeer, ...], PeerId], None]:
    """Take records into the address book; the connection keeper dials them when it needs peers.

    :param remote_ip: where a connected peer is, so that private addresses count only from nearby.
    """

    def take(peers: tuple[PxPeer, ...], from_peer: PeerId) -> None:
        for named in peers:
            try:
                records.accept(named.record, heard_from_ip=remote_ip(from_peer))
            except ProtocolError as error:
                _log.debug("%s named a peer without a proper record: %r", from_peer, error)

    return take
