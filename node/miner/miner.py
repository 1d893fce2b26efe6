"""The miner: offers its models, takes the tasks that it is drawn for, and streams signed results back.

Is: turn-taking by rank, the direct stream, chunking and commitment.
Is not: inference (`inference/pool`) or the decision who is drawn (`protocol/draw`, checked by the rule).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
import trio

from node.exchange.calls import Callee
from node.exchange.inputs import take_input
from node.exchange.models import ModelServer
from node.exchange.openings import OpeningServer
from node.exchange.protocols import CALLS_PROTOCOL, MODELS_PROTOCOL, OPENINGS_PROTOCOL, TASK_PROTOCOL
from node.inference.jobs.job import Failed, Finished, ImageJob, Preview, Progress, runs_work
from node.inference.packages.package import ModelPackage
from node.inference.pool.pool import WorkerPool
from node.inference.speed import try_speed
from node.inference.traces.trace_store import TraceStore
from node.miner.coordinator_dialing import reach_coordinator
from node.miner.result_sender import ResultSender
from node.miner.status import write_status
from node.miner.throttle import UPDATE_SECONDS, Throttle
from node.pay.meter import TaskMeter
from node.pay.payee import Payee
from node.peer.peer import Peer
from node.system.clock import now_ms
from node.system.context import NodeContext
from p2p.streams import DirectStream
from protocol.bounded import Bounded
from protocol.errors import CuckooError, Refusal
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import (
    CHUNK_BYTES_MAX,
    Kind,
    ModelOffer,
    Offer,
    ReplyKind,
    ResultCommitment,
    TaskAcceptance,
    TaskAnnouncement,
    TaskInput,
    TaskReply,
    WorkOffer,
    parts_of,
)
from protocol.pay import Price, SignedVoucher, price_of, unit_price_wei
from protocol.rules import offers, results, tasks
from protocol.statement import Statement
from protocol.task import MINER, Life, MinerEvent, MinerState
from protocol.trace import TraceBinding, steps_root
from protocol.work import ImageNumbers

TASKS_WAITING_MAX = 64
"""Tasks that this miner follows at a time, from waiting for its rank to the last chunk."""
FINISHED_MAX = 4_096
TRACE_FOLDER = "traces"
"""In the data directory."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a miner asks for.

    :ivar price_micro_cai: for one image.
    :ivar capacity: tasks at a time.
    :ivar throttle: whether it pauses.
    """

    price_micro_cai: int
    capacity: int
    throttle: Throttle


@dataclass(frozen=True, slots=True)
class MinerStatus:
    """How the role is.

    :ivar paused: why it takes no tasks now; empty when it does.
    :ivar tasks_followed: from waiting for its rank to the last chunk.
    :ivar image_ms: time for an image, by a model's name.
    :ivar temperatures: by sensor, for people.
    """

    paused: str
    tasks_followed: int
    image_ms: Mapping[str, int]
    temperatures: Mapping[str, str]


class Miner:
    """The role's state."""

    def __init__(
        self,
        peer: Peer,
        workers: WorkerPool,
        packages: Sequence[ModelPackage],
        terms: Terms,
        payee: Payee,
    ) -> None:
        self._peer = peer
        self._payee = payee
        self._workers = workers
        self._packages = {item.model_id: item for item in packages}
        self._terms = terms
        self._image_ms: dict[bytes, int] = {}
        self._slots = trio.CapacityLimiter(terms.capacity)
        self._following = 0
        self._finished: Bounded[bytes, None] = Bounded(FINISHED_MAX)
        self._traces = TraceStore(peer.data_dir / TRACE_FOLDER)
        self._models = ModelServer(packages)
        self._calls = Callee()
        self._openings = OpeningServer(self._traces, lambda: peer.view, now_ms)

    async def run(self) -> None:
        """Test the models, then offer them and work until cancelled.

        :raises WorkerError: a model does not run on this machine.
        """
        for package in self._packages.values():
            self._image_ms[package.model_id] = await try_speed(self._workers, package)
            log.info("model tested", model=package.name, image_ms=self._image_ms[package.model_id])
        await self._update_throttle()
        async with trio.open_nursery() as nursery:

            def take(task: Statement[TaskAnnouncement]) -> None:
                if self._wants(task.message):
                    self._following += 1
                    nursery.start_soon(self._follow, task)

            self._peer.host.handle_direct_streams(CALLS_PROTOCOL, self._calls.handle)
            self._peer.host.handle_direct_streams(OPENINGS_PROTOCOL, self._openings.handle)
            self._peer.host.handle_direct_streams(MODELS_PROTOCOL, self._models.handle)
            self._peer.listen(tasks.TOPIC, take)
            self._peer.listen(results.TOPIC, self._note_result)
            nursery.start_soon(self._payee.run, self._peer.network.parameters.chain_poll_ms)
            nursery.start_soon(self._keep_throttling)
            self._peer.context.started()
            log.info("ready", role="miner", models=[item.name for item in self._packages.values()])
            await self._keep_offering()

    def show(self, context: NodeContext) -> None:
        """Register what is to be seen of the role."""
        observable = context.observable
        observable.register("miner", self.status)
        observable.register("inference", self._workers.statistics)
        observable.register("traces", self._traces.status)
        observable.register("openings", lambda: self._openings.counts)
        observable.register("calls", lambda: self._calls.counts)
        observable.register("models_given", lambda: self._models.counts)
        observable.register("pay", self._payee.status)

    def status(self) -> MinerStatus:
        """For people and monitors."""
        names = {self._packages[model_id].name: ms for model_id, ms in self._image_ms.items()}
        throttle = self._terms.throttle
        return MinerStatus(throttle.pause_reason.value, self._following, names, throttle.temperatures)

    def _note_result(self, result: Statement[ResultCommitment]) -> None:
        self._finished[result.message.task_id] = None

    def _wants(self, task: TaskAnnouncement) -> bool:
        package = self._packages.get(task.model_id)
        return (
            self._peer.key.address in task.assigned
            and package is not None
            and runs_work(package, task.work)
            and Price(task.price_micro_cai, task.upfront_micro_cai).covers(self._price(package, task))
            and not self._terms.throttle.pause_reason
            and self._following < TASKS_WAITING_MAX
        )

    def _prices_wei(self, package: ModelPackage) -> tuple[int, ...]:
        """What this miner wants for each kind of unit: pixels times steps alone have a price."""
        return (unit_price_wei(self._terms.price_micro_cai, package.default_work),)

    def _price(self, package: ModelPackage, task: TaskAnnouncement) -> Price:
        """What this miner wants for a task at least."""
        return price_of(task.work, self._prices_wei(package))

    async def _keep_throttling(self) -> None:
        while True:
            await trio.sleep(UPDATE_SECONDS)
            await self._update_throttle()

    async def _update_throttle(self) -> None:
        """See whether to pause, and write the status file."""
        throttle = self._terms.throttle
        await throttle.update(self._workers)
        try:
            write_status(self._peer.data_dir, now_ms(), self._peer.context.observable.document())
        except OSError as error:
            log.warning("status not written", error=str(error))

    async def _keep_offering(self) -> None:
        parameters = self._peer.network.parameters
        while True:
            latest, paused = self._peer.view.latest, self._terms.throttle.pause_reason
            if not paused and latest is not None and latest.miners.weight_of(self._peer.key.address):
                now = now_ms()
                offer = Offer(
                    sequence=self._peer.guard.next_sequence(Kind.OFFER),
                    issued_at_ms=now,
                    valid_until_ms=now + parameters.offer_life_ms,
                    capacity=self._terms.capacity,
                    models=tuple(
                        ModelOffer(
                            model_id,
                            tuple(
                                WorkOffer(int(kind), self._prices_wei(package), self._image_ms[model_id])
                                for kind in package.card.work_kinds
                            ),
                        )
                        for model_id, package in self._packages.items()
                    ),
                )
                await self._peer.publish(offers.TOPIC, self._peer.seal(offer).encoded)
            await trio.sleep(parameters.offer_interval_ms / 1000)

    async def _follow(self, task: Statement[TaskAnnouncement]) -> None:
        """From the announcement to its end, for this miner; a failure ends this task here, nothing else."""
        message, life = task.message, Life(MINER)
        rank = message.assigned.index(self._peer.key.address)
        try:
            with trio.move_on_after((message.deadline_ms - now_ms()) / 1000):
                starts_at_ms = self._peer.view.terms.starts_at_ms(message, rank)
                await self._calls.wait(task, max(0, starts_at_ms - now_ms()) / 1000)
                async with self._slots:
                    # Nothing is promised before the acceptance; what is, is kept, paused or not.
                    if task.digest in self._finished or self._terms.throttle.pause_reason:
                        life.move(MinerEvent.HEAR_NOT_NEEDED)
                    else:
                        await self._serve(task, rank, life)
        except* CuckooError as failures:
            log.warning(
                "task given up", task=task.digest.hex(), errors=[str(error) for error in failures.exceptions]
            )
        finally:
            if not life.over:
                life.move(MinerEvent.GIVE_UP)
            self._traces.discard(task.digest)
            log.info("task over", task=task.digest.hex(), rank=rank, state=life.state.value)
            self._following -= 1

    async def _serve(
        self, task: Statement[TaskAnnouncement], rank: int, life: Life[MinerState, MinerEvent]
    ) -> None:
        with self._payee.task(task, self._peer.network.parameters.progress_timeout_ms) as meter:
            await self._payee.require_credit(task.message)
            life.move(MinerEvent.TRUST)
            coordinator = await reach_coordinator(self._peer.host, self._peer.lookup, task)
            async with self._peer.host.open_direct_stream(coordinator, TASK_PROTOCOL) as stream:
                await self._converse(task, rank, life, stream, meter)

    async def _converse(
        self,
        task: Statement[TaskAnnouncement],
        rank: int,
        life: Life[MinerState, MinerEvent],
        stream: DirectStream,
        meter: TaskMeter,
    ) -> None:
        """Accept, work and hear, on an open stream."""
        await stream.send(self._peer.seal(TaskAcceptance(task.digest, rank)).encoded)
        life.move(MinerEvent.ACCEPT)
        reply = await self._hear(stream, task, meter)
        if reply.reply_kind != ReplyKind.INPUT:
            life.move(MinerEvent.HEAR_NOT_NEEDED)
            log.info("not needed", task=task.digest.hex(), rank=rank, reason=reply.reason)
            return
        task_input, sources = await take_input(task.message, reply, partial(self._hear, stream, task, meter))
        life.move(MinerEvent.GET_INPUT)
        log.info("working", task=task.digest.hex(), rank=rank)
        async with trio.open_nursery() as nursery:
            sender = ResultSender(self._peer, stream, task, meter)
            nursery.start_soon(self._work, task, task_input, sources, sender, life)
            # Whatever else the coordinator says ends the work: received, or not needed any more.
            reply = await self._hear(stream, task, meter)
            nursery.cancel_scope.cancel()
        received = reply.reply_kind == ReplyKind.RECEIVED and life.state is MinerState.COMMITTED
        life.move(MinerEvent.HEAR_RECEIVED if received else MinerEvent.HEAR_NOT_NEEDED)
        log.info("done", task=task.digest.hex(), reply=ReplyKind(reply.reply_kind).name.lower())

    async def _hear(
        self, stream: DirectStream, task: Statement[TaskAnnouncement], meter: TaskMeter
    ) -> TaskReply:
        """The next thing that the coordinator says besides vouchers, which go to the meter."""
        while True:
            payload = await stream.receive(timeout_ms=max(1, task.message.deadline_ms - now_ms()))
            if payload is None:
                raise Refusal("the coordinator ended the stream")
            reply = TaskReply.decode(payload)
            if reply.reply_kind != ReplyKind.VOUCHER:
                return reply
            meter.take(SignedVoucher.decode(reply.payload))

    async def _work(
        self,
        task: Statement[TaskAnnouncement],
        task_input: TaskInput,
        sources: tuple[bytes, ...],
        sender: ResultSender,
        life: Life[MinerState, MinerEvent],
    ) -> None:
        """Run the job and stream what comes of it, the commitment last."""
        job = _job(task, task_input, sources, self._traces.path_of(task.digest))
        async with self._workers.run(job) as events:
            async for event in events:
                match event:
                    case Progress(step=step):
                        await sender.progress(step)
                    case Preview(step=step, png=png) if len(png) <= CHUNK_BYTES_MAX:
                        await sender.preview(step, png)
                    case Finished():
                        await self._deliver(task, event, sender, life)
                    case Failed(reason=reason):
                        raise Refusal(reason)

    async def _deliver(
        self,
        task: Statement[TaskAnnouncement],
        finished: Finished,
        sender: ResultSender,
        life: Life[MinerState, MinerEvent],
    ) -> None:
        """Keep the trace, sign the commitment, then send the parts.

        After a crash, no other parts can be sent for the commitment, and what was committed to can be opened.
        """
        self._traces.keep(task.digest, task.encoded, now_ms())
        parts, image_hash = parts_of(finished.png), sha256(finished.png)
        message = task.message
        binding = TraceBinding(
            task.digest, self._peer.key.address, message.model_id, message.work.units, image_hash
        )
        commitment = ResultCommitment(
            task_id=task.digest,
            output_root=merkle_root(parts),
            output_bytes=len(finished.png),
            output_hash=image_hash,
            trace_root=binding.root(
                steps_root(finished.leaves), finished.final_latent, finished.source_latent
            ),
            units_done=message.work.units,
        )
        statement = self._peer.seal(commitment)
        life.move(MinerEvent.COMMIT)
        await sender.image(parts)
        await self.publish_commitment(statement)
        await sender.commitment(statement)

    async def publish_commitment(self, statement: Statement[ResultCommitment]) -> None:
        """Tell everybody, before the coordinator can answer and so end this task."""
        await self._peer.publish(results.TOPIC, statement.encoded)


def _job(
    task: Statement[TaskAnnouncement], task_input: TaskInput, sources: tuple[bytes, ...], trace_path: Path
) -> ImageJob:
    numbers = ImageNumbers.decode(task_input.public.numbers)
    prompt, negative_prompt = (*task_input.sealed.prompts, "", "")[:2]
    width, height = task.message.work.image_size()
    return ImageJob(
        job_id=task.digest.hex(),
        model_id=task.message.model_id,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=numbers.seed,
        steps=task.message.work.units,
        guidance_milli=numbers.guidance_milli,
        width=width,
        height=height,
        preview_every_steps=task_input.sealed.preview_every_units,
        schedule_steps=numbers.schedule_steps,
        source_png=b"".join(sources),
        trace_path=str(trace_path),
    )
