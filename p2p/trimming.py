"""Whom to let go when a node has many connections, pure.

Is: the choice. :mod:`p2p.connections` makes it now and then, and hangs up.
Is not: a punishment, nor a limit (:mod:`p2p.limits`); who is let go may come back.

Kept are bootnodes, mesh peers, staked peers and peers with a direct stream open (``is_protected`` says), and
those who came just now. Of the others, callers go before those whom we called, since whoever wants to
surround a node calls it; and those who have been here longest go first: newcomers need a bootstrap peer more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2p.identity import PeerId


@dataclass(frozen=True, slots=True)
class ConnectedPeer:
    """A peer as the choice sees it. :ivar since_ms: when it connected. :ivar outbound: whether we dialled."""

    peer: PeerId
    since_ms: int
    outbound: bool


def peers_to_trim(
    connected: Iterable[ConnectedPeer],
    is_protected: Callable[[PeerId], bool],
    now_ms: int,
    *,
    high: int,
    low: int,
    grace_ms: int,
) -> list[PeerId]:
    """The peers to let go: none up to ``high`` connections, else as many as bring them down to ``low``.

    Fewer if those left are protected or younger than ``grace_ms``.
    """
    peers = list(connected)
    if len(peers) <= high:
        return []
    loose = [peer for peer in peers if now_ms - peer.since_ms >= grace_ms and not is_protected(peer.peer)]
    loose.sort(key=lambda peer: (peer.outbound, peer.since_ms))
    return [peer.peer for peer in loose[: len(peers) - low]]
