"""Eclipse of one: 250 sybils call one node, crowd into its mesh, and pass nothing on.

Parameters: 60 honest nodes (200 in `make attacks`), 16 connections each; 250 sybils on the victim, as many as
its host lets in; offers at 5/s for 30 s, the victim's own among them.
Must hold: the victim hears everything and is heard by everybody; p99 below 2 s.
Reached (seed 1, 60 nodes): 100 % of 8,850, p50/p99/last 62/95/103 ms; 8 of the 10 in the victim's mesh are
honest.
"""

from tests.attacks.arena import TOPIC, honest_network, report_deliveries, report_peers, traffic
from tests.attacks.sybils import passes_nothing, recruit, surround
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome

VICTIM = 0


def attack(seed: int, honest: int = 200, sybils: int = 250, seconds: float = 60) -> Outcome:
    outcome = Outcome(f"eclipse of one: {honest} honest, {sybils} sybils on one node", seed)
    with shared_results():
        network = honest_network(seed, honest)
        network.warm_up()
        ring = recruit(network, TOPIC, sybils, passes_nothing)
        surround(network, ring, [VICTIM], sybils)
        network.run_for(3_000)
        publishers = [VICTIM if number % 2 else number for number in range(10)]
        messages = traffic(network, seconds * 1000, 5, publishers)
        network.run_for(5_000)
    report_deliveries(outcome, network, messages)
    mesh = network.nodes[VICTIM].router.overlay.mesh[TOPIC]
    outcome.figure(
        "the victim's mesh", f"{sum(peer in network.nodes for peer in mesh)} honest of {len(mesh)}"
    )
    report_peers(outcome, network, ring)
    return outcome


def test_a_surrounded_node_hears_and_is_heard():
    outcome = attack(seed=1, honest=60, seconds=30)
    assert outcome.holds, outcome.text()
