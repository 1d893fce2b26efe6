"""Routers talking to each other in memory, for tests: no time passes but what a test says."""

import math
import random
from collections import deque

from p2p.gossip.actions import Deliver, Disconnect, Forward, Rank, SendRpc, Validate
from p2p.gossip.params import GossipParams
from p2p.gossip.router import Router
from p2p.gossip.wire import Rpc, decode_rpc, encode_messages, encode_subscriptions
from p2p.identity import PeerId
from p2p.mesh import Validation

TOPIC = "topic"


def peer(number: int) -> PeerId:
    """A PeerID that is as good as any to a router."""
    return PeerId(number.to_bytes(2))


def make_router(seed: int = 0, records=lambda _: None, **changes) -> Router:
    """A router with some parameters changed."""
    return Router(GossipParams(**changes), random.Random(seed), records=records)


def spoil(router: Router, name: PeerId, points: float) -> None:
    """Take about so many points of a connected peer's score, by misdeeds."""
    params = router.params.score
    misdeeds = params.behaviour_threshold + math.sqrt(points / -params.behaviour_weight)
    router.scores.misbehaved(router.overlay.peers[name].standing, misdeeds)


def sendings(actions) -> list[SendRpc]:
    """What is sent among actions, forwards one by one."""
    found = []
    for action in actions:
        if isinstance(action, SendRpc):
            found.append(action)
        elif isinstance(action, Forward):
            found += [SendRpc(peer, action.rpc, Rank.FORWARD) for peer in action.peers]
    return found


def sent(actions) -> list[tuple[PeerId, Rpc]]:
    """The RPCs among actions, decoded."""
    return [(action.peer, decode_rpc(action.rpc, GossipParams())) for action in sendings(actions)]


def of_kind(actions, kind):
    """The actions of one kind."""
    return [action for action in actions if isinstance(action, kind)]


def subscribed(*peers, **changes) -> Router:
    """A router on TOPIC whose given peers are in its mesh."""
    router = make_router(**changes)
    router.subscribe(TOPIC, 0)
    for name in peers:
        router.peer_connected(name, outbound=False, now_ms=0)
        router.rpc_received(name, encode_subscriptions([(TOPIC, True)]), 0)
    return router


def judge(router, name, data, verdict=Validation.ACCEPT, now_ms=0):
    """Have a peer send a message, and judge it."""
    actions = router.rpc_received(name, encode_messages([(TOPIC, data)]), now_ms)
    for action in of_kind(actions, Validate):
        actions += router.validation_result(action.message_id, verdict, now_ms)
    return actions


class Network:
    """Routers with links; messages take no time, and arrive in the order in which they were sent."""

    def __init__(self, count: int, **changes) -> None:
        self.routers = {peer(number): make_router(number, **changes) for number in range(count)}
        self.delivered = {name: [] for name in self.routers}
        self.disconnects = []
        self.now_ms = 0
        self.links = set()
        self._queue = deque()
        self.verdict = lambda _name, _data: Validation.ACCEPT

    def link(self, a: int, b: int) -> None:
        """Connect two routers; a dials."""
        first, second = peer(a), peer(b)
        self.links |= {(first, second), (second, first)}
        self._take(first, self.routers[first].peer_connected(second, outbound=True, now_ms=self.now_ms))
        self._take(second, self.routers[second].peer_connected(first, outbound=False, now_ms=self.now_ms))
        self.settle()

    def unlink(self, a: int, b: int) -> None:
        """Cut a connection, with what is on its way."""
        first, second = peer(a), peer(b)
        self.links -= {(first, second), (second, first)}
        self.routers[first].peer_disconnected(second)
        self.routers[second].peer_disconnected(first)

    def subscribe_all(self) -> None:
        for name, router in self.routers.items():
            self._take(name, router.subscribe(TOPIC, self.now_ms))
        self.settle()

    def publish(self, number: int, data: bytes) -> None:
        name = peer(number)
        self._take(name, self.routers[name].publish(TOPIC, data, self.now_ms))
        self.settle()

    def heartbeat(self) -> None:
        self.now_ms += GossipParams().heartbeat_ms
        for name, router in self.routers.items():
            self._take(name, router.heartbeat(self.now_ms))
        self.settle()

    def settle(self) -> None:
        """Let everything on its way arrive."""
        while self._queue:
            source, action = self._queue.popleft()
            if (source, action.peer) in self.links:
                target = self.routers[action.peer]
                self._take(action.peer, target.rpc_received(source, action.rpc, self.now_ms))

    def _take(self, name, actions) -> None:
        for action in actions:
            if isinstance(action, SendRpc | Forward):
                self._queue += [(name, sending) for sending in sendings([action])]
            elif isinstance(action, Deliver):
                self.delivered[name].append(action.data)
            elif isinstance(action, Disconnect):
                self.disconnects.append((name, action))
            elif isinstance(action, Validate):
                verdict = self.verdict(name, action.data)
                result = self.routers[name].validation_result(action.message_id, verdict, self.now_ms)
                self._take(name, result)
