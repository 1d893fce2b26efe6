"""The miner: offers its models, and does what its engine says with streams, workers, files and clock.

Is: the I/O around `engine`, which decides everything about tasks.
Is not: inference (`inference/pool`) or the decision who is drawn (`protocol/draw`, checked by the rule).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
import trio

from node.exchange.audit_draws import AuditDraws
from node.exchange.audit_paying import AUDIT_PAY_ADMISSION, AuditPayee
from node.exchange.calls import Callee
from node.exchange.kept_work import KeptWork
from node.exchange.models import ModelServer
from node.exchange.openings import OpeningServer
from node.exchange.protocols import (
    AUDIT_PAY_PROTOCOL,
    CALLS_PROTOCOL,
    MODELS_PROTOCOL,
    OPENINGS_PROTOCOL,
    TASK_PROTOCOL,
)
from node.exchange.trace_keeping import LOOK_S, TraceKeeper
from node.exchange.work_records import WorkRecords
from node.inference.packages.package import ModelPackage
from node.inference.pool.pool import WorkerPool
from node.inference.speed import try_speed
from node.inference.traces.trace_file import TraceError
from node.inference.traces.trace_store import TraceStore
from node.miner.actions import (
    Action,
    CancelJob,
    CheckCredit,
    CloseStream,
    Dial,
    DiscardTrace,
    Finished,
    KeepTrace,
    Publish,
    RefuseCall,
    Send,
    StartJob,
    TaskOver,
)
from node.miner.coordinator_dialing import reach_coordinator
from node.miner.defence import Defence
from node.miner.engine import MinerEngine
from node.miner.jobs import Made, run_job
from node.miner.offering import keep_offering
from node.miner.status import write_status
from node.miner.task_stream import Closed, Lost, TaskStream, lost_by
from node.miner.terms import ModelTerms
from node.miner.throttle import UPDATE_SECONDS, Throttle
from node.pay.payee import PATIENCE_DIVISOR, Payee
from node.peer.beacon_wishes import Wish
from node.peer.miner_story import answer_explaining
from node.peer.peer import Peer
from node.system.clock import ahead_ms, now_ms, steady_ms
from node.system.context import NodeContext
from node.system.events import TaskDelivered
from protocol.audit import AuditVerdict, Verdict
from protocol.draw import EpochView
from protocol.errors import CuckooError, Refusal
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.rules import results, tasks, verdicts
from protocol.statement import Statement
from protocol.task import MinerState

TRACE_FOLDER = "traces"
WORK_FOLDER = "works"
"""In the data directory."""
SLEEP_S_MAX: Final = 1.0
"""How late a matter of time may be noticed after the machine slept."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MinerStatus:
    """How the role is.

    :ivar paused: why it takes no tasks now; empty when it does.
    :ivar tasks_followed: from the announcement to the last chunk.
    :ivar image_ms: time for an image, by a model's name.
    :ivar temperatures: by sensor, for people.
    """

    paused: str
    tasks_followed: int
    image_ms: Mapping[str, int]
    temperatures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MinerItself:
    """Reasons why a miner has no work, as it knows them.

    :ivar paused: why it takes no tasks now; empty when it does.
    :ivar not_ready: what keeps the node from working, by name.
    :ivar counts: of its tasks, since the start; see `node.miner.actions.Count`.
    """

    paused: str
    not_ready: Mapping[str, str]
    counts: Mapping[str, int]


