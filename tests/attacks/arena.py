"""What the attacks in the simulator have in common: an honest market under traffic, and its figures.

Is: building the network, keeping offers flowing, and saying how they fared.
Is not: an attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2p.gossip.params import GossipParams
from protocol.rules import offers
from tests.attacks.sybils import Sybil
from tests.simulation.measure import mesh_health, percentile
from tests.simulation.network import Network, build
from tests.simulation.outcome import Outcome

TOPIC = offers.TOPIC
SETTLE_MS = 5_000.0
"""Time after the last message in which stragglers may still arrive."""
DEADLINE_MS = 6_000.0
"""What the evaluation of gossipsub allows a message to take, after Filecoin's blocks."""
P99_MS_MAX = 2_000.0
"""What we allow 99 in 100."""


def honest_network(seed: int, count: int, params: GossipParams | None = None) -> Network:
    """Honest miners on one topic, started, without connections; they keep connections to each other."""
    network = build(seed, count, topics=[TOPIC], params=params)
    network.start(keeps_connections=True)
    return network


def traffic(
    network: Network, duration_ms: float, per_second: float, publishers: Sequence[int] | None = None
) -> list[bytes]:
    """Have honest miners offer at random for a while; returns when all is settled, with what was offered."""
    who = list(publishers if publishers is not None else network.nodes)
    before = len(network.deliveries.messages)
    for place in range(int(duration_ms / 1000 * per_second)):
        network.world.events.after(place * 1000 / per_second, network.publish_offer, network.rng.choice(who))
    network.run_for(duration_ms)
    return list(network.deliveries.messages)[before:]


def report_deliveries(outcome: Outcome, network: Network, messages: Iterable[bytes], name: str = "") -> None:
    """Note how messages fared among honest nodes, and check that all came, in time."""
    sent = [network.deliveries.messages[data] for data in messages]
    wanted = len(sent) * (len(network.nodes) - 1)
    latencies = [latency for message in sent for latency in message.reached_ms.values()]
    prefix = f"{name}: " if name else ""
    outcome.figure(f"{prefix}delivered", f"{len(latencies) / wanted:.2%} of {wanted:,}")
    outcome.figure(
        f"{prefix}p50 / p99 / last",
        f"{percentile(latencies, 50):.0f} / {percentile(latencies, 99):.0f} / {max(latencies):.0f} ms",
    )
    outcome.check(f"{prefix}every honest message reaches every honest node", len(latencies) == wanted)
    outcome.check(f"{prefix}p99 is below {P99_MS_MAX:.0f} ms", percentile(latencies, 99) < P99_MS_MAX)
    outcome.check(f"{prefix}the last is below {DEADLINE_MS:.0f} ms", max(latencies) < DEADLINE_MS)


def report_peers(outcome: Outcome, network: Network, sybils: Sequence[Sybil]) -> None:
    """Note how the meshes are, and who was cut off; no honest node may be."""
    health = mesh_health(network.world.now_ms, network.nodes, TOPIC)
    links = network.world.links
    honest = sum(peer in network.nodes for number in network.nodes for peer in links[number])
    hostile = sum(peer not in network.nodes for number in network.nodes for peer in links[number])
    outcome.figure("connections, sybil : honest", f"{hostile / max(1, honest):.1f} : 1")
    outcome.figure("mesh peers that are honest", f"{health.honest_share:.0%}")
    cut = {peer for node in network.nodes.values() for peer, _ in node.disconnects}
    outcome.figure("sybils that somebody cut off", f"{len(cut - set(network.nodes))} of {len(sybils)}")
    outcome.check("no honest node is cut off", not cut & set(network.nodes))
