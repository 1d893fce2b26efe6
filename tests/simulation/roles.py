"""Coordinators and miners of a simulated market.

Is: announcing, taking turns by rank, working, committing; honest, forgetful after a crash, and guarded.
Is not: inference. A result is a hash; a restarted miner's may differ, as floating point on another card does.

What goes over direct streams in a real market goes by `Market.tell` here: one latency, lost if a partition or
a crash is between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from protocol.audit import AuditReason, AuditVerdict, Verdict
from protocol.draw import auditors, rank_for_task, task_seed
from protocol.evidence import TwoStatements
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import NO_TASK, ResultCommitment, TaskAcceptance, TaskAnnouncement
from protocol.rules import results, tasks, verdicts
from protocol.statement import Statement
from protocol.work import Work, WorkKind
from tests.protocol.builders import MODEL_ID, everybody
from tests.simulation.network import Network
from tests.simulation.peer import EPOCH, MustNotSign, Peer
from tests.simulation.randomness import generator

STEPS = 20
ASSIGNED = 3
TASK_LIFE_MS = 120_000
WORK_MS = 400.0
PROGRESS_TIMEOUT_MS = 5_000.0
"""After so long without a result the next in the queue may work."""


def work(steps: int = STEPS) -> Work:
    """An image of 64 x 64 pixels."""
    return Work.image(WorkKind.TEXT_TO_IMAGE, 64, 64, steps)


def commitment(task_id: bytes, image: bytes) -> ResultCommitment:
    """The commitment to an image that is one part long."""
    return ResultCommitment(
        task_id, merkle_root([image]), len(image), sha256(image), sha256(b"trace" + image), STEPS
    )


class Market:
    """All roles of a network.

    :ivar miners: by address; likewise `coordinators`.
    :ivar cheats: addresses of miners that did what they must not.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.miners: dict[bytes, Miner] = {}
        self.coordinators: dict[bytes, Coordinator] = {}
        self.cheats: set[bytes] = set()
        self.rng = generator(network.world.seed, "market")
        latest = network.view.latest
        assert latest is not None
        self.epoch = latest
        for peer in network.peers.values():
            if latest.coordinators.weight_of(peer.key.address):
                self.coordinators[peer.key.address] = Coordinator(self, peer)
            else:
                self.miners[peer.key.address] = Miner(self, peer)

    def tell(self, source: Peer, target: Peer, action: Callable[..., None], *arguments: Any) -> None:
        """Have something arrive at another peer over a direct stream."""
        world, params = self.network.world, self.network.world.params
        a, b = source.node.number, target.node.number

        def arrive() -> None:
            if a == b or world.can_connect(a, b):
                action(*arguments)

        if a == b or world.can_connect(a, b):
            world.events.after(self.rng.uniform(params.latency_ms_min, params.latency_ms_max), arrive)

    def draw(self, coordinator: bytes, number: int) -> bytes:
        """Seed of a task's draw."""
        return task_seed(self.epoch.seed, coordinator, number)


@dataclass
class Task:
    """What a coordinator knows of one of its tasks."""

    statement: Statement[TaskAnnouncement]
    waiting: list[Miner] = field(default_factory=list)
    working: Miner | None = None
    winner: bytes | None = None


