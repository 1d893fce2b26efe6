"""A router at one moment, as an operator wants to see it.

Is: numbers by name: meshes, scores, the fill of every bounded table, and the counts since the start.
Is not: a metrics format; whoever serves them chooses one.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2p.gossip.params import GossipParams
    from p2p.gossip.score_params import ScoreParams

SCORE_CLASSES: Final = (
    "graylisted",
    "below_publish",
    "below_gossip",
    "negative",
    "modest",
    "good",
    "trusted",
)
"""Classes of peers by score, worst first; the bounds between them are the thresholds of the parameters."""


@dataclass(frozen=True, slots=True)
class TopicSnapshot:
    """A topic that we subscribe to. :ivar peers: connected ones that do too."""

    peers: int
    mesh: int
    mesh_outbound: int


@dataclass(frozen=True, slots=True)
class RouterSnapshot:
    """A router now.

    :ivar score_classes: connected peers in each of SCORE_CLASSES.
    :ivar tables: entries in each bounded table.
    :ivar evicted: entries that left a table because it was full, since the start.
    :ivar counts: see :class:`p2p.gossip.actions.Count`.
    """

    peers: int
    topics: Mapping[str, TopicSnapshot]
    score_classes: Mapping[str, int]
    tables: Mapping[str, int]
    evicted: Mapping[str, int]
    counts: Mapping[str, int]

    def flat(self) -> dict[str, int]:
        """All numbers by one name each; a topic's follow its name after a colon."""
        found = {"router_peers": self.peers, **self.counts}
        for topic, item in self.topics.items():
            found[f"topic_peers:{topic}"] = item.peers
            found[f"mesh_peers:{topic}"] = item.mesh
            found[f"mesh_outbound:{topic}"] = item.mesh_outbound
        found |= {f"score_{name}": count for name, count in self.score_classes.items()}
        found |= {f"table_{name}": count for name, count in self.tables.items()}
        found |= {f"evicted_{name}": count for name, count in self.evicted.items()}
        return found


def classify(scores: Iterable[float], params: ScoreParams) -> dict[str, int]:
    """How many scores are in each of SCORE_CLASSES."""
    bounds = (
        params.graylist_threshold,
        params.publish_threshold,
        params.gossip_threshold,
        0.0,
        params.opportunistic_graft_threshold,
        params.accept_px_threshold,
    )
    found = dict.fromkeys(SCORE_CLASSES, 0)
    for score in scores:
        found[SCORE_CLASSES[bisect_right(bounds, score)]] += 1
    return found


def limits(params: GossipParams) -> dict[str, int]:
    """The most that each of :attr:`RouterSnapshot.tables` may hold."""
    return {
        "seen": params.seen_max,
        "cache": params.cache_messages_max,
        "cache_bytes": params.cache_bytes_max,
        "pending": params.pending_max,
        "asked": params.asked_max,
        "backoffs": params.backoffs_max,
        "standings": params.peers_max + params.score.retained_max,
        "fanouts": params.fanout_topics_max,
        "peers": params.peers_max,
    }
