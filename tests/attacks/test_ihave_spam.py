"""IHAVE spam: one peer offers thousands of messages that do not exist, to make others ask and wait.

Parameters: 40 honest nodes, the attacker connected to 20 of them; ten IHAVEs of 500 invented ids every 700 ms
for two minutes; honest offers at 3/s.
Must hold: honest messages reach everybody; nobody asks the attacker for more than `ihave_ids_max` ids in a
heartbeat; broken promises take it below the gossip threshold everywhere, so that it is heard no more.
Reached (seed 1, two minutes): 100 % delivered, p99 97 ms; 99 ids asked for per victim and heartbeat, the
limit is 1,024; deaf in 20 of 20.
"""

from p2p.gossip.params import GossipParams
from p2p.gossip.wire import encode_control
from tests.attacks.arena import TOPIC, report_deliveries, report_peers, traffic
from tests.attacks.single import VICTIMS, beset, keep_doing
from tests.attacks.sybils import Sybil
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome

IDS_EACH, IHAVES_EACH = 500, 10
HEARTBEAT_MS = GossipParams().heartbeat_ms


class Liar(Sybil):
    asked_for = 0

    def asked(self, peer, identifiers):
        self.asked_for += len(tuple(identifiers))


def attack(seed: int, seconds: float = 120) -> Outcome:
    outcome = Outcome("IHAVE spam", seed)
    with shared_results():
        network, liar = beset(seed, Liar)
        started_ms = network.world.now_ms

        def lie(peer: int) -> None:
            for _ in range(IHAVES_EACH):
                invented = [liar.ring.rng.randbytes(20) for _ in range(IDS_EACH)]
                network.world.send(liar.number, peer, encode_control(ihave=[(TOPIC, invented)]))

        keep_doing(network, liar, HEARTBEAT_MS, lie)
        messages = traffic(network, seconds * 1000, 3)
        network.run_for(5_000)
    ids_max = GossipParams().ihave_ids_max
    beats = (network.world.now_ms - started_ms) / HEARTBEAT_MS + 1
    report_deliveries(outcome, network, messages)
    outcome.figure(
        "ids that it was asked for, per victim and heartbeat", f"{liar.asked_for / VICTIMS / beats:.0f}"
    )
    threshold = GossipParams().score.gossip_threshold
    deaf = sum(node.router.scores.score(liar.number) < threshold for node in network.nodes.values())
    outcome.figure("nodes that do not hear it any more", f"{deaf} of {VICTIMS}")
    outcome.check("nobody asks beyond the limit", liar.asked_for <= VICTIMS * beats * ids_max)
    outcome.check("none of its victims hears it any more", deaf == VICTIMS)
    report_peers(outcome, network, [liar])
    return outcome


def test_promises_that_are_never_kept_are_soon_not_heard():
    outcome = attack(seed=1, seconds=15)
    assert outcome.holds, outcome.text()