class Coordinator:
    """Announces tasks and gives each to one miner at a time.

    :ivar tasks: journalled, so they outlive a crash, as does the guard.
    """

    def __init__(self, market: Market, peer: Peer) -> None:
        self.market = market
        self.peer = peer
        self.tasks: dict[bytes, Task] = {}
        self.refused = 0
        self._chain: list[bytes] = []
        self._acceptances: dict[tuple[bytes, bytes], bytes] = {}
        peer.on_restart(self._forget_one)
        self._forgot = False

    def _forget_one(self) -> None:
        self._forgot = bool(self._chain)

    def announcement(self, **changes: Any) -> TaskAnnouncement:
        """The next one of the chain, with fields changed."""
        number = changes.pop("number", len(self._chain))
        seed = self.market.draw(self.peer.key.address, number)
        fields: dict[str, Any] = {
            "coordinator": self.peer.key.address,
            "epoch": EPOCH,
            "number": number,
            "previous": self._chain[number - 1] if number else NO_TASK,
            "model_id": MODEL_ID,
            "work": work(),
            "input_commitment": sha256(b"input %d" % number),
            "price_micro_cai": 1_000_000,
            "upfront_micro_cai": 0,
            "announced_at_ms": self.peer.now_ms,
            "deadline_ms": self.peer.now_ms + TASK_LIFE_MS,
            "ranking": rank_for_task(self.market.epoch.miners, seed, everybody, ASSIGNED),
            "multiaddrs": (),
        }
        return TaskAnnouncement(**(fields | changes))

    def announce(self) -> bytes | None:
        """Announce the next task; None while it is down."""
        if self.peer.node.router is None:
            return None
        if self._forgot:
            # What a restart without a journal would do: the last number again, in other words.
            self._forgot = False
            try:
                again = self.peer.seal(self.announcement(number=len(self._chain) - 1))
                self.peer.node.publish(tasks.TOPIC, again.encoded)
            except MustNotSign:
                self.refused += 1
        statement = self.peer.seal(self.announcement())
        self._chain.append(statement.digest)
        self.tasks[statement.digest] = Task(statement)
        data = statement.encoded
        self.market.network.deliveries.expect(
            self.market.network.world, data, self.peer.node.number, self.market.network.nodes
        )
        self.peer.publish(tasks.TOPIC, data)
        return statement.digest

    def accepted(self, acceptance: Statement[TaskAcceptance], miner: Miner) -> None:
        """A miner has come to work."""
        task_id = acceptance.message.task_id
        key = (task_id, acceptance.signer.address)
        first = self._acceptances.setdefault(key, acceptance.encoded)
        if first != acceptance.encoded:
            self.peer.found_contradiction(TwoStatements.pair(first, acceptance.encoded))
            return
        task = self.tasks.get(task_id)  # None: an announcement that a cheat made past its own books
        if task is None or task.winner is not None or miner in task.waiting:
            return
        task.waiting.append(miner)
        if task.working is None:
            self._next(task)

    def _next(self, task: Task) -> None:
        if task.winner is not None or not task.waiting:
            task.working = None
            return
        task.working = working = task.waiting.pop(0)
        self.market.tell(self.peer, working.peer, working.work, task.statement)

        def look_again() -> None:
            if task.working is working and task.winner is None:
                self._next(task)

        self.market.network.world.events.after(PROGRESS_TIMEOUT_MS, look_again)

    def finished(self, result: Statement[ResultCommitment]) -> None:
        """A miner's commitment came by the direct stream."""
        task = self.tasks.get(result.message.task_id)
        if task is not None and task.winner is None:
            task.winner = result.signer.address


class Miner:
    """Takes the tasks that it is drawn for, and gives verdicts on those that it is drawn to audit."""

    def __init__(self, market: Market, peer: Peer) -> None:
        self.market = market
        self.peer = peer
        self.refused = 0
        self._finished: dict[bytes, None] = {}
        self._lives: dict[bytes, int] = defaultdict(int)
        self._life = 0
        peer.listen(tasks.TOPIC, self._hear_task)
        peer.listen(results.TOPIC, self._hear_result)
        peer.on_restart(self._restart)

    def _restart(self) -> None:
        self._life += 1
        self._finished.clear()

    def _hear_task(self, task: Statement[TaskAnnouncement]) -> None:
        assigned = task.message.assigned
        if self.peer.key.address not in assigned:
            return
        rank = assigned.index(self.peer.key.address)
        starts_at_ms = self.market.network.view.terms.starts_at_ms(task.message, rank)
        delay_ms = max(0.0, float(starts_at_ms - self.peer.now_ms))
        self.market.network.world.events.after(delay_ms, self._take, self._life, task, rank)

    def _take(self, life: int, task: Statement[TaskAnnouncement], rank: int) -> None:
        if life != self._life or self.peer.node.router is None or task.digest in self._finished:
            return
        coordinator = self.market.coordinators[task.message.coordinator]
        acceptance = self.peer.seal(TaskAcceptance(task.digest, rank))
        self.market.tell(self.peer, coordinator.peer, coordinator.accepted, acceptance, self)

    def work(self, task: Statement[TaskAnnouncement]) -> None:
        """The coordinator has sent the input."""
        if self.peer.node.router is not None:
            self.market.network.world.events.after(WORK_MS, self._commit, self._life, task)

    def image(self, task_id: bytes) -> bytes:
        """What comes out: the same in every life of odd miners, another one after a restart of even ones."""
        life = 0 if self.peer.node.number % 2 else self._life
        return b"image %d " % life + self.peer.key.address + task_id

    def _commit(self, life: int, task: Statement[TaskAnnouncement]) -> None:
        if life != self._life or self.peer.node.router is None:
            return
        try:
            result = self.peer.seal(commitment(task.digest, self.image(task.digest)))
        except MustNotSign:
            self.refused += 1
            return
        self.peer.publish(results.TOPIC, result.encoded)
        coordinator = self.market.coordinators[task.message.coordinator]
        self.market.tell(self.peer, coordinator.peer, coordinator.finished, result)

    def _hear_result(self, result: Statement[ResultCommitment]) -> None:
        self._finished[result.message.task_id] = None
        task = self.peer.seen.tasks.get(result.message.task_id)
        if task is None or self.peer.node.router is None:
            return
        message = task.message
        seed = self.market.draw(message.coordinator, message.number)
        if self.peer.key.address in auditors(self.market.epoch.miners, seed, message.assigned, 1):
            verdict = AuditVerdict(
                task.digest, result.signer.address, Verdict.HONEST, (0, STEPS - 1), AuditReason.NONE
            )
            self.peer.publish(verdicts.TOPIC, self.peer.seal(verdict).encoded)
