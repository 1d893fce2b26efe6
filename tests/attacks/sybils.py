"""Attackers in a simulated network: cheap parties that share one mind.

Is: what all sybils can do: connect to many, get into meshes, behave, and stop behaving.
Is not: an attack; each of those is a file of its own.

A sybil is no router, so that there can be thousands. It pays no attention to limits, knows every other sybil,
and each has an address of its own: nothing here is caught for being from one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from p2p.gossip.params import GossipParams
from p2p.gossip.wire import Rpc, decode_rpc, encode_control, encode_messages, encode_subscriptions, message_id
from tests.simulation.network import Network
from tests.simulation.randomness import generator
from tests.simulation.world import World

FIRST_NUMBER = 100_000
"""Sybils are numbered from here."""
REGRAFT_MS = 61_500.0
"""After a PRUNE a sybil that wants no penalty waits so long: the back-off and its slack."""

Conduct: TypeAlias = Callable[[bytes], bool]
"""Whether to pass a message on, by its data."""


def passes_everything(data: bytes) -> bool:
    """The conduct of an honest peer."""
    return True


def passes_nothing(data: bytes) -> bool:
    """The conduct of a grave."""
    return False


class Ring:
    """What all sybils of an attack share.

    :ivar conduct: what they pass on; may change at any time.
    :ivar known: messages that any of them has seen, by id.
    :ivar cut_off: (sybil, honest peer) of connections that honest peers ended.
    """

    def __init__(self, world: World, topic: str, conduct: Conduct) -> None:
        self.world = world
        self.topic = topic
        self.conduct = conduct
        self.params = GossipParams()
        self.known: dict[bytes, bytes] = {}
        self.cut_off: list[tuple[int, int]] = []
        self.rng = generator(world.seed, "sybils")
        self.hello = encode_subscriptions([(topic, True)])
        self.graft = encode_control(graft=[topic])
        self._decoded: dict[bytes, Rpc] = {}

    def decode(self, rpc: bytes) -> Rpc:
        """Decode once for all."""
        found = self._decoded.get(rpc)
        if found is None:
            found = self._decoded[rpc] = decode_rpc(rpc, self.params)
        return found

    def learn(self, data: bytes) -> bytes:
        """The id of a message, which all know from now on."""
        identifier = message_id(self.topic, data)
        self.known[identifier] = data
        return identifier


class Sybil:
    """One attacker. Grafts whomever it is connected to; passes on as the ring's conduct says.

    :ivar mesh: honest peers in whose mesh it believes to be.
    """

    def __init__(self, ring: Ring, number: int) -> None:
        self.ring = ring
        self.world = ring.world
        self.number = ring.world.add(number, self)
        self.mesh: dict[int, None] = {}
        self._passed: set[bytes] = set()

    def has_room(self) -> bool:
        """See :class:`~tests.simulation.world.Party`."""
        return True

    def connected(self, peer: int, *, outbound: bool) -> None:
        """See :class:`~tests.simulation.world.Party`."""
        self.world.send(self.number, peer, self.ring.hello)
        self.graft(peer)

    def disconnected(self, peer: int) -> None:
        """See :class:`~tests.simulation.world.Party`."""
        self.mesh.pop(peer, None)
        self.ring.cut_off.append((self.number, peer))

    def stream_broke(self, peer: int) -> None:
        """See :class:`~tests.simulation.world.Party`."""

    def graft(self, peer: int) -> None:
        """Ask into a mesh, and believe to be in it until told otherwise."""
        if peer in self.world.links[self.number] and peer not in self.mesh:
            self.mesh[peer] = None
            self.world.send(self.number, peer, self.ring.graft)

    def receive(self, peer: int, rpc: bytes) -> None:
        """See :class:`~tests.simulation.world.Party`."""
        decoded = self.ring.decode(rpc)
        for message in decoded.messages:
            self.hear(peer, message.data)
        if decoded.graft:
            self.mesh[peer] = None
        for prune in decoded.prune:
            self.mesh.pop(peer, None)
            self.world.events.after(max(prune.backoff_s * 1000.0, REGRAFT_MS), self.graft, peer)
        if decoded.iwant:
            self.asked(peer, decoded.iwant)
        if decoded.ihave:
            self.offered(peer, [identifier for _, ids in decoded.ihave for identifier in ids])

    def hear(self, peer: int, data: bytes) -> None:
        """A message has come."""
        identifier = self.ring.learn(data)
        if identifier in self._passed or not self.ring.conduct(data):
            return
        self._passed.add(identifier)
        rpc = encode_messages([(self.ring.topic, data)])
        for other in self.mesh:
            if other != peer:
                self.world.send(self.number, other, rpc)

    def asked(self, peer: int, identifiers: Iterable[bytes]) -> None:
        """Somebody wants messages that we offered."""
        for identifier in identifiers:
            data = self.ring.known.get(identifier)
            if data is not None and self.ring.conduct(data):
                self.world.send(self.number, peer, encode_messages([(self.ring.topic, data)]))

    def offered(self, peer: int, identifiers: Sequence[bytes]) -> None:
        """Somebody says what it has; a sybil that wants to behave asks for nothing, since the ring knows."""


def recruit(
    network: Network, topic: str, count: int, conduct: Conduct, kind: type[Sybil] = Sybil
) -> list[Sybil]:
    """Sybils without connections, in one ring."""
    ring = Ring(network.world, topic, conduct)
    return [kind(ring, FIRST_NUMBER + number) for number in range(count)]


def surround(network: Network, sybils: Sequence[Sybil], victims: Sequence[int], connections_each: int) -> int:
    """Have every victim called by so many of the sybils, drawn for each. Returns how many got through."""
    rng = sybils[0].ring.rng
    connected = 0
    for victim in victims:
        for sybil in rng.sample(sybils, min(connections_each, len(sybils))):
            connected += network.world.connect(sybil.number, victim)
    return connected
