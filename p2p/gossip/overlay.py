"""The router's view of its peers: connections, subscriptions and meshes.

Is: the mesh, fan-out and back-off rules of gossipsub v1.1, as a state machine over time arguments.
Whoever enters or leaves a mesh, for whatever reason, does it in ``_enter`` and ``_exit``: the score hears it.
Is not: messages; :mod:`p2p.gossip.router` decides what is sent to the peers chosen here.

Sets of peers are dicts without values: their order is that of events, so a seeded run repeats exactly.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from p2p.gossip.backoffs import Backoffs
from p2p.gossip.choices import Choices
from p2p.gossip.fanouts import Fanouts
from p2p.gossip.peer_state import PeerState

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from p2p.gossip.params import GossipParams
    from p2p.gossip.score import PeerScores
    from p2p.identity import PeerId


class GraftAnswer(enum.Enum):
    """The outcome of a GRAFT."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    REFUSED = "refused"
    TOO_EARLY = "too_early"
    FLOOD = "flood"


class Overlay:
    """Peers and meshes of one router.

    :ivar mesh: its members by topic, for each that is joined.
    :ivar fanouts: for topics that are not.
    """

    def __init__(self, params: GossipParams, scores: PeerScores, rng: random.Random) -> None:
        self.peers: dict[PeerId, PeerState] = {}
        self.mesh: dict[str, dict[PeerId, PeerState]] = {}
        self._topic_peers: dict[str, dict[PeerId, None]] = {}
        self.backoffs = Backoffs(params.backoffs_max, params.backoff_slack_ms)
        self._newcomers: dict[str, dict[PeerId, None]] = {}
        self._params = params
        self._scores = scores
        self._choices = Choices(params, scores, rng)
        self.fanouts = Fanouts(params, self._choices)

    # Peers and their topics

    def add(self, peer: PeerId, *, outbound: bool, ip: str | None, now_ms: int) -> PeerState:
        """A peer has connected; no change if it was known as connected."""
        state = self.peers.get(peer)
        if state is None:
            state = self.peers[peer] = PeerState(outbound, self._scores.connected(peer, ip), now_ms)
        return state

    def remove(self, peer: PeerId) -> None:
        """A peer has gone; its back-offs and its score stay."""
        state = self.peers.get(peer)
        if state is None:
            return
        for topic in list(state.topics):
            self.forget_topic(peer, topic)
        del self.peers[peer]
        self._scores.disconnected(peer)

    def topic_peers(self, topic: str) -> dict[PeerId, None]:
        """The connected peers that subscribe to a topic."""
        return self._topic_peers.get(topic, {})

    def note_topic(self, peer: PeerId, topic: str) -> bool:
        """A peer subscribes. False if it has announced too many topics."""
        state = self.peers[peer]
        if topic not in state.topics and len(state.topics) >= self._params.topics_per_peer_max:
            return False
        state.topics[topic] = None
        self._topic_peers.setdefault(topic, {})[peer] = None
        return True

    def forget_topic(self, peer: PeerId, topic: str) -> None:
        """A peer unsubscribes."""
        state = self.peers.get(peer)
        if state is not None:
            state.topics.pop(topic, None)
        subscribers = self._topic_peers.get(topic)
        if subscribers is not None:
            subscribers.pop(peer, None)
            if not subscribers:
                del self._topic_peers[topic]
        self._exit(topic, peer)
        self.fanouts.forget(topic, peer)

    # Meshes

    def join(self, topic: str, now_ms: int) -> list[PeerId]:
        """Open a topic's mesh, from its fan-out first. Returns the peers to GRAFT."""
        preferred = self.fanouts.take(topic)
        self.mesh.setdefault(topic, {})
        grafted = [peer for peer in preferred if self._may_graft(topic, peer, now_ms)][: self._params.d]
        self._enter(topic, grafted, now_ms)
        return grafted + self._fill(topic, now_ms)

    def leave(self, topic: str, now_ms: int) -> list[PeerId]:
        """Close a topic's mesh. Returns the peers to PRUNE."""
        pruned = list(self.mesh.get(topic, {}))
        for peer in pruned:
            self._exit(topic, peer)
            self.backoffs.add(topic, peer, now_ms, self._params.unsubscribe_backoff_ms)
        self.mesh.pop(topic, None)
        return pruned

    def welcome(self, peer: PeerId, topic: str, now_ms: int) -> bool:
        """Graft a peer that has just announced a topic, if the mesh is thin; no wait for the heartbeat."""
        mesh = self.mesh.get(topic)
        if mesh is None or len(mesh) >= self._params.d_low or not self._may_graft(topic, peer, now_ms):
            return False
        self._enter(topic, [peer], now_ms)
        return True

    def graft(self, peer: PeerId, topic: str, now_ms: int) -> GraftAnswer:
        """A peer grafts us."""
        mesh = self.mesh.get(topic)
        if mesh is None or peer in mesh:
            return GraftAnswer.IGNORED
        began_ms = self.backoffs.began_ms(topic, peer, now_ms)
        if began_ms is not None:
            self.backoffs.add(topic, peer, now_ms, self._params.prune_backoff_ms)
            if began_ms < self.peers[peer].connected_ms:
                # A node that was restarted has forgotten what it was told before. Once for each connection.
                return GraftAnswer.REFUSED
            flood = now_ms - began_ms < self._params.graft_flood_ms
            return GraftAnswer.FLOOD if flood else GraftAnswer.TOO_EARLY
        if self._scores.score(peer) < 0 or self._is_full(mesh, self.peers[peer]):
            self.backoffs.add(topic, peer, now_ms, self._params.prune_backoff_ms)
            return GraftAnswer.REFUSED
        if not self.note_topic(peer, topic):
            return GraftAnswer.REFUSED
        self._enter(topic, [peer], now_ms)
        return GraftAnswer.ACCEPTED

    def prune(self, peer: PeerId, topic: str, backoff_ms: int, now_ms: int) -> None:
        """A peer prunes us, and asks for a back-off (0: the usual one)."""
        mesh = self.mesh.get(topic)
        if mesh is None:
            return
        self._exit(topic, peer)
        wanted_ms = min(backoff_ms or self._params.prune_backoff_ms, self._params.prune_backoff_max_ms)
        self.backoffs.add(topic, peer, now_ms, wanted_ms)

    def expel(self, peer: PeerId, now_ms: int) -> list[str]:
        """Take a peer out of every mesh. Returns the topics to PRUNE it from."""
        topics = [topic for topic, mesh in self.mesh.items() if peer in mesh]
        for topic in topics:
            self._exit(topic, peer)
            self.backoffs.add(topic, peer, now_ms, self._params.prune_backoff_ms)
        return topics

    def maintain(self, now_ms: int) -> tuple[list[tuple[PeerId, str]], list[tuple[PeerId, str]]]:
        """The heartbeat's care of the meshes. Returns the (peer, topic) to GRAFT and those to PRUNE."""
        self.backoffs.forget_old(now_ms)
        self.fanouts.forget_old(now_ms)
        grafts: list[tuple[PeerId, str]] = []
        prunes: list[tuple[PeerId, str]] = []
        for topic, mesh in self.mesh.items():
            bad = [peer for peer in mesh if self._scores.score(peer) < 0]
            surplus = self._choices.surplus(mesh, set(bad))
            for peer in (*bad, *surplus):
                self._exit(topic, peer)
                self.backoffs.add(topic, peer, now_ms, self._params.prune_backoff_ms)
                prunes.append((peer, topic))
            if len(mesh) < self._params.d_low:
                grafts += [(peer, topic) for peer in self._fill(topic, now_ms)]
            grafts += [(peer, topic) for peer in self._fill_outbound(topic, now_ms)]
        return grafts, prunes

    def graft_opportunistically(self, now_ms: int) -> list[tuple[PeerId, str]]:
        """Take better peers into meshes that do not do well. Returns the (peer, topic) to GRAFT."""
        grafts: list[tuple[PeerId, str]] = []
        for topic, mesh in self.mesh.items():
            if len(mesh) <= 1:
                continue
            scores = sorted(self._scores.score(peer) for peer in mesh)
            median = scores[len(scores) // 2]
            if median >= self._params.score.opportunistic_graft_threshold:
                continue
            candidates = self._candidates(topic, now_ms, lambda _: True)
            better = {peer: self.peers[peer] for peer in candidates if self._scores.score(peer) > median}
            chosen = self._choices.bringers(topic, better, self._params.opportunistic_graft_peers)
            self._enter(topic, chosen, now_ms)
            grafts += [(peer, topic) for peer in chosen]
        return grafts

    # Choices

    def publish_targets(self, topic: str, now_ms: int) -> list[PeerId]:
        """The peers that get a message of ours."""
        good = [
            peer
            for peer in self.topic_peers(topic)
            if self._scores.score(peer) >= self._params.score.publish_threshold
        ]
        if self._params.flood_publish:
            return good
        if topic in self.mesh:
            return list(self.mesh[topic])
        return self.fanouts.refresh(topic, good, now_ms)

    def gossip_targets(self, topic: str) -> list[PeerId]:
        """Peers outside the mesh that are to hear which messages we have."""
        mesh = self.mesh.get(topic, {})
        others = [
            peer
            for peer in self.topic_peers(topic)
            if peer not in mesh and self._scores.score(peer) >= self._params.score.gossip_threshold
        ]
        count = max(self._params.d_lazy, len(others) * self._params.gossip_percent // 100)
        return self._choices.draw(others, count)

    def px_targets(self, topic: str, asking: PeerId) -> list[PeerId]:
        """Peers of a topic to name to one that we prune; none if its own score is bad."""
        if self._scores.score(asking) < 0:
            return []
        # Drawn first and looked at then: whoever is pruned again and again must not have us rank everybody.
        drawn = self._choices.draw(self.topic_peers(topic), 2 * self._params.px_peers_max)
        good = [peer for peer in drawn if peer != asking and self._scores.score(peer) >= 0]
        return good[: self._params.px_peers_max]

    def is_contested(self, topic: str) -> bool:
        """Whether a topic has more peers than a mesh has room for."""
        return len(self.topic_peers(topic)) > self._params.d_high

    def take_newcomers(self) -> dict[str, list[PeerId]]:
        """The mesh peers, by topic, that came in since this was last asked."""
        taken, self._newcomers = self._newcomers, {}
        return {
            topic: [peer for peer in peers if peer in self.mesh.get(topic, {})]
            for topic, peers in taken.items()
        }

    # Internals

    def _enter(self, topic: str, peers: Iterable[PeerId], now_ms: int) -> None:
        mesh, newcomers = self.mesh[topic], self._newcomers.setdefault(topic, {})
        for peer in peers:
            state = mesh[peer] = self.peers[peer]
            newcomers[peer] = None
            self._scores.grafted(state.standing, topic, now_ms)

    def _exit(self, topic: str, peer: PeerId) -> None:
        state = self.mesh.get(topic, {}).pop(peer, None)
        if state is not None:
            self._scores.pruned(state.standing, topic)

    def _is_full(self, mesh: dict[PeerId, PeerState], newcomer: PeerState) -> bool:
        # Without a mesh of our own there is no room for those we dialled either.
        return len(mesh) >= self._params.d_high and (not newcomer.outbound or not self._params.d_high)

    def _may_graft(self, topic: str, peer: PeerId, now_ms: int) -> bool:
        return not self.backoffs.holds_us(topic, peer, now_ms) and self._scores.score(peer) >= 0

    def _candidates(self, topic: str, now_ms: int, wanted: Callable[[PeerId], bool]) -> list[PeerId]:
        mesh = self.mesh[topic]
        return [
            peer
            for peer in self.topic_peers(topic)
            if peer not in mesh and wanted(peer) and self._may_graft(topic, peer, now_ms)
        ]

    def _fill(self, topic: str, now_ms: int) -> list[PeerId]:
        candidates = self._candidates(topic, now_ms, lambda _: True)
        wanted = max(0, self._params.d - len(self.mesh[topic]))
        grafted = self._choices.bringers(topic, {peer: self.peers[peer] for peer in candidates}, wanted // 2)
        others = [peer for peer in candidates if peer not in grafted]
        grafted += self._choices.draw(others, wanted - len(grafted))
        self._enter(topic, grafted, now_ms)
        return grafted

    def _fill_outbound(self, topic: str, now_ms: int) -> list[PeerId]:
        mesh = self.mesh[topic]
        missing = self._params.d_out - sum(state.outbound for state in mesh.values())
        if missing <= 0:
            return []
        candidates = self._candidates(topic, now_ms, lambda peer: self.peers[peer].outbound)
        grafted = self._choices.draw(candidates, missing)
        self._enter(topic, grafted, now_ms)
        return grafted
