"""What a run is measured by: when each message reached whom, the state of the meshes, and what it cost.

Is: counting and percentiles.
Is not: a judgement; scenarios compare these figures with their bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.simulation.graph import shortest_paths_ms
from tests.simulation.node import Node
from tests.simulation.peer import Accepted
from tests.simulation.world import World


def percentile(values: Iterable[float], percent: float) -> float:
    """The value below which so many per cent of the values lie (nearest rank).

    :raises ValueError: no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass(slots=True)
class Sent:
    """A message under observation. :ivar reached_ms: latency by receiver, its publisher not among them."""

    publisher: int
    time_ms: float
    ideal_ms: dict[int, float]
    reached_ms: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class Deliveries:
    """Messages of one run."""

    messages: dict[bytes, Sent] = field(default_factory=dict)

    def expect(self, world: World, data: bytes, publisher: int, nodes: Mapping[int, object]) -> None:
        """A message is about to be published; note what an ideal flood would take."""
        ideal = shortest_paths_ms(world, publisher, nodes)
        del ideal[publisher]
        self.messages[data] = Sent(publisher, world.now_ms, ideal)

    def accepted(self, accepted: Accepted) -> None:
        """A peer took a message in; for :attr:`tests.simulation.peer.Peer.observer`."""
        sent = self.messages.get(accepted.data)
        if sent is not None and accepted.number != sent.publisher:
            sent.reached_ms.setdefault(accepted.number, accepted.time_ms - sent.time_ms)

    @property
    def latencies_ms(self) -> list[float]:
        """Of all messages at all receivers."""
        return [latency for sent in self.messages.values() for latency in sent.reached_ms.values()]

    @property
    def ideal_ms(self) -> list[float]:
        """What an ideal flood would have taken for the same."""
        return [latency for sent in self.messages.values() for latency in sent.ideal_ms.values()]

    def ratio(self, receivers: int) -> float:
        """Deliveries per wanted delivery, 1.0 if everybody got everything."""
        wanted = len(self.messages) * receivers
        return len(self.latencies_ms) / wanted if wanted else 1.0

    def missing(self, receivers: Iterable[int]) -> list[tuple[int, int]]:
        """(message's place, receiver) of everything that did not arrive."""
        receivers = list(receivers)
        return [
            (place, number)
            for place, sent in enumerate(self.messages.values())
            for number in receivers
            if number != sent.publisher and number not in sent.reached_ms
        ]


@dataclass(frozen=True, slots=True)
class MeshHealth:
    """The meshes of one topic at one time.

    :ivar smallest: mesh peers of the node that has fewest; likewise `mean` and `largest`.
    :ivar components: parts that the meshes do not connect; 1 when a message can reach everybody.
    :ivar honest_share: of all mesh peers, how many are honest.
    """

    time_ms: float
    smallest: int
    mean: float
    largest: int
    components: int
    honest_share: float


def mesh_health(time_ms: float, nodes: Mapping[int, Node], topic: str) -> MeshHealth:
    """How the meshes of honest nodes are."""
    meshes = {
        number: list(node.router.overlay.mesh.get(topic, ()))
        for number, node in nodes.items()
        if node.router is not None
    }
    sizes = [len(mesh) for mesh in meshes.values()] or [0]
    honest = sum(peer in nodes for mesh in meshes.values() for peer in mesh)
    return MeshHealth(
        time_ms,
        min(sizes),
        sum(sizes) / len(sizes),
        max(sizes),
        _components(meshes),
        honest / max(1, sum(sizes)),
    )


def _components(meshes: Mapping[int, Sequence[int]]) -> int:
    neighbours: dict[int, set[int]] = {number: set() for number in meshes}
    for number, mesh in meshes.items():
        for peer in mesh:
            if peer in neighbours:
                neighbours[number].add(peer)
                neighbours[peer].add(number)
    unseen, components = set(neighbours), 0
    while unseen:
        components += 1
        todo = [unseen.pop()]
        while todo:
            found = neighbours[todo.pop()] & unseen
            unseen -= found
            todo += found
    return components
