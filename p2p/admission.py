"""Whose direct streams are let in: for each protocol, a share of them for each class of peers. Pure.

Is: the classes, the shares and their count.
Is not: knowledge of who is assigned to what, or has stake; the node says so, and is asked for each stream.

| class | peers | streams of one, of all |
|---|---|---|
| assigned | those that the protocol's server waits for, such as the miners drawn for a task | 64, 256 |
| staked | others with stake | 16, 256 |
| strangers | everybody else; a key costs nothing | 2, 16 |

An assigned peer has never more than are waited for, and two. A share is its class's alone. Streams of
strangers, however many, take no room from peers with stake, nor do those from the assigned, nor one protocol
from another. What all shares come to is bounded when protocols are registered, so that all classes together
are not more than a host bears (:data:`DIRECT_STREAMS_MAX`). The figures above are defaults.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p.identity import PeerId

DIRECT_STREAMS_MAX: Final = 2_048
"""Direct streams towards one host that the shares of all its protocols may come to."""
SPARE_STREAMS: Final = 2
"""Streams that an assigned peer may have beyond those that are waited for: one that broke may not have ended
here when it comes again, and whoever comes too late hears so."""


class PeerClass(enum.Enum):
    """The class of a peer for one protocol, at the moment when it opens a stream."""

    ASSIGNED = "assigned"
    STAKED = "staked"
    STRANGER = "stranger"


class StreamRefusal(enum.Enum):
    """Why a further stream is not let in."""

    CLOSED = "closed"
    """No peer of its class is let in."""

    PEER_FULL = "peer_full"
    """Its peer has as many as one may."""

    FULL = "full"
    """The share of its class is taken."""


@dataclass(frozen=True, slots=True)
class Share:
    """Streams of one class that may be open at a time.

    :ivar per_peer_max: of one peer.
    :ivar total_max: of all peers of the class together; 0 lets none of them in.
    :raises LocalError: a number is negative.
    """

    per_peer_max: int
    total_max: int

    def __post_init__(self) -> None:
        """Check the values."""
        if min(self.per_peer_max, self.total_max) < 0:
            raise LocalError("a share of streams is not negative")


CLOSED: Final = Share(0, 0)
"""The share of a class that is not let in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """Whose streams of one protocol are let in. `Admission()` is for protocols that serve anybody a little.

    For a protocol that serves those alone whom its server waits for::

        Admission(streams_awaited=coordinator.streams_awaited, staked=CLOSED, strangers=CLOSED)

    :ivar streams_awaited: how many streams of a peer are waited for now; 0 if it is not assigned.
        Synchronous and quick; it must not raise.
    """

    streams_awaited: Callable[[PeerId], int] | None = None
    assigned: Share = Share(per_peer_max=64, total_max=256)
    staked: Share = Share(per_peer_max=16, total_max=256)
    strangers: Share = Share(per_peer_max=2, total_max=16)

    @property
    def streams_max(self) -> int:
        """Streams that may be open at a time, all classes together."""
        assigned_max = 0 if self.streams_awaited is None else self.assigned.total_max
        return assigned_max + self.staked.total_max + self.strangers.total_max

    def is_closed(self, peer_class: PeerClass) -> bool:
        """Whether no peer of a class is let in, now or later."""
        return self.share_of(peer_class).total_max == 0

    def share_of(self, peer_class: PeerClass) -> Share:
        """The share of a class."""
        match peer_class:
            case PeerClass.ASSIGNED:
                return self.assigned
            case PeerClass.STAKED:
                return self.staked
            case PeerClass.STRANGER:
                return self.strangers


class OpenStreams:
    """Counts the streams of one protocol that are open, by class and peer."""

    def __init__(self, admission: Admission, is_staked: Callable[[PeerId], bool]) -> None:
        self._admission = admission
        self._is_staked = is_staked
        self._by_class: Counter[PeerClass] = Counter()
        self._by_peer: Counter[tuple[PeerClass, PeerId]] = Counter()

    def classify(self, peer: PeerId) -> PeerClass:
        """The class of a peer now; the highest that it is in."""
        if self._awaited(peer):
            return PeerClass.ASSIGNED
        return PeerClass.STAKED if self._is_staked(peer) else PeerClass.STRANGER

    def refusal(self, peer: PeerId, peer_class: PeerClass) -> StreamRefusal | None:
        """Why a further stream is not let in; None if it is."""
        share = self._admission.share_of(peer_class)
        if self._admission.is_closed(peer_class):
            return StreamRefusal.CLOSED
        per_peer_max = share.per_peer_max
        if peer_class is PeerClass.ASSIGNED:
            per_peer_max = min(per_peer_max, self._awaited(peer) + SPARE_STREAMS)
        if self._by_peer[peer_class, peer] >= per_peer_max:
            return StreamRefusal.PEER_FULL
        if self._by_class[peer_class] >= share.total_max:
            return StreamRefusal.FULL
        return None

    def enter(self, peer: PeerId, peer_class: PeerClass) -> None:
        """A stream was let in; call :meth:`leave` with the same at its end."""
        self._by_class[peer_class] += 1
        self._by_peer[peer_class, peer] += 1

    def leave(self, peer: PeerId, peer_class: PeerClass) -> None:
        """A stream that was let in has ended."""
        self._by_class[peer_class] -= 1
        self._by_peer[peer_class, peer] -= 1
        if not self._by_peer[peer_class, peer]:
            del self._by_peer[peer_class, peer]

    def _awaited(self, peer: PeerId) -> int:
        awaited = self._admission.streams_awaited
        return 0 if awaited is None else awaited(peer)
