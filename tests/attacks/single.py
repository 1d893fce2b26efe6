"""What attacks on single nodes have in common: an honest network, and one attacker that is in some meshes.

Is: the set-up, and the question when an attacker was cut off.
Is not: an attack.
"""

from __future__ import annotations

from tests.attacks.arena import TOPIC, honest_network
from tests.attacks.sybils import Sybil, passes_everything, recruit, surround
from tests.simulation.network import Network

HONEST = 40
VICTIMS = 20


def beset(
    seed: int, kind: type[Sybil], honest: int = HONEST, victims: int = VICTIMS
) -> tuple[Network, Sybil]:
    """Honest nodes that are warm, and one attacker that is connected to some of them."""
    network = honest_network(seed, honest)
    network.warm_up()
    (attacker,) = recruit(network, TOPIC, 1, passes_everything, kind)
    surround(network, [attacker], list(network.nodes)[:victims], 1)
    network.run_for(1_000)
    return network, attacker


def keep_doing(network: Network, attacker: Sybil, interval_ms: float, action) -> None:
    """Have an attacker do something to every node it is connected to, again and again."""

    def again() -> bool:
        for peer in tuple(network.world.links[attacker.number]):
            action(peer)
        return True

    network.world.every(interval_ms, network.world.now_ms, again)


def cut_off_by(network: Network, attacker: Sybil) -> int:
    """How many honest nodes have disconnected the attacker."""
    return sum(
        any(peer == attacker.number for peer, _ in node.disconnects) for node in network.nodes.values()
    )
