"""Who is connected, who wants which topic, and whom we exchange it with: the router's view of its peers.

Is: the mesh, fan-out and back-off rules of gossipsub v1.1, as a state machine over time arguments.
Is not: messages; :mod:`p2p.gossip.router` decides what is sent to the peers chosen here.

Sets of peers are dicts without values: their order is that of events, so a seeded run repeats exactly.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from p2p.gossip.params import GossipParams
    from p2p.gossip.score import PeerScores
    from p2p.identity import PeerId


@dataclass(slots=True)
class PeerState:
    """One connected peer. The counters run from heartbeat to heartbeat."""

    outbound: bool
    topics: dict[str, None] = field(default_factory=dict)
    ihave_heard: int = 0
    ids_asked: int = 0
    messages_given: int = 0


@dataclass(slots=True)
class Fanout:
    """Peers for a topic that we publish to without subscribing."""

    peers: dict[PeerId, None]
    used_ms: int


class GraftAnswer(enum.Enum):
    """What becomes of a GRAFT."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    REFUSED = "refused"
    TOO_EARLY = "too_early"
    FLOOD = "flood"


class Overlay:
    """Peers and meshes of one router."""

    def __init__(self, params: GossipParams, scores: PeerScores, rng: random.Random) -> None:
        self.peers: dict[PeerId, PeerState] = {}
        self.mesh: dict[str, dict[PeerId, None]] = {}
        self._topic_peers: dict[str, dict[PeerId, None]] = {}
        self._fanout: OrderedDict[str, Fanout] = OrderedDict()
        self._backoffs: OrderedDict[tuple[str, PeerId], tuple[int, int]] = OrderedDict()
        self._newcomers: dict[str, dict[PeerId, None]] = {}
        self._params = params
        self._scores = scores
        self._rng = rng

    # Peers and their topics

    def add(self, peer: PeerId, *, outbound: bool) -> None:
        """A peer has connected."""
        self.peers.setdefault(peer, PeerState(outbound))

    def remove(self, peer: PeerId) -> None:
        """A peer has gone; its back-offs stay."""
        state = self.peers.pop(peer, None)
        if state is None:
            return
        for topic in list(state.topics):
            self.forget_topic(peer, topic)

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
        self.mesh.get(topic, {}).pop(peer, None)
        fanout = self._fanout.get(topic)
        if fanout is not None:
            fanout.peers.pop(peer, None)

    # Meshes

    def join(self, topic: str, now_ms: int) -> list[PeerId]:
        """Open a topic's mesh, from its fan-out first. Returns the peers to GRAFT."""
        fanout = self._fanout.pop(topic, None)
        self.mesh.setdefault(topic, {})
        preferred = () if fanout is None else tuple(fanout.peers)
        grafted = [peer for peer in preferred if self._may_graft(topic, peer, now_ms)][: self._params.d]
        self._enter(topic, grafted)
        return grafted + self._fill(topic, now_ms)

    def leave(self, topic: str, now_ms: int) -> list[PeerId]:
        """Close a topic's mesh. Returns the peers to PRUNE."""
        pruned = list(self.mesh.pop(topic, {}))
        for peer in pruned:
            self._back_off(topic, peer, now_ms, self._params.unsubscribe_backoff_ms)
        return pruned

    def welcome(self, peer: PeerId, topic: str, now_ms: int) -> bool:
        """Graft a peer that has just announced a topic, if the mesh is thin; no wait for the heartbeat."""
        mesh = self.mesh.get(topic)
        if mesh is None or len(mesh) >= self._params.d_low or not self._may_graft(topic, peer, now_ms):
            return False
        self._enter(topic, [peer])
        return True

    def graft(self, peer: PeerId, topic: str, now_ms: int) -> GraftAnswer:
        """A peer grafts us."""
        mesh = self.mesh.get(topic)
        if mesh is None or peer in mesh:
            return GraftAnswer.IGNORED
        until_ms, since_ms = self._backoffs.get((topic, peer), (0, 0))
        if until_ms > now_ms:
            flood = now_ms - since_ms < self._params.graft_flood_ms
            self._back_off(topic, peer, now_ms, self._params.prune_backoff_ms)
            return GraftAnswer.FLOOD if flood else GraftAnswer.TOO_EARLY
        full = len(mesh) >= self._params.d_high and not self.peers[peer].outbound
        if full or self._scores.score(peer) < self._params.gossip_threshold:
            self._back_off(topic, peer, now_ms, self._params.prune_backoff_ms)
            return GraftAnswer.REFUSED
        if not self.note_topic(peer, topic):
            return GraftAnswer.REFUSED
        self._enter(topic, [peer])
        return GraftAnswer.ACCEPTED

    def prune(self, peer: PeerId, topic: str, backoff_ms: int, now_ms: int) -> None:
        """A peer prunes us, and asks for a back-off (0: the usual one)."""
        mesh = self.mesh.get(topic)
        if mesh is None:
            return
        mesh.pop(peer, None)
        wanted_ms = min(backoff_ms or self._params.prune_backoff_ms, self._params.prune_backoff_max_ms)
        self._back_off(topic, peer, now_ms, wanted_ms)

    def expel(self, peer: PeerId, now_ms: int) -> list[str]:
        """Take a peer out of every mesh. Returns the topics to PRUNE it from."""
        topics = [topic for topic, mesh in self.mesh.items() if peer in mesh]
        for topic in topics:
            del self.mesh[topic][peer]
            self._back_off(topic, peer, now_ms, self._params.prune_backoff_ms)
        return topics

    def maintain(self, now_ms: int) -> tuple[list[tuple[PeerId, str]], list[tuple[PeerId, str]]]:
        """The heartbeat's care of the meshes. Returns the (peer, topic) to GRAFT and those to PRUNE."""
        self._forget_old(now_ms)
        grafts: list[tuple[PeerId, str]] = []
        prunes: list[tuple[PeerId, str]] = []
        for topic, mesh in self.mesh.items():
            bad = [peer for peer in mesh if self._scores.score(peer) < self._params.gossip_threshold]
            surplus = self._surplus(mesh, set(bad))
            for peer in (*bad, *surplus):
                del mesh[peer]
                self._back_off(topic, peer, now_ms, self._params.prune_backoff_ms)
                prunes.append((peer, topic))
            if len(mesh) < self._params.d_low:
                grafts += [(peer, topic) for peer in self._fill(topic, now_ms)]
            grafts += [(peer, topic) for peer in self._fill_outbound(topic, now_ms)]
        return grafts, prunes

    # Choices

    def publish_targets(self, topic: str, now_ms: int) -> list[PeerId]:
        """The peers that get a message of ours."""
        good = [
            peer
            for peer in self.topic_peers(topic)
            if self._scores.score(peer) >= self._params.publish_threshold
        ]
        if self._params.flood_publish:
            return good
        if topic in self.mesh:
            return list(self.mesh[topic])
        return list(self._refresh_fanout(topic, good, now_ms).peers)

    def gossip_targets(self, topic: str) -> list[PeerId]:
        """Peers outside the mesh that are to hear which messages we have."""
        mesh = self.mesh.get(topic, {})
        others = [
            peer
            for peer in self.topic_peers(topic)
            if peer not in mesh and self._scores.score(peer) >= self._params.gossip_threshold
        ]
        count = max(self._params.d_lazy, len(others) * self._params.gossip_percent // 100)
        return self._choose(others, count)

    def take_newcomers(self) -> dict[str, list[PeerId]]:
        """The mesh peers, by topic, that came in since this was last asked."""
        taken, self._newcomers = self._newcomers, {}
        return {
            topic: [peer for peer in peers if peer in self.mesh.get(topic, {})]
            for topic, peers in taken.items()
        }

    def renew(self, peer: PeerId) -> None:
        """Count a peer as a newcomer wherever it is in the mesh."""
        for topic, mesh in self.mesh.items():
            if peer in mesh:
                self._newcomers.setdefault(topic, {})[peer] = None

    # Within

    def _enter(self, topic: str, peers: Iterable[PeerId]) -> None:
        entering = dict.fromkeys(peers)
        self.mesh[topic].update(entering)
        self._newcomers.setdefault(topic, {}).update(entering)

    def _choose(self, peers: Iterable[PeerId], count: int) -> list[PeerId]:
        found = list(peers)
        return self._rng.sample(found, min(count, len(found)))

    def _may_graft(self, topic: str, peer: PeerId, now_ms: int) -> bool:
        backing_off = self._backoffs.get((topic, peer), (0, 0))[0] > now_ms
        return not backing_off and self._scores.score(peer) >= self._params.gossip_threshold

    def _candidates(self, topic: str, now_ms: int, wanted: Callable[[PeerId], bool]) -> list[PeerId]:
        mesh = self.mesh[topic]
        return [
            peer
            for peer in self.topic_peers(topic)
            if peer not in mesh and wanted(peer) and self._may_graft(topic, peer, now_ms)
        ]

    def _fill(self, topic: str, now_ms: int) -> list[PeerId]:
        candidates = self._candidates(topic, now_ms, lambda _: True)
        grafted = self._choose(candidates, max(0, self._params.d - len(self.mesh[topic])))
        self._enter(topic, grafted)
        return grafted

    def _fill_outbound(self, topic: str, now_ms: int) -> list[PeerId]:
        mesh = self.mesh[topic]
        missing = self._params.d_out - sum(self.peers[peer].outbound for peer in mesh)
        if missing <= 0 or len(mesh) >= self._params.d_high:
            return []
        candidates = self._candidates(topic, now_ms, lambda peer: self.peers[peer].outbound)
        grafted = self._choose(candidates, missing)
        self._enter(topic, grafted)
        return grafted

    def _surplus(self, mesh: dict[PeerId, None], bad: set[PeerId]) -> list[PeerId]:
        good = [peer for peer in mesh if peer not in bad]
        if len(good) <= self._params.d_high:
            return []
        outbound = [peer for peer in good if self.peers[peer].outbound]
        kept = dict.fromkeys(self._choose(outbound, self._params.d_out))
        others = [peer for peer in good if peer not in kept]
        kept.update(dict.fromkeys(self._choose(others, self._params.d - len(kept))))
        return [peer for peer in good if peer not in kept]

    def _refresh_fanout(self, topic: str, good: list[PeerId], now_ms: int) -> Fanout:
        fanout = self._fanout.setdefault(topic, Fanout({}, now_ms))
        fanout.used_ms = now_ms
        self._fanout.move_to_end(topic)
        while len(self._fanout) > self._params.fanout_topics_max:
            self._fanout.popitem(last=False)
        fanout.peers = {peer: None for peer in fanout.peers if peer in good}
        others = [peer for peer in good if peer not in fanout.peers]
        fanout.peers.update(dict.fromkeys(self._choose(others, self._params.d - len(fanout.peers))))
        return fanout

    def _back_off(self, topic: str, peer: PeerId, now_ms: int, backoff_ms: int) -> None:
        until_ms = max(self._backoffs.pop((topic, peer), (0, 0))[0], now_ms + backoff_ms)
        while len(self._backoffs) >= self._params.backoffs_max:
            self._backoffs.popitem(last=False)
        self._backoffs[topic, peer] = (until_ms, now_ms)

    def _forget_old(self, now_ms: int) -> None:
        over = [key for key, (until_ms, _) in self._backoffs.items() if until_ms <= now_ms]
        for key in over:
            del self._backoffs[key]
        unused_ms = now_ms - self._params.fanout_ttl_ms
        for topic in [topic for topic, fanout in self._fanout.items() if fanout.used_ms <= unused_ms]:
            del self._fanout[topic]
