"""A gossip router among enemies: RPCs of every kind, true, half-true and broken, of peers that come and go.

Is: a seeded generator of hostile RPCs, and one router of ours with production parameters that gets them.
Is not: a network; nobody honest is there, and time is a number.

Plain mutation seldom passes the parser. So an RPC is first made up from what makes sense to a router (ids it
knows, topics it has, peers it sees), and one in eight is broken afterwards.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, deque
from dataclasses import asdict

from libp2p.pubsub.pb import rpc_pb2 as pb

from p2p.gossip.actions import Action, Connect, Deliver, Disconnect, Forward, SendRpc, Spare, Validate
from p2p.gossip.params import GossipParams
from p2p.gossip.router import MESHSUB_1_1, MESHSUB_1_2, Router
from p2p.gossip.snapshot import limits
from p2p.gossip.wire import Prune, PxPeer, encode_control, encode_messages, encode_subscriptions, message_id
from p2p.identity import PeerId
from p2p.mesh import Validation
from tests.fuzz.plain import mutated

TOPICS = ("offers", "tasks", "results", "verdicts", "evidence")
FOREIGN = ("other", "t" * 128, "ü", "offers ")
ENEMIES = 24
STEP_MS = 10
"""Time from one RPC to the next."""
REMEMBERED = 512
"""Messages that the enemies speak of again."""


class Enemies:
    """What hostile peers say."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._messages: deque[tuple[str, bytes]] = deque(maxlen=REMEMBERED)
        self._messages.append((TOPICS[0], b""))
        self._last = b"\x0a\x00"

    def rpc(self) -> bytes:
        """The next RPC of somebody."""
        rng = self._rng
        rpc = b"".join(self._part() for _ in range(rng.choice((1, 1, 1, 2, 5))))
        if rng.random() < 0.125:
            rpc = mutated(rng, rpc, self._last)
        self._last = rpc
        return rpc

    def _part(self) -> bytes:
        makers = (self._new, self._old, self._subscriptions, self._mesh, self._lazy, self._signed)
        return self._rng.choices(makers, weights=(30, 15, 10, 15, 25, 3))[0]()

    def _topic(self) -> str:
        return self._rng.choice(TOPICS if self._rng.random() < 0.8 else FOREIGN)

    def _ids(self) -> list[bytes]:
        rng = self._rng
        known = [message_id(*rng.choice(self._messages)) for _ in range(rng.randrange(8))]
        return known + [rng.randbytes(rng.choice((1, 20, 20, 64))) for _ in range(rng.choice((0, 1, 8, 300)))]

    def _new(self) -> bytes:
        data = self._rng.randbytes(self._rng.choice((0, 1, 40, 400, 400, 1_100, 4_000)))
        self._messages.append((self._topic(), data))
        return encode_messages([self._messages[-1]])

    def _old(self) -> bytes:
        return encode_messages(self._rng.choices(self._messages, k=self._rng.choice((1, 1, 1, 3))))

    def _signed(self) -> bytes:
        rpc = pb.RPC()
        rpc.publish.add(topicIDs=[self._topic()], data=b"x", **{self._rng.choice(("seqno", "key")): b"1"})
        return rpc.SerializeToString()

    def _subscriptions(self) -> bytes:
        topic = self._topic() if self._rng.random() < 0.7 else self._rng.randbytes(6).hex()
        return encode_subscriptions([(topic, self._rng.random() < 0.8)])

    def _mesh(self) -> bytes:
        rng = self._rng
        peers = tuple(PxPeer(rng.randbytes(39), rng.randbytes(100)) for _ in range(rng.choice((0, 0, 3, 40))))
        backoff_s = rng.choice((0, 1, 60, 2**40, 2**64 - 1))
        graft = [self._topic() for _ in range(rng.randrange(4))]
        prune = [Prune(self._topic(), backoff_s, peers) for _ in range(rng.randrange(2))]
        return encode_control(graft=graft, prune=prune)

    def _lazy(self) -> bytes:
        kind = self._rng.randrange(3)
        if kind == 0:
            return encode_control(ihave=[(self._topic(), self._ids())])
        return encode_control(iwant=self._ids()) if kind == 1 else encode_control(idontwant=self._ids())


