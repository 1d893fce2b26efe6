"""What a peer has earned: a score of 0 for the honest, below for the rest.

Is: decaying penalties, kept over a disconnect so that coming back does not wash clean.
Is not: the whole peer score of gossipsub v1.1; P1 to P3 and P5 to P7 have their place here later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p.gossip.params import GossipParams
    from p2p.identity import PeerId


class PeerScores:
    """Penalties of peers, connected or not.

    :ivar evicted: penalties forgotten because too many were held.
    """

    def __init__(self, params: GossipParams) -> None:
        self._params = params
        self._penalties: dict[PeerId, float] = {}
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._penalties)

    def score(self, peer: PeerId) -> float:
        """0 or less."""
        return -self._penalties.get(peer, 0.0)

    def penalise(self, peer: PeerId, penalty: float) -> None:
        """Lower a peer's score by a positive penalty."""
        held = self._penalties.get(peer)
        if held is None and len(self._penalties) >= self._params.scores_max:
            smallest = min(self._penalties, key=self._penalties.__getitem__)
            del self._penalties[smallest]
            self.evicted += 1
        self._penalties[peer] = (held or 0.0) + penalty

    def decay(self) -> None:
        """One heartbeat's forgiveness."""
        self._penalties = {
            peer: penalty * self._params.score_decay
            for peer, penalty in self._penalties.items()
            if penalty * self._params.score_decay >= self._params.score_zero
        }

    def is_graylisted(self, peer: PeerId) -> bool:
        """Whether nothing of the peer is to be read."""
        return self.score(peer) < self._params.graylist_threshold
