"""Every number of the peer score, with its meaning, its value and the reason for it.

Is: two frozen records, for a peer as a whole and for a peer in one topic.
Is not: the formula; that is in :mod:`p2p.gossip.standing`.

Where to start was Lighthouse, which has run with its values on a live network since 2020; each paragraph says
what was changed and why. Spans in which a count decays are given as the time until it is a hundredth.

Sources: libp2p gossipsub v1.1 specification, "The Score Function"; Lighthouse,
``gossipsub_scoring_parameters``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from protocol.errors import LocalError


def require(rules: Mapping[str, bool]) -> None:
    """Check named relations. :raises LocalError: one does not hold."""
    for rule, holds in rules.items():
        if not holds:
            raise LocalError(f"gossip parameters: {rule} does not hold")


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicScoreParams:
    """How a peer earns and loses in one topic. :raises LocalError: the values contradict each other.

    Defaults are for a topic with steady traffic: offers, tasks, results. See :data:`RARE`.
    """

    weight: float = 0.5
    """Factor on everything in this topic. As Lighthouse's for blocks; three such topics and two rare ones
    together let a peer earn twice the cap, so nobody needs to shine in all of them."""

    time_in_mesh_weight: float = 10 / 360
    """P1, for each quantum in the mesh: 10 points in all, as in Lighthouse. Small, since time costs a Sybil
    nothing; it only spares a mesh needless change."""

    time_in_mesh_quantum_ms: int = 10_000
    """Unit of the time in the mesh, milliseconds; Lighthouse's is its slot of 12 s, and we have no slots."""

    time_in_mesh_max: float = 360.0
    """Quanta that count, one hour; as in Lighthouse."""

    first_deliveries_weight: float = 1.0
    """P2, for each valid message that the peer brought first: 40 points in all, as in Lighthouse."""

    first_deliveries_decay_ms: int = 300_000
    """Time after which a first delivery counts a hundredth, milliseconds. Lighthouse takes hours for blocks;
    a covert attacker lives on this credit, so ours is five minutes, halved every 45 s."""

    first_deliveries_max: float = 40.0
    """First deliveries that count. A mesh of eight shares one message a second so that each holds about 8."""

    mesh_deliveries_weight: float = -7.5
    """P3, for the square of what is missing. The full deficit of 4 costs 60 points, more than the 50 that all
    topics and the 5 that a miner's stake can bring: who stops forwarding leaves the mesh."""

    mesh_deliveries_decay_ms: int = 60_000
    """Time after which a delivery in the mesh counts a hundredth, milliseconds. The evaluation of gossipsub
    asks for recovery from a covert flash within two minutes."""

    mesh_deliveries_threshold: float = 4.0
    """Deliveries, first or nearly, that are expected of a mesh peer at most. Low: an honest peer of eight
    holds an eighth of the topic's messages, and this is a guard against none, not a race."""

    mesh_deliveries_share: float = 0.02
    """Deliveries expected as a share of the topic's recent messages, if that is less than the threshold;
    nothing is expected where it gives less than one. Lighthouse knows how many blocks come; our traffic is
    whatever users ask for, and a quiet topic must not make enemies of those who are quiet in it."""

    mesh_deliveries_max: float = 40.0
    """Mesh deliveries that count: ten times the threshold, so that past zeal lasts through half a decay
    span."""

    mesh_deliveries_activation_ms: int = 60_000
    """Time in the mesh before P3 applies, milliseconds; one decay span, so that count and expectation reach
    back equally far."""

    mesh_deliveries_window_ms: int = 1_000
    """Time after a message was accepted in which another copy counts as delivered too, milliseconds. Half of
    Lighthouse's: our messages are small and 99 % arrive everywhere within one second."""

    mesh_failures_weight: float = -7.5
    """P3b, for each squared deficit with which the peer left the mesh; as P3, so leaving forgives nothing."""

    mesh_failures_decay_ms: int = 600_000
    """Time after which such a failure counts a hundredth, milliseconds: ten prune back-offs."""

    invalid_weight: float = -1_640.0
    """P4, for the square of the invalid messages: 820 points for the first. Lighthouse needs 13 in a topic to
    graylist; here 5 suffice, or 10 spread over all five topics, since validity here is a matter of signature
    and arithmetic, and whatever may honestly differ between two peers is IGNOREd by the rules."""

    invalid_decay_ms: int = 3_600_000
    """Time after which an invalid message counts a hundredth, milliseconds. Lighthouse takes 5 hours; one is
    enough for an operator to have noticed a faulty release."""

    def __post_init__(self) -> None:
        """Check signs and relations."""
        rules = {
            "weights that reward are not negative": min(
                self.weight, self.time_in_mesh_weight, self.first_deliveries_weight
            )
            >= 0,
            "weights that punish are not positive": max(
                self.mesh_deliveries_weight, self.mesh_failures_weight, self.invalid_weight
            )
            <= 0,
            "caps are not negative": min(
                self.time_in_mesh_max, self.first_deliveries_max, self.mesh_deliveries_threshold
            )
            >= 0,
            "the threshold is within the cap": self.mesh_deliveries_threshold <= self.mesh_deliveries_max,
            "0 <= share <= 1": 0 <= self.mesh_deliveries_share <= 1,
            "spans are positive": min(
                self.time_in_mesh_quantum_ms,
                self.first_deliveries_decay_ms,
                self.mesh_deliveries_decay_ms,
                self.mesh_deliveries_window_ms,
                self.mesh_failures_decay_ms,
                self.invalid_decay_ms,
            )
            > 0,
            "P3 waits for its own memory": self.mesh_deliveries_activation_ms
            >= self.mesh_deliveries_decay_ms,
        }
        require(rules)


