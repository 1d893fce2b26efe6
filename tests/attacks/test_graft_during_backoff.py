"""GRAFT during back-off: a peer that was pruned asks again at once, and again.

Parameters: 40 honest nodes, 30 peers that graft each of them, so that most are refused and in back-off; one
of them goes on grafting every 200 ms.
Must hold: the attacker is graylisted by everybody who refused it, within 60 GRAFTs; those that wait are not.
Reached (seed 1): cut off by all 40 after at most 20 GRAFTs, 4 s; the 29 that wait stay; 100 % delivered.
"""

from tests.attacks.arena import TOPIC, honest_network, report_deliveries, traffic
from tests.attacks.sybils import passes_everything, recruit, surround
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome

GRAFTS_MAX = 60
INTERVAL_MS = 200
VICTIMS = 40
PATIENT = 29


def attack(seed: int, seconds: float = 30) -> Outcome:
    outcome = Outcome("GRAFT during back-off", seed)
    with shared_results():
        network = honest_network(seed, VICTIMS)
        network.warm_up()
        impatient, *patient = recruit(network, TOPIC, PATIENT + 1, passes_everything)
        surround(network, patient, list(network.nodes), PATIENT)
        network.run_for(1_000)
        surround(network, [impatient], list(network.nodes), 1)
        network.run_for(1_000)
        refusing = [peer for peer in network.nodes if peer not in impatient.mesh]
        grafts: dict[int, int] = {}

        def again() -> bool:
            for peer in refusing:
                if peer in network.world.links[impatient.number]:
                    grafts[peer] = grafts.get(peer, 0) + 1
                    network.world.send(impatient.number, peer, impatient.ring.graft)
            return True

        network.world.every(INTERVAL_MS, network.world.now_ms, again)
        messages = traffic(network, seconds * 1000, 3)
        network.run_for(5_000)
    cut = {number for number, node in network.nodes.items() if node.disconnects}
    outcome.figure("nodes that refused it", f"{len(refusing)} of {VICTIMS}")
    outcome.figure("GRAFTs until it was cut off, at most", str(max(grafts.values(), default=0)))
    outcome.check("somebody refused it", len(refusing) > VICTIMS // 2)
    outcome.check("everybody who refused it cut it off", cut == set(refusing))
    outcome.check(f"within {GRAFTS_MAX} GRAFTs", max(grafts.values()) <= GRAFTS_MAX)
    hung_up = {peer for node in network.nodes.values() for peer, _ in node.disconnects}
    outcome.check("and nobody else was cut off", hung_up == {impatient.number})
    report_deliveries(outcome, network, messages)
    return outcome


def test_impatience_ends_in_the_graylist_and_patience_does_not():
    outcome = attack(seed=1, seconds=20)
    assert outcome.holds, outcome.text()
