"""Actions that the router asks of its shell, and its counts.

Is: the router's output as values.
Is not: a decision; :mod:`p2p.gossip.router` makes them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from p2p.gossip.wire import Prune, encode_control

if TYPE_CHECKING:
    from p2p.gossip.wire import PxPeer
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
    DROPPED_IDONTWANT = "dropped_idontwant"
    DROPPED_PX = "dropped_px"
    DUPLICATE = "duplicate"
    DUPLICATE_OF_REJECTED = "duplicate_of_rejected"
    DUPLICATE_PUBLISH = "duplicate_publish"
    ACCEPTED = "accepted"
    IGNORED = "ignored"
    UNREAD = "unread"
    JUDGED_AGAIN = "judged_again"
    REJECTED = "rejected"
    PUBLISHED = "published"
    FORWARDED = "forwarded"
    FORWARD_UNWANTED = "forward_unwanted"
    PROMISE_BROKEN = "promise_broken"
    GRAFT_REFUSED = "graft_refused"
    GRAFT_IN_BACKOFF = "graft_in_backoff"
    GRAFT_OPPORTUNISTIC = "graft_opportunistic"
    PX_TAKEN = "px_taken"
    GRAYLISTED = "graylisted"
    REFUSED_PEERS_FULL = "refused_peers_full"


class Rank(enum.IntEnum):
    """How much an RPC matters where not all can be sent; the highest number goes first overboard."""

    CONTROL = 0
    """Subscriptions, GRAFT, PRUNE, IWANT, IDONTWANT: small, and what they say must be known in time."""

    OWN = 1
    """A message of our own: without us nobody has it."""

    FORWARD = 2
    """A message of others, forwarded or asked for by IWANT: it has other ways to go."""

    GOSSIP = 3
    """IHAVE: the next heartbeat has another."""


class SendRpc(NamedTuple):
    """Send an RPC, not framed yet, to a peer. An RPC for several peers is one object."""

    peer: PeerId
    rpc: bytes
    rank: Rank = Rank.CONTROL


class Forward(NamedTuple):
    """Send a message of others on, to several peers, as :class:`SendRpc` with :attr:`Rank.FORWARD`.

    There is no hurry before everything that has come is read: see :class:`Spare`.
    """

    message_id: bytes
    rpc: bytes
    peers: list[PeerId]


class Spare(NamedTuple):
    """A peer has a message by itself: if its :class:`Forward` to that peer has not left yet, it need not."""

    peer: PeerId
    message_id: bytes


@dataclass(frozen=True, slots=True)
class Validate:
    """Have a message judged, and say what came of it with :meth:`Router.validation_result`."""

    message_id: bytes
    topic: str
    data: bytes
    from_peer: PeerId


@dataclass(frozen=True, slots=True)
class Deliver:
    """A message was accepted: whoever has no validator of its own that hands it on does so now."""

    topic: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connections of a peer. :ivar reason: a fixed English phrase."""

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Get to know these peers, whom a peer of good standing named when it pruned us.

    Their records are as they came: whoever dials has to check the signatures.
    """

    from_peer: PeerId
    peers: tuple[PxPeer, ...]


Action: TypeAlias = SendRpc | Forward | Spare | Validate | Deliver | Disconnect | Connect


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

    def prune(self, peer: PeerId, topic: str, backoff_ms: int, others: tuple[PxPeer, ...] = ()) -> None:
        """Put a peer out of a topic's mesh. :param others: whom it may go to instead."""
        self.prunes.setdefault(peer, []).append(Prune(topic, backoff_ms // _MILLISECONDS, others))

    def finish(self) -> list[Action]:
        """All actions, in order."""
        if self.grafts or self.prunes:
            for peer in {**self.grafts, **self.prunes}:
                rpc = encode_control(graft=self.grafts.get(peer, ()), prune=self.prunes.get(peer, ()))
                self.actions.append(SendRpc(peer, rpc))
        if self.farewells:
            self.actions += self.farewells
        return self.actions
