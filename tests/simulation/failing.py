"""Scenarios about single misfortunes of orders: a drawn miner is dead, a coordinator is killed at work, or
miners are busy with others' work.

Is: `dead_miners`, `killed_coordinators` and `busy_miners`: each order ends once, and nobody is paid twice.
Is not: everything at once, over time; see `faults` in :mod:`tests.simulation.trading`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from protocol.task import CoordinatorState, MinerState
from tests.simulation.coordinator import Coordinator
from tests.simulation.market import Market
from tests.simulation.measure import percentile
from tests.simulation.memo import shared_results
from tests.simulation.network import build
from tests.simulation.outcome import Outcome
from tests.simulation.randomness import generator
from tests.simulation.trading import ORDERS_END_MS, accused, graylisted

ORDER_INTERVAL_MS = 1_000.0
DEAD_SHARE = 3
"""One miner in so many is dead."""
LOOK_MS = 25.0
BLINK_MS = 2_000.0
"""A killed coordinator is back after so long."""


@contextmanager
def _market(outcome: Outcome, seed: int, nodes: int, coordinators: int) -> Iterator[Market]:
    """A warm market; at the end its orders run out, and the laws are checked."""
    with shared_results():
        network = build(seed, nodes, coordinators=coordinators)
        market = Market(network)
        network.start(keeps_connections=True)
        network.warm_up()
        yield market
        market.run_until_over(ORDERS_END_MS)
    market.show_orders(outcome)
    market.check_laws(outcome)
    outcome.check("every order is delivered", all(order.winner for order in market.orders))
    outcome.check("nobody is accused", not accused(network))
    outcome.check("nobody is graylisted", not graylisted(network))
    outcome.trace = network.world.trace


def dead_miners(seed: int, nodes: int = 60, minutes: float = 1.0) -> Outcome:
    """A third of the miners is dead, and their offers live on: many draws put a dead one first."""
    outcome = Outcome(f"dead miners, {nodes} nodes", seed)
    orders = int(minutes * 60_000 / ORDER_INTERVAL_MS)
    with _market(outcome, seed, nodes, 2) as market:
        miners = list(market.miners.values())
        dead = generator(seed, "dead").sample(miners, len(miners) // DEAD_SHARE)
        for miner in dead:
            miner.peer.node.crash()
        market.ask_every(ORDER_INTERVAL_MS, orders)
        market.network.run_for(orders * ORDER_INTERVAL_MS)
    gone = {miner.peer.key.address for miner in dead}
    waits: dict[int, list[float]] = {0: [], 1: []}
    announced = {
        task_id: task for who in market.coordinators.values() for task_id, task in who.announced.items()
    }
    for order in market.orders:
        if order.winner is not None and order.ended_ms is not None:
            first = announced[order.winner[0]].message.assigned[0]
            waits[first in gone].append(order.ended_ms - order.asked_ms)
    for is_dead, name in ((0, "alive"), (1, "dead")):
        if waits[is_dead]:
            half, last = percentile(waits[is_dead], 50) / 1000, max(waits[is_dead]) / 1000
            outcome.figure(
                f"first drawn is {name}: p50 / last",
                f"{half:.1f} / {last:.1f} s, {len(waits[is_dead])} orders",
            )
    outcome.check("draws put dead miners first", bool(waits[1]))
    return outcome


def killed_coordinators(seed: int, nodes: int = 60, minutes: float = 1.0) -> Outcome:
    """Every coordinator is killed again and again, always while a miner works for it, and resumes."""
    outcome = Outcome(f"killed coordinators, {nodes} nodes", seed)
    orders = int(minutes * 60_000 / ORDER_INTERVAL_MS)
    rng = generator(seed, "kills")
    with _market(outcome, seed, nodes, 2) as market:
        world = market.network.world
        until_ms = world.now_ms + orders * ORDER_INTERVAL_MS

        def look(coordinator: Coordinator) -> None:
            if world.now_ms >= until_ms:
                return
            at_work = any(
                order.live_task.life.state is CoordinatorState.RUNNING
                for order in coordinator.engine.book.tasks.values()
            )
            if at_work and rng.random() < LOOK_MS / BLINK_MS:
                world.counts["killed at work"] += 1
                coordinator.peer.node.crash()
                world.events.after(BLINK_MS, coordinator.peer.node.start)
                world.events.after(2 * BLINK_MS, look, coordinator)
            else:
                world.events.after(LOOK_MS, look, coordinator)

        for coordinator in market.coordinators.values():
            look(coordinator)
        market.ask_every(ORDER_INTERVAL_MS, orders)
        market.network.run_for(orders * ORDER_INTERVAL_MS)
    killed = world.counts["killed at work"]
    outcome.figure("coordinators killed while a miner worked", str(killed))
    outcome.check("coordinators were killed at work", killed > 0)
    return outcome


def busy_miners(seed: int, nodes: int = 12, minutes: float = 0.5) -> Outcome:
    """Few miners with one slot each, and four coordinators that do not know of each other's tasks."""
    outcome = Outcome(f"busy miners, {nodes} nodes", seed)
    orders = int(minutes * 60_000 / ORDER_INTERVAL_MS) * 4
    with _market(outcome, seed, nodes, 4) as market:
        market.ask_every(ORDER_INTERVAL_MS / 4, orders)
        market.network.run_for(orders * ORDER_INTERVAL_MS / 4)
    declined = sum(miner.ended[MinerState.DECLINED] for miner in market.miners.values())
    outcome.figure("times that a miner had no slot free", str(declined))
    outcome.check("miners were busy", declined > 0)
    return outcome
