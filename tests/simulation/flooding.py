"""Scenarios about messages alone: how fast they reach everybody, and what that costs each node.

Is: `propagation` and `scale`, over the topic of offers, judged by its production rule.
Is not: the market; see :mod:`tests.simulation.trading`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from protocol.rules import offers
from tests.simulation.links import LinkParams
from tests.simulation.measure import MeshHealth, percentile
from tests.simulation.memo import shared_results
from tests.simulation.network import Network, build
from tests.simulation.outcome import Outcome
from tests.simulation.svg import distribution, plot

P99_TO_IDEAL_MAX = 1.3
COST_RATIO_MAX = 1.25
"""Between the dearest and the cheapest network size, per node."""
MESSAGE_INTERVAL_MS = 250.0
SETTLE_MS = 3_000.0
SCALE_SIZES = (100, 300, 1_000, 3_000)
SCALE_MESSAGES = 40


def propagation(
    seed: int, nodes: int = 1_000, minutes: float = 0.25, links: LinkParams | None = None
) -> Outcome:
    """Offers to everybody, one at a time, against an ideal flood over the same connections."""
    outcome = Outcome(f"propagation, {nodes} nodes", seed)
    messages = max(1, int(minutes * 60_000 / MESSAGE_INTERVAL_MS))
    started = time.perf_counter()
    with shared_results():
        network = build(seed, nodes, topics=[offers.TOPIC], links=links)
        network.start()
        network.watch(offers.TOPIC)
        network.warm_up()
        network.publish_offers([network.rng.randrange(nodes) for _ in range(messages)], MESSAGE_INTERVAL_MS)
        network.run_for(messages * MESSAGE_INTERVAL_MS + SETTLE_MS)
    spent_s = time.perf_counter() - started
    real, ideal = network.deliveries.latencies_ms, network.deliveries.ideal_ms
    ratio, delivered = percentile(real, 99) / percentile(ideal, 99), network.deliveries.ratio(nodes - 1)
    for name, values in (("gossip", real), ("ideal flood", ideal)):
        outcome.figure(
            f"{name}: p50 / p99 / last",
            f"{percentile(values, 50):.0f} / {percentile(values, 99):.0f} / {max(values):.0f} ms",
        )
    outcome.figure("p99 against the ideal flood", f"{ratio:.2f}")
    outcome.figure("delivered", f"{delivered:.2%} of {messages * (nodes - 1):,}")
    outcome.figure("copies received per delivery", f"{_copies(network):.1f}")
    outcome.figure(
        "simulated", f"{network.world.now_ms / 1000:.0f} s, {network.world.events.handled:,} events"
    )
    outcome.figure("took", f"{spent_s:.1f} s, {network.world.events.handled / spent_s:,.0f} events/s")
    outcome.check(f"p99 is at most {P99_TO_IDEAL_MAX} x that of an ideal flood", ratio <= P99_TO_IDEAL_MAX)
    outcome.check("everybody gets everything", delivered == 1.0)
    outcome.check("nobody is graylisted", not any(node.disconnects for node in network.nodes.values()))
    last = network.health[-1]
    outcome.check("the meshes connect all nodes", last.components == 1)
    outcome.plots += [
        plot(
            f"Propagation to {nodes} nodes",
            "ms after publishing",
            "per cent of receivers",
            [("gossip", distribution(real)), ("ideal flood", distribution(ideal))],
        ),
        delivery_plot(network, nodes - 1),
        health_plot(network.health),
    ]
    outcome.trace = network.world.trace
    return outcome


def delivery_plot(network: Network, receivers: int) -> str:
    """Per cent of receivers that each message has reached, by when it was published."""
    sent = network.deliveries.messages.values()
    line = [(message.time_ms / 1000, 100 * len(message.reached_ms) / receivers) for message in sent]
    return plot("Delivery ratio", "published at, s", "per cent of receivers", [("reached", line)])


def health_plot(health: list[MeshHealth]) -> str:
    """Mesh sizes over time."""
    lines = [
        (name, [(entry.time_ms / 1000, float(getattr(entry, name))) for entry in health])
        for name in ("largest", "mean", "smallest")
    ]
    return plot("Mesh health", "simulated time, s", "mesh peers of a node", lines)


def _copies(network: Network) -> float:
    duplicates = sum(
        count
        for node in network.nodes.values()
        if node.router is not None
        for name, count in node.router.counts.items()
        if name == "duplicate"
    )
    return 1 + duplicates / max(1, len(network.deliveries.latencies_ms))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a published message costs a node, heartbeats and lazy gossip included."""

    nodes: int
    rpcs: float
    bytes: float
    events: float
    cpu_us: float
    p99_ms: float
    delivered: float


def cost_of(seed: int, nodes: int, messages: int) -> Cost:
    """Measure one network size under a load that does not depend on it."""
    with shared_results():
        network = build(seed, nodes, topics=[offers.TOPIC])
        network.start()
        network.warm_up()
        world = network.world
        rpcs, sent, events = world.sent_rpcs.total(), world.sent_bytes.total(), world.events.handled
        publishers = [network.rng.randrange(nodes) for _ in range(messages)]
        network.publish_offers(publishers, MESSAGE_INTERVAL_MS)
        started = time.process_time()
        network.run_for(messages * MESSAGE_INTERVAL_MS + SETTLE_MS)
        cpu_s = time.process_time() - started
    per = nodes * messages
    return Cost(
        nodes,
        (world.sent_rpcs.total() - rpcs) / per,
        (world.sent_bytes.total() - sent) / per,
        (world.events.handled - events) / per,
        cpu_s * 1e6 / per,
        percentile(network.deliveries.latencies_ms, 99),
        network.deliveries.ratio(nodes - 1),
    )


def scale(seed: int, sizes: tuple[int, ...] = SCALE_SIZES, messages: int = SCALE_MESSAGES) -> Outcome:
    """What each node pays, from small networks to large ones."""
    outcome = Outcome("cost of a node against network size", seed)
    costs = [cost_of(seed, nodes, messages) for nodes in sizes]
    for cost in costs:
        outcome.figure(
            f"{cost.nodes:,} nodes, each per message",
            f"{cost.rpcs:.2f} RPCs, {cost.bytes:,.0f} B, {cost.events:.2f} events, {cost.cpu_us:.0f} us CPU; "
            f"p99 {cost.p99_ms:.0f} ms, {cost.delivered:.2%} delivered",
        )
    for name in ("rpcs", "bytes", "events"):
        values = [getattr(cost, name) for cost in costs]
        ratio = max(values) / min(values)
        outcome.figure(f"dearest / cheapest size, {name}", f"{ratio:.2f}")
        outcome.check(f"{name} per node are flat within {COST_RATIO_MAX}", ratio <= COST_RATIO_MAX)
    outcome.check("everybody gets everything", all(cost.delivered == 1.0 for cost in costs))
    lines = [
        (label, [(float(cost.nodes), 100 * getattr(cost, name) / getattr(costs[0], name)) for cost in costs])
        for name, label in (("rpcs", "messages"), ("bytes", "bytes"), ("events", "events"), ("cpu_us", "CPU"))
    ]
    title = f"Cost of a node, per cent of that among {costs[0].nodes}"
    outcome.plots.append(plot(title, "nodes", "per cent", lines, log_x=True))
    return outcome