STEADY = TopicScoreParams()
"""Offers, tasks and results: traffic as long as the market lives."""

RARE = TopicScoreParams(
    weight=0.25, mesh_deliveries_weight=0.0, mesh_failures_weight=0.0, invalid_weight=-3_280.0
)
"""Verdicts and evidence: so few that nothing can be expected of anybody, and little be earned. An invalid one
costs as much as elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreParams:
    """How a peer is judged as a whole. :raises LocalError: the values contradict each other."""

    topics: Mapping[str, TopicScoreParams] = field(default_factory=lambda: MappingProxyType({}))
    """Parameters of topics by full name, where they differ from the default."""

    default_topic: TopicScoreParams = STEADY
    """Parameters of all other topics that we subscribe to. The specification leaves those out of the score;
    but then an unlisted topic could be spammed for nothing."""

    topic_score_max: float = 50.0
    """Most that all topics together may add. Half of what they could, as in Lighthouse (53.75 of 107.5): good
    conduct must not buy much bad."""

    application_weight: float = 1.0
    """P5: factor on the application's own score of a peer, which we draw from its stake on the chain."""

    application_score_max: float = 100.0
    """Bound of the application's score, either way."""

    colocation_weight: float = -50.0
    """P6, for the square of the peers of one IP address above the threshold. One cap of good conduct, as in
    Lighthouse: the first too many loses what it earned."""

    colocation_threshold: int = 8
    """Peers of one IP address (of one /64 in IPv6, which is what one customer gets) that cost nothing. As in
    Lighthouse; a home or an office with a handful of machines stays below it. Peers with a positive
    application score are not counted: whoever has stake behind each of a hundred miners in one hall is no
    crowd of nobodies."""

    colocation_exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks in which nobody is counted. Loopback, where whole test networks live, and from where no
    stranger can call."""

    behaviour_weight: float = -15.9
    """P7, for the square of the misdeeds above the threshold. Lighthouse's value; 38 in a row graylist."""

    behaviour_threshold: float = 6.0
    """Misdeeds that cost nothing, as in Lighthouse: a broken connection breaks promises too."""

    behaviour_decay_ms: int = 600_000
    """Time after which a misdeed counts a hundredth, milliseconds. Lighthouse takes an hour; our back-offs
    and promises are counted in seconds."""

    violation_units: float = 10.0
    """Misdeeds that an RPC counts for which is no RPC at all. No honest implementation sends one; the fourth
    graylists."""

    decay_interval_ms: int = 3_500
    """Time between decays, milliseconds: five heartbeats. Lighthouse takes a slot of 12 s; ours is shorter as
    our spans are, and longer than a heartbeat since it visits every peer."""

    decay_to_zero: float = 0.01
    """A count below this is nought; as in Lighthouse."""

    retain_ms: int = 3_600_000
    """Time for which a peer that left is remembered as it was, milliseconds; nothing decays in it, or staying
    away would wash clean. Lighthouse keeps 10.7 hours; one hour bounds the table, and outlasts every
    decay."""

    retained_max: int = 10_000
    """Peers that left and are remembered; those with the best scores are forgotten first. About 8 MB."""

    gossip_threshold: float = -4_000.0
    """Below this a peer neither hears IHAVE nor is heard with it. Lighthouse's: three invalid messages."""

    publish_threshold: float = -8_000.0
    """Below this a peer does not get our own messages. Lighthouse's: four invalid messages."""

    graylist_threshold: float = -16_000.0
    """Below this nothing of a peer is read, and it is disconnected. Lighthouse's: five invalid messages."""

    accept_px_threshold: float = 60.0
    """From this on the peers are dialled that a peer names when it prunes us. Lighthouse asks for 100, which
    only peers of the operator's own choosing reach. 60 is more than conduct alone can earn, so that it takes
    a bootnode, or stake and good conduct together."""

    opportunistic_graft_threshold: float = 10.0
    """A mesh whose median is below this takes in better peers. Lighthouse: 5; ours is above what a small
    miner's stake alone brings, so that a mesh of staked sleepers does not look well."""

    def __post_init__(self) -> None:
        """Check signs, order and the networks."""
        try:
            for text in self.colocation_exempt:
                ipaddress.ip_network(text)
        except ValueError as error:
            raise LocalError("gossip parameters: not a network") from error
        rules = {
            "thresholds fall": 0 > self.gossip_threshold >= self.publish_threshold > self.graylist_threshold,
            "thresholds to trust are not negative": min(
                self.accept_px_threshold, self.opportunistic_graft_threshold
            )
            >= 0,
            "conduct alone does not open peer exchange": self.accept_px_threshold > self.topic_score_max,
            "weights that reward are not negative": min(self.application_weight, self.topic_score_max) >= 0,
            "weights that punish are negative": max(self.colocation_weight, self.behaviour_weight) < 0,
            "an address has a peer": self.colocation_threshold >= 1,
            "counts are not negative": min(
                self.behaviour_threshold, self.violation_units, self.application_score_max
            )
            >= 0,
            "spans are positive": min(self.behaviour_decay_ms, self.decay_interval_ms, self.retain_ms) > 0,
            "0 < decay_to_zero < 1": 0 < self.decay_to_zero < 1,
            "somebody is remembered": self.retained_max >= 1,
        }
        require(rules)

    def of_topic(self, topic: str) -> TopicScoreParams:
        """The parameters of a topic."""
        return self.topics.get(topic, self.default_topic)
