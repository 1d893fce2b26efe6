"""Degrade: sybils that drop half of what they should pass on, and so stay above what scores can see.

Parameters: 60 honest nodes (200 in `make attacks`), 240 sybils (800), 100 (200) of which call each;
each message is dropped by all sybils with probability 1/2; offers at 5/s for 20 s (60 s).
Must hold: everything is delivered, p99 below 2 s.
Reached (seed 1, 60 nodes): 100 %, p50/p99/last 65/98/109 ms for what sybils dropped, 59/86/98 ms for the
rest.
"""

from protocol.hashing import sha256
from tests.attacks.arena import TOPIC, honest_network, report_deliveries, report_peers, traffic
from tests.attacks.sybils import recruit, surround
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome


def passes_half(data: bytes) -> bool:
    return sha256(data)[0] % 2 == 0


def attack(
    seed: int, honest: int = 200, sybils: int = 800, seconds: float = 60, connections_each: int = 200
) -> Outcome:
    outcome = Outcome(f"degrade: {honest} honest, {sybils} sybils that drop half", seed)
    with shared_results():
        network = honest_network(seed, honest)
        network.warm_up()
        ring = recruit(network, TOPIC, sybils, passes_half)
        surround(network, ring, list(network.nodes), connections_each)
        network.run_for(3_000)
        messages = traffic(network, seconds * 1000, 5)
        network.run_for(5_000)
    report_deliveries(outcome, network, [data for data in messages if passes_half(data)], "passed on")
    report_deliveries(outcome, network, [data for data in messages if not passes_half(data)], "dropped")
    report_peers(outcome, network, ring)
    return outcome


def test_dropping_half_costs_time_and_no_message():
    outcome = attack(seed=1, honest=60, sybils=240, seconds=20, connections_each=100)
    assert outcome.holds, outcome.text()
