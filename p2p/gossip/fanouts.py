"""Fan-outs: peers for topics that we publish to without subscribing.

Is: a bounded table by topic, each for a while. Is not: a mesh; nobody is asked into it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p.gossip.choices import Choices
    from p2p.gossip.params import GossipParams
    from p2p.identity import PeerId


@dataclass(slots=True)
class Fanout:
    """Peers for a topic that we publish to without subscribing."""

    peers: dict[PeerId, None]
    used_ms: int


class Fanouts:
    """The fan-outs of one router."""

    def __init__(self, params: GossipParams, choices: Choices) -> None:
        self._params = params
        self._choices = choices
        self._by_topic: OrderedDict[str, Fanout] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_topic)

    def take(self, topic: str) -> tuple[PeerId, ...]:
        """The peers of a topic, maybe none; it has no fan-out any more."""
        fanout = self._by_topic.pop(topic, None)
        return () if fanout is None else tuple(fanout.peers)

    def forget(self, topic: str, peer: PeerId) -> None:
        """A peer does not subscribe any more."""
        fanout = self._by_topic.get(topic)
        if fanout is not None:
            fanout.peers.pop(peer, None)

    def refresh(self, topic: str, good: list[PeerId], now_ms: int) -> list[PeerId]:
        """The peers to publish to now. :param good: those that may be."""
        fanout = self._by_topic.setdefault(topic, Fanout({}, now_ms))
        fanout.used_ms = now_ms
        self._by_topic.move_to_end(topic)
        while len(self._by_topic) > self._params.fanout_topics_max:
            self._by_topic.popitem(last=False)
        fanout.peers = {peer: None for peer in fanout.peers if peer in good}
        others = [peer for peer in good if peer not in fanout.peers]
        fanout.peers.update(dict.fromkeys(self._choices.draw(others, self._params.d - len(fanout.peers))))
        return list(fanout.peers)

    def forget_old(self, now_ms: int) -> None:
        """Drop those that nobody used for a while."""
        unused_ms = now_ms - self._params.fanout_ttl_ms
        for topic in [topic for topic, fanout in self._by_topic.items() if fanout.used_ms <= unused_ms]:
            del self._by_topic[topic]
