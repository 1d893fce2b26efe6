"""A network of honest peers, built and warmed up: where scenarios and attacks begin.

Is: the same start for all: nodes dial at random, join the topics, and let their meshes settle.
Is not: what happens then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from p2p.gossip.params import GossipParams
from protocol.messages import Offer
from protocol.rules import offers
from protocol.rules.view import View
from tests.protocol.builders import model_offer
from tests.simulation.graph import dial_at_random
from tests.simulation.links import LinkParams
from tests.simulation.measure import Deliveries, MeshHealth, mesh_health
from tests.simulation.node import CONNECTIONS_TARGET, Node
from tests.simulation.peer import RULES, Peer, chain_view, keys
from tests.simulation.randomness import Randomness, generator
from tests.simulation.world import World

WARM_UP_MS = 10_000
"""Simulated time in which meshes settle before anything is measured."""
OFFER_LIFE_MS = 600_000


@dataclass
class Network:
    """Honest peers and what is known of them.

    :ivar rng: for the choices of a scenario.
    :ivar health: of the first topic's meshes, one entry a second from `watch` on.
    """

    world: World
    nodes: dict[int, Node]
    peers: dict[int, Peer]
    view: View
    rng: Randomness
    deliveries: Deliveries = field(default_factory=Deliveries)
    health: list[MeshHealth] = field(default_factory=list)
    _sequences: dict[int, int] = field(default_factory=dict)

    def run_for(self, duration_ms: float) -> None:
        """Let simulated time pass."""
        self.world.events.run_until(self.world.now_ms + duration_ms)

    def start(self, *, keeps_connections: bool = False) -> None:
        """Start every node; they have no connections yet."""
        for node in self.nodes.values():
            node.keeps_connections = keeps_connections
            node.knows = list(self.nodes)
            node.start()

    def warm_up(self, connections: int = CONNECTIONS_TARGET) -> None:
        """Connect everybody and let the meshes settle."""
        dial_at_random(self.world, list(self.nodes), self.rng, connections)
        self.run_for(WARM_UP_MS)

    def watch(self, topic: str, interval_ms: float = 1_000.0) -> None:
        """Note the meshes' health from now on."""

        def look() -> bool:
            self.health.append(mesh_health(self.world.now_ms, self.nodes, topic))
            return True

        self.world.every(interval_ms, self.world.now_ms, look)

    def publish_offer(self, number: int) -> bytes:
        """Have a miner publish its next offer, under observation."""
        peer = self.peers[number]
        sequence = self._sequences[number] = self._sequences.get(number, -1) + 1
        offer = Offer(sequence, peer.now_ms, peer.now_ms + OFFER_LIFE_MS, 1, (model_offer(1_000_000),))
        data = peer.seal(offer).encoded
        self.deliveries.expect(self.world, data, number, self.nodes)
        peer.publish(offers.TOPIC, data)
        return data

    def publish_offers(self, publishers: Sequence[int], interval_ms: float) -> None:
        """Have one after the other publish an offer, beginning now."""
        for place, number in enumerate(publishers):
            self.world.events.after(place * interval_ms, self.publish_offer, number)


def build(
    seed: int,
    count: int,
    *,
    topics: Sequence[str] = tuple(RULES),
    links: LinkParams | None = None,
    params: GossipParams | None = None,
    coordinators: int = 0,
    skew_ms_max: int = 0,
) -> Network:
    """Peers that are not started yet; the last `coordinators` of them are coordinators, the others miners.

    :param skew_ms_max: clocks are drawn between minus and plus this.
    """
    world, rng = World(seed, links), generator(seed, "scenario")
    signers = keys(f"{seed}", count)
    miners, owners = signers[: count - coordinators], signers[count - coordinators :]
    view = chain_view(miners, owners)
    nodes = {number: Node(world, number, topics, params) for number in range(count)}
    peers = {
        number: Peer(node, signers[number], view, rng.randint(-skew_ms_max, skew_ms_max))
        for number, node in nodes.items()
    }
    network = Network(world, nodes, peers, view, rng)
    for peer in peers.values():
        peer.observer = network.deliveries.accepted
    return network
