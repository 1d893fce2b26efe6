"""Every number of the gossip router, with its meaning and its bounds.

Is: one frozen record, the score's part of it in :mod:`p2p.gossip.score_params`; nothing else in
``p2p/gossip`` holds a limit of the protocol.
Is not: per-node configuration. Peers of one network use the same values, but bootstrap peers, which keep no
mesh (:data:`WITHOUT_MESH`); tests make smaller ones.

Sources: libp2p gossipsub v1.1 and v1.2 specifications; Ethereum consensus p2p interface (heartbeat, D,
mcache).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from p2p.gossip.score_params import ScoreParams, require


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

    d_score: int = 6
    """When a mesh above ``d_high`` is pruned, this many stay for their score; the others are drawn, so that
    newcomers get their chance. The specification advises 4 or 5 of 6."""

    d_lazy: int = 6
    """Peers outside the mesh that hear IHAVE at each heartbeat, at least."""

    gossip_percent: int = 25
    """Of the peers outside the mesh, the percentage that hears IHAVE, if more than ``d_lazy``."""

    heartbeat_ms: int = 700
    """Time between heartbeats, milliseconds. The shell keeps it; the router only counts with it."""

    history_length: int = 86
    """Heartbeats for which a message can be fetched by IWANT, one minute; and for which a peer that has just
    come is told of it. A partition or an absence of up to that time leaves no gap."""

    history_gossip: int = 3
    """Heartbeats for which a message is offered by IHAVE; fewer, so that an answer still finds it."""

    seen_ttl_ms: int = 120_000
    """Time for which a message id is known, milliseconds; longer than a message can travel."""

    seen_max: int = 100_000
    """Message ids known at once; the oldest give way. About 35 MB when full, at 830 messages a second."""

    recent_rpcs_bytes_max: int = 8 * 1024 * 1024
    """Bytes of RPCs held to know their copies again without reading them. A copy that comes later is read,
    and known by its id."""

    recent_rpcs_heartbeats: int = 6
    """Heartbeats after which an RPC may be held no more; copies come within a second or two."""

    ignored_again_ms: int = 500
    """Time after an IGNORE in which copies count as duplicates, milliseconds. One that comes later is judged
    again: what was too early for a clock, or came before what it refers to, may be right by now."""

    ignored_judgements_max: int = 3
    """Times that one message is judged as long as it is ignored."""

    fanout_ttl_ms: int = 60_000
    """Time without publishing after which a fan-out is forgotten, milliseconds."""

    fanout_topics_max: int = 16
    """Topics with a fan-out at once; the longest unused gives way."""

    flood_publish: bool = True
    """Send own messages to every peer of the topic with a good score: an eclipsed mesh cannot censor them."""

    opportunistic_graft_heartbeats: int = 43
    """Heartbeats between two looks at whether the mesh does well; half a minute. The specification advises a
    minute, Lighthouse takes 42 s; ours may be shorter, since only who brings messages is taken in."""

    opportunistic_graft_peers: int = 2
    """Peers taken into a mesh that does not do well, at each look: of those above its median the ones that
    brought most messages first. So an idle mesh stays as it is, and stake alone opens no door."""

    prune_backoff_ms: int = 60_000
    """Time after a PRUNE in which neither side grafts again, milliseconds."""

    backoff_slack_ms: int = 1_400
    """Time that we wait longer than a back-off says, milliseconds; two heartbeats, since the other side
    clears its own at one of its heartbeats, and a GRAFT that comes too early is punished."""

    unsubscribe_backoff_ms: int = 10_000
    """The same after leaving a topic; short, since one may come back."""

    prune_backoff_max_ms: int = 3_600_000
    """Longest back-off that a peer may ask for, milliseconds."""

    backoffs_max: int = 10_000
    """Back-offs remembered at once, all topics and peers; the oldest give way."""

    px_peers_max: int = 16
    """Peers named in one PRUNE, and dialled for one PRUNE; more than ``d_high``, so that a mesh can be
    filled."""

    graft_flood_ms: int = 10_000
    """A GRAFT this soon after our PRUNE counts as two misdeeds, milliseconds."""

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
    """Message ids in one RPC, all IHAVE, IWANT and IDONTWANT together."""

    rpc_px_peers_max: int = 256
    """Peers named in one RPC, all PRUNEs together."""

    ihave_messages_max: int = 10
    """IHAVE RPCs heard of one peer between heartbeats."""

    ihave_ids_max: int = 1_024
    """Message ids asked of one peer between heartbeats, and offered to one peer in one IHAVE."""

    iwant_followup_ms: int = 3_000
    """Time before a message that somebody promised is asked of somebody else, milliseconds. One id of each
    IWANT is a promise: if it has not come by then from anybody, that is a misdeed (P7)."""

    asked_max: int = 20_000
    """Message ids asked for and not yet come; further ones are not asked for."""

    retransmissions_max: int = 3
    """Times that one peer gets one message by IWANT."""

    iwant_messages_max: int = 2_048
    """Messages sent to one peer by IWANT between heartbeats. Twice ``ihave_ids_max``: two heartbeats' worth
    of honest asking may fall between two of ours, and what we do not give we are blamed for."""

    iwant_bytes_max: int = 4 * 1024 * 1024
    """Bytes sent to one peer by IWANT between heartbeats; a message id of 20 bytes may ask for 64 KiB."""

    idontwant_bytes_min: int = 1_024
    """A message this large is announced to the mesh by IDONTWANT as soon as it is here, before it is judged;
    for a smaller one the announcement costs more than the copies it saves."""

    idontwant_ids_max: int = 1_000
    """Message ids heard by IDONTWANT of one peer between heartbeats, and held of one peer at once; the oldest
    give way."""

    idontwant_heartbeats: int = 3
    """Heartbeats for which an IDONTWANT is honoured; by then the message has come, or never will."""

    cache_messages_max: int = 8_192
    """Messages kept for IWANT; the oldest give way."""

    cache_bytes_max: int = 32 * 1024 * 1024
    """Bytes of data kept for IWANT; the oldest give way."""

    pending_max: int = 4_096
    """Messages under validation at once; further ones are dropped and may come again."""

    forwarders_max: int = 32
    """Peers remembered per message until a moment after it was judged: punished if it was rejected, credited
    if it was accepted. More than twice ``d_high``; further ones are neither."""

    score: ScoreParams = field(default_factory=ScoreParams)
    """The peer score."""

    def __post_init__(self) -> None:
        """Check the relations between fields."""
        meshless = not any((self.d, self.d_low, self.d_high, self.d_out, self.d_score))
        rules = {
            "0 < d_low <= d <= d_high, or no mesh": meshless or 0 < self.d_low <= self.d <= self.d_high,
            "d_out < d_low and d_out <= d / 2": meshless
            or (self.d_out < self.d_low and 2 * self.d_out <= self.d),
            "0 <= d_score <= d": 0 <= self.d_score <= self.d,
            "0 < history_gossip <= history_length": 0 < self.history_gossip <= self.history_length,
            "gossip_percent in 0 to 100": 0 <= self.gossip_percent <= 100,  # noqa: PLR2004
            "messages fit into an RPC": self.message_bytes_max + self.topic_bytes_max + 64
            <= self.rpc_bytes_max,
            "peer exchange can fill a mesh": self.d_high < self.px_peers_max <= self.rpc_px_peers_max,
            "what may be asked is given": 2 * self.ihave_ids_max <= self.iwant_messages_max,
            "seen outlives the cache": self.seen_ttl_ms >= self.history_length * self.heartbeat_ms,
            "backoff fits its cap": self.prune_backoff_ms <= self.prune_backoff_max_ms,
            "a meeting is regular": min(
                self.opportunistic_graft_heartbeats, self.recent_rpcs_heartbeats, self.heartbeat_ms
            )
            > 0,
            "what is ignored was judged": self.ignored_judgements_max >= 1,
        }
        require(rules)


WITHOUT_MESH: Final = GossipParams(d=0, d_low=0, d_high=0, d_out=0, d_score=0, gossip_percent=100)
"""For bootstrap peers: every GRAFT is answered with a PRUNE that names others. Messages are only gossiped,
but to everybody: whoever found no other peer yet still gets them all."""
