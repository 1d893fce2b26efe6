"""Invalid messages: a peer floods what the rules reject, and another what they ignore.

Parameters: 40 honest nodes, both attackers connected to 20 of them; twenty messages a second that do not
decode, and twenty offers signed by somebody without stake; honest offers at 3/s for 20 s.
Must hold: whoever sends what is rejected is graylisted within 10 messages; what is ignored costs no score and
goes no further; no honest node forwards either.
Reached (seed 1): cut off by all after at most 6 messages; 1,300 ignored ones cost nothing; 100 % delivered.
"""

from protocol.messages import Offer
from tests.attacks.arena import report_deliveries, traffic
from tests.attacks.single import VICTIMS, beset, cut_off_by, keep_doing
from tests.attacks.sybils import Sybil, encode_messages, surround
from tests.protocol.builders import STRANGER, model_offer, sealed
from tests.simulation.memo import shared_results
from tests.simulation.network import OFFER_LIFE_MS
from tests.simulation.outcome import Outcome

MESSAGES_MAX = 10


class Spammer(Sybil):
    def connected(self, peer, *, outbound):
        self.sent = getattr(self, "sent", {})
        self.sent.setdefault(peer, 0)
        super().connected(peer, outbound=outbound)

    def spam(self, peer, data):
        self.sent[peer] += 1
        self.world.send(self.number, peer, encode_messages([(self.ring.topic, data)]))


def attack(seed: int, seconds: float = 60) -> Outcome:
    outcome = Outcome("invalid messages", seed)
    with shared_results():
        network, rejected = beset(seed, Spammer)
        ignored = Spammer(rejected.ring, rejected.number + 1)
        surround(network, [ignored], list(network.nodes)[:VICTIMS], 1)
        network.run_for(1_000)
        now_ms = network.peers[0].now_ms
        keep_doing(network, rejected, 50, lambda peer: rejected.spam(peer, rejected.ring.rng.randbytes(64)))

        def offer_without_stake(peer: int) -> None:
            number = ignored.sent[peer]
            offer = Offer(number, now_ms, now_ms + OFFER_LIFE_MS, 1, (model_offer(number + peer),))
            ignored.spam(peer, sealed(STRANGER, offer))

        keep_doing(network, ignored, 50, offer_without_stake)
        messages = traffic(network, seconds * 1000, 3)
        network.run_for(5_000)
    most = max(rejected.sent.values())
    ignored_score = min(
        network.nodes[peer].router.scores.score(ignored.number)
        for peer in network.world.links[ignored.number]
    )
    spread = sum(
        peer.refused["message does not decode"] + peer.refused["signer is not a miner of this epoch"]
        for number, peer in network.peers.items()
        if number >= VICTIMS
    )
    outcome.figure("rejected: messages until it was cut off, at most", str(most))
    outcome.figure("ignored: messages sent to each", f"{min(ignored.sent.values())} and more")
    outcome.check(f"rejected: graylisted within {MESSAGES_MAX} messages", most <= MESSAGES_MAX)
    outcome.check("rejected: everybody cut it off", cut_off_by(network, rejected) == VICTIMS)
    outcome.check("ignored: nobody cut it off, and its score is not below 0", ignored_score >= 0)
    outcome.check("ignored: nobody cut it off", cut_off_by(network, ignored) == 0)
    outcome.check("nobody forwarded either", spread == 0)
    report_deliveries(outcome, network, messages)
    return outcome


def test_what_is_rejected_costs_everything_and_what_is_ignored_nothing():
    outcome = attack(seed=1, seconds=15)
    assert outcome.holds, outcome.text()
