"""Penalties: a peer's misdeeds into its score, and its end when that is too low.

Is: the one way by which peers are blamed and cut off. Is not: a judge of what they did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p.gossip.actions import Batch, Count, Disconnect

if TYPE_CHECKING:
    from collections import Counter

    from p2p.gossip.overlay import Overlay
    from p2p.gossip.params import GossipParams
    from p2p.gossip.score import PeerScores
    from p2p.gossip.standing import PeerStanding


class Penalties:
    """Blames the peers of one router."""

    def __init__(
        self, params: GossipParams, scores: PeerScores, overlay: Overlay, counts: Counter[Count]
    ) -> None:
        self._params = params
        self._scores = scores
        self._overlay = overlay
        self._counts = counts

    def blame(self, batch: Batch, standing: PeerStanding, topic: str, now_ms: int) -> None:
        """A peer brought an invalid message."""
        self._scores.invalid(standing, topic)
        self.cut_off_if_graylisted(batch, standing, now_ms)

    def fault(self, batch: Batch, standing: PeerStanding, misdeeds: float, now_ms: int) -> None:
        """A peer broke the rules of gossip itself."""
        self._scores.misbehaved(standing, misdeeds)
        self.cut_off_if_graylisted(batch, standing, now_ms)

    def cut_off_if_graylisted(self, batch: Batch, standing: PeerStanding, now_ms: int) -> None:
        """Hang up on a peer that has come under the threshold, and say so once."""
        if standing.score >= self._params.score.graylist_threshold:
            standing.cut_off = False
            return
        if standing.cut_off or not standing.connected:
            return
        standing.cut_off = True
        self._counts[Count.GRAYLISTED] += 1
        for topic in self._overlay.expel(standing.peer, now_ms):
            batch.prune(standing.peer, topic, self._params.prune_backoff_ms)
        batch.farewells.append(Disconnect(standing.peer, "graylisted"))
