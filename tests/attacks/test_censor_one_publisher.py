"""Censor one publisher: sybils that do everything right, except for one node's messages.

Parameters: 60 honest nodes (200 in `make attacks`), 240 sybils (800), 100 (200) of which call each;
offers at 5/s for 20 s (60 s), half of them the victim's. Sybils that behave otherwise cannot be told by any
score; what saves the victim is that its own messages go to all its peers, and lazy gossip from there.
Must hold: everything is delivered, the victim's too, p99 below 2 s.
Reached (seed 1, `make attacks`): 100 %, the victim's p50/p99/last 90/127/128 ms, others' 70/99/109 ms.
"""

from tests.attacks.arena import TOPIC, honest_network, report_deliveries, report_peers, traffic
from tests.attacks.sybils import recruit, surround
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome

VICTIM = 7


def attack(
    seed: int, honest: int = 200, sybils: int = 800, seconds: float = 60, connections_each: int = 200
) -> Outcome:
    outcome = Outcome(f"censor one publisher: {honest} honest, {sybils} sybils", seed)
    with shared_results():
        network = honest_network(seed, honest)
        network.warm_up()
        sent = network.deliveries.messages
        ring = recruit(network, TOPIC, sybils, lambda data: sent[data].publisher != VICTIM)
        surround(network, ring, list(network.nodes), connections_each)
        network.run_for(3_000)
        publishers = [VICTIM if number % 2 else number for number in range(20)]
        messages = traffic(network, seconds * 1000, 5, publishers)
        network.run_for(5_000)
    censored = [data for data in messages if sent[data].publisher == VICTIM]
    report_deliveries(outcome, network, censored, "the victim's")
    report_deliveries(outcome, network, [data for data in messages if data not in set(censored)], "others'")
    report_peers(outcome, network, ring)
    return outcome


def test_a_censored_publisher_is_heard():
    outcome = attack(seed=1, honest=60, sybils=240, seconds=20, connections_each=100)
    assert outcome.holds, outcome.text()
