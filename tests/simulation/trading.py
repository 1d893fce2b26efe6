"""Scenarios about the market: partitions, crashes, clocks that differ, and cheats.

Is: `partition`, `faults` and `offences`: production engines, rules and guard decisions.
Is not: figures about speed (`flooding`), or single misfortunes of orders (`failing`).
"""

from __future__ import annotations

from protocol.evidence import Offence, verify_evidence
from protocol.guard import Decision
from protocol.messages import Kind
from protocol.rules import tasks
from tests.protocol.builders import DOMAIN
from tests.simulation.cheats import ACTS
from tests.simulation.flooding import health_plot
from tests.simulation.links import LinkParams
from tests.simulation.market import Market
from tests.simulation.memo import shared_results
from tests.simulation.network import Network, build
from tests.simulation.outcome import Outcome
from tests.simulation.peer import Peer
from tests.simulation.randomness import generator

PARTITION_MS = 30_000.0
TASK_INTERVAL_MS = 2_000.0
ROUND_TRIP_MS_MAX = 150.0
"""The longest, on links of 25 to 75 ms."""
SKEW_MS_MAX = 500
LIFE_MS_MEAN = 20_000.0
"""Mean time to a node's next crash."""
DOWN_MS = 5_000.0
ORDERS_END_MS = 180_000.0
"""After the misfortunes, every order is over within this."""


def agreement(network: Network) -> dict[int, frozenset[tuple[bytes, ...]]]:
    """What each running peer holds true: tasks, and commitments to them by (task, miner)."""
    known = {}
    for number, peer in network.peers.items():
        if peer.node.router is not None:
            done = {
                (b"result", slot, signer)
                for kind, signer, slot in peer.seen.statements
                if kind == Kind.RESULT_COMMITMENT
            }
            known[number] = frozenset({(b"task", task) for task in peer.seen.tasks} | done)
    return known


def everything(network: Network) -> frozenset[tuple[bytes, ...]]:
    """All that some peer knows now."""
    return frozenset().union(*agreement(network).values())


def lacking(network: Network, wanted: frozenset[tuple[bytes, ...]] | None = None) -> int:
    """Peers that do not know everything of this; by default, of all that some peer knows."""
    known = agreement(network)
    wanted = everything(network) if wanted is None else wanted
    return sum(not mine >= wanted for mine in known.values())


def accused(network: Network) -> dict[Offence, int]:
    """Everything that anybody holds evidence of, and how many do; each piece verified again."""
    found: dict[Offence, int] = {}
    for peer in network.peers.values():
        for offence, evidence in peer.found.items():
            assert verify_evidence(DOMAIN, evidence, peer.view.epochs) == offence
            found[offence] = found.get(offence, 0) + 1
    return found


def graylisted(network: Network) -> list[tuple[int, int]]:
    """(who, whom) of all peers that were hung up on."""
    return [(number, peer) for number, node in network.nodes.items() for peer, _ in node.disconnects]


def partition(seed: int, nodes: int = 200, minutes: float = PARTITION_MS / 60_000) -> Outcome:
    """Two halves that do not hear each other, each with a coordinator at work, and then a heal."""
    length_ms = minutes * 60_000
    outcome = Outcome(f"partition of {length_ms / 1000:.0f} s, {nodes} nodes", seed)
    with shared_results():
        network = build(seed, nodes, coordinators=2)
        market = Market(network)
        network.start(keeps_connections=True)
        network.watch(tasks.TOPIC)
        network.warm_up()
        market.ask_every(TASK_INTERVAL_MS, 3)
        network.run_for(10_000)
        outcome.check("all agree before", lacking(network) == 0)
        # The coordinators are the last two: one on either side.
        sides = [range(0, nodes, 2), range(1, nodes, 2)]
        network.world.partition(sides)
        market.ask_every(TASK_INTERVAL_MS, int((length_ms - 2_000) / TASK_INTERVAL_MS))
        network.run_for(length_ms)
        apart, said = lacking(network), everything(network)
        network.world.heal()
        redial(network, sides)
        healed_ms = network.world.now_ms
        heartbeat_ms = network.nodes[0].params.heartbeat_ms
        bound_ms = 2 * heartbeat_ms + ROUND_TRIP_MS_MAX
        while lacking(network, said) and network.world.now_ms < healed_ms + 20 * heartbeat_ms:
            network.run_for(10)
        took_ms = network.world.now_ms - healed_ms
        market.run_until_over(ORDERS_END_MS)
        network.run_for(5_000)
    total = len(everything(network))
    outcome.figure("nodes that lacked something when it ended", f"{apart} of {nodes}")
    outcome.figure("tasks and results, of which when it ended", f"{total}, {len(said)}")
    outcome.figure("all know it after redial within", f"{took_ms:.0f} ms (bound {bound_ms:.0f} ms)")
    outcome.check(
        "within two heartbeats and a round trip, all know what was said in either half", took_ms <= bound_ms
    )
    outcome.check("the halves had diverged", apart > 0)
    _check_winners(outcome, network, market)
    outcome.check("nobody is accused", not accused(network))
    outcome.check("nobody is graylisted", not graylisted(network))
    outcome.plots.append(health_plot(network.health))
    outcome.trace = network.world.trace
    return outcome


