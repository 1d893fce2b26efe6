"""A miner's answer to an auditor, honest or not, made without networks: see `tests/node/inference/honest`."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from node.exchange.audit_asking import OpenedAnswer
from node.exchange.kept_work import KeptWork
from node.exchange.openings import OpenedTrace
from node.inference.jobs.announced import announced_job
from node.inference.traces.trace_file import TraceFile
from node.signing.keys import Key
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import RankedMiner, ResultCommitment, parts_of
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from protocol.task_input import image_input
from protocol.tensor import tensor_hash
from protocol.trace import (
    OpeningRequest,
    TraceBinding,
    TraceLeaf,
    open_leaves,
    steps_root,
    tensors_of,
    verify_opening,
)
from protocol.work import ImageNumbers, Work, WorkKind
from tests.node.builders import COORDINATOR, DOMAIN, announcement
from tests.node.inference.builders import a_source, embedded
from tests.node.inference.honest import honest_work

MINER = Key.of(b"\x03" * 32)
AUDITOR, DICE = b"\x0a" * 20, b"\x0d" * 32
STEPS = 4


@dataclass
class Lie:
    """What a miner does otherwise than it was asked. :ivar tensors: changes the rows of tensors as bytes."""

    job: object = lambda job: job
    tensors: object = lambda rows: rows
    units_done: int = STEPS


def signed(key, message):
    sealed = seal(DOMAIN, message, lambda statement: sign_digest(key.secret, statement.digest))
    return open_statement(DOMAIN, sealed, type(message))


def task_of(task_input, *, source=False, package=None):
    kind = WorkKind.IMAGE_TO_IMAGE if source else WorkKind.TEXT_TO_IMAGE
    message = replace(
        announcement(RankedMiner(MINER.address, 0)),
        model_id=(package or embedded()).model_id,
        work=Work.image(kind, 32, 32, STEPS),
        input_commitment=task_input.commitment(),
    )
    return signed(COORDINATOR, message)


def input_of(*, source=False, guidance_milli=4_000):
    numbers = ImageNumbers(seed=7, guidance_milli=guidance_milli, schedule_steps=6 if source else STEPS)
    return image_input(numbers, ("a red apple", ""), bytes(32), 0, a_source() if source else b"")


def answer(*asked, lie=None, source=False, guidance_milli=4_000, make=honest_work):
    """The answer to who asks for these steps.

    :param make: does the job: from a package and a job to its last event.
    """
    lie, package = lie or Lie(), embedded()
    task_input = input_of(source=source, guidance_milli=guidance_milli)
    sources = (a_source(),) if source else ()
    task = task_of(task_input, source=source)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        made = make(package, replace(lie.job(announced_job(task, task_input, sources)), trace_path=str(path)))
        with TraceFile(path) as trace:
            rows = [trace.tensors(step) for step in range(STEPS)]
            rows = lie.tensors([*rows, (trace.final(),), (trace.source(),)])
    *rows, (final,), (encoded,) = rows
    leaves = [TraceLeaf.of(*row) for row in rows]
    ends = tensor_hash(final), tensor_hash(encoded)
    binding = TraceBinding(task.digest, MINER.address, package.model_id, STEPS, sha256(made.png))
    root = binding.root(steps_root(leaves), *ends)
    parts = merkle_root(parts_of(made.png))
    committed = ResultCommitment(task.digest, parts, len(made.png), sha256(made.png), root, lie.units_done)
    opening = open_leaves(task.digest, leaves, ends[0], asked, ends[1])
    found = verify_opening(binding, root, OpeningRequest(task.digest, asked, 1, 1, 1), opening)
    tensors = {step: rows[step] for step in asked}
    assert all(len(tensors_of(found[step])) == sum(map(bool, tensors[step])) for step in asked)
    return OpenedAnswer(
        task,
        signed(MINER, committed),
        KeptWork(task_input, sources, made.png),
        OpenedTrace(found, tensors, ends[0], final, encoded, opening),
    )
