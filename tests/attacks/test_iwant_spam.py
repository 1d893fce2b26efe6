"""IWANT spam: one peer asks for the same messages again and again, to have others send them.

Parameters: 40 honest nodes, the attacker connected to 20 of them; it asks each for every message there is
five times a second, for 30 s; honest offers at 5/s.
Must hold: nobody gives one message more than `retransmissions_max` times; honest messages reach everybody.
Reached (seed 1, a minute): a million wishes, 3.02 copies of a message given per victim; 100 % delivered,
p99 97 ms.
"""

from p2p.gossip.params import GossipParams
from p2p.gossip.wire import encode_control
from tests.attacks.arena import report_deliveries, report_peers, traffic
from tests.attacks.single import VICTIMS, beset, keep_doing
from tests.attacks.sybils import Sybil
from tests.simulation.memo import shared_results
from tests.simulation.outcome import Outcome


class Glutton(Sybil):
    served = 0
    wished: dict[bytes, None]

    def connected(self, peer, *, outbound):
        self.wished = {}
        super().connected(peer, outbound=outbound)

    def graft(self, peer):
        """Stay out of the meshes: whatever comes was asked for, or is a flood."""

    def hear(self, peer, data):
        self.served += 1
        self.wished[self.ring.learn(data)] = None

    def offered(self, peer, identifiers):
        self.wished |= dict.fromkeys(identifiers)


def attack(seed: int, seconds: float = 60) -> Outcome:
    outcome = Outcome("IWANT spam", seed)
    with shared_results():
        network, glutton = beset(seed, Glutton)
        wishes = 0

        def ask(peer: int) -> None:
            nonlocal wishes
            known = list(glutton.wished)[-500:]
            wishes += len(known)
            if known:
                network.world.send(glutton.number, peer, encode_control(iwant=known))

        keep_doing(network, glutton, 200, ask)
        messages = traffic(network, seconds * 1000, 5)
        network.run_for(5_000)
    report_deliveries(outcome, network, messages)
    times = glutton.served / len(messages) / VICTIMS
    outcome.figure("wishes", f"{wishes:,}")
    outcome.figure("copies it got of a message, per victim", f"{times:.2f}")
    # One more: a publisher's own flood.
    allowed = GossipParams().retransmissions_max + 1
    outcome.check("nobody gives a message too often", times <= allowed)
    report_peers(outcome, network, [glutton])
    return outcome


def test_asking_again_and_again_is_answered_three_times():
    outcome = attack(seed=1, seconds=30)
    assert outcome.holds, outcome.text()
