"""Eclipse of all: 20 sybil connections for each honest one, all of which swallow everything.

Parameters: 100 honest nodes (200 in `make attacks`) with 16 to 20 connections among themselves; 400 sybils
(800), of which 200 call each honest node and crowd into its mesh; offers at 5/s for 20 s (60 s).
Must hold: everything is delivered, p99 below 2 s; every node keeps at least D_out honest mesh peers.
Reached (seed 1, `make attacks`): 100 % of 59,700, p50/p99/last 88/125/146 ms; 65 % of mesh peers are
honest, 6 at least.
"""

from tests.attacks.arena import TOPIC, honest_network, report_deliveries, report_peers, traffic
from tests.attacks.sybils import passes_nothing, recruit, surround
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome

CONNECTIONS_EACH = 200


def attack(seed: int, honest: int = 200, sybils: int = 800, seconds: float = 60) -> Outcome:
    outcome = Outcome(f"eclipse of all: {honest} honest, {sybils} sybils", seed)
    with shared_results():
        network = honest_network(seed, honest)
        network.warm_up()
        ring = recruit(network, TOPIC, sybils, passes_nothing)
        surround(network, ring, list(network.nodes), CONNECTIONS_EACH)
        network.run_for(3_000)
        messages = traffic(network, seconds * 1000, 5)
        network.run_for(5_000)
    report_deliveries(outcome, network, messages)
    report_peers(outcome, network, ring)
    fewest = min(
        sum(peer in network.nodes for peer in node.router.overlay.mesh[TOPIC])
        for node in network.nodes.values()
    )
    outcome.figure("honest mesh peers of the node that has fewest", str(fewest))
    outcome.check("every node keeps an honest mesh peer", fewest > 0)
    return outcome


def test_an_eclipse_of_everybody_darkens_nobody():
    outcome = attack(seed=1, honest=100, sybils=400, seconds=20)
    assert outcome.holds, outcome.text()
