"""Who is connected to whom, and how fast a message could travel there at best.

Is: random connection graphs like those that nodes make by dialling, and shortest paths over latencies.
Is not: the mesh; the routers choose that from the connections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from tests.simulation.node import CONNECTIONS_TARGET
from tests.simulation.randomness import Randomness
from tests.simulation.world import World


def dial_at_random(
    world: World, numbers: Sequence[int], rng: Randomness, target: int = CONNECTIONS_TARGET
) -> None:
    """Have each party in turn dial others at random until it has enough connections, in or out."""
    target = min(target, len(numbers) - 1)
    for number in rng.sample(numbers, len(numbers)):
        while len(world.links[number]) < target:
            world.connect(number, rng.choice(numbers))


def shortest_paths_ms(world: World, source: int, within: Mapping[int, object]) -> dict[int, float]:
    """Milliseconds after which an ideal flood over all connections reaches each party: Dijkstra.

    Ideal means: everybody passes everything on to everybody at once, and nothing costs time but distance.

    :param within: parties that pass messages on.
    """
    reached: dict[int, float] = {}
    heap = [(0.0, source)]
    while heap:
        time_ms, number = heappop(heap)
        if number in reached:
            continue
        reached[number] = time_ms
        for other, link in world.links[number].items():
            if other not in reached and other in within and not link.blocked:
                heappush(heap, (time_ms + link.latency_ms, other))
    return reached
