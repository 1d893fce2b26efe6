"""A simulated node: the production router, with a shell that does what its actions say.

Is: what :mod:`p2p.gossip.service` is over sockets: it sends, has messages judged, delivers and hangs up.
Is not: who judges; an application does, such as :mod:`tests.simulation.peer`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from p2p.connection_params import ConnectionParams
from p2p.gossip.actions import Action, Connect, Deliver, Disconnect, Forward, SendRpc, Validate
from p2p.gossip.params import GossipParams
from p2p.gossip.router import MESHSUB_1_2, Router
from p2p.gossip.wire import PxPeer
from p2p.limits import CONNECTIONS_MAX, OUTBOUND_CONNECTIONS_SHARE
from p2p.mesh import Validation
from tests.simulation.randomness import generator
from tests.simulation.world import Number, World

KEEPER = ConnectionParams()
"""Whom the real connection keeper dials, and when."""
CONNECTIONS_TARGET = KEEPER.connections_target
INBOUND_MAX = CONNECTIONS_MAX - CONNECTIONS_MAX // OUTBOUND_CONNECTIONS_SHARE
"""Connections that a real host accepts."""


class Application(Protocol):
    """What judges messages, and is told of them."""

    def judge(self, topic: str, data: bytes, forwarder: int) -> Validation:
        """The verdict on a message."""

    def deliver(self, topic: str, data: bytes) -> None:
        """A message was accepted."""

    def restarted(self) -> None:
        """The process has started; whatever was in memory before is gone."""

    def crashed(self) -> None:
        """The process is gone."""


class Node:
    """One honest party.

    :ivar router: of the running process; None while it is down.
    :ivar knows: whom it may dial: what discovery would have told it.
    :ivar disconnects: peers that its router hung up on, with the reason.
    """

    def __init__(
        self, world: World, number: int, topics: Sequence[str], params: GossipParams | None = None
    ) -> None:
        self.world = world
        self.topics = tuple(topics)
        self.params = params or GossipParams()
        self.router: Router | None = None
        self.application: Application | None = None
        self.knows: list[int] = []
        self.disconnects: list[tuple[int, str]] = []
        self.keeps_connections = False
        self.outbound: dict[int, None] = {}
        self._lives = 0
        self._rng = generator(world.seed, "node", number)
        self.number = world.add(number, self)

    @property
    def _ms(self) -> int:
        return int(self.world.events.now_ms)

    def start(self) -> None:
        """Start the process: an empty router, the topics joined, a heart that beats."""
        self._lives += 1
        self.world.restart(self.number)
        rng = generator(self.world.seed, "router", self.number, self._lives)
        self.router = Router(self.params, rng, records=lambda peer: PxPeer(peer.to_bytes(), b""))
        for topic in self.topics:
            self._act(self.router.subscribe(topic, self._ms))
        if self.application is not None:
            self.application.restarted()
        life, beat_ms = self._lives, self.params.heartbeat_ms
        first_ms = self.world.now_ms + self._rng.random() * beat_ms
        self.world.every(beat_ms, first_ms, lambda: life == self._lives and self._beat())
        if self.keeps_connections:
            first_ms = self.world.now_ms + self._rng.random() * KEEPER.tick_ms
            self.world.every(KEEPER.tick_ms, first_ms, lambda: life == self._lives and self.redial())

    def crash(self) -> None:
        """Lose everything that is in memory, and all connections."""
        self._lives += 1
        self.router = None
        self.world.crash(self.number)
        if self.application is not None:
            self.application.crashed()

    def publish(self, topic: str, data: bytes) -> None:
        """Gossip a message of our own."""
        if self.router is not None:
            self._act(self.router.publish(topic, data, self._ms))

    def redial(self) -> bool:
        """Dial some of those it knows, if it has too few connections, or dialled too few itself."""
        links = self.world.links[self.number]
        missing = max(KEEPER.connections_target - len(links), KEEPER.outbound_target - len(self.outbound))
        if missing > 0:
            others = [peer for peer in self.knows if peer not in links and peer != self.number]
            for peer in self._rng.sample(others, min(missing, KEEPER.dials_parallel_max, len(others))):
                if self.world.connect(self.number, peer):
                    self.world.counts["redialled"] += 1
        return True

    # What the world tells

    def has_room(self) -> bool:
        """See :class:`~tests.simulation.world.Party`."""
        return len(self.world.links[self.number]) - len(self.outbound) < INBOUND_MAX

    def connected(self, peer: int, *, outbound: bool) -> None:
        """See :class:`~tests.simulation.world.Party`."""
        if outbound:
            self.outbound[peer] = None
        if self.router is not None:
            self._act(
                self.router.peer_connected(
                    peer, outbound=outbound, now_ms=self._ms, ip=self.world.ip(peer), protocol=MESHSUB_1_2
                )
            )

    def disconnected(self, peer: int) -> None:
        """See :class:`~tests.simulation.world.Party`."""
        self.outbound.pop(peer, None)
        if self.router is not None:
            self.router.peer_disconnected(peer)

    def receive(self, peer: int, rpc: bytes) -> None:
        """See :class:`~tests.simulation.world.Party`."""
        if self.router is not None:
            self._act(self.router.rpc_received(peer, rpc, self._ms))

    def stream_broke(self, peer: int) -> None:
        """See :class:`~tests.simulation.world.Party`."""
        if self.router is not None:
            self._act(self.router.stream_reopened(peer))

    # Internals

    def _beat(self) -> bool:
        if self.router is not None:
            self._act(self.router.heartbeat(self._ms))
        return True

    def _act(self, actions: Iterable[Action]) -> None:
        todo = deque(actions)
        while todo and self.router is not None:
            action = todo.popleft()
            match action:
                case SendRpc():
                    self.world.send(self.number, action.peer, action.rpc)
                case Forward():  # and Spare finds nothing to do: here everything leaves at once
                    for peer in action.peers:
                        self.world.send(self.number, peer, action.rpc)
                case Validate():
                    verdict = self._judge(action)
                    todo += self.router.validation_result(action.message_id, verdict, self._ms)
                case Deliver():
                    if self.application is not None:
                        self.application.deliver(action.topic, action.data)
                case Connect():
                    self._meet(Number.of(named.peer_id) for named in action.peers)
                case Disconnect():
                    self.disconnects.append((action.peer, action.reason))
                    self.world.note(self.number, "disconnects", action.peer)
                    self.world.disconnect(self.number, action.peer)

    def _meet(self, named: Iterable[Number]) -> None:
        # A real node checks the signed records: nobody can name a peer that does not exist.
        known = {*self.knows, self.number}
        self.knows += [peer for peer in named if peer in self.world.parties and peer not in known]

    def _judge(self, message: Validate) -> Validation:
        if self.application is None:
            return Validation.IGNORE
        return self.application.judge(message.topic, message.data, message.from_peer)
