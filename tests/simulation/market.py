"""A simulated market: a role on each peer of a network, the streams between them, and the laws of it all.

Is: coordinators and miners on the engines of `node/`, auditors, orders that come one after the other, and
what must hold of every order and every payment.
Is not: a role; see `coordinator`, `miner` and `auditor` beside it.
"""

from __future__ import annotations

from collections import Counter

from protocol.pay import PaySchedule
from tests.simulation.auditor import Auditor
from tests.simulation.coordinator import Coordinator, Order
from tests.simulation.measure import percentile
from tests.simulation.miner import Miner
from tests.simulation.network import Network
from tests.simulation.outcome import Outcome
from tests.simulation.randomness import generator
from tests.simulation.streams import Streams


class Market:
    """All roles of a network.

    :ivar miners: by address; likewise `coordinators`.
    :ivar cheats: addresses of peers that did what they must not.
    """

    def __init__(self, network: Network, *, capacity: int = 1) -> None:
        """:param capacity: tasks that each miner works on at a time."""
        self.network = network
        self.rng = generator(network.world.seed, "market")
        self.streams = Streams(network.world, self.rng)
        self.miners: dict[bytes, Miner] = {}
        self.coordinators: dict[bytes, Coordinator] = {}
        self.cheats: set[bytes] = set()
        latest = network.view.latest
        assert latest is not None
        self.epoch = latest
        for peer in network.peers.values():
            self.streams.addresses[peer.node.number] = peer.key.address
            if latest.coordinators.weight_of(peer.key.address):
                self.coordinators[peer.key.address] = Coordinator(self, peer)
            else:
                self.miners[peer.key.address] = Miner(self, peer, capacity)
                Auditor(peer)

    @property
    def orders(self) -> list[Order]:
        """All that apps have asked for."""
        return [order for who in self.coordinators.values() for order in who.orders.values()]

    def ask_every(self, interval_ms: float, count: int) -> None:
        """Have apps ask the coordinators in turn, beginning now."""
        coordinators = list(self.coordinators.values())
        for place in range(count):
            asked = coordinators[place % len(coordinators)]
            self.network.world.events.after(place * interval_ms, asked.ask)

    def run_until_over(self, most_ms: float) -> None:
        """Let time pass until every order is over, but not longer than so."""
        until_ms = self.network.world.now_ms + most_ms
        while self.network.world.now_ms < until_ms and not all(order.outcomes for order in self.orders):
            self.network.run_for(100)

    # Laws

    def check_laws(self, outcome: Outcome) -> None:
        """What must hold whatever has happened, and the figures to it."""
        orders = self.orders
        ended = Counter(len(order.outcomes) for order in orders)
        counted = ended[0], ended[1], len(orders) - ended[0] - ended[1]
        outcome.figure("orders that ended never, once, more often", ", ".join(map(str, counted)))
        outcome.check("every order ends exactly once", ended[1] == len(orders))
        bodies = [found for who in self.coordinators.values() for found in who.bodies.values()]
        outcome.check("no number has two bodies", all(len(found) == 1 for found in bodies))
        outcome.check("nobody is paid for more than it made, or twice for the same", not self.overpaid())
        held = [who.purse.held_wei for who in self.coordinators.values() if who.peer.is_up]
        outcome.check("nothing stays reserved when all is over", ended[0] > 0 or not any(held))

    def overpaid(self) -> list[tuple[bytes, bytes]]:
        """(coordinator, miner) where more was promised than what the miner's jobs made is worth."""
        found = []
        for address, coordinator in self.coordinators.items():
            for miner, promised_wei in coordinator.purse.promised_wei.items():
                made = self.miners[miner].made
                worth_wei = sum(
                    PaySchedule.of_task(task.message).due_wei(made[task_id])
                    for task_id, task in coordinator.announced.items()
                    if task_id in made
                )
                if promised_wei > worth_wei:
                    found.append((address, miner))
        return found

    def show_orders(self, outcome: Outcome) -> None:
        """Figures about orders."""
        orders, coordinators = self.orders, self.coordinators.values()
        won = [order for order in orders if order.winner]
        waits = [order.ended_ms - order.asked_ms for order in won if order.ended_ms is not None]
        outcome.figure("orders delivered", f"{len(won)} of {len(orders)}")
        if waits:
            times = (percentile(waits, 50), percentile(waits, 99), max(waits))
            said = " / ".join(f"{time_ms / 1000:.1f}" for time_ms in times)
            outcome.figure("from asking to the picture: p50 / p99 / last", f"{said} s")
        outcome.figure("tasks announced", str(sum(len(who.announced) for who in coordinators)))
        ended: Counter[str] = sum((who.failovers for who in coordinators), Counter())
        why = ", ".join(f"{count} x {reason}" for reason, count in ended.most_common(4))
        outcome.figure("turns that ended without a result", f"{ended.total()}: {why or '-'}")
        again: Counter[str] = sum((who.refused for who in coordinators), Counter())
        outcome.figure("requests refused, and made again", str(again.total()))
