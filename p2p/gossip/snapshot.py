"""Gossip at one moment, as an operator wants to see it.

Is: meshes, scores, the fill of every bounded table, what waits for peers, and the counts since the start.
Is not: a metrics format; whoever serves them chooses one.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from p2p.gossip.actions import Count
    from p2p.gossip.params import GossipParams
    from p2p.gossip.score_params import ScoreParams


class ScoreClass(enum.StrEnum):
    """Peers by score, worst first; the bounds between them are the thresholds of the parameters."""

    GRAYLISTED = "graylisted"
    BELOW_PUBLISH = "below_publish"
    BELOW_GOSSIP = "below_gossip"
    NEGATIVE = "negative"
    MODEST = "modest"
    GOOD = "good"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class TopicSnapshot:
    """A topic that we subscribe to. :ivar peers: connected ones that do too."""

    peers: int
    mesh: int
    mesh_outbound: int


@dataclass(frozen=True, slots=True)
class Tables:
    """Entries in each bounded table of a router, or the most that it may hold.

    :ivar seen: messages that are known; :ivar pending: of them, those that are being judged.
    :ivar cache: messages that can be given; :ivar cache_bytes: of them.
    :ivar asked: messages that were asked for and have not come.
    :ivar standings: peers whose score is known.
    """

    seen: int
    cache: int
    cache_bytes: int
    pending: int
    asked: int
    backoffs: int
    standings: int
    fanouts: int
    peers: int


@dataclass(frozen=True, slots=True)
class Evictions:
    """Entries that left a table of a router because it was full, since the start."""

    seen: int
    cache: int
    backoffs: int
    standings: int


@dataclass(frozen=True, slots=True)
class RouterSnapshot:
    """A router now.

    :ivar score_classes: connected peers in each.
    :ivar counts: since the start.
    """

    peers: int
    topics: Mapping[str, TopicSnapshot]
    score_classes: Mapping[ScoreClass, int]
    tables: Tables
    evicted: Evictions
    counts: Mapping[Count, int]


@dataclass(slots=True)
class GossipCounts:
    """Fates of the links with peers since the start.

    :ivar forwards_spared: messages not forwarded, because the peer's own copy came meanwhile.
    :ivar stream_broken: streams of ours that broke.
    :ivar peer_streams_broken: peers disconnected because theirs kept breaking.
    :ivar peer_without_gossip: peers that opened no stream for it.
    :ivar peer_too_slow: peers disconnected because they did not read.
    :ivar disconnected: peers disconnected because the router said so.
    :ivar dropped_no_link: RPCs for peers that had gone.
    :ivar validator_failed: messages whose validator raised.
    """

    forwards_spared: int = 0
    stream_broken: int = 0
    peer_streams_broken: int = 0
    peer_without_gossip: int = 0
    peer_too_slow: int = 0
    disconnected: int = 0
    dropped_no_link: int = 0
    validator_failed: int = 0


@dataclass(frozen=True, slots=True)
class DroppedFrames:
    """RPCs that went overboard since the start, by :class:`~p2p.gossip.actions.Rank`."""

    control: int
    own: int
    forward: int
    gossip: int


@dataclass(frozen=True, slots=True)
class GossipStatistics:
    """A gossip service now, and since the start.

    :ivar peers: with a link now.
    :ivar outbox_frames: that wait to be written, of all peers, as their bytes.
    :ivar outbox_frames_longest: of the peer that has most of them.
    """

    peers: int
    outbox_frames: int
    outbox_frames_longest: int
    outbox_bytes: int
    outbox_dropped: DroppedFrames
    counts: GossipCounts
    router: RouterSnapshot


def classify(scores: Iterable[float], params: ScoreParams) -> dict[ScoreClass, int]:
    """How many scores are in each class."""
    bounds = (
        params.graylist_threshold,
        params.publish_threshold,
        params.gossip_threshold,
        0.0,
        params.opportunistic_graft_threshold,
        params.accept_px_threshold,
    )
    classes = tuple(ScoreClass)
    found = dict.fromkeys(classes, 0)
    for score in scores:
        found[classes[bisect_right(bounds, score)]] += 1
    return found


def limits(params: GossipParams) -> Tables:
    """The most that each table may hold."""
    return Tables(
        seen=params.seen_max,
        cache=params.cache_messages_max,
        cache_bytes=params.cache_bytes_max,
        pending=params.pending_max,
        asked=params.asked_max,
        backoffs=params.backoffs_max,
        standings=params.peers_max + params.score.retained_max,
        fanouts=params.fanout_topics_max,
        peers=params.peers_max,
    )