class Besieged:
    """A router of ours, and what came of it.

    :ivar seen: actions by kind, and ``bytes_in``, ``bytes_out``.
    :ivar highest: the most entries that each table ever had when it was looked at.
    """

    def __init__(self, seed: int, params: GossipParams | None = None) -> None:
        self.params = params or GossipParams()
        self.router = Router(
            self.params, random.Random(seed), records=lambda peer: PxPeer(peer.to_bytes(), bytes(200))
        )
        self.seen: Counter[str] = Counter()
        self.highest: dict[str, int] = dict.fromkeys(asdict(limits(self.params)), 0)
        self._rng = random.Random(seed + 1)
        self._enemies = Enemies(self._rng)
        self._peers: list[PeerId] = []
        self._newest = 0
        self._waiting: deque[Validate] = deque()
        self.now_ms = 0
        for topic in TOPICS:
            self.router.subscribe(topic, 0)
        for place in range(ENEMIES):
            self._peers.append(self._arrive(place))

    def step(self) -> None:
        """One RPC of the enemies' own making."""
        self.hear(self._enemies.rpc())

    def hear(self, rpc: bytes) -> None:
        """One RPC, from one of the enemies; and what else happens in the time of one."""
        rng, router = self._rng, self.router
        self.now_ms += STEP_MS
        place = rng.randrange(ENEMIES)
        self.seen["bytes_in"] += len(rpc)
        self._act(router.rpc_received(self._peers[place], rpc, self.now_ms))
        if self._waiting and rng.random() < 0.9:
            self._judge(self._waiting.popleft())
        if self.now_ms % (self.params.heartbeat_ms // STEP_MS * STEP_MS) == 0:
            self._act(router.heartbeat(self.now_ms))
        if rng.random() < 0.002:
            router.peer_disconnected(self._peers[place])
            self._peers[place] = self._arrive(place)
        if rng.random() < 0.01:
            router.set_application_score(self._peers[place], rng.uniform(-100, 100))
            self._act(router.publish(rng.choice(TOPICS), rng.randbytes(100), self.now_ms))

    def check(self) -> None:
        """Every table is within its limit."""
        for name, count in asdict(self.router.snapshot().tables).items():
            self.highest[name] = max(self.highest[name], count)
            assert count <= asdict(limits(self.params))[name], name
        for state in self.router.overlay.peers.values():
            assert len(state.topics) <= self.params.topics_per_peer_max
            assert len(state.unwanted) <= self.params.idontwant_ids_max
            assert state.standing.topics.keys() <= set(TOPICS)
            assert state.standing.score <= 150

    def _arrive(self, place: int) -> PeerId:
        """A peer that was never here; every third place has one IP address."""
        self._newest += 1
        peer = PeerId(self._newest.to_bytes(39))
        self._act(
            self.router.peer_connected(
                peer,
                outbound=place % 4 == 0,
                now_ms=self.now_ms,
                ip="192.0.2.1" if place % 3 == 0 else f"198.51.{place}.{self._newest % 250}",
                protocol=MESHSUB_1_2 if place % 2 else MESHSUB_1_1,
            )
        )
        return peer

    def _judge(self, question: Validate) -> None:
        """Nine in ten are valid, by their hash."""
        number = hashlib.sha256(question.data).digest()[0]
        verdict = (
            Validation.REJECT if number < 13 else Validation.IGNORE if number < 26 else Validation.ACCEPT
        )
        self._act(self.router.validation_result(question.message_id, verdict, self.now_ms))

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            self.seen[type(action).__name__] += 1
            match action:
                case SendRpc():
                    self.seen["bytes_out"] += len(action.rpc)
                case Forward():
                    self.seen["bytes_out"] += len(action.rpc) * len(action.peers)
                case Validate():
                    self._waiting.append(action)
                case Disconnect():
                    self.router.peer_disconnected(action.peer)
                    if action.peer in self._peers:
                        place = self._peers.index(action.peer)
                        self._peers[place] = self._arrive(place)
                case Deliver() | Connect() | Spare():
                    pass
