"""What the router asks its shell to do, and what it counts.

Is: the router's output as values.
Is not: a decision; :mod:`p2p.gossip.router` makes them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from p2p.gossip.wire import Prune, encode_control

if TYPE_CHECKING:
    from p2p.identity import PeerId

_MILLISECONDS: Final = 1_000


class Count(enum.StrEnum):
    """Everything the router counts: what it drops, with the reason, and what it does."""

    DROPPED_UNKNOWN_PEER = "dropped_unknown_peer"
    DROPPED_GRAYLISTED = "dropped_graylisted"
    DROPPED_MALFORMED = "dropped_malformed"
    DROPPED_SIGNED = "dropped_signed"
    DROPPED_NOT_SUBSCRIBED = "dropped_not_subscribed"
    DROPPED_PENDING_FULL = "dropped_pending_full"
    DROPPED_TOPICS_FULL = "dropped_topics_full"
    DROPPED_IHAVE = "dropped_ihave"
    DROPPED_IWANT = "dropped_iwant"
    DUPLICATE = "duplicate"
    DUPLICATE_OF_REJECTED = "duplicate_of_rejected"
    DUPLICATE_PUBLISH = "duplicate_publish"
    ACCEPTED = "accepted"
    IGNORED = "ignored"
    REJECTED = "rejected"
    PUBLISHED = "published"
    FORWARDED = "forwarded"
    GRAFT_REFUSED = "graft_refused"
    GRAFT_IN_BACKOFF = "graft_in_backoff"
    GRAYLISTED = "graylisted"
    REFUSED_PEERS_FULL = "refused_peers_full"


@dataclass(frozen=True, slots=True)
class SendRpc:
    """Send an RPC, not framed yet, to a peer."""

    peer: PeerId
    rpc: bytes


@dataclass(frozen=True, slots=True)
class Validate:
    """Have a message judged, and say what came of it with :meth:`Router.validation_result`."""

    message_id: bytes
    topic: str
    data: bytes
    from_peer: PeerId


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give an accepted message to the topic's consumer."""

    topic: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connections of a peer. :ivar reason: a fixed English phrase."""

    peer: PeerId
    reason: str


Action: TypeAlias = SendRpc | Validate | Deliver | Disconnect


@dataclass(slots=True)
class Batch:
    """The actions of one event; control messages to one peer go out as one RPC, after everything else."""

    actions: list[Action] = field(default_factory=list)
    grafts: dict[PeerId, list[str]] = field(default_factory=dict)
    prunes: dict[PeerId, list[Prune]] = field(default_factory=dict)
    farewells: list[Disconnect] = field(default_factory=list)

    def graft(self, peer: PeerId, topic: str) -> None:
        """Ask a peer into a topic's mesh."""
        self.grafts.setdefault(peer, []).append(topic)

    def prune(self, peer: PeerId, topic: str, backoff_ms: int) -> None:
        """Put a peer out of a topic's mesh."""
        self.prunes.setdefault(peer, []).append(Prune(topic, backoff_ms // _MILLISECONDS))

    def finish(self) -> list[Action]:
        """All actions, in order."""
        for peer in {**self.grafts, **self.prunes}:
            rpc = encode_control(graft=self.grafts.get(peer, ()), prune=self.prunes.get(peer, ()))
            self.actions.append(SendRpc(peer, rpc))
        return [*self.actions, *self.farewells]
