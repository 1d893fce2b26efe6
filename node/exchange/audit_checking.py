"""An opened answer on its way through the check, in the pool and below paid work.

Is: what auditors and buyers share, from the answer to its outcome; `audit_once`, which does
all of an audit by hand.
Is not: the check itself (`node/inference/audit`), or what is said about its outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.exchange.audit_asking import OpenedAnswer, ask_miner
from node.inference.jobs.announced import announced_job
from node.inference.jobs.audit_job import Audited, AuditJob, OpenedLeaf, OpenedStep
from node.inference.jobs.job import Failed, JobRefused, WorkerError
from protocol.audit import CHECKED_STEPS_MAX, PLACED_REASONS, AuditReason
from protocol.errors import LocalError, ProtocolError
from protocol.model_table import SchedulerRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.inference.packages.package import ModelPackage
    from node.inference.pool.pool import WorkerPool
    from p2p.host import Host
    from p2p.lookup import Lookup
    from protocol.messages import ResultCommitment, TaskAnnouncement
    from protocol.statement import Statement

ROUNDS_MAX: Final = 2
"""Questions of `audit_once`: the second is for latents that are known by their hashes alone."""


class Unchecked(LocalError):
    """The work could not be checked here. That says nothing of its miner."""


def steps_to_ask(package: ModelPackage, steps: Iterable[int]) -> tuple[int, ...]:
    """Steps to ask for so that some can be checked: where the scheduler looks back, those before them too."""
    wanted = set(steps)
    if package.table.head.scheduler_rule == SchedulerRule.TWO_STEPS:
        wanted |= {step - 1 for step in wanted if step}
    return tuple(sorted(wanted))


def audit_job(answer: OpenedAnswer, auditor: bytes, dice: bytes) -> AuditJob:
    """The pool's job that checks an answer.

    :param auditor: whose sketches they will be; 20 bytes.
    :param dice: that draw their places; 32 bytes.
    :raises JobRefused: no job can be made of the task's input.
    :raises InvalidMessage: input or source is not the announced one.
    """
    trace = answer.trace
    return AuditJob(
        image=announced_job(answer.task, answer.work.task_input, answer.work.sources),
        auditor=auditor,
        dice=dice,
        leaves=tuple(OpenedLeaf(step, trace.leaves[step]) for step in sorted(trace.leaves)),
        steps=tuple(OpenedStep(step, *trace.tensors[step]) for step in sorted(trace.tensors)),
        final_hash=trace.final_latent,
        source_hash=trace.opening.source_latent,
        final_latent=trace.final,
        source_latent=trace.source,
        picture=answer.work.picture,
    )


async def check_answer(pool: WorkerPool, answer: OpenedAnswer, auditor: bytes, dice: bytes) -> Audited:
    """Check an answer; a fault that no contract can judge has to come out twice, and the same.

    :raises Unchecked: this machine cannot, or does not agree with itself.
    """
    try:
        job = audit_job(answer, auditor, dice)
        found = await _run(pool, job)
        reason = AuditReason(found.reason)
        if reason is AuditReason.NONE or reason in PLACED_REASONS:
            return found
        # A bit that flips here must not accuse anybody.
        again = await _run(pool, job)
    except (JobRefused, ProtocolError, WorkerError) as error:
        raise Unchecked(str(error)) from error
    if again.reason != found.reason:
        raise Unchecked("two checks of the same work do not agree")
    return again


async def audit_once(
    host: Host,
    lookup: Lookup,
    pool: WorkerPool,
    task: Statement[TaskAnnouncement],
    commitment: Statement[ResultCommitment],
    steps: Iterable[int],
    auditor: bytes,
    dice: bytes,
) -> tuple[OpenedAnswer, Audited]:
    """Ask a miner for its work, check it, and ask for more where that is needed.

    :param steps: to be checked, from 0.
    :param auditor, dice: as of `audit_job`; of an audit that nobody else has to believe, any.
    :raises Refusal: the miner is not reached, says no, or is too slow.
    :raises ProtocolError: what came is not what was announced and committed to.
    :raises Unchecked: this machine cannot check it.
    """
    package = pool.packages.get(task.message.model_id)
    if package is None:
        raise Unchecked("the model is not here")
    wanted = steps_to_ask(package, steps)
    for _ in range(ROUNDS_MAX):
        # Another auditor's verdict may name so many that with those before them they are too many.
        if len(wanted) > CHECKED_STEPS_MAX:
            break
        answer = await ask_miner(host, lookup, task, commitment, wanted)
        found = await check_answer(pool, answer, auditor, dice)
        if not found.to_open:
            return answer, found
        wanted = steps_to_ask(package, {*wanted, *found.to_open})
    raise Unchecked("the check wants what it has, or what there is not")


async def _run(pool: WorkerPool, job: AuditJob) -> Audited:
    """:raises JobRefused, WorkerError: it comes to nothing."""
    async with pool.run(job) as events:
        async for event in events:
            if isinstance(event, Audited):
                return event
            if isinstance(event, Failed):
                raise WorkerError(event.reason)
    raise WorkerError("the inference process ended without a word")
