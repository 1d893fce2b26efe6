"""Cold boot: sybils are there before the honest nodes are, and no mesh has ever been a good one.

Parameters: 200 honest nodes start at the same moment, each called by 200 of 800 sybils (20:1) before it dials
anybody; sybils swallow everything; offers at 3/s from the third second on, for 10 s (60 s in
`make attacks`).
Must hold: 100 % delivered (the evaluation's unhardened network lost 4 %), p99 below 2 s.
Reached (seed 1, `make attacks`): 100 % of 35,820, p50/p99/last 131/223/285 ms, 47 % of mesh peers honest.
"""

from tests.attacks.arena import TOPIC, honest_network, report_deliveries, report_peers, traffic
from tests.attacks.sybils import passes_nothing, recruit, surround
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome


def attack(seed: int, honest: int = 200, sybils: int = 800, seconds: float = 60) -> Outcome:
    outcome = Outcome(f"cold boot: {honest} honest, {sybils} sybils", seed)
    with shared_results():
        network = honest_network(seed, honest)
        ring = recruit(network, TOPIC, sybils, passes_nothing)
        surround(network, ring, list(network.nodes), 200)
        network.run_for(1_000)
        network.run_for(2_000)
        messages = traffic(network, seconds * 1000, 3)
        network.run_for(5_000)
    report_deliveries(outcome, network, messages)
    report_peers(outcome, network, ring)
    return outcome


def test_a_network_that_starts_among_sybils_loses_nothing():
    outcome = attack(seed=1, honest=100, sybils=400, seconds=10)
    assert outcome.holds, outcome.text()
