"""Questions that gossip asks of the rest of a node.

Is: their form, and answers for a node that has none. Is not: an answer of a real one (:mod:`p2p.network`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2p.gossip.wire import PxPeer

if TYPE_CHECKING:
    from p2p.identity import PeerId

APPLICATION_SCORE_HEARTBEATS: Final = 16
"""Heartbeats after which the application is asked again what it thinks of each peer; about 11 s."""


def _unknown(_peer: PeerId) -> float:
    return 0.0


def _without_record(peer: PeerId) -> PxPeer | None:
    return PxPeer(peer.to_bytes())


def _nobody(_peers: tuple[PxPeer, ...], _from_peer: PeerId) -> None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class GossipHooks:
    """Questions that gossip asks of the rest of a node. All are synchronous and quick, and must not raise.

    :ivar application_score: what the node thinks of a peer, P5; asked when it connects and every
        APPLICATION_SCORE_HEARTBEATS heartbeats.
    :ivar record: a peer as it is named to others, with its signed record; None if it is not to be named.
    :ivar peers_named: peers to get to know, and who named them; their records are not checked yet.
    """

    application_score: Callable[[PeerId], float] = _unknown
    record: Callable[[PeerId], PxPeer | None] = _without_record
    peers_named: Callable[[tuple[PxPeer, ...], PeerId], None] = _nobody
