"""A miner of a simulated market: the shell that `node/miner/miner.py` is in a node, on the heap of events.

Is: `node.miner.engine` with its twins in memory: what gossip, streams and time bring goes in, what it asks
for is done. What it has signed and what it was paid outlive a crash; nothing else does.
Is not: a decision about a task, or inference: a job takes `WORK_MS` and makes a picture of one colour.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from node.miner.actions import (
    Action,
    CancelJob,
    CheckCredit,
    CloseStream,
    Dial,
    Finished,
    KeepTrace,
    Publish,
    RefuseCall,
    Send,
    StartJob,
    TaskOver,
)
from node.miner.engine import MinerEngine
from node.miner.ports import AnyTask, MemoryPay
from node.pay.payee import PATIENCE_DIVISOR
from protocol.errors import DecodeError
from protocol.hashing import sha256
from protocol.messages import Offer, ResultCommitment, TaskAnnouncement
from protocol.rules import offers, results, tasks
from protocol.statement import Statement, read_envelope
from protocol.task import MinerState
from tests.node.coordinator.desk import png
from tests.protocol.builders import NOW_MS, model_offer
from tests.simulation.peer import Peer
from tests.simulation.streams import Process

if TYPE_CHECKING:
    from tests.simulation.market import Market

WORK_MS = 400.0
"""Time for all units of a job."""
CHAIN_MS = 30.0
"""Time for a question to the chain."""
MODEL_TEST_MS = (2_000.0, 9_000.0)
"""A miner tests its models before it offers them; so long after the start its first offer goes out."""
OFFER_INTERVAL_MS = 30_000
OFFER_LIFE_MS = 120_000
"""As on the public networks."""
UNIT_PRICE_WEI = 10**12
PROGRESS_TIMEOUT_MS = 5_000


class Miner(Process):
    """One miner.

    :ivar pay: what it was paid.
    :ivar made: units that its jobs have made, by task, over all its lives.
    :ivar ended: how tasks ended for it.
    :ivar lie: what it says in place of a commitment; None while it is honest.
    :ivar on_job: a cheat's, called when it begins to work on a task.
    """

    def __init__(self, market: Market, peer: Peer, capacity: int) -> None:
        super().__init__(peer.node.world)
        self._market = market
        self.peer = peer
        self.pay = MemoryPay()
        self.made: defaultdict[bytes, int] = defaultdict(int)
        self.ended: Counter[MinerState] = Counter()
        self.lie: Callable[[ResultCommitment], bytes] | None = None
        self.on_job: Callable[[bytes], None] | None = None
        self._capacity = capacity
        self._sequences = itertools.count()
        self._jobs: dict[bytes, object] = {}
        self._wake_at_ms: float | None = None
        self.engine = self._new_engine()
        market.streams.roles[peer.node.number] = self
        peer.listen(tasks.TOPIC, self._hear_task)
        peer.listen(results.TOPIC, self._hear_result)
        peer.on_crash(self._crash)
        peer.on_restart(self._restart)

    def _new_engine(self) -> MinerEngine:
        return MinerEngine(
            self.peer.key.address,
            seal=self.peer.seal,
            pay=self.pay,
            terms=AnyTask(self._capacity),
            task_terms=self.peer.view.terms,
            patience_ms=PROGRESS_TIMEOUT_MS // PATIENCE_DIVISOR,
            ahead_ms=lambda: 0,
        )

    def _crash(self) -> None:
        self.die()
        self._market.streams.crash(self.peer.node.number)

    def _restart(self) -> None:
        self._jobs.clear()
        self._wake_at_ms = None
        self.engine = self._new_engine()
        self.later(self._market.rng.uniform(*MODEL_TEST_MS), self._keep_offering)

    def _keep_offering(self) -> None:
        now_ms = self.peer.now_ms
        models = (model_offer(UNIT_PRICE_WEI),)
        offer = Offer(next(self._sequences), now_ms, now_ms + OFFER_LIFE_MS, self._capacity, models)
        self.peer.publish(offers.TOPIC, self.peer.seal(offer).encoded)
        self.later(OFFER_INTERVAL_MS, self._keep_offering)

    # What the engine hears

    def _hear_task(self, task: Statement[TaskAnnouncement]) -> None:
        self._act(self.engine.heard(task, self.peer.now_ms))

    def _hear_result(self, result: Statement[ResultCommitment]) -> None:
        self._act(self.engine.heard_result(result.message.task_id, result.signer.address))

    def called(self, task_id: bytes, caller: bytes) -> bool:
        """A coordinator calls. Returns whether something of it waits here."""
        actions = self.engine.called(task_id, caller, self.peer.now_ms)
        self._act(actions)
        return not any(isinstance(action, RefuseCall) for action in actions)

    def stream_heard(self, stream_id: int, payload: bytes) -> None:
        """See :class:`~tests.simulation.streams.End`."""
        self._act(self.engine.stream_payload(stream_id, payload, self.peer.now_ms))

    def stream_ended(self, stream_id: int, reason: str, *, refused: bool) -> None:
        """See :class:`~tests.simulation.streams.End`."""
        self._act(self.engine.stream_lost(stream_id, reason, self.peer.now_ms, refused=refused))

    def _wake(self, at_ms: float) -> None:
        if self._wake_at_ms == at_ms:
            self._wake_at_ms = None
            self._act(self.engine.tick(self.peer.now_ms))

    # What the engine wants

    def _act(self, actions: Iterable[Action]) -> None:  # noqa: C901 - one case for each action
        for action in actions:
            match action:
                case Send(stream_id=stream_id, payload=payload):
                    self._market.streams.send(stream_id, self.peer.node.number, self._said(payload))
                case CloseStream(stream_id=stream_id, reason=reason):
                    self._market.streams.end(stream_id, self.peer.node.number, reason)
                case CheckCredit(task_id=task_id):
                    self.later(CHAIN_MS, self._trust, task_id)
                case Dial(task=task):
                    self._dial(task)
                case Publish(commitment=commitment):
                    self.peer.publish(results.TOPIC, self._said(commitment.encoded))
                case TaskOver(state=state):
                    self.ended[state] += 1
                case StartJob(task=task):
                    self._start_job(task)
                case CancelJob(task_id=task_id):
                    del self._jobs[task_id]
                case KeepTrace(task=task):
                    self._act(self.engine.trace_kept(task.digest, self.peer.now_ms))
        self._set_alarm()

    def _set_alarm(self) -> None:
        wake_at_ms = self.engine.wake_at_ms()
        if wake_at_ms is None:
            return
        now_ms = self.peer.node.world.now_ms
        at_ms = max(float(wake_at_ms - NOW_MS - self.peer.skew_ms), now_ms + 1.0)
        if self._wake_at_ms is None or at_ms < self._wake_at_ms:
            self._wake_at_ms = at_ms
            self.later(at_ms - now_ms, self._wake, at_ms)

    def _trust(self, task_id: bytes) -> None:
        self._act(self.engine.credit(task_id, None, self.peer.now_ms))

    def _dial(self, task: Statement[TaskAnnouncement]) -> None:
        coordinator = self._market.coordinators[task.message.coordinator].peer.node.number
        self._market.streams.dial(
            self.peer.node.number,
            coordinator,
            lambda stream_id: self._act(self.engine.stream_opened(task.digest, stream_id, self.peer.now_ms)),
            lambda reason: self._act(self.engine.dial_failed(task.digest, reason, self.peer.now_ms)),
        )

    def _said(self, payload: bytes) -> bytes:
        """What it says: what its engine wants, unless it lies about a commitment."""
        if self.lie is None:
            return payload
        try:
            message = read_envelope(payload)[1]
        except DecodeError:
            return payload
        return self.lie(message) if isinstance(message, ResultCommitment) else payload

    # Jobs

    def _start_job(self, task: Statement[TaskAnnouncement]) -> None:
        job = self._jobs[task.digest] = object()
        if self.on_job is not None:
            self.on_job(task.digest)
        units = task.message.work.units
        for unit in range(1, units + 1):
            self.later(WORK_MS * unit / units, self._progress, task, job, unit)

    def _progress(self, task: Statement[TaskAnnouncement], job: object, units: int) -> None:
        task_id = task.digest
        if self._jobs.get(task_id) is not job:
            return
        self.made[task_id] = max(self.made[task_id], units)
        self._act(self.engine.job_progress(task_id, units, self.peer.now_ms))
        if units == task.message.work.units and self._jobs.pop(task_id, None) is job:
            picture = self.picture(task)
            finished = Finished(picture, units, sha256(b"trace" + picture))
            self._act(self.engine.job_finished(task_id, finished))

    def picture(self, task: Statement[TaskAnnouncement]) -> bytes:
        """What comes out: the same in every life of odd miners, another one after a restart of even ones.

        Floating point on another card may differ; this miner's may in every life.
        """
        life = 0 if self.peer.node.number % 2 else self._life
        name = b"picture %d " % life + self.peer.key.address + task.digest
        return png(*task.message.work.image_size(), colour=sha256(name)[:3])
