"""Connections between simulated nodes, and what befalls the bytes on them.

Is: latency, jitter, loss, duplication, reordering and bandwidth, per direction of a connection.
Is not: TCP. A connection keeps its order, as a stream does, except where reordering is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.randomness import Randomness

MTU_OVERHEAD_BYTES = 60
"""What noise, yamux, TCP and IP add to a small RPC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkParams:
    """What connections are like. Latencies are one way; each connection draws its own, once.

    :ivar latency_ms_min: shortest.
    :ivar latency_ms_max: longest.
    :ivar jitter_ms_max: added to each RPC, drawn for each.
    :ivar loss: share of RPCs that are lost; the sender notices that its stream broke, and opens it anew.
    :ivar duplication: share of RPCs that come twice, as after a broken stream.
    :ivar reordering: share of RPCs that may overtake those before them.
    :ivar link_bytes_per_ms: bandwidth of one direction of a connection; 0 for no limit.
    :ivar egress_bytes_per_ms: bandwidth of all that a node sends; 0 for no limit.
    """

    latency_ms_min: float = 25.0
    latency_ms_max: float = 75.0
    jitter_ms_max: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    link_bytes_per_ms: float = 0.0
    egress_bytes_per_ms: float = 0.0


class Link:
    """One direction of a connection.

    :ivar latency_ms: the same in both directions.
    :ivar open: False once the connection has gone; what is on its way is gone with it.
    :ivar blocked: whether a partition swallows what is sent.
    """

    __slots__ = ("blocked", "free_ms", "last_ms", "latency_ms", "open")

    def __init__(self, latency_ms: float) -> None:
        self.latency_ms = latency_ms
        self.open = True
        self.blocked = False
        self.free_ms = 0.0
        self.last_ms = 0.0

    def arrivals(self, leaves_ms: float, size: int, params: LinkParams, rng: Randomness) -> list[float]:
        """When an RPC arrives that leaves now; nothing if it is lost.

        :param leaves_ms: when its last byte leaves the node.
        """
        if params.link_bytes_per_ms:
            leaves_ms = max(leaves_ms, self.free_ms) + (size + MTU_OVERHEAD_BYTES) / params.link_bytes_per_ms
            self.free_ms = leaves_ms
        if params.loss and rng.random() < params.loss:
            return []
        arrives_ms = leaves_ms + self.latency_ms
        if params.jitter_ms_max:
            arrives_ms += rng.random() * params.jitter_ms_max
        if not (params.reordering and rng.random() < params.reordering):
            arrives_ms = self.last_ms = max(arrives_ms, self.last_ms)
        if params.duplication and rng.random() < params.duplication:
            return [arrives_ms, arrives_ms + self.latency_ms]
        return [arrives_ms]
