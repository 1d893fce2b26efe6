"""A connected peer, as the router sees it: its topics, and how much it may still ask of us.

Is: plain state. Is not: a rule; :mod:`p2p.gossip.overlay` and :mod:`p2p.gossip.lazy` have those.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p.gossip.standing import PeerStanding


@dataclass(slots=True, eq=False)
class PeerState:
    """One connected peer. The counters run from heartbeat to heartbeat.

    :ivar standing: its score.
    :ivar connected_ms: since when it is connected.
    :ivar hears_idontwant: whether it speaks ``/meshsub/1.2.0``.
    :ivar unwanted: message ids that it asked not to be sent, with the heartbeat of the asking, oldest first.
    """

    outbound: bool
    standing: PeerStanding
    connected_ms: int = 0
    hears_idontwant: bool = False
    topics: dict[str, None] = field(default_factory=dict)
    unwanted: dict[bytes, int] = field(default_factory=dict)
    ihave_heard: int = 0
    ids_asked: int = 0
    messages_given: int = 0
    bytes_given: int = 0
    unwanted_heard: int = 0
    px_heard: int = 0

    def begin_heartbeat(self) -> None:
        """Count from nought again."""
        self.ihave_heard = self.ids_asked = self.messages_given = self.bytes_given = 0
        self.unwanted_heard = self.px_heard = 0
