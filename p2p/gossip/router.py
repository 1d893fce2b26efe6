"""The gossipsub router: events and bytes in, actions out.

Is: gossipsub v1.1 with the peer score, and v1.2's IDONTWANT, as a state machine without I/O, clock or global
randomness: ``now_ms`` and the random generator are given. The same code runs over libp2p streams
(:mod:`p2p.gossip.service`) and in a simulation.
Its parts are :mod:`p2p.gossip.messages` and :mod:`p2p.gossip.control`; here they are put in order.
Is not: a judge of messages; whether one is valid is asked by :class:`Validate`, and the author is inside it.

The law of this file, tested with arbitrary bytes: whatever a peer sends, no method raises; bytes that are no
valid RPC change nothing but that peer's score and the counts.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from p2p.gossip.actions import Action, Batch, Count, Disconnect, SendRpc
from p2p.gossip.control import Control
from p2p.gossip.lazy import LazyGossip
from p2p.gossip.messages import Messages
from p2p.gossip.overlay import Overlay
from p2p.gossip.peer_state import PeerState
from p2p.gossip.penalties import Penalties
from p2p.gossip.score import PeerScores
from p2p.gossip.snapshot import Evictions, RouterSnapshot, Tables, TopicSnapshot, classify
from p2p.gossip.wire import PxPeer, decode_rpc, decode_single, encode_subscriptions
from p2p.mesh import Validation
from protocol.errors import DecodeError, LocalError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from p2p.gossip.params import GossipParams
    from p2p.identity import PeerId

MESHSUB_1_2: Final = "/meshsub/1.2.0"
"""A peer that speaks it understands IDONTWANT."""
MESHSUB_1_1: Final = "/meshsub/1.1.0"
MESHSUB_1_0: Final = "/meshsub/1.0.0"


def _name_nobody(_peer: PeerId) -> PxPeer | None:
    return None


class Router:
    """One node's gossip. Every event returns the actions it asks for, in order.

    :ivar counts: see :class:`Count`.
    """

    def __init__(
        self,
        params: GossipParams,
        rng: random.Random,
        *,
        records: Callable[[PeerId], PxPeer | None] = _name_nobody,
    ) -> None:
        """Begin without peers or topics.

        :param records: a peer as it is named to others, with its signed record; None if it is not to be.
        """
        self.params = params
        self.counts: Counter[Count] = Counter()
        self.scores = PeerScores(params.score)
        self.overlay = Overlay(params, self.scores, rng)
        self.lazy = LazyGossip(params, self.overlay, self.counts, rng)
        self._penalties = Penalties(params, self.scores, self.overlay, self.counts)
        self._messages = Messages(params, self.scores, self.overlay, self.lazy, self._penalties, self.counts)
        self._control = Control(
            params,
            self.scores,
            self.overlay,
            self.lazy,
            self._messages,
            self._penalties,
            self.counts,
            records,
        )
        self._heartbeats = 0

    # Local events

    def subscribe(self, topic: str, now_ms: int) -> list[Action]:
        """Join a topic. :raises LocalError: it is joined already, or its name is empty or too long."""
        self._require_topic(topic)
        if topic in self.overlay.mesh:
            raise LocalError("the topic is subscribed already")
        batch = Batch()
        self._announce(batch, topic, subscribed=True)
        for peer in self.overlay.join(topic, now_ms):
            batch.graft(peer, topic)
        return batch.finish()

    def unsubscribe(self, topic: str, now_ms: int) -> list[Action]:
        """Leave a topic; nothing if it is not joined."""
        if topic not in self.overlay.mesh:
            return []
        batch = Batch()
        for peer in self.overlay.leave(topic, now_ms):
            batch.prune(peer, topic, self.params.unsubscribe_backoff_ms)
        self._announce(batch, topic, subscribed=False)
        return batch.finish()

    def publish(self, topic: str, data: bytes, now_ms: int) -> list[Action]:
        """Send a message of ours; none if the same was seen lately.

        :raises MessageTooLarge: over ``message_bytes_max``.
        :raises LocalError: the topic's name is empty or too long.
        """
        self._require_topic(topic)
        return self._messages.publish(topic, data, now_ms)

    def validation_result(self, identifier: bytes, verdict: Validation, now_ms: int) -> list[Action]:
        """The judgement on a :class:`Validate`; nothing if the message is not pending any more."""
        return self._messages.judged(identifier, verdict, now_ms)

    def set_application_score(self, peer: PeerId, value: float) -> None:
        """Set P5: what the application thinks of a connected or remembered peer, from now on."""
        self.scores.set_application_score(peer, value)

    def heartbeat(self, now_ms: int) -> list[Action]:
        """The regular care of everything; call it every ``heartbeat_ms``."""
        self._heartbeats += 1
        batch = Batch()
        self._messages.sweep(now_ms, turn=self._heartbeats % self.params.recent_rpcs_heartbeats == 0)
        for standing in self.lazy.broken_promises(now_ms):
            self.counts[Count.PROMISE_BROKEN] += 1
            self._penalties.fault(batch, standing, 1, now_ms)
        self.lazy.begin_heartbeat()
        if self.scores.refresh(now_ms, self.overlay.is_contested):
            for state in tuple(self.overlay.peers.values()):
                # Not by a deed of its own just now, but by its neighbours' or the application's word.
                self._penalties.cut_off_if_graylisted(batch, state.standing, now_ms)
        grafts, prunes = self.overlay.maintain(now_ms)
        if self._heartbeats % self.params.opportunistic_graft_heartbeats == 0:
            better = self.overlay.graft_opportunistically(now_ms)
            self.counts[Count.GRAFT_OPPORTUNISTIC] += len(better)
            grafts += better
        for peer, topic in grafts:
            batch.graft(peer, topic)
        for peer, topic in prunes:
            self._control.prune(batch, peer, topic)
        batch.actions += self.lazy.offers()
        return batch.finish()

    def snapshot(self) -> RouterSnapshot:
        """Everything an operator may want to see, now."""
        overlay = self.overlay
        return RouterSnapshot(
            peers=len(overlay.peers),
            topics={
                topic: TopicSnapshot(
                    len(overlay.topic_peers(topic)),
                    len(mesh),
                    sum(state.outbound for state in mesh.values()),
                )
                for topic, mesh in overlay.mesh.items()
            },
            score_classes=classify(self.scores.scores(), self.params.score),
            tables=Tables(
                seen=self._messages.seen_count,
                cache=len(self.lazy.cache),
                cache_bytes=self.lazy.cache.held_bytes,
                pending=self._messages.pending_count,
                asked=self.lazy.asked_count,
                backoffs=len(overlay.backoffs),
                standings=len(self.scores),
                fanouts=len(overlay.fanouts),
                peers=len(overlay.peers),
            ),
            evicted=Evictions(
                seen=self._messages.seen_evicted,
                cache=self.lazy.cache.evicted,
                backoffs=overlay.backoffs.evicted,
                standings=self.scores.evicted,
            ),
            counts=Counter(self.counts),
        )

    # Events of peers

    def peer_connected(
        self,
        peer: PeerId,
        *,
        outbound: bool,
        now_ms: int,
        ip: str | None = None,
        protocol: str = MESHSUB_1_1,
    ) -> list[Action]:
        """A peer that speaks gossip is there.

        :param outbound: whether we dialled it.
        :param ip: where it is, for P6, or ``/p2p/`` and the relay it comes through; None if nobody knows.
        :param protocol: what it speaks, if that is known already; see :meth:`protocol_agreed`.
        """
        if self.scores.is_graylisted(peer):
            return [Disconnect(peer, "graylisted")]
        if peer not in self.overlay.peers and len(self.overlay.peers) >= self.params.peers_max:
            self.counts[Count.REFUSED_PEERS_FULL] += 1
            return [Disconnect(peer, "too many peers")]
        self.overlay.add(peer, outbound=outbound, ip=ip, now_ms=now_ms)
        self.protocol_agreed(peer, protocol)
        return self.hello(peer)

    def protocol_agreed(self, peer: PeerId, protocol: str) -> None:
        """A stream to a peer agreed on a protocol: whether it understands IDONTWANT."""
        state = self.overlay.peers.get(peer)
        if state is not None:
            state.hears_idontwant = protocol == MESHSUB_1_2

    def hello(self, peer: PeerId) -> list[Action]:
        """Tell a peer our topics."""
        if peer not in self.overlay.peers or not self.overlay.mesh:
            return []
        return [SendRpc(peer, encode_subscriptions((topic, True) for topic in self.overlay.mesh))]

    def stream_reopened(self, peer: PeerId) -> list[Action]:
        """Our stream to a peer broke, with whatever was on its way, and there is a new one.

        Says our topics again, and offers the peer what it may have missed lately.
        """
        actions = self.hello(peer)
        for topic in self.overlay.mesh:
            if peer in self.overlay.topic_peers(topic):
                actions += self.lazy.reminder(peer, topic)
        return actions

    def peer_disconnected(self, peer: PeerId) -> None:
        """A peer has gone. Its score and back-offs stay."""
        self.overlay.remove(peer)

    def rpc_received(self, peer: PeerId, rpc_bytes: bytes, now_ms: int) -> list[Action]:
        """An RPC, without its length prefix. Never raises."""
        state = self.overlay.peers.get(peer)
        if state is None:
            self.counts[Count.DROPPED_UNKNOWN_PEER] += 1
            return []
        if state.standing.score < self.params.score.graylist_threshold:
            self.counts[Count.DROPPED_GRAYLISTED] += 1
            return []
        copy = self._messages.copy_of(rpc_bytes, state.standing, now_ms)
        if copy is not None:
            return copy
        single = decode_single(rpc_bytes, self.params)
        if single is not None:
            return self._messages.arrived(state.standing, single, rpc_bytes, now_ms)
        return self._general(peer, state, rpc_bytes, now_ms)

    def framing_broken(self, peer: PeerId, now_ms: int) -> list[Action]:
        """A peer's stream could not be cut into RPCs."""
        state = self.overlay.peers.get(peer)
        return [] if state is None else self._malformed(state, now_ms)

    # Everything that is not one message

    def _general(self, peer: PeerId, state: PeerState, rpc_bytes: bytes, now_ms: int) -> list[Action]:
        try:
            rpc = decode_rpc(rpc_bytes, self.params)
        except DecodeError:
            return self._malformed(state, now_ms)
        batch = Batch()
        for topic, subscribed in rpc.subscriptions:
            self._control.subscription(batch, peer, topic, subscribed=subscribed, now_ms=now_ms)
        for message in rpc.messages:
            if state.standing.score < self.params.score.graylist_threshold:
                break
            if message.signed:
                self._signed(batch, state, message.topic, now_ms)
            else:
                batch.actions += self._messages.arrived(state.standing, message, None, now_ms)
        self._control.take(batch, peer, state, rpc, now_ms)
        return batch.finish()

    def _malformed(self, state: PeerState, now_ms: int) -> list[Action]:
        self.counts[Count.DROPPED_MALFORMED] += 1
        batch = Batch()
        self._penalties.fault(batch, state.standing, self.params.score.violation_units, now_ms)
        return batch.finish()

    def _signed(self, batch: Batch, state: PeerState, topic: str, now_ms: int) -> None:
        self.counts[Count.DROPPED_SIGNED] += 1
        if topic in self.overlay.mesh:
            self._penalties.blame(batch, state.standing, topic, now_ms)

    # Internals

    def _announce(self, batch: Batch, topic: str, *, subscribed: bool) -> None:
        rpc = encode_subscriptions([(topic, subscribed)])
        batch.actions += [SendRpc(peer, rpc) for peer in self.overlay.peers]

    def _require_topic(self, topic: str) -> None:
        if not 0 < len(topic.encode()) <= self.params.topic_bytes_max:
            raise LocalError("a topic's name is 1 to topic_bytes_max bytes")
