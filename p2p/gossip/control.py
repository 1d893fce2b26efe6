"""Control messages of a router: who comes into which mesh, who is named to whom, and who has which messages.

Is: GRAFT, PRUNE with peer exchange, IHAVE, IWANT, IDONTWANT and subscriptions, each with its answer.
Is not: the rules of the meshes (:mod:`p2p.gossip.overlay`), nor of lazy gossip (:mod:`p2p.gossip.lazy`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from p2p.gossip.actions import Batch, Connect, Count
from p2p.gossip.overlay import GraftAnswer

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from p2p.gossip.lazy import LazyGossip
    from p2p.gossip.messages import Messages
    from p2p.gossip.overlay import Overlay
    from p2p.gossip.params import GossipParams
    from p2p.gossip.peer_state import PeerState
    from p2p.gossip.penalties import Penalties
    from p2p.gossip.score import PeerScores
    from p2p.gossip.wire import Prune, PxPeer, Rpc
    from p2p.identity import PeerId

_MILLISECONDS: Final = 1_000


class Control:
    """Takes the control messages of one router, and writes its PRUNEs."""

    def __init__(
        self,
        params: GossipParams,
        scores: PeerScores,
        overlay: Overlay,
        lazy: LazyGossip,
        messages: Messages,
        penalties: Penalties,
        counts: Counter[Count],
        records: Callable[[PeerId], PxPeer | None],
    ) -> None:
        """:param records: see :class:`p2p.gossip.router.Router`."""
        self._params = params
        self._scores = scores
        self._overlay = overlay
        self._lazy = lazy
        self._messages = messages
        self._penalties = penalties
        self._counts = counts
        self._records = records

    def subscription(self, batch: Batch, peer: PeerId, topic: str, *, subscribed: bool, now_ms: int) -> None:
        """A peer comes to a topic, or leaves it."""
        if not subscribed:
            self._overlay.forget_topic(peer, topic)
            return
        is_new = peer not in self._overlay.topic_peers(topic)
        if not self._overlay.note_topic(peer, topic):
            self._counts[Count.DROPPED_TOPICS_FULL] += 1
            return
        if self._overlay.welcome(peer, topic, now_ms):
            batch.graft(peer, topic)
        if (
            is_new
            and topic in self._overlay.mesh
            and self._scores.score(peer) >= self._params.score.gossip_threshold
        ):
            batch.actions += self._lazy.introduction(peer, topic)

    def take(self, batch: Batch, peer: PeerId, state: PeerState, rpc: Rpc, now_ms: int) -> None:
        """All that one RPC says besides subscriptions and messages."""
        if rpc.idontwant:
            self._lazy.idontwant(state, rpc.idontwant)
        for topic in rpc.graft:
            self._graft(batch, peer, state, topic, now_ms)
        for entry in rpc.prune:
            self._pruned(batch, peer, state, entry, now_ms)
        if self._scores.score_of(state.standing) < self._params.score.gossip_threshold:
            return
        if rpc.ihave:
            unwanted = partial(self._messages.is_unwanted, now_ms=now_ms)
            batch.actions += self._lazy.ihave(peer, state, rpc.ihave, unwanted, now_ms)
        if rpc.iwant:
            batch.actions += self._lazy.iwant(peer, state, rpc.iwant)

    def _graft(self, batch: Batch, peer: PeerId, state: PeerState, topic: str, now_ms: int) -> None:
        answer = self._overlay.graft(peer, topic, now_ms)
        if answer is GraftAnswer.ACCEPTED or answer is GraftAnswer.IGNORED:
            return
        if answer is GraftAnswer.REFUSED:
            self.prune(batch, peer, topic)
            self._counts[Count.GRAFT_REFUSED] += 1
            return
        # Too early: no others are named, or asking would pay.
        batch.prune(peer, topic, self._params.prune_backoff_ms)
        self._counts[Count.GRAFT_IN_BACKOFF] += 1
        self._penalties.fault(batch, state.standing, 2 if answer is GraftAnswer.FLOOD else 1, now_ms)

    def prune(self, batch: Batch, peer: PeerId, topic: str) -> None:
        """Say goodbye, and to a peer of good standing where else it may go."""
        found = [self._records(other) for other in self._overlay.px_targets(topic, peer)]
        others = tuple(other for other in found if other is not None)
        batch.prune(peer, topic, self._params.prune_backoff_ms, others)

    def _pruned(self, batch: Batch, peer: PeerId, state: PeerState, entry: Prune, now_ms: int) -> None:
        self._overlay.prune(peer, entry.topic, entry.backoff_s * _MILLISECONDS, now_ms)
        if not entry.peers:
            return
        room = self._params.px_peers_max - state.px_heard
        trusted = self._scores.score_of(state.standing) >= self._params.score.accept_px_threshold
        if not trusted or room <= 0 or entry.topic not in self._overlay.mesh:
            self._counts[Count.DROPPED_PX] += 1
            return
        state.px_heard += len(entry.peers[:room])
        self._counts[Count.PX_TAKEN] += 1
        batch.actions.append(Connect(peer, entry.peers[:room]))
