"""Choices among peers, by chance and by score: who is drawn, who comes first, who has to go.

Is: the drawing, with the router's own generator. Who stands to be chosen is said by the caller.
Is not: a change of any mesh; :mod:`p2p.gossip.overlay` makes those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from p2p.gossip.params import GossipParams
    from p2p.gossip.peer_state import PeerState
    from p2p.gossip.score import PeerScores
    from p2p.identity import PeerId


class Choices:
    """Draws peers for one router."""

    def __init__(self, params: GossipParams, scores: PeerScores, rng: random.Random) -> None:
        self._params = params
        self._scores = scores
        self._rng = rng

    def draw(self, peers: Iterable[PeerId], count: int) -> list[PeerId]:
        """So many of them, or all if there are fewer."""
        found = list(peers)
        return self._rng.sample(found, min(count, len(found)))

    def bringers(self, topic: str, peers: dict[PeerId, PeerState], count: int) -> list[PeerId]:
        """Those who lately brought most of a topic's messages first; nobody who brought none."""
        brought = {
            peer: self._scores.first_deliveries(state.standing, topic) for peer, state in peers.items()
        }
        active = [peer for peer in self.draw(peers, len(peers)) if brought[peer]]
        return sorted(active, key=brought.__getitem__, reverse=True)[:count]

    def surplus(self, mesh: dict[PeerId, PeerState], bad: set[PeerId]) -> list[PeerId]:
        """The members of a mesh that has too many who have to go, the bad ones left aside."""
        good = [peer for peer in mesh if peer not in bad]
        # A mesh that callers have filled leaves no room for our own dials, nor for others in the same
        # straits that call us: it is cut down as if it were too large.
        outbound = sum(mesh[peer].outbound for peer in good)
        taken_over = len(good) == self._params.d_high and outbound < self._params.d_out
        if len(good) <= self._params.d_high and not taken_over:
            return []
        # The best stay for their score, the others are drawn; equals are in random order.
        ranked = sorted(self.draw(good, len(good)), key=self._scores.score, reverse=True)
        best, rest = ranked[: self._params.d_score], ranked[self._params.d_score :]
        drawn = self.draw(rest, self._params.d - len(best))
        kept = best + sorted(drawn, key=self._scores.score, reverse=True)
        missing = self._params.d_out - sum(mesh[peer].outbound for peer in kept)
        spare = [peer for peer in rest if peer not in drawn and mesh[peer].outbound]
        for peer in spare[: max(0, missing)]:
            # The worst that nobody needs gives way.
            worst = next(index for index in reversed(range(len(kept))) if not mesh[kept[index]].outbound)
            kept[worst] = peer
        return [peer for peer in good if peer not in kept]