def redial(network: Network, sides: list[range]) -> None:
    """Have every node dial a few peers of the other side at once, as the connection keeper would."""
    for side, others in (sides, sides[::-1]):
        for number in side:
            for peer in network.rng.sample(list(others), 4):
                network.world.connect(number, peer)


def _check_winners(outcome: Outcome, network: Network, market: Market) -> None:
    market.show_orders(outcome)
    market.check_laws(outcome)
    winners = [order.winner for order in market.orders]
    known = everything(network)
    outcome.check("every order has a winner", None not in winners)
    outcome.check(
        "everybody holds the commitment of every winner",
        lacking(network) == 0 and all((b"result", *winner) in known for winner in winners if winner),
    )


def faults(seed: int, nodes: int = 100, minutes: float = 2.0, *, guarded: bool = True) -> Outcome:
    """Crashes and restarts, clocks up to half a second off, and links that lose, repeat and reorder.

    :param guarded: False to see what the equivocation guard is for.
    """
    outcome = Outcome(f"faults, {nodes} nodes", seed)
    links = LinkParams(jitter_ms_max=20, loss=0.01, duplication=0.01, reordering=0.05)
    with shared_results():
        network = build(seed, nodes, links=links, coordinators=3, skew_ms_max=SKEW_MS_MAX)
        market = Market(network)
        for peer in network.peers.values():
            peer.guard.is_on = guarded
        network.start(keeps_connections=True)
        network.watch(tasks.TOPIC)
        network.warm_up()
        crash_and_restart(network, until_ms=network.world.now_ms + minutes * 60_000)
        market.ask_every(TASK_INTERVAL_MS / 2, int(minutes * 60_000 / TASK_INTERVAL_MS * 2))
        network.run_for(minutes * 60_000 + 2 * DOWN_MS)
        market.run_until_over(ORDERS_END_MS)
    decisions = {
        decision: sum(peer.guard.counts[decision] for peer in network.peers.values()) for decision in Decision
    }
    outcome.figure("crashes", str(network.world.counts["crashes"]))
    outcome.figure("RPCs lost", f"{network.world.counts['lost']:,}")
    outcome.figure("guard", ", ".join(f"{decision.value} {count}" for decision, count in decisions.items()))
    market.show_orders(outcome)
    market.check_laws(outcome)
    found, won = accused(network), [order for order in market.orders if order.winner]
    outcome.figure("offences that anybody holds evidence of", str(len(found)))
    outcome.check("nobody is accused", not found)
    outcome.check("nobody is graylisted", not graylisted(network))
    outcome.check("at least nine orders in ten have a winner", len(won) >= 0.9 * len(market.orders))
    outcome.plots.append(health_plot(network.health))
    outcome.trace = network.world.trace
    return outcome


def crash_and_restart(network: Network, until_ms: float) -> None:
    """Have every node crash now and then, coordinators too."""
    rng = generator(network.world.seed, "crashes")

    def crash(number: int) -> None:
        if network.world.now_ms < until_ms:
            network.world.counts["crashes"] += 1
            network.nodes[number].crash()
            network.world.events.after(rng.uniform(1.0, DOWN_MS), restart, number)

    def restart(number: int) -> None:
        network.nodes[number].start()
        network.world.events.after(rng.expovariate(1 / LIFE_MS_MEAN), crash, number)

    for number in network.nodes:
        network.world.events.after(rng.expovariate(1 / LIFE_MS_MEAN), crash, number)


def offences(seed: int, nodes: int = 100) -> Outcome:
    """Every slashable act, once, in a market that works; who holds evidence of what in the end."""
    outcome = Outcome(f"offences, {nodes} nodes", seed)
    with shared_results():
        network = build(seed, nodes, coordinators=4, skew_ms_max=SKEW_MS_MAX)
        market = Market(network)
        network.start(keeps_connections=True)
        network.warm_up()
        market.ask_every(200, 24)
        network.run_for(10_000)
        cheats: dict[str, Peer] = {}
        for name, (cheat, _) in ACTS.items():
            cheats[name] = cheat(market)
            network.run_for(1_500)
        network.run_for(5_000)
    found = accused(network)
    for name, (_, fault) in ACTS.items():
        culprit = cheats[name].key.address
        holders = max(
            (n for offence, n in found.items() if offence.signer == culprit and offence.fault == fault),
            default=0,
        )
        outcome.figure(f"{name}: peers that hold the evidence", f"{holders} of {nodes}")
        outcome.check(f"{name}: there is valid evidence", holders > 0)
    guilty = {cheat.key.address for cheat in cheats.values()}
    honest = [offence for offence in found if offence.signer not in guilty]
    outcome.check("the cheats are eight different peers", len(guilty) == len(ACTS))
    outcome.check("nobody honest is accused", not honest)
    outcome.trace = network.world.trace
    return outcome
