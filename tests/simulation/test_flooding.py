"""How fast and how dear gossip is among many; figures in README.md beside this file."""

import heapq

import pytest

from protocol.rules import offers
from tests.simulation.flooding import propagation, scale
from tests.simulation.memo import shared_results
from tests.simulation.network import build


def test_a_thousand_nodes__everybody_hears_almost_as_soon_as_by_an_ideal_flood():
    outcome = propagation(seed=1, nodes=1_000, minutes=0.05)
    assert outcome.holds, outcome.text()


def test_what_a_node_pays_does_not_grow_with_the_network():
    outcome = scale(seed=1, sizes=(100, 300, 800), messages=12)
    assert outcome.holds, outcome.text()


def test_the_simulation_agrees_with_the_shortest_paths_over_its_meshes():
    """Without faults, a message's time is a matter of arithmetic: the simulator must get it right."""
    with shared_results():
        network = build(9, 150, topics=[offers.TOPIC])
        network.start()
        network.warm_up()
        links = network.world.links
        meshes = {
            number: list(node.router.overlay.mesh[offers.TOPIC]) for number, node in network.nodes.items()
        }
        network.publish_offer(0)
        network.run_for(500)
    (sent,) = network.deliveries.messages.values()
    reached, heap = {}, [(0.0, 0)]
    while heap:
        time_ms, number = heapq.heappop(heap)
        if number not in reached:
            reached[number] = time_ms
            targets = links[0] if number == 0 else meshes[number]  # our own go to all, others' to the mesh
            for other in targets:
                heapq.heappush(heap, (time_ms + links[number][other].latency_ms, other))
    del reached[0]
    assert sent.reached_ms == pytest.approx(reached, abs=0.001)
