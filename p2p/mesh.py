"""Gossip as the rest of a node sees it: topics, validators, and a place to publish.

Is: an interface and its words, so that a role can be tested against a mesh in memory.
Is not: the gossip; :class:`p2p.gossip.service.GossipService` is one implementation.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p.identity import PeerId


class Validation(enum.Enum):
    """The verdict of a topic's validator on a message."""

    ACCEPT = "accept"
    """Deliver it and pass it on."""

    IGNORE = "ignore"
    """Drop it; its forwarder did nothing wrong."""

    UNREAD = "unread"
    """Drop it unread: its forwarder has had its share. From another one it is judged, as if it were new."""

    REJECT = "reject"
    """Drop it and take it out of its forwarder's score."""


Validator: TypeAlias = "Callable[[bytes, PeerId], Validation]"
"""Judges (data, forwarder). Synchronous, and quick: it runs between two reads of the network.

The forwarder is whoever handed the message to us; the author is inside the data. GossipReject counts as
REJECT, GossipIgnore as IGNORE; any other exception is our own fault: logged, counted, and IGNORE.
"""


class Mesh(Protocol):
    """A gossip mesh that one node takes part in."""

    def join(self, topic: str, validator: Validator) -> None:
        """Join a topic. The validator hears of each message once, and hands on what it accepts; our own
        messages do not come back.

        :raises LocalError: the topic is joined already, or its name is not valid.
        """

    async def publish(self, topic: str, data: bytes) -> None:
        """Send a message to the topic's peers. Waits while their queues are full.

        A message that was published or received lately is not sent again.

        :raises Refusal: the data is larger than a gossip message may be, 64 KiB.
        """

    def publish_now(self, topic: str, data: bytes) -> None:
        """`publish` without waiting for queues that are full: whoever's is, may not get it.

        :raises Refusal: the data is larger than a gossip message may be, 64 KiB.
        """

    def peers(self, topic: str) -> tuple[PeerId, ...]:
        """The connected peers that subscribe to a topic."""

    def mesh_peers(self, topic: str) -> tuple[PeerId, ...]:
        """The peers with which we exchange a topic's messages in full."""

    def score(self, peer_id: PeerId) -> float:
        """A peer's score; negative for those who misbehave, good conduct and stake raise it."""
