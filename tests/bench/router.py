"""How fast the gossip router alone is: ten of them in one process, without sockets, ciphers or signatures.

    python -m tests.bench.router

Is: microseconds of CPU on standard output, and each as a ratio to one SHA-256 of the same data, since a
message id costs one whatever else is saved; status 1 when a goal is missed.
Is not: the cost of a delivery in a node; streams and signatures have benchmarks of their own.

Every RPC is copied on its way, as the network does: equal bytes in another object, with nothing remembered.
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from collections.abc import Callable

from p2p.gossip.actions import Deliver, Forward, SendRpc, Validate
from p2p.gossip.params import GossipParams
from p2p.gossip.router import Router
from p2p.gossip.wire import encode_messages, encode_subscriptions, message_id
from p2p.identity import PeerId
from p2p.mesh import Validation

TOPIC = "cuckoo/1/1200-00000000/tasks"
ROUTERS = 10
MESSAGE_BYTES = 400
MESSAGES = 2_000
ROUNDS = 5
REPEATS = 20_000

DELIVERY_IDS_MAX = 90
DUPLICATE_IDS_MAX = 2
"""Goals, in message ids."""


class Net:
    """Routers that are all connected to each other; what is sent arrives in order."""

    def __init__(self) -> None:
        self.names = [PeerId(b"bench peer %d" % number) for number in range(ROUTERS)]
        self.routers = {
            name: Router(GossipParams(), random.Random(number)) for number, name in enumerate(self.names)
        }
        self.delivered = self.received = 0
        self.now_ms = 0
        self._queue: deque[tuple[PeerId, PeerId, bytes]] = deque()
        for name, router in self.routers.items():
            self._take(name, router.subscribe(TOPIC, 0))
        for number, name in enumerate(self.names):
            for other in self.names[:number]:
                for here, there in ((name, other), (other, name)):
                    actions = self.routers[here].peer_connected(there, outbound=here is name, now_ms=0)
                    self._take(here, actions)
        self.settle()
        self.heartbeat()

    def heartbeat(self) -> None:
        self.now_ms += 700
        for name, router in self.routers.items():
            self._take(name, router.heartbeat(self.now_ms))
        self.settle()

    def publish(self, number: int, data: bytes) -> None:
        name = self.names[number % ROUTERS]
        self._take(name, self.routers[name].publish(TOPIC, data, self.now_ms))
        self.settle()

    def settle(self) -> None:
        while self._queue:
            source, target, rpc = self._queue.popleft()
            self.received += 1
            copied = b"".join((rpc[:1], rpc[1:]))
            self._take(target, self.routers[target].rpc_received(source, copied, self.now_ms))

    def _take(self, name: PeerId, actions: list) -> None:
        for action in actions:
            if isinstance(action, SendRpc):
                self._queue.append((name, action.peer, action.rpc))
            elif isinstance(action, Forward):
                self._queue += [(name, peer, action.rpc) for peer in action.peers]
            elif isinstance(action, Validate):
                result = self.routers[name].validation_result(
                    action.message_id, Validation.ACCEPT, self.now_ms
                )
                self._take(name, result)
            elif isinstance(action, Deliver):
                self.delivered += 1


def traffic() -> tuple[float, float]:
    """CPU microseconds of one delivery, everything included, and RPCs received for it."""
    net, rng = Net(), random.Random(1)
    data = [rng.randbytes(MESSAGE_BYTES) for _ in range(MESSAGES)]
    net.received = 0
    started = time.process_time()
    for number, item in enumerate(data):
        net.publish(number, item)
        if number % 200 == 199:  # about 290 messages a second
            net.heartbeat()
    spent = time.process_time() - started
    if net.delivered != MESSAGES * (ROUTERS - 1):
        raise AssertionError("not every message arrived once")
    return spent / net.delivered * 1e6, net.received / net.delivered


def one_router() -> tuple[Router, list[PeerId]]:
    router = Router(GossipParams(), random.Random(3))
    router.subscribe(TOPIC, 0)
    peers = [PeerId(b"bench peer %d" % number) for number in range(8)]
    for number, name in enumerate(peers):
        router.peer_connected(name, outbound=number % 2 == 0, now_ms=0)
        router.rpc_received(name, encode_subscriptions([(TOPIC, True)]), 0)
    router.heartbeat(700)
    return router, peers


def first_arrivals() -> float:
    """CPU microseconds of a new message: read, judged at no cost, forwarded to seven."""
    router, peers = one_router()
    rng = random.Random(4)
    rpcs = [encode_messages([(TOPIC, rng.randbytes(MESSAGE_BYTES))]) for _ in range(2_000)]
    started = time.process_time()
    for number, rpc in enumerate(rpcs):
        for action in router.rpc_received(peers[number & 7], rpc, 700):
            router.validation_result(action.message_id, Validation.ACCEPT, 700)
    return (time.process_time() - started) / len(rpcs) * 1e6


def duplicates() -> float:
    """CPU microseconds of a copy of a message that was accepted before."""
    router, peers = one_router()
    rpcs = [encode_messages([(TOPIC, random.Random(5).randbytes(MESSAGE_BYTES))]) for _ in range(8)]
    for rpc in rpcs:
        for action in router.rpc_received(peers[0], rpc, 700):
            router.validation_result(action.message_id, Validation.ACCEPT, 700)
    copies = [
        (peers[number & 7], b"".join((rpcs[number % 8][:1], rpcs[number % 8][1:])))
        for number in range(REPEATS)
    ]
    started = time.process_time()
    for name, rpc in copies:
        router.rpc_received(name, rpc, 700)
    return (time.process_time() - started) / REPEATS * 1e6


def hashing() -> float:
    data = bytes(MESSAGE_BYTES)
    started = time.process_time()
    for _ in range(REPEATS):
        message_id(TOPIC, data)
    return (time.process_time() - started) / REPEATS * 1e6


def best(measure: Callable[[], float]) -> float:
    """The least of some rounds: noise only ever adds."""
    return min(measure() for _ in range(ROUNDS))


def say(name: str, figure_us: float, id_us: float, goal_ids: float | None = None) -> bool:
    goal = "" if goal_ids is None else f"   goal <= {goal_ids} message ids"
    missed = goal_ids is not None and figure_us / id_us > goal_ids
    sys.stdout.write(f"{name:44} {figure_us:7.2f} us = {figure_us / id_us:5.1f} message ids{goal}")
    sys.stdout.write("   MISSED\n" if missed else "\n")
    return not missed


def main() -> int:
    id_us = best(hashing)
    say(f"message id of {MESSAGE_BYTES} B", id_us, id_us)
    per_delivery, copies = min(traffic() for _ in range(ROUNDS))
    reached = [
        say(f"delivery among {ROUTERS}, {copies:.1f} RPCs each", per_delivery, id_us, DELIVERY_IDS_MAX),
        say("new message, forwarded to 7", best(first_arrivals), id_us),
        say("duplicate", best(duplicates), id_us, DUPLICATE_IDS_MAX),
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