class Miner:
    """The role's shell. Nothing in here decides about a task. :ivar workers: that run its models."""

    def __init__(
        self,
        peer: Peer,
        workers: WorkerPool,
        packages: Sequence[ModelPackage],
        terms: ModelTerms,
        throttle: Throttle,
        payee: Payee,
    ) -> None:
        self._peer = peer
        self._payee = payee
        self.workers = workers
        self._terms = terms
        self._throttle = throttle
        self._image_ms: dict[bytes, int] = {}
        self._traces = TraceStore(peer.data_dir / TRACE_FOLDER)
        self._models = ModelServer(packages)
        self._calls = Callee(self._take_call)
        self._records = WorkRecords(peer.data_dir / WORK_FOLDER, peer.domain, now_ms())
        draws = AuditDraws(self._records, lambda: peer.view)
        audited = (self._traces, draws, lambda: peer.view)
        want = peer.beacons.want
        self._keeper = TraceKeeper(*audited, partial(want, kind=Wish.KEPT), now_ms)
        self._openings = OpeningServer(*audited, partial(want, kind=Wish.ASKED), now_ms, self._keeper.asked)
        self._defence = Defence(
            peer.key.address,
            peer.domain,
            self._traces,
            self._records,
            terms.packages,
            peer.accuse,
            now_ms,
        )
        self._engine = MinerEngine(
            peer.key.address,
            seal=peer.seal,
            pay=payee,
            terms=terms,
            task_terms=peer.view.terms,
            patience_ms=peer.network.parameters.progress_timeout_ms // PATIENCE_DIVISOR,
            ahead_ms=ahead_ms,
        )
        self._audit_pay = AuditPayee(peer.key.address, peer.seen, payee.take)
        self._stream_ids = itertools.count()
        self._streams: dict[int, TaskStream] = {}
        self._jobs: dict[bytes, trio.CancelScope] = {}
        self._wake_ms = math.inf
        self._woken = trio.Event()
        self._nursery: trio.Nursery

    async def run(self) -> None:
        """Test the models, then offer them and work until cancelled.

        :raises WorkerError: a model does not run on this machine.
        """
        for package in self._terms.packages.values():
            self._image_ms[package.model_id] = await try_speed(self.workers, package)
            log.info("model tested", model=package.name, image_ms=self._image_ms[package.model_id])
        await self._update_throttle()
        await self._peer.alone.wait()
        try:
            async with trio.open_nursery() as self._nursery:
                self._peer.host.handle_direct_streams(CALLS_PROTOCOL, self._calls.handle)
                self._peer.host.handle_direct_streams(OPENINGS_PROTOCOL, self._openings.handle)
                self._peer.host.handle_direct_streams(MODELS_PROTOCOL, self._models.handle)
                self._peer.host.handle_direct_streams(
                    AUDIT_PAY_PROTOCOL, self._audit_pay.handle, admission=AUDIT_PAY_ADMISSION
                )
                self._peer.listen(tasks.TOPIC, self._hear_task)
                self._peer.listen(results.TOPIC, self._hear_result)
                self._peer.listen(verdicts.TOPIC, self._hear_verdict)
                self._nursery.start_soon(self._payee.run, self._peer.network.parameters.chain_poll_ms)
                self._nursery.start_soon(self._keep_throttling)
                self._nursery.start_soon(self._keep_traces)
                self._nursery.start_soon(self._keep_time)
                names = [package.name for package in self._terms.packages.values()]
                self._peer.context.started()
                log.info("ready", role="miner", models=names)
                await keep_offering(self._peer, self._terms, self._throttle, self._image_ms)
        finally:
            # What was not paid is written down; the streams are gone by now.
            self._engine.stop()

    # Status

    def show(self, context: NodeContext) -> None:
        """Register what is to be seen of the role."""
        observable = context.observable
        observable.register("miner", self.status)
        observable.register("tasks", self._engine.snapshot)
        observable.register("inference", self.workers.statistics)
        observable.register("traces", self._traces.status)
        observable.register("openings", lambda: self._openings.counts)
        observable.register("false_verdicts", lambda: self._defence.counts)
        observable.register("opened_to_buyers", lambda: self._openings.buyers.counts)
        observable.register("works_kept", lambda: self._records.counts)
        observable.register("models_given", lambda: self._models.counts)
        observable.register("pay", self._payee.status)
        observable.register("audit_pay", lambda: self._audit_pay.counts)

        def know_itself(miner: bytes) -> MinerItself | None:
            if miner != self._peer.key.address:
                return None
            reasons, counts = context.readiness.status().reasons, self._engine.counts
            return MinerItself(
                self._throttle.pause_reason.value,
                reasons,
                {str(count): times for count, times in counts.items()},
            )

        answer_explaining(context.control, self._peer.seen, lambda: self._peer.view, now_ms, know_itself)

    def may_work(self) -> bool:
        """Whether the machine may be used for models now: it is not paused, nor measured for its offers."""
        return len(self._image_ms) == len(self._terms.packages) and not self._throttle.pause_reason.value

    def status(self) -> MinerStatus:
        """For people and monitors."""
        packages, throttle = self._terms.packages, self._throttle
        names = {packages[model_id].name: ms for model_id, ms in self._image_ms.items()}
        followed = self._engine.snapshot().followed
        return MinerStatus(throttle.pause_reason.value, followed, names, throttle.temperatures)

    async def _keep_throttling(self) -> None:
        while True:
            await trio.sleep(UPDATE_SECONDS)
            await self._update_throttle()

    async def _keep_traces(self) -> None:
        while True:
            await trio.sleep(LOOK_S)
            await self._keeper.look()

    async def _update_throttle(self) -> None:
        """See whether to pause, and write the status file."""
        await self._throttle.update(self.workers)
        self._engine.policy(str(self._throttle.pause_reason))
        try:
            write_status(self._peer.data_dir, now_ms(), self._peer.context.observable.document())
        except OSError as error:
            log.warning("status not written", error=str(error))

    # What the engine hears

    def _hear_task(self, task: Statement[TaskAnnouncement]) -> None:
        self._act(self._engine.heard(task, steady_ms()))

    def _hear_result(self, result: Statement[ResultCommitment]) -> None:
        self._act(self._engine.heard_result(result.message.task_id, result.signer.address))

    def _hear_verdict(self, verdict: Statement[AuditVerdict]) -> None:
        message = verdict.message
        if message.miner == self._peer.key.address and message.verdict != Verdict.HONEST:
            self._keeper.contested(message.task_id)
        if self._defence.concerns(verdict):
            self._nursery.start_soon(self._defence.answer, verdict)

    def _take_call(self, task_id: bytes, caller: bytes) -> str | None:
        actions = self._engine.called(task_id, caller, steady_ms())
        self._act(actions)
        return next((action.reason for action in actions if isinstance(action, RefuseCall)), None)

    async def _keep_time(self) -> None:
        """Wake the engine when it wants to be. The sleep is by a clock that stands still while the machine
        sleeps, as the engine's does not.
        """
        while True:
            wake_ms = self._engine.wake_at_ms()
            self._wake_ms = math.inf if wake_ms is None else wake_ms
            self._woken = trio.Event()
            with trio.move_on_after(min(SLEEP_S_MAX, max(0.0, self._wake_ms - steady_ms()) / 1000)):
                await self._woken.wait()
                continue
            self._act(self._engine.tick(steady_ms()))

    # What the engine wants

    def _act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self._act_once(action)
        if (self._engine.wake_at_ms() or math.inf) < self._wake_ms:
            self._woken.set()

    def _act_once(self, action: Action) -> None:
        match action:
            case Send(stream_id=stream_id, payload=payload):
                if stream_id in self._streams:
                    self._streams[stream_id].send(payload)
            case CloseStream(stream_id=stream_id, reason=reason):
                if stream_id in self._streams:
                    self._streams[stream_id].close(reason)
            case CheckCredit(task_id=task_id, task=task):
                self._nursery.start_soon(self._check_credit, task_id, task)
            case Dial(task=announced):
                self._nursery.start_soon(self._converse, announced)
            case Publish(task=task, commitment=commitment):
                self._nursery.start_soon(self._publish, commitment, self._peer.view.epoch_of(task))
            case TaskOver():
                log.info("task over", task=action.task_id.hex(), rank=action.rank, state=action.state.value,
                         reason=action.reason)  # fmt: skip
                if action.state is MinerState.DELIVERED:
                    event = TaskDelivered(action.task_id, self._peer.key.address)
                    self._peer.context.events.publish(event)
            case _:
                self._act_on_job(action)

    def _act_on_job(self, action: Action) -> None:
        match action:
            case StartJob(task=task):
                scope = self._jobs[task.digest] = trio.CancelScope()
                self._nursery.start_soon(self._work, action, scope)
            case CancelJob(task_id=task_id):
                self._jobs.pop(task_id).cancel()
            case KeepTrace(task=task):
                self._act(self._engine.trace_kept(task.digest, steady_ms(), self._keep_trace(action)))
            case DiscardTrace(task_id=task_id):
                self._traces.discard(task_id)
            case _:
                pass

    def _keep_trace(self, keep: KeepTrace) -> str:
        start, task_id = keep.start, keep.task.digest
        work = KeptWork(start.task_input, start.sources, keep.output)
        try:
            self._traces.keep(task_id, start.task.encoded, work.encode(), now_ms())
        except (OSError, TraceError) as error:
            log.warning("trace not kept", task=task_id.hex(), error=str(error))
            return str(error) or "the trace cannot be kept"
        return ""

    async def _check_credit(self, task_id: bytes, task: TaskAnnouncement) -> None:
        reason = await self._payee.why_no_credit(task)
        self._act(self._engine.credit(task_id, reason, steady_ms()))

    async def _publish(self, commitment: Statement[ResultCommitment], epoch: EpochView | None) -> None:
        # Before all can hear of it, and so ask.
        await self._records.keep(commitment, epoch, now_ms())
        try:
            await self.publish_commitment(commitment)
        except CuckooError as error:
            log.warning("result not published", task=commitment.message.task_id.hex(), error=str(error))

    async def publish_commitment(self, statement: Statement[ResultCommitment]) -> None:
        """Tell everybody what came out."""
        await self._peer.publish(results.TOPIC, statement.encoded)

    async def _work(self, start: StartJob, scope: trio.CancelScope) -> None:
        task_id = start.task.digest

        def tell(made: Made) -> None:
            if scope.cancel_called:
                return
            if made.png:
                self._act(self._engine.job_preview(task_id, made.units, made.png, steady_ms()))
            else:
                self._act(self._engine.job_progress(task_id, made.units, steady_ms()))

        log.info("working", task=task_id.hex())
        outcome = None
        with scope:
            outcome = await run_job(
                self.workers, start, self._peer.key.address, self._traces.path_of(task_id), tell
            )
        if outcome is None or scope.cancel_called:
            return
        del self._jobs[task_id]
        if isinstance(outcome, Finished):
            self._act(self._engine.job_finished(task_id, outcome))
        else:
            self._act(self._engine.job_failed(task_id, outcome.kind, outcome.reason))

    async def _converse(self, task: Statement[TaskAnnouncement]) -> None:
        """Reach the coordinator, and carry what is said until the stream's end."""
        stream_id, end = next(self._stream_ids), None
        try:
            coordinator = await reach_coordinator(self._peer.host, self._peer.lookup, task)
            async with self._peer.host.open_direct_stream(coordinator, TASK_PROTOCOL) as direct:
                stream = self._streams[stream_id] = TaskStream(direct)
                self._act(self._engine.stream_opened(task.digest, stream_id, steady_ms()))
                end = await stream.run(
                    lambda payload: self._act(self._engine.stream_payload(stream_id, payload, steady_ms()))
                )
                if isinstance(end, Closed) and end.reason:
                    raise Refusal(end.reason)
        except CuckooError as error:
            if stream_id not in self._streams:
                self._act(self._engine.dial_failed(task.digest, str(error), steady_ms()))
                return
            end = end or lost_by(error)
        finally:
            self._streams.pop(stream_id, None)
        if isinstance(end, Lost):
            log.info("coordinator lost", task=task.digest.hex(), reason=end.reason)
            self._act(self._engine.stream_lost(stream_id, end.reason, steady_ms(), refused=end.refused))
