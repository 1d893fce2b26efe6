"""Lazy gossip: telling who has which message, asking for what was missed, giving what is asked for.

Is: IHAVE, IWANT and IDONTWANT, the messages that can still be given, and the promises that others made.
Is not: the mesh, nor a judge; a broken promise is reported to the router.

Each direction is bounded for each peer from heartbeat to heartbeat; what is beyond the bound is dropped and
counted, without penalty: an honest peer may have much to say after a partition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p.gossip.actions import Count, Rank, SendRpc
from p2p.gossip.cache import ExpiringMap, MessageCache
from p2p.gossip.wire import encode_control

if TYPE_CHECKING:
    import random
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence

    from p2p.gossip.overlay import Overlay
    from p2p.gossip.params import GossipParams
    from p2p.gossip.peer_state import PeerState
    from p2p.gossip.standing import PeerStanding
    from p2p.identity import PeerId


class LazyGossip:
    """One router's memory of what it tells, asks for and gives.

    :ivar cache: the messages that can be given.
    """

    def __init__(
        self, params: GossipParams, overlay: Overlay, counts: Counter[Count], rng: random.Random
    ) -> None:
        self.cache = MessageCache(
            params.history_length, params.history_gossip, params.cache_messages_max, params.cache_bytes_max
        )
        self._params = params
        self._overlay = overlay
        self._counts = counts
        self._rng = rng
        # Ids asked for and not come yet; for the watched one of each IWANT the value is whoever promised it.
        self._asked: ExpiringMap[bytes, PeerStanding | None] = ExpiringMap(
            params.iwant_followup_ms, params.asked_max
        )
        self._heartbeats = 0

    @property
    def asked_count(self) -> int:
        """Message ids asked for that have not come."""
        return len(self._asked)

    def arrived(self, identifier: bytes) -> None:
        """A message is here, from whomever: its promise is kept."""
        self._asked.discard(identifier)

    def broken_promises(self, now_ms: int) -> list[PeerStanding]:
        """Peers whose promised message has not come in time, once for each; forgotten with this."""
        broken = [standing for standing in self._asked.sweep(now_ms) if standing is not None]
        # A peer that is gone could not keep its word, and may have been cut off by us.
        return [standing for standing in broken if standing.connected]

    def begin_heartbeat(self) -> None:
        """Count every peer's doings from nought, and forget IDONTWANTs that are old."""
        self._heartbeats += 1
        oldest = self._heartbeats - self._params.idontwant_heartbeats
        for state in self._overlay.peers.values():
            state.begin_heartbeat()
            while state.unwanted:
                identifier, heartbeat = next(iter(state.unwanted.items()))
                if heartbeat > oldest:
                    break
                del state.unwanted[identifier]

    # Telling

    def offers(self) -> list[SendRpc]:
        """The heartbeat's IHAVEs; then a window of the cache is over."""
        actions: list[SendRpc] = []
        newcomers = self._overlay.take_newcomers()
        for topic in self._overlay.mesh:
            identifiers = self.cache.gossip_ids(topic)
            if not identifiers:
                continue
            # A peer that came into the mesh since the last heartbeat was told before of nothing since then.
            targets = self._overlay.gossip_targets(topic) + newcomers.get(topic, [])
            for peer, rpc in zip(targets, self._offers_of(topic, identifiers, len(targets)), strict=True):
                actions.append(SendRpc(peer, rpc, Rank.GOSSIP))
        self.cache.shift()
        return actions

    def introduction(self, peer: PeerId, topic: str) -> list[SendRpc]:
        """An IHAVE of everything that can be given, for a peer that has just come.

        After a partition, or an absence, that is all that it missed, and nobody else would tell it.
        """
        held = self.cache.held_ids(topic, self._params.ihave_ids_max)
        return [SendRpc(peer, encode_control(ihave=[(topic, held)]), Rank.GOSSIP)] if held else []

    def reminder(self, peer: PeerId, topic: str) -> list[SendRpc]:
        """An IHAVE of the last heartbeats, for a peer to which something may have been lost."""
        identifiers = self.cache.gossip_ids(topic)
        if not identifiers:
            return []
        return [SendRpc(peer, rpc, Rank.GOSSIP) for rpc in self._offers_of(topic, identifiers, 1)]

    def _offers_of(self, topic: str, identifiers: Sequence[bytes], count: int) -> list[bytes]:
        limit = self._params.ihave_ids_max
        if len(identifiers) <= limit:
            return [encode_control(ihave=[(topic, identifiers)])] * count
        # Each peer gets its own choice, so that together they cover more than the limit.
        return [encode_control(ihave=[(topic, self._rng.sample(identifiers, limit))]) for _ in range(count)]

    def unwanted_notices(self, identifier: bytes, topic: str, sender: PeerId) -> list[SendRpc]:
        """IDONTWANT for a large message that has just come, to the mesh peers that understand it."""
        hearers = [
            peer
            for peer, state in self._overlay.mesh[topic].items()
            if state.hears_idontwant and peer != sender
        ]
        if not hearers:
            return []
        rpc = encode_control(idontwant=[identifier])
        return [SendRpc(peer, rpc) for peer in hearers]

    # Asking

    def ihave(
        self,
        peer: PeerId,
        state: PeerState,
        offers: Iterable[tuple[str, tuple[bytes, ...]]],
        is_known: Callable[[bytes], bool],
        now_ms: int,
    ) -> list[SendRpc]:
        """A peer says what it has. Returns our IWANT, if there is anything to want."""
        state.ihave_heard += 1
        if state.ihave_heard > self._params.ihave_messages_max:
            self._counts[Count.DROPPED_IHAVE] += 1
            return []
        wanted: dict[bytes, None] = {}
        for topic, identifiers in offers:
            if topic in self._overlay.mesh:
                wanted.update(
                    (item, None) for item in identifiers if item not in self._asked and not is_known(item)
                )
        room = min(self._params.ihave_ids_max - state.ids_asked, self._params.asked_max - len(self._asked))
        asked = list(wanted)[: max(0, room)]
        if len(asked) < len(wanted):
            self._counts[Count.DROPPED_IHAVE] += len(wanted) - len(asked)
        if not asked:
            return []
        state.ids_asked += len(asked)
        # Watching one of them, which the peer cannot know, is enough to find out who promises in vain.
        watched = self._rng.choice(asked)
        for identifier in asked:
            self._asked.add(identifier, state.standing if identifier is watched else None, now_ms)
        return [SendRpc(peer, encode_control(iwant=asked))]

    # Giving

    def iwant(self, peer: PeerId, state: PeerState, identifiers: Iterable[bytes]) -> list[SendRpc]:
        """A peer asks for messages. Returns them, in RPCs within the limits."""
        params, actions = self._params, []
        answer: list[bytes] = []
        answer_bytes = 0
        for identifier in dict.fromkeys(identifiers):
            message = self.cache.get(identifier)
            if message is None:
                continue
            given, size = message.given.get(peer, 0), len(message.rpc)
            if (
                given >= params.retransmissions_max
                or state.messages_given >= params.iwant_messages_max
                or state.bytes_given + size > params.iwant_bytes_max
            ):
                self._counts[Count.DROPPED_IWANT] += 1
                continue
            message.given[peer] = given + 1
            state.messages_given += 1
            state.bytes_given += size
            if answer_bytes + size > params.rpc_bytes_max or len(answer) >= params.rpc_messages_max:
                actions.append(SendRpc(peer, b"".join(answer), Rank.FORWARD))
                answer, answer_bytes = [], 0
            answer.append(message.rpc)
            answer_bytes += size
        if answer:
            actions.append(SendRpc(peer, b"".join(answer), Rank.FORWARD))
        return actions

    def idontwant(self, state: PeerState, identifiers: Iterable[bytes]) -> None:
        """A peer has these messages already."""
        for identifier in identifiers:
            if state.unwanted_heard >= self._params.idontwant_ids_max:
                self._counts[Count.DROPPED_IDONTWANT] += 1
                continue
            state.unwanted_heard += 1
            # Said again it is as new: taken out first, so that the order stays that of the heartbeats.
            state.unwanted.pop(identifier, None)
            if len(state.unwanted) >= self._params.idontwant_ids_max:
                del state.unwanted[next(iter(state.unwanted))]
            state.unwanted[identifier] = self._heartbeats
