"""The gossipsub router: events and bytes in, actions out.

Is: a state machine without I/O, clock or global randomness: ``now_ms`` and the random generator are given.
The same code runs over libp2p streams (:mod:`p2p.gossip.service`) and in a simulation.
Is not: all of gossipsub v1.1 yet. Present: mesh with back-off and outbound quota, flood publish, fan-out,
lazy gossip, content ids, StrictNoSign, a plain score. Absent: P1 to P3 and P5 to P7 of the peer score,
opportunistic grafting, peer exchange, IDONTWANT.

The law of this file, tested with arbitrary bytes: whatever a peer sends, no method raises; bytes that are no
valid RPC change nothing but that peer's score and the counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2p.gossip.actions import (
    Action,
    Batch,
    Count,
    Deliver,
    Disconnect,
    SendRpc,
    Validate,
)
from p2p.gossip.cache import ExpiringMap, MessageCache
from p2p.gossip.overlay import GraftAnswer, Overlay, PeerState
from p2p.gossip.score import PeerScores
from p2p.gossip.wire import (
    RPC_MESSAGE_OVERHEAD_BYTES,
    Message,
    Rpc,
    decode_rpc,
    encode_control,
    encode_messages,
    encode_subscriptions,
    message_id,
)
from p2p.mesh import Validation
from protocol.errors import DecodeError, LocalError, Refusal

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from p2p.gossip.params import GossipParams
    from p2p.identity import PeerId

_MILLISECONDS: Final = 1_000
_REJECTED: Final = True
_NOT_REJECTED: Final = False


class MessageTooLarge(Refusal):
    """A message to publish exceeds ``message_bytes_max``."""


@dataclass(slots=True)
class _Pending:
    """A message that is being judged. :ivar forwarders: everybody who sent it, the first one first."""

    topic: str
    data: bytes
    forwarders: dict[PeerId, None]


class Router:
    """One node's gossip. Every method returns the actions it asks for, in order.

    :ivar counts: see :class:`Count`.
    """

    def __init__(self, params: GossipParams, rng: random.Random) -> None:
        self.params = params
        self.counts: Counter[Count] = Counter()
        self.scores = PeerScores(params)
        self.overlay = Overlay(params, self.scores, rng)
        self._rng = rng
        # A rejected message stays known, so its duplicates cost their forwarders too, unjudged.
        self._seen: ExpiringMap[bytes, bool] = ExpiringMap(params.seen_ttl_ms, params.seen_max)
        self._asked: ExpiringMap[bytes, None] = ExpiringMap(params.iwant_followup_ms, params.asked_max)
        self._cache = MessageCache(
            params.history_length, params.history_gossip, params.cache_messages_max, params.cache_bytes_max
        )
        self._pending: dict[bytes, _Pending] = {}

    # Events of ours

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
        self._seen.add(identifier, _NOT_REJECTED, now_ms)
        self._cache.put(identifier, topic, data)
        self.counts[Count.PUBLISHED] += 1
        rpc = encode_messages([(topic, data)])
        return [SendRpc(peer, rpc) for peer in self.overlay.publish_targets(topic, now_ms)]

    def validation_result(self, identifier: bytes, verdict: Validation, now_ms: int) -> list[Action]:
        """The judgement on a :class:`Validate`; nothing if the message is not pending any more."""
        pending = self._pending.pop(identifier, None)
        if pending is None:
            return []
        batch = Batch()
        if verdict is Validation.REJECT:
            self.counts[Count.REJECTED] += 1
            self._seen.add(identifier, _REJECTED, now_ms)
            for peer in pending.forwarders:
                self._punish(batch, peer, self.params.reject_penalty, now_ms)
        elif verdict is Validation.IGNORE:
            self.counts[Count.IGNORED] += 1
        elif pending.topic in self.overlay.mesh:
            self.counts[Count.ACCEPTED] += 1
            self._cache.put(identifier, pending.topic, pending.data)
            batch.actions.append(Deliver(pending.topic, pending.data))
            rpc = encode_messages([(pending.topic, pending.data)])
            for peer in self.overlay.mesh[pending.topic]:
                if peer not in pending.forwarders:
                    self.counts[Count.FORWARDED] += 1
                    batch.actions.append(SendRpc(peer, rpc))
        return batch.finish()

    def heartbeat(self, now_ms: int) -> list[Action]:
        """The regular care of everything; call it every ``heartbeat_ms``."""
        self.scores.decay()
        self._seen.sweep(now_ms)
        self._asked.sweep(now_ms)
        for state in self.overlay.peers.values():
            state.ihave_heard = state.ids_asked = state.messages_given = 0
        batch = Batch()
        grafts, prunes = self.overlay.maintain(now_ms)
        for peer, topic in grafts:
            batch.graft(peer, topic)
        for peer, topic in prunes:
            batch.prune(peer, topic, self.params.prune_backoff_ms)
        self._gossip(batch)
        self._cache.shift()
        return batch.finish()

    # Events of peers

    def peer_connected(self, peer: PeerId, *, outbound: bool, now_ms: int) -> list[Action]:
        """A peer that speaks gossip is there. :param outbound: whether we dialled it."""
        del now_ms  # for symmetry: connection times belong to the score's P1 later
        if self.scores.is_graylisted(peer):
            return [Disconnect(peer, "graylisted")]
        if peer not in self.overlay.peers and len(self.overlay.peers) >= self.params.peers_max:
            self.counts[Count.REFUSED_PEERS_FULL] += 1
            return [Disconnect(peer, "too many peers")]
        self.overlay.add(peer, outbound=outbound)
        return self.hello(peer)

    def hello(self, peer: PeerId) -> list[Action]:
        """Tell a peer our topics."""
        if peer not in self.overlay.peers or not self.overlay.mesh:
            return []
        return [SendRpc(peer, encode_subscriptions((topic, True) for topic in self.overlay.mesh))]

    def stream_reopened(self, peer: PeerId) -> list[Action]:
        """Our stream to a peer broke, with whatever was on its way, and there is a new one.

        Says our topics again, and has the next heartbeat offer the peer what it may have missed.
        """
        self.overlay.renew(peer)
        return self.hello(peer)

    def peer_disconnected(self, peer: PeerId) -> None:
        """A peer has gone. Its score and back-offs stay."""
        self.overlay.remove(peer)

    def rpc_received(self, peer: PeerId, rpc_bytes: bytes, now_ms: int) -> list[Action]:
        """An RPC, without its length prefix. Never raises."""
        state = self.overlay.peers.get(peer)
        if state is None:
            self.counts[Count.DROPPED_UNKNOWN_PEER] += 1
            return []
        if self.scores.is_graylisted(peer):
            self.counts[Count.DROPPED_GRAYLISTED] += 1
            return []
        batch = Batch()
        try:
            rpc = decode_rpc(rpc_bytes, self.params)
        except DecodeError:
            self._malformed(batch, peer, now_ms)
            return batch.finish()
        for topic, subscribed in rpc.subscriptions:
            self._subscription(batch, peer, topic, subscribed=subscribed, now_ms=now_ms)
        for message in rpc.messages:
            if self.scores.is_graylisted(peer):
                break
            self._message(batch, peer, message, now_ms)
        self._control(batch, peer, state, rpc, now_ms)
        return batch.finish()

    def framing_broken(self, peer: PeerId, now_ms: int) -> list[Action]:
        """A peer's stream could not be cut into RPCs."""
        batch = Batch()
        self._malformed(batch, peer, now_ms)
        return batch.finish()

    def _malformed(self, batch: Batch, peer: PeerId, now_ms: int) -> None:
        self.counts[Count.DROPPED_MALFORMED] += 1
        self._punish(batch, peer, self.params.violation_penalty, now_ms)

    def _subscription(self, batch: Batch, peer: PeerId, topic: str, *, subscribed: bool, now_ms: int) -> None:
        if not subscribed:
            self.overlay.forget_topic(peer, topic)
        elif not self.overlay.note_topic(peer, topic):
            self.counts[Count.DROPPED_TOPICS_FULL] += 1
        elif self.overlay.welcome(peer, topic, now_ms):
            batch.graft(peer, topic)

    def _message(self, batch: Batch, peer: PeerId, message: Message, now_ms: int) -> None:
        # Duplicates die first, at the price of one hash; most of what arrives is one.
        identifier = message_id(message.topic, message.data)
        rejected = self._seen.get(identifier)
        if rejected is not None and not message.signed:
            self._duplicate(batch, peer, identifier, rejected=rejected, now_ms=now_ms)
            return
        if message.signed:
            self.counts[Count.DROPPED_SIGNED] += 1
            self._punish(batch, peer, self.params.violation_penalty, now_ms)
            return
        if message.topic not in self.overlay.mesh:
            self.counts[Count.DROPPED_NOT_SUBSCRIBED] += 1
            return
        if len(self._pending) >= self.params.pending_max:
            self.counts[Count.DROPPED_PENDING_FULL] += 1
            return
        self._seen.add(identifier, _NOT_REJECTED, now_ms)
        self._asked.discard(identifier)
        self._pending[identifier] = _Pending(message.topic, message.data, {peer: None})
        batch.actions.append(Validate(identifier, message.topic, message.data, peer))

    def _duplicate(
        self, batch: Batch, peer: PeerId, identifier: bytes, *, rejected: bool, now_ms: int
    ) -> None:
        if rejected:
            self.counts[Count.DUPLICATE_OF_REJECTED] += 1
            self._punish(batch, peer, self.params.reject_penalty, now_ms)
            return
        self.counts[Count.DUPLICATE] += 1
        pending = self._pending.get(identifier)
        if pending is not None and len(pending.forwarders) < self.params.forwarders_max:
            pending.forwarders[peer] = None

    def _control(self, batch: Batch, peer: PeerId, state: PeerState, rpc: Rpc, now_ms: int) -> None:
        for topic in rpc.graft:
            self._graft(batch, peer, topic, now_ms)
        for entry in rpc.prune:
            self.overlay.prune(peer, entry.topic, entry.backoff_s * _MILLISECONDS, now_ms)
        if self.scores.score(peer) < self.params.gossip_threshold:
            return
        if rpc.ihave:
            self._ihave(batch, peer, state, rpc.ihave, now_ms)
        if rpc.iwant:
            self._iwant(batch, peer, state, rpc.iwant)

    def _graft(self, batch: Batch, peer: PeerId, topic: str, now_ms: int) -> None:
        answer = self.overlay.graft(peer, topic, now_ms)
        if answer in (GraftAnswer.ACCEPTED, GraftAnswer.IGNORED):
            return
        batch.prune(peer, topic, self.params.prune_backoff_ms)
        if answer is GraftAnswer.REFUSED:
            self.counts[Count.GRAFT_REFUSED] += 1
            return
        self.counts[Count.GRAFT_IN_BACKOFF] += 1
        factor = 2 if answer is GraftAnswer.FLOOD else 1
        self._punish(batch, peer, factor * self.params.backoff_penalty, now_ms)

    def _ihave(
        self,
        batch: Batch,
        peer: PeerId,
        state: PeerState,
        offers: Iterable[tuple[str, tuple[bytes, ...]]],
        now_ms: int,
    ) -> None:
        state.ihave_heard += 1
        if state.ihave_heard > self.params.ihave_messages_max:
            self.counts[Count.DROPPED_IHAVE] += 1
            return
        wanted: dict[bytes, None] = {}
        for topic, identifiers in offers:
            if topic in self.overlay.mesh:
                unknown = (item for item in identifiers if item not in self._seen and item not in self._asked)
                wanted.update(dict.fromkeys(unknown))
        room = min(self.params.ihave_ids_max - state.ids_asked, self.params.asked_max - len(self._asked))
        asked = list(wanted)[: max(0, room)]
        if len(asked) < len(wanted):
            self.counts[Count.DROPPED_IHAVE] += len(wanted) - len(asked)
        if not asked:
            return
        state.ids_asked += len(asked)
        for identifier in asked:
            self._asked.add(identifier, None, now_ms)
        batch.actions.append(SendRpc(peer, encode_control(iwant=asked)))

    def _iwant(self, batch: Batch, peer: PeerId, state: PeerState, identifiers: Iterable[bytes]) -> None:
        answer: list[tuple[str, bytes]] = []
        answer_bytes = 0
        for identifier in dict.fromkeys(identifiers):
            message = self._cache.get(identifier)
            if message is None:
                continue
            given = message.given.get(peer, 0)
            if (
                given >= self.params.retransmissions_max
                or state.messages_given >= self.params.iwant_messages_max
            ):
                self.counts[Count.DROPPED_IWANT] += 1
                continue
            message.given[peer] = given + 1
            state.messages_given += 1
            size = len(message.data) + self.params.topic_bytes_max + RPC_MESSAGE_OVERHEAD_BYTES
            if answer_bytes + size > self.params.rpc_bytes_max or len(answer) >= self.params.rpc_messages_max:
                batch.actions.append(SendRpc(peer, encode_messages(answer)))
                answer, answer_bytes = [], 0
            answer.append((message.topic, message.data))
            answer_bytes += size
        if answer:
            batch.actions.append(SendRpc(peer, encode_messages(answer)))

    # Within

    def _gossip(self, batch: Batch) -> None:
        newcomers = self.overlay.take_newcomers()
        for topic in self.overlay.mesh:
            identifiers = self._cache.gossip_ids(topic)
            if not identifiers:
                continue
            # Who came into the mesh since the last heartbeat has missed what was sent before; after a broken
            # connection that is all there was. Nobody else would tell it.
            for peer in self.overlay.gossip_targets(topic) + newcomers.get(topic, []):
                # Each peer gets its own choice, so that together they cover more than the limit.
                count = min(len(identifiers), self.params.ihave_ids_max)
                offer = self._rng.sample(identifiers, count)
                batch.actions.append(SendRpc(peer, encode_control(ihave=[(topic, offer)])))

    def _punish(self, batch: Batch, peer: PeerId, penalty: float, now_ms: int) -> None:
        before = self.scores.is_graylisted(peer)
        self.scores.penalise(peer, penalty)
        if before or not self.scores.is_graylisted(peer):
            return
        self.counts[Count.GRAYLISTED] += 1
        for topic in self.overlay.expel(peer, now_ms):
            batch.prune(peer, topic, self.params.prune_backoff_ms)
        batch.farewells.append(Disconnect(peer, "graylisted"))

    def _announce(self, batch: Batch, topic: str, *, subscribed: bool) -> None:
        rpc = encode_subscriptions([(topic, subscribed)])
        batch.actions += [SendRpc(peer, rpc) for peer in self.overlay.peers]

    def _require_topic(self, topic: str) -> None:
        if not 0 < len(topic.encode()) <= self.params.topic_bytes_max:
            raise LocalError("a topic's name is 1 to topic_bytes_max bytes")
