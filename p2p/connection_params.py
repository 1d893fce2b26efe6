"""The numbers by which connections are kept: how many, how often, how long.

Is: values, checked. Is not: the keeper (:mod:`p2p.connections`).
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import LocalError


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionParams:
    """Numbers of the keeper. :raises LocalError: one is not positive, or two contradict each other."""

    connections_target: int = 16
    """Connections, in and out, below which known peers are dialled; two meshes' worth of ``d``."""

    outbound_target: int = 8
    """Of them, how many we want to have dialled ourselves. Strangers that call, however many, must not keep
    us from choosing peers: who chooses all our peers decides what we hear."""

    relayed_target: int = 4
    """Connections through relays below which peers that cannot be dialled otherwise are dialled, if there are
    not enough others: a relay's time is somebody's gift."""

    connections_high: int = 160
    """Connections above which some are let go; below what :mod:`p2p.limits` lets strangers have."""

    connections_low: int = 128
    """Connections that remain then, if so many may go."""

    trim_grace_ms: int = 20_000
    """Time for which a new connection is not let go, milliseconds."""

    dials_parallel_max: int = 8
    """Dials at once."""

    dial_timeout_ms: int = 5_000
    """Time for one address of a peer, milliseconds."""

    tick_ms: int = 500
    """Time between two looks at whom to dial, milliseconds; a loss is looked at right away."""

    backoff_ms: int = 500
    """Pause after a first failed dial, milliseconds; doubles with each further one."""

    backoff_max_ms: int = 60_000
    """Longest pause between dials of a bootnode, milliseconds."""

    lasting_ms: int = 30_000
    """A connection that lasted so long wipes out the failures before it, milliseconds. One that ends sooner
    is a failure: whoever hangs up at once must not be called in a tight loop."""

    bootnode_visit_ms: int = 600_000
    """A node with enough connections calls on a bootnode this often, milliseconds: else two halves of a
    network that lost each other would never meet again."""

    candidate_failures_max: int = 3
    """Failed dials after which a peer that is no bootnode is forgotten."""

    ping_interval_ms: int = 10_000
    """Time between pings of a connected peer, milliseconds."""

    ping_timeout_ms: int = 5_000
    """Time for an answer to a ping, milliseconds."""

    ping_failures_max: int = 2
    """Pings in a row without an answer after which a peer counts as frozen and is disconnected."""

    ask_interval_ms: int = 30_000
    """Time after which a connected peer is asked for others again, milliseconds."""

    connections_few: int = 4
    """Connections up to which a node is lonely: it has hardly anybody to hear from."""

    ask_lonely_ms: int = 3_000
    """Time after which a lonely node asks again, milliseconds."""

    def __post_init__(self) -> None:
        """Check the values."""
        if min(getattr(self, name) for name in self.__slots__) <= 0:
            raise LocalError("connection parameters are positive")
        if self.backoff_ms > self.backoff_max_ms or self.connections_low > self.connections_high:
            raise LocalError("a connection parameter is above its cap")
