"""Messages of a router: known by their bytes and ids, judged once, and passed on once.

Is: the memory of a message from its first copy until it is forgotten, and what follows from each copy.
Is not: control messages (:mod:`p2p.gossip.router`), nor the giving of messages that are asked for
(:mod:`p2p.gossip.lazy`).

Most of what arrives is a copy of what has just been read. A copy is known by its bytes, before anything is
parsed, hashed or allocated.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p.gossip.actions import Action, Batch, Count, Deliver, Forward, Rank, SendRpc, Spare, Validate
from p2p.gossip.cache import ExpiringMap, RecentRpcs
from p2p.gossip.wire import Message, encode_message, message_id
from p2p.mesh import Validation
from protocol.errors import Refusal

if TYPE_CHECKING:
    from collections import Counter

    from p2p.gossip.lazy import LazyGossip
    from p2p.gossip.overlay import Overlay
    from p2p.gossip.params import GossipParams
    from p2p.gossip.penalties import Penalties
    from p2p.gossip.score import PeerScores
    from p2p.gossip.standing import PeerStanding


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


class Messages:
    """The messages of one router."""

    def __init__(
        self,
        params: GossipParams,
        scores: PeerScores,
        overlay: Overlay,
        lazy: LazyGossip,
        penalties: Penalties,
        counts: Counter[Count],
    ) -> None:
        self._params = params
        self._scores = scores
        self._overlay = overlay
        self._lazy = lazy
        self._penalties = penalties
        self._counts = counts
        # A rejected message stays known, so its duplicates cost their forwarders too, unjudged.
        self._seen: ExpiringMap[bytes, _Known] = ExpiringMap(params.seen_ttl_ms, params.seen_max)
        self._recent: RecentRpcs[_Known] = RecentRpcs(params.recent_rpcs_bytes_max)
        self._pending: dict[bytes, tuple[_Known, bytes, bytes]] = {}
        self._windows: deque[_Known] = deque(maxlen=params.seen_max)

    @property
    def seen_count(self) -> int:
        """Messages that are known."""
        return len(self._seen)

    @property
    def seen_evicted(self) -> int:
        """Messages forgotten since the start because too many were known."""
        return self._seen.evicted

    @property
    def pending_count(self) -> int:
        """Messages that are being judged."""
        return len(self._pending)

    def sweep(self, now_ms: int, *, turn: bool) -> None:
        """Forget what has had its time. :param turn: whether the bytes of older RPCs are forgotten, too."""
        for known in self._seen.sweep(now_ms):
            known.verdict = _Verdict.FORGOTTEN
        if turn:
            self._recent.turn()
        while self._windows and self._windows[0].window_ends_ms <= now_ms:
            self._windows.popleft().forwarders = None

    def publish(self, topic: str, data: bytes, now_ms: int) -> list[Action]:
        """Send a message of ours; none if the same was seen lately.

        :raises MessageTooLarge: over ``message_bytes_max``.
        """
        if len(data) > self._params.message_bytes_max:
            raise MessageTooLarge("the message is too large for gossip")
        identifier = message_id(topic, data)
        if identifier in self._seen:
            self._counts[Count.DUPLICATE_PUBLISH] += 1
            return []
        known = _Known(identifier, topic, _Verdict.OWN)
        rpc = encode_message(topic, data)
        self._seen.add(identifier, known, now_ms)
        self._recent.add(rpc, known)
        self._lazy.cache.put(identifier, topic, rpc)
        self._counts[Count.PUBLISHED] += 1
        return [SendRpc(peer, rpc, Rank.OWN) for peer in self._overlay.publish_targets(topic, now_ms)]

    def judged(self, identifier: bytes, verdict: Validation, now_ms: int) -> list[Action]:
        """The judgement on a :class:`Validate`; nothing if the message is not pending any more."""
        pending = self._pending.pop(identifier, None)
        if pending is None:
            return []
        known, data, rpc = pending
        forwarders = known.forwarders or {}
        if verdict is Validation.ACCEPT:
            return self._accept(known, forwarders, data, rpc, now_ms)
        known.forwarders = None
        if verdict is Validation.UNREAD:
            known.verdict = _Verdict.FORGOTTEN
            known.judgements -= 1
            self._counts[Count.UNREAD] += 1
            return []
        if verdict is Validation.IGNORE:
            known.verdict = _Verdict.IGNORED
            known.window_ends_ms = now_ms + self._params.ignored_again_ms
            self._counts[Count.IGNORED] += 1
            return []
        known.verdict = _Verdict.REJECTED
        self._counts[Count.REJECTED] += 1
        batch = Batch()
        for standing in forwarders:
            self._penalties.blame(batch, standing, known.topic, now_ms)
        return batch.finish()

    def copy_of(self, rpc_bytes: bytes, standing: PeerStanding, now_ms: int) -> list[Action] | None:
        """The actions of an RPC whose bytes came before and need no other look; None if it needs one."""
        known = self._recent.get(rpc_bytes)
        if known is not None and (
            known.verdict is _Verdict.ACCEPTED or not self._may_be_judged(known, now_ms)
        ):
            return self._duplicate(standing, known, now_ms)
        return None

    def arrived(
        self, standing: PeerStanding, message: Message, rpc: bytes | None, now_ms: int
    ) -> list[Action]:
        """One anonymous message. :param rpc: its RPC in the usual spelling, None if it came in another."""
        identifier = message_id(message.topic, message.data)
        known = self._seen.get(identifier)
        if known is not None and not self._may_be_judged(known, now_ms):
            return self._duplicate(standing, known, now_ms)
        self._lazy.arrived(identifier)
        if message.topic not in self._overlay.mesh:
            self._counts[Count.DROPPED_NOT_SUBSCRIBED] += 1
            return []
        if len(self._pending) >= self._params.pending_max:
            self._counts[Count.DROPPED_PENDING_FULL] += 1
            return []
        rpc = encode_message(message.topic, message.data) if rpc is None else rpc
        if known is None:
            known = _Known(identifier, message.topic, _Verdict.PENDING, {standing: None})
            self._seen.add(identifier, known, now_ms)
            self._recent.add(rpc, known)
        else:
            known.verdict, known.forwarders = _Verdict.PENDING, {standing: None}
            known.judgements += 1
            self._counts[Count.JUDGED_AGAIN] += 1
        self._pending[identifier] = (known, message.data, rpc)
        judge = Validate(identifier, message.topic, message.data, standing.peer)
        if len(message.data) < self._params.idontwant_bytes_min:
            return [judge]
        return [*self._lazy.unwanted_notices(identifier, message.topic, standing.peer), judge]

    def _may_be_judged(self, known: _Known, now_ms: int) -> bool:
        verdict = known.verdict
        if verdict is _Verdict.IGNORED:
            in_time = now_ms >= known.window_ends_ms
            return in_time and known.judgements < self._params.ignored_judgements_max
        return verdict is _Verdict.FORGOTTEN

    def is_unwanted(self, identifier: bytes, now_ms: int) -> bool:
        """Whether a message is known, and need not be judged again."""
        known = self._seen.get(identifier)
        return known is not None and not self._may_be_judged(known, now_ms)

    def _duplicate(self, standing: PeerStanding, known: _Known, now_ms: int) -> list[Action]:
        if known.verdict is _Verdict.REJECTED:
            self._counts[Count.DUPLICATE_OF_REJECTED] += 1
            batch = Batch()
            self._penalties.blame(batch, standing, known.topic, now_ms)
            return batch.finish()
        self._counts[Count.DUPLICATE] += 1
        forwarders = known.forwarders
        if (
            forwarders is not None
            and standing not in forwarders
            and len(forwarders) < self._params.forwarders_max
        ):
            forwarders[standing] = None
            if known.verdict is _Verdict.ACCEPTED:
                if now_ms < known.window_ends_ms:
                    self._scores.delivered_again(standing, known.topic)
                return [Spare(standing.peer, known.identifier)]
        return []

    def _accept(
        self, known: _Known, forwarders: dict[PeerStanding, None], data: bytes, rpc: bytes, now_ms: int
    ) -> list[Action]:
        known.verdict = _Verdict.ACCEPTED
        mesh = self._overlay.mesh.get(known.topic)
        if mesh is None:
            known.forwarders = None
            return []
        self._counts[Count.ACCEPTED] += 1
        self._scores.accepted(known.topic, forwarders)
        known.window_ends_ms = now_ms + self._scores.window_ms(known.topic)
        self._windows.append(known)
        self._lazy.cache.put(known.identifier, known.topic, rpc)
        identifier = known.identifier
        peers = []
        for peer, state in mesh.items():
            if state.standing in forwarders:
                continue
            if identifier in state.unwanted:
                self._counts[Count.FORWARD_UNWANTED] += 1
                continue
            peers.append(peer)
        self._counts[Count.FORWARDED] += len(peers)
        delivery = Deliver(known.topic, data)
        return [delivery, Forward(identifier, rpc, peers)] if peers else [delivery]
