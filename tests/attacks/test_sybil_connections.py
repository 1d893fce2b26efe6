"""Sybil connections 20:1: every inbound place of every node is sought by sybils that then do nothing at all.

Parameters: 60 honest nodes (200 in `make attacks`), 20 of which start among 240 (800) sleeping sybils,
of which 100 (200) call each node; sleepers never graft; offers at 5/s for 15 s (60 s).
Must hold: everything is delivered to all, the newcomers too; every node has peers that it dialled itself; the
honest meshes stay one.
Reached (seed 1, 60 nodes): 100 %, p50/p99/last 81/168/206 ms; nobody has dialled fewer than 8 honest peers.
"""

from tests.attacks.arena import TOPIC, honest_network, report_deliveries, report_peers, traffic
from tests.attacks.sybils import Sybil, passes_nothing, recruit, surround
from tests.simulation.measure import mesh_health
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome

NEWCOMERS = 20


class Sleeper(Sybil):
    def graft(self, peer: int) -> None:
        """Stay out of every mesh."""


def attack(
    seed: int, honest: int = 200, sybils: int = 800, seconds: float = 60, connections_each: int = 200
) -> Outcome:
    outcome = Outcome(f"sybil connections: {honest} honest, {sybils} sybils", seed)
    with shared_results():
        network = honest_network(seed, honest)
        late = list(network.nodes)[-NEWCOMERS:]
        for number in late:
            network.nodes[number].crash()
        network.warm_up(connections=0)
        ring = recruit(network, TOPIC, sybils, passes_nothing, Sleeper)
        for number in late:
            network.nodes[number].start()
        surround(network, ring, list(network.nodes), connections_each)
        network.run_for(5_000)
        messages = traffic(network, seconds * 1000, 5)
        network.run_for(5_000)
    report_deliveries(outcome, network, messages)
    report_peers(outcome, network, ring)
    dialled = min(
        sum(peer in network.nodes for peer in node.outbound) for number, node in network.nodes.items()
    )
    outcome.figure("honest peers dialled by the node that dialled fewest", str(dialled))
    outcome.check("every node has dialled somebody honest", dialled > 0)
    health = mesh_health(network.world.now_ms, network.nodes, TOPIC)
    outcome.check("the honest meshes are one", health.components == 1)
    return outcome


def test_sleepers_on_every_line_keep_nobody_out():
    outcome = attack(seed=1, honest=60, sybils=240, seconds=15, connections_each=100)
    assert outcome.holds, outcome.text()
