"""The counts of one peer, and the formula that makes a score of it.

Is: the counters of gossipsub v1.1, P1 to P7, of one peer, and their decay.
Is not: who is known, or when something counts; :mod:`p2p.gossip.score` and the router decide that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from p2p.gossip.score_params import ScoreParams, TopicScoreParams
    from p2p.identity import PeerId

_REMAINDER: Final = 0.01
"""The part of a count that a decay span leaves."""


def decay_factor(interval_ms: int, span_ms: int) -> float:
    """The part that one interval leaves of a count of which a span leaves a hundredth."""
    return float(_REMAINDER ** (interval_ms / span_ms))


@dataclass(frozen=True, slots=True)
class TopicRules:
    """A topic's parameters with the decay factors worked out; one for all peers."""

    params: TopicScoreParams
    first_deliveries_decay: float
    mesh_deliveries_decay: float
    mesh_failures_decay: float
    invalid_decay: float

    @classmethod
    def of(cls, params: TopicScoreParams, interval_ms: int) -> TopicRules:
        """The rules of a topic whose counts decay every ``interval_ms``."""
        return cls(
            params,
            decay_factor(interval_ms, params.first_deliveries_decay_ms),
            decay_factor(interval_ms, params.mesh_deliveries_decay_ms),
            decay_factor(interval_ms, params.mesh_failures_decay_ms),
            decay_factor(interval_ms, params.invalid_decay_ms),
        )


@dataclass(slots=True)
class TopicStanding:
    """One peer in one topic.

    :ivar mesh_ms: its time in the mesh, as of the last refresh.
    :ivar mesh_due: deliveries that it should have made by now; 0 as long as P3 does not apply.
    """

    rules: TopicRules
    in_mesh: bool = False
    grafted_ms: int = 0
    mesh_ms: int = 0
    mesh_due: float = 0.0
    first_deliveries: float = 0.0
    mesh_deliveries: float = 0.0
    mesh_failures: float = 0.0
    invalid: float = 0.0

    @property
    def deficit(self) -> float:
        """The deficit, from 0 to the threshold; in proportion, so that a busy topic weighs no more."""
        if self.mesh_deliveries >= self.mesh_due:
            return 0.0
        missing = 1 - self.mesh_deliveries / self.mesh_due
        return missing * self.rules.params.mesh_deliveries_threshold

    def value(self) -> float:
        """The topic's part of the score: weight times P1 to P4, each with its own weight."""
        params = self.rules.params
        total = params.first_deliveries_weight * self.first_deliveries
        if self.in_mesh:
            quanta = self.mesh_ms / params.time_in_mesh_quantum_ms
            total += params.time_in_mesh_weight * min(quanta, params.time_in_mesh_max)
            total += params.mesh_deliveries_weight * self.deficit**2
        total += params.mesh_failures_weight * self.mesh_failures
        total += params.invalid_weight * self.invalid**2
        return params.weight * total

    def leave_mesh(self) -> None:
        """The peer is in the mesh no more; what it owes sticks (P3b)."""
        self.mesh_failures += self.deficit**2
        self.in_mesh = False
        self.mesh_ms = 0
        self.mesh_due = 0.0

    def first_delivery(self) -> None:
        """A valid message came from the peer first (P2, and P3 if it is in the mesh)."""
        params = self.rules.params
        self.first_deliveries = min(self.first_deliveries + 1, params.first_deliveries_max)
        self.mesh_delivery()

    def mesh_delivery(self) -> None:
        """A valid message came from the peer in time (P3)."""
        if self.in_mesh:
            self.mesh_deliveries = min(self.mesh_deliveries + 1, self.rules.params.mesh_deliveries_max)

    def decay(self, zero: float) -> None:
        """One interval's forgetting."""
        rules = self.rules
        self.first_deliveries = decayed(self.first_deliveries, rules.first_deliveries_decay, zero)
        self.mesh_deliveries = decayed(self.mesh_deliveries, rules.mesh_deliveries_decay, zero)
        self.mesh_failures = decayed(self.mesh_failures, rules.mesh_failures_decay, zero)
        self.invalid = decayed(self.invalid, rules.invalid_decay, zero)


def decayed(count: float, factor: float, zero: float) -> float:
    """A count after one interval; 0 if it is below ``zero``."""
    count *= factor
    return count if count >= zero else 0.0


@dataclass(slots=True, eq=False)
class PeerStanding:
    """One peer. Compared and hashed by identity, so that sets of standings are cheap.

    :ivar connected: whether it is here now; counts of absent peers do not decay.
    :ivar ip: what colocation counts it under, None if nothing.
    :ivar score: the score when it was last worked out. Penalties are in it at once, rewards with the next
        refresh: so a peer is never taken for better than it is, and a reward costs no arithmetic.
    :ivar stale: whether a reward is not in ``score`` yet.
    :ivar cut_off: whether it was disconnected for its score.
    """

    peer: PeerId
    connected: bool = True
    ip: str | None = None
    topics: dict[str, TopicStanding] = field(default_factory=dict)
    application: float = 0.0
    behaviour: float = 0.0
    score: float = 0.0
    stale: bool = False
    cut_off: bool = False

    def work_out(self, params: ScoreParams, surplus: int) -> float:
        """Work the score out and keep it. :param surplus: peers too many under this peer's IP address."""
        total = 0.0
        for standing in self.topics.values():
            total += standing.value()
        total = min(total, params.topic_score_max)
        total += params.application_weight * self.application
        if surplus > 0:
            total += params.colocation_weight * surplus**2
        misdeeds = self.behaviour - params.behaviour_threshold
        if misdeeds > 0:
            total += params.behaviour_weight * misdeeds**2
        self.score = total
        self.stale = False
        return total
