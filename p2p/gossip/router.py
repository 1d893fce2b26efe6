"""The gossipsub router: events and bytes in, actions out.

Is: gossipsub v1.1 with the peer score, and v1.2's IDONTWANT, as a state machine without I/O, clock or global
randomness: ``now_ms`` and the random generator are given. The same code runs over libp2p streams
(:mod:`p2p.gossip.service`) and in a simulation.
Is not: a judge of messages; whether one is valid is asked by :class:`Validate`, and the author is inside it.

The law of this file, tested with arbitrary bytes: whatever a peer sends, no method raises; bytes that are no
valid RPC change nothing but that peer's score and the counts.

Most of what arrives is a copy of what has just been read. A copy is known by its bytes, before anything is
parsed, hashed or allocated.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from p2p.gossip.actions import (
    Action,
    Batch,
    Connect,
    Count,
    Deliver,
    Disconnect,
    Forward,
    Rank,
    SendRpc,
    Spare,
    Validate,
)
from p2p.gossip.cache import ExpiringMap, RecentRpcs
from p2p.gossip.lazy import LazyGossip
from p2p.gossip.overlay import GraftAnswer, Overlay, PeerState
from p2p.gossip.score import PeerScores
from p2p.gossip.snapshot import Evictions, RouterSnapshot, Tables, TopicSnapshot, classify
from p2p.gossip.wire import (
    Message,
    Prune,
    PxPeer,
    Rpc,
    decode_rpc,
    decode_single,
    encode_message,
    encode_subscriptions,
    message_id,
)
from p2p.mesh import Validation
from protocol.errors import DecodeError, LocalError, Refusal

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from p2p.gossip.params import GossipParams
    from p2p.gossip.standing import PeerStanding
    from p2p.identity import PeerId

MESHSUB_1_2: Final = "/meshsub/1.2.0"
"""A peer that speaks it understands IDONTWANT."""
MESHSUB_1_1: Final = "/meshsub/1.1.0"
MESHSUB_1_0: Final = "/meshsub/1.0.0"

_MILLISECONDS: Final = 1_000


class MessageTooLarge(Refusal):
    """A message to publish exceeds ``message_bytes_max``."""


class _Verdict(enum.Enum):
    PENDING = 0
    ACCEPTED = 1
    IGNORED = 2
    REJECTED = 3
    OWN = 4
    FORGOTTEN = 5


@dataclass(slots=True, eq=False)
class _Known:
    """A message that was seen.

    :ivar forwarders: who sent it, the first one first; None when it is over.
    :ivar window_ends_ms: until when a copy counts as delivered, if it was accepted; as a mere duplicate, if
        it was ignored.
    :ivar judgements: how often it was judged.
    """

    identifier: bytes
    topic: str
    verdict: _Verdict
    forwarders: dict[PeerStanding, None] | None = None
    window_ends_ms: int = 0
    judgements: int = 1


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
        self._records = records
        # A rejected message stays known, so its duplicates cost their forwarders too, unjudged.
        self._seen: ExpiringMap[bytes, _Known] = ExpiringMap(params.seen_ttl_ms, params.seen_max)
        self._recent: RecentRpcs[_Known] = RecentRpcs(params.recent_rpcs_bytes_max)
        self._pending: dict[bytes, tuple[_Known, bytes, bytes]] = {}
        self._windows: deque[_Known] = deque(maxlen=params.seen_max)
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
        if len(data) > self.params.message_bytes_max:
            raise MessageTooLarge("the message is too large for gossip")
        identifier = message_id(topic, data)
        if identifier in self._seen:
            self.counts[Count.DUPLICATE_PUBLISH] += 1
            return []
        known = _Known(identifier, topic, _Verdict.OWN)
        rpc = encode_message(topic, data)
        self._seen.add(identifier, known, now_ms)
        self._recent.add(rpc, known)
        self.lazy.cache.put(identifier, topic, rpc)
        self.counts[Count.PUBLISHED] += 1
        return [SendRpc(peer, rpc, Rank.OWN) for peer in self.overlay.publish_targets(topic, now_ms)]

    def validation_result(self, identifier: bytes, verdict: Validation, now_ms: int) -> list[Action]:
        """The judgement on a :class:`Validate`; nothing if the message is not pending any more."""
        pending = self._pending.pop(identifier, None)
        if pending is None:
            return []
        known, data, rpc = pending
        forwarders = known.forwarders or {}
        if verdict is Validation.ACCEPT:
            return self._accept(known, forwarders, data, rpc, now_ms)
        known.forwarders = None
        if verdict is Validation.IGNORE:
            known.verdict = _Verdict.IGNORED
            known.window_ends_ms = now_ms + self.params.ignored_again_ms
            self.counts[Count.IGNORED] += 1
            return []
        known.verdict = _Verdict.REJECTED
        self.counts[Count.REJECTED] += 1
        batch = Batch()
        for standing in forwarders:
            self._blame(batch, standing, known.topic, now_ms)
        return batch.finish()

    def set_application_score(self, peer: PeerId, value: float) -> None:
        """Set P5: what the application thinks of a connected or remembered peer, from now on."""
        self.scores.set_application_score(peer, value)

    def heartbeat(self, now_ms: int) -> list[Action]:
        """The regular care of everything; call it every ``heartbeat_ms``."""
        self._heartbeats += 1
        batch = Batch()
        for known in self._seen.sweep(now_ms):
            known.verdict = _Verdict.FORGOTTEN
        if self._heartbeats % self.params.recent_rpcs_heartbeats == 0:
            self._recent.turn()
        while self._windows and self._windows[0].window_ends_ms <= now_ms:
            self._windows.popleft().forwarders = None
        for standing in self.lazy.broken_promises(now_ms):
            self.counts[Count.PROMISE_BROKEN] += 1
            self._fault(batch, standing, 1, now_ms)
        self.lazy.begin_heartbeat()
        if self.scores.refresh(now_ms, self.overlay.is_contested):
            for state in tuple(self.overlay.peers.values()):
                # Not by a deed of its own just now, but by its neighbours' or the application's word.
                self._cut_off_if_graylisted(batch, state.standing, now_ms)
        grafts, prunes = self.overlay.maintain(now_ms)
        if self._heartbeats % self.params.opportunistic_graft_heartbeats == 0:
            better = self.overlay.graft_opportunistically(now_ms)
            self.counts[Count.GRAFT_OPPORTUNISTIC] += len(better)
            grafts += better
        for peer, topic in grafts:
            batch.graft(peer, topic)
        for peer, topic in prunes:
            self._prune(batch, peer, topic)
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
                seen=len(self._seen),
                cache=len(self.lazy.cache),
                cache_bytes=self.lazy.cache.held_bytes,
                pending=len(self._pending),
                asked=self.lazy.asked_count,
                backoffs=len(overlay.backoffs),
                standings=len(self.scores),
                fanouts=overlay.fanouts_count,
                peers=len(overlay.peers),
            ),
            evicted=Evictions(
                seen=self._seen.evicted,
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
        known = self._recent.get(rpc_bytes)
        if known is not None and (
            known.verdict is _Verdict.ACCEPTED or not self._may_be_judged(known, now_ms)
        ):
            return self._duplicate(state.standing, known, now_ms)
        single = decode_single(rpc_bytes, self.params)
        if single is not None:
            return self._message(state.standing, single, rpc_bytes, now_ms)
        return self._general(peer, state, rpc_bytes, now_ms)

    def framing_broken(self, peer: PeerId, now_ms: int) -> list[Action]:
        """A peer's stream could not be cut into RPCs."""
        state = self.overlay.peers.get(peer)
        return [] if state is None else self._malformed(state, now_ms)

    # Messages

    def _message(
        self, standing: PeerStanding, message: Message, rpc: bytes | None, now_ms: int
    ) -> list[Action]:
        """One anonymous message. :param rpc: its RPC in the usual spelling, None if it came in another."""
        identifier = message_id(message.topic, message.data)
        known = self._seen.get(identifier)
        if known is not None and not self._may_be_judged(known, now_ms):
            return self._duplicate(standing, known, now_ms)
        self.lazy.arrived(identifier)
        if message.topic not in self.overlay.mesh:
            self.counts[Count.DROPPED_NOT_SUBSCRIBED] += 1
            return []
        if len(self._pending) >= self.params.pending_max:
            self.counts[Count.DROPPED_PENDING_FULL] += 1
            return []
        rpc = encode_message(message.topic, message.data) if rpc is None else rpc
        if known is None:
            known = _Known(identifier, message.topic, _Verdict.PENDING, {standing: None})
            self._seen.add(identifier, known, now_ms)
            self._recent.add(rpc, known)
        else:
            known.verdict, known.forwarders = _Verdict.PENDING, {standing: None}
            known.judgements += 1
            self.counts[Count.JUDGED_AGAIN] += 1
        self._pending[identifier] = (known, message.data, rpc)
        judge = Validate(identifier, message.topic, message.data, standing.peer)
        if len(message.data) < self.params.idontwant_bytes_min:
            return [judge]
        return [*self.lazy.unwanted_notices(identifier, message.topic, standing.peer), judge]

    def _may_be_judged(self, known: _Known, now_ms: int) -> bool:
        verdict = known.verdict
        if verdict is _Verdict.IGNORED:
            in_time = now_ms >= known.window_ends_ms
            return in_time and known.judgements < self.params.ignored_judgements_max
        return verdict is _Verdict.FORGOTTEN

    def _is_unwanted(self, identifier: bytes, now_ms: int) -> bool:
        known = self._seen.get(identifier)
        return known is not None and not self._may_be_judged(known, now_ms)

    def _duplicate(self, standing: PeerStanding, known: _Known, now_ms: int) -> list[Action]:
        if known.verdict is _Verdict.REJECTED:
            self.counts[Count.DUPLICATE_OF_REJECTED] += 1
            batch = Batch()
            self._blame(batch, standing, known.topic, now_ms)
            return batch.finish()
        self.counts[Count.DUPLICATE] += 1
        forwarders = known.forwarders
        if (
            forwarders is not None
            and standing not in forwarders
            and len(forwarders) < self.params.forwarders_max
        ):
            forwarders[standing] = None
            if known.verdict is _Verdict.ACCEPTED:
                if now_ms < known.window_ends_ms:
                    self.scores.delivered_again(standing, known.topic)
                return [Spare(standing.peer, known.identifier)]
        return []

    def _accept(
        self, known: _Known, forwarders: dict[PeerStanding, None], data: bytes, rpc: bytes, now_ms: int
    ) -> list[Action]:
        known.verdict = _Verdict.ACCEPTED
        mesh = self.overlay.mesh.get(known.topic)
        if mesh is None:
            known.forwarders = None
            return []
        self.counts[Count.ACCEPTED] += 1
        self.scores.accepted(known.topic, forwarders)
        known.window_ends_ms = now_ms + self.scores.window_ms(known.topic)
        self._windows.append(known)
        self.lazy.cache.put(known.identifier, known.topic, rpc)
        identifier = known.identifier
        peers = []
        for peer, state in mesh.items():
            if state.standing in forwarders:
                continue
            if identifier in state.unwanted:
                self.counts[Count.FORWARD_UNWANTED] += 1
                continue
            peers.append(peer)
        self.counts[Count.FORWARDED] += len(peers)
        delivery = Deliver(known.topic, data)
        return [delivery, Forward(identifier, rpc, peers)] if peers else [delivery]

    # Everything that is not one message

    def _general(self, peer: PeerId, state: PeerState, rpc_bytes: bytes, now_ms: int) -> list[Action]:
        try:
            rpc = decode_rpc(rpc_bytes, self.params)
        except DecodeError:
            return self._malformed(state, now_ms)
        batch = Batch()
        for topic, subscribed in rpc.subscriptions:
            self._subscription(batch, peer, topic, subscribed=subscribed, now_ms=now_ms)
        for message in rpc.messages:
            if state.standing.score < self.params.score.graylist_threshold:
                break
            if message.signed:
                self._signed(batch, state, message.topic, now_ms)
            else:
                batch.actions += self._message(state.standing, message, None, now_ms)
        self._control(batch, peer, state, rpc, now_ms)
        return batch.finish()

    def _malformed(self, state: PeerState, now_ms: int) -> list[Action]:
        self.counts[Count.DROPPED_MALFORMED] += 1
        batch = Batch()
        self._fault(batch, state.standing, self.params.score.violation_units, now_ms)
        return batch.finish()

    def _signed(self, batch: Batch, state: PeerState, topic: str, now_ms: int) -> None:
        self.counts[Count.DROPPED_SIGNED] += 1
        if topic in self.overlay.mesh:
            self._blame(batch, state.standing, topic, now_ms)

    def _subscription(self, batch: Batch, peer: PeerId, topic: str, *, subscribed: bool, now_ms: int) -> None:
        if not subscribed:
            self.overlay.forget_topic(peer, topic)
            return
        is_new = peer not in self.overlay.topic_peers(topic)
        if not self.overlay.note_topic(peer, topic):
            self.counts[Count.DROPPED_TOPICS_FULL] += 1
            return
        if self.overlay.welcome(peer, topic, now_ms):
            batch.graft(peer, topic)
        if (
            is_new
            and topic in self.overlay.mesh
            and self.scores.score(peer) >= self.params.score.gossip_threshold
        ):
            batch.actions += self.lazy.introduction(peer, topic)

    def _control(self, batch: Batch, peer: PeerId, state: PeerState, rpc: Rpc, now_ms: int) -> None:
        if rpc.idontwant:
            self.lazy.idontwant(state, rpc.idontwant)
        for topic in rpc.graft:
            self._graft(batch, peer, state, topic, now_ms)
        for entry in rpc.prune:
            self._pruned(batch, peer, state, entry, now_ms)
        if self.scores.score_of(state.standing) < self.params.score.gossip_threshold:
            return
        if rpc.ihave:
            unwanted = partial(self._is_unwanted, now_ms=now_ms)
            batch.actions += self.lazy.ihave(peer, state, rpc.ihave, unwanted, now_ms)
        if rpc.iwant:
            batch.actions += self.lazy.iwant(peer, state, rpc.iwant)

    def _graft(self, batch: Batch, peer: PeerId, state: PeerState, topic: str, now_ms: int) -> None:
        answer = self.overlay.graft(peer, topic, now_ms)
        if answer is GraftAnswer.ACCEPTED or answer is GraftAnswer.IGNORED:
            return
        if answer is GraftAnswer.REFUSED:
            self._prune(batch, peer, topic)
            self.counts[Count.GRAFT_REFUSED] += 1
            return
        # Too early: no others are named, or asking would pay.
        batch.prune(peer, topic, self.params.prune_backoff_ms)
        self.counts[Count.GRAFT_IN_BACKOFF] += 1
        self._fault(batch, state.standing, 2 if answer is GraftAnswer.FLOOD else 1, now_ms)

    def _prune(self, batch: Batch, peer: PeerId, topic: str) -> None:
        """Say goodbye, and to a peer of good standing where else it may go."""
        found = [self._records(other) for other in self.overlay.px_targets(topic, peer)]
        others = tuple(other for other in found if other is not None)
        batch.prune(peer, topic, self.params.prune_backoff_ms, others)

    def _pruned(self, batch: Batch, peer: PeerId, state: PeerState, entry: Prune, now_ms: int) -> None:
        self.overlay.prune(peer, entry.topic, entry.backoff_s * _MILLISECONDS, now_ms)
        if not entry.peers:
            return
        room = self.params.px_peers_max - state.px_heard
        trusted = self.scores.score_of(state.standing) >= self.params.score.accept_px_threshold
        if not trusted or room <= 0 or entry.topic not in self.overlay.mesh:
            self.counts[Count.DROPPED_PX] += 1
            return
        state.px_heard += len(entry.peers[:room])
        self.counts[Count.PX_TAKEN] += 1
        batch.actions.append(Connect(peer, entry.peers[:room]))

    # Penalties

    def _blame(self, batch: Batch, standing: PeerStanding, topic: str, now_ms: int) -> None:
        """A peer brought an invalid message."""
        self.scores.invalid(standing, topic)
        self._cut_off_if_graylisted(batch, standing, now_ms)

    def _fault(self, batch: Batch, standing: PeerStanding, misdeeds: float, now_ms: int) -> None:
        """A peer broke the rules of gossip itself."""
        self.scores.misbehaved(standing, misdeeds)
        self._cut_off_if_graylisted(batch, standing, now_ms)

    def _cut_off_if_graylisted(self, batch: Batch, standing: PeerStanding, now_ms: int) -> None:
        if standing.score >= self.params.score.graylist_threshold:
            standing.cut_off = False
            return
        if standing.cut_off or not standing.connected:
            return
        standing.cut_off = True
        self.counts[Count.GRAYLISTED] += 1
        for topic in self.overlay.expel(standing.peer, now_ms):
            batch.prune(standing.peer, topic, self.params.prune_backoff_ms)
        batch.farewells.append(Disconnect(standing.peer, "graylisted"))

    # Internals

    def _announce(self, batch: Batch, topic: str, *, subscribed: bool) -> None:
        rpc = encode_subscriptions([(topic, subscribed)])
        batch.actions += [SendRpc(peer, rpc) for peer in self.overlay.peers]

    def _require_topic(self, topic: str) -> None:
        if not 0 < len(topic.encode()) <= self.params.topic_bytes_max:
            raise LocalError("a topic's name is 1 to topic_bytes_max bytes")
