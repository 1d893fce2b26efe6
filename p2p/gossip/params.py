"""Every number of the gossip router, with its meaning and its bounds.

Is: one frozen record; nothing else in ``p2p/gossip`` holds a limit of the protocol.
Is not: per-node configuration. Peers of one network use the same values; tests make smaller ones.

Sources: libp2p gossipsub v1.1 specification; Ethereum consensus p2p interface (heartbeat, D, mcache).
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import LocalError


@dataclass(frozen=True, kw_only=True, slots=True)
class GossipParams:
    """Parameters of one router. :raises LocalError: the values contradict each other."""

    d: int = 8
    """Peers wanted in a topic's mesh. Six copies of each message, redundancy against latency."""

    d_low: int = 6
    """Below this many mesh peers the heartbeat grafts up to ``d``."""

    d_high: int = 12
    """Above this many mesh peers the heartbeat prunes down to ``d``, and further GRAFTs are refused."""

    d_out: int = 2
    """Mesh peers that we dialled, kept however many strangers call: an eclipse needs our own dials."""

    d_lazy: int = 6
    """Peers outside the mesh that hear IHAVE at each heartbeat, at least."""

    gossip_percent: int = 25
    """Of the peers outside the mesh, the percentage that hears IHAVE, if more than ``d_lazy``."""

    heartbeat_ms: int = 700
    """Time between heartbeats, milliseconds. The shell keeps it; the router only counts with it."""

    history_length: int = 6
    """Heartbeats for which a message can be fetched by IWANT."""

    history_gossip: int = 3
    """Heartbeats for which a message is offered by IHAVE; fewer, so that an answer still finds it."""

    seen_ttl_ms: int = 120_000
    """Time for which a message id is known, milliseconds; longer than a message can travel."""

    seen_max: int = 100_000
    """Message ids known at once; the oldest give way."""

    fanout_ttl_ms: int = 60_000
    """Time without publishing after which a fan-out is forgotten, milliseconds."""

    fanout_topics_max: int = 16
    """Topics with a fan-out at once; the longest unused gives way."""

    flood_publish: bool = True
    """Send own messages to every peer of the topic with a good score: an eclipsed mesh cannot censor them."""

    prune_backoff_ms: int = 60_000
    """Time after a PRUNE in which neither side grafts again, milliseconds."""

    unsubscribe_backoff_ms: int = 10_000
    """The same after leaving a topic; short, since one may come back."""

    prune_backoff_max_ms: int = 3_600_000
    """Longest back-off that a peer may ask for, milliseconds."""

    backoffs_max: int = 10_000
    """Back-offs remembered at once, all topics and peers; the oldest give way."""

    graft_flood_ms: int = 10_000
    """A GRAFT this soon after our PRUNE is punished twice, milliseconds."""

    peers_max: int = 512
    """Peers known to the router; further ones are disconnected."""

    topics_per_peer_max: int = 64
    """Topics that one peer may have announced at once."""

    topic_bytes_max: int = 128
    """Bytes of a topic's name in UTF-8."""

    message_bytes_max: int = 65_536
    """Bytes of a message's data. Images and other large things travel by direct streams."""

    rpc_bytes_max: int = 262_144
    """Bytes of one RPC, either way; holds a full answer to IWANT in several RPCs."""

    rpc_messages_max: int = 1_024
    """Messages in one RPC."""

    rpc_subscriptions_max: int = 256
    """Subscriptions in one RPC."""

    rpc_control_max: int = 256
    """Entries of each kind of control message in one RPC."""

    rpc_message_ids_max: int = 5_000
    """Message ids in one RPC, all IHAVE and IWANT together."""

    ihave_messages_max: int = 10
    """IHAVE RPCs heard of one peer between heartbeats."""

    ihave_ids_max: int = 1_024
    """Message ids asked of one peer between heartbeats, and offered to one peer in one IHAVE."""

    iwant_followup_ms: int = 3_000
    """Time before a message that somebody promised is asked of somebody else, milliseconds."""

    asked_max: int = 20_000
    """Message ids asked for and not yet come; further ones are not asked for."""

    retransmissions_max: int = 3
    """Times that one peer gets one message by IWANT."""

    iwant_messages_max: int = 512
    """Messages sent to one peer by IWANT between heartbeats."""

    cache_messages_max: int = 8_192
    """Messages kept for IWANT; the oldest give way."""

    cache_bytes_max: int = 32 * 1024 * 1024
    """Bytes of data kept for IWANT; the oldest give way."""

    pending_max: int = 4_096
    """Messages under validation at once; further ones are dropped and may come again."""

    forwarders_max: int = 16
    """Peers remembered per message under validation, all punished if it is rejected."""

    reject_penalty: float = 10.0
    """Taken from a peer's score for each message that a validator rejected."""

    violation_penalty: float = 10.0
    """Taken from a peer's score for each breach of the gossip protocol itself."""

    backoff_penalty: float = 5.0
    """Taken from a peer's score for a GRAFT within its back-off."""

    score_decay: float = 0.99
    """Factor on a penalty at each heartbeat; halves in 48 s at 700 ms."""

    score_zero: float = 0.1
    """A penalty smaller than this is forgotten."""

    gossip_threshold: float = -20.0
    """Below this score a peer neither hears IHAVE nor is heard with it."""

    publish_threshold: float = -40.0
    """Below this score a peer does not get our own messages by flood."""

    graylist_threshold: float = -80.0
    """Below this score nothing of a peer is read and it is disconnected: eight to ten rejects."""

    scores_max: int = 10_000
    """Peers with a penalty remembered, connected or not; the smallest penalty gives way."""

    def __post_init__(self) -> None:
        """Check the relations between fields."""
        rules = {
            "0 < d_low <= d <= d_high": 0 < self.d_low <= self.d <= self.d_high,
            "d_out < d_low and d_out <= d / 2": self.d_out < self.d_low and 2 * self.d_out <= self.d,
            "0 < history_gossip <= history_length": 0 < self.history_gossip <= self.history_length,
            "gossip_percent in 0 to 100": 0 <= self.gossip_percent <= 100,  # noqa: PLR2004
            "messages fit into an RPC": self.message_bytes_max + self.topic_bytes_max + 64
            <= self.rpc_bytes_max,
            "thresholds fall": 0 > self.gossip_threshold >= self.publish_threshold >= self.graylist_threshold,
            "0 < score_decay < 1": 0 < self.score_decay < 1,
            "penalties are positive": min(self.reject_penalty, self.violation_penalty, self.backoff_penalty)
            > 0,
            "seen outlives the cache": self.seen_ttl_ms >= self.history_length * self.heartbeat_ms,
            "backoff fits its cap": self.prune_backoff_ms <= self.prune_backoff_max_ms,
        }
        for rule, holds in rules.items():
            if not holds:
                raise LocalError(f"gossip parameters: {rule} does not hold")
