"""Tasks with whole traces, computed by numpy as miners compute them, and all that an auditor holds of them.

Is: honest unless a `Deed` says otherwise. The networks' outputs are random numbers, as no rule here depends
on them. Is not: the same work computed by the protocol's own arithmetic (`tests/protocol/traces.py`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from contracts.account import Account
from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import Step, advance, guide, noised
from protocol.audit import TraceTensor
from protocol.evidence.makers import HeldModel, HeldTrace
from protocol.hashing import sha256
from protocol.messages import ResultCommitment
from protocol.model_table import GUIDANCE_MILLI_NONE, ModelHead, SchedulerRule, model_id_of, rows_root
from protocol.signature import sign_digest
from protocol.statement import Domain, seal, unsigned
from protocol.task_input import image_input
from protocol.tensor import tensor_hash
from protocol.trace import TraceBinding, TraceLeaf, open_leaves, steps_root
from protocol.work import ImageNumbers, Work, WorkKind
from tests.protocol.builders import announcement

FILES_ROOT = sha256(b"the files of a package")
TENSORS_OF_A_STEP = (TraceTensor.LATENT, TraceTensor.UNCONDITIONAL, TraceTensor.CONDITIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a task asks for."""

    kind: WorkKind = WorkKind.TEXT_TO_IMAGE
    scheduler: SchedulerRule = SchedulerRule.ONE_STEP
    units: int = 6
    schedule: int = 6
    steps_max: int = 8
    side: int = 32
    guidance_milli: int = 4_000
    seed: int = 7
    random: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a miner does otherwise."""

    guidance_milli: int | None = None
    seed: int | None = None
    units_done: int | None = None
    infinite: bool = False
    shift: float = 0.0
    """Added to a coefficient of every step."""


HONEST = Deed()


def table(terms: Terms) -> np.ndarray:
    """Rows of numbers as large as schedulers have them."""
    random = np.random.default_rng([terms.random, 1])
    rows = terms.steps_max * (terms.steps_max + 1) // 2
    numbers = random.normal(0, 0.8, (rows, 10)).astype(np.float32)
    numbers[:, 0] = np.arange(rows)
    numbers[:, 9] = 1e-3
    if terms.scheduler is SchedulerRule.ONE_STEP:
        numbers[:, 3:5] = 0
    else:
        # A scheduler that looks back does not do so in its last step, nor in every other way.
        numbers[::3, 3:5] = 0
        numbers[1::3, 3] = 0
    return numbers


class MadeTask:
    """A task, its trace, and the statements about them.

    :ivar numbers: of each tensor.
    :ivar held: what evidence is made of.
    """

    def __init__(self, domain: Domain, secret: bytes, terms: Terms, deed: Deed = HONEST) -> None:
        self.terms = terms
        self.head = ModelHead(scheduler_rule=terms.scheduler, channels=4, factor=4, steps_max=terms.steps_max)
        self.numbers = self.head.tensor_numbers(terms.side, terms.side)
        self.table = table(terms)
        rows = self.table.astype(">f4").tobytes()
        numbers = ImageNumbers(terms.seed, terms.guidance_milli, terms.schedule)
        source = b"a picture" if terms.kind is WorkKind.IMAGE_TO_IMAGE else b""
        task_input = image_input(numbers, ("a prompt", ""), bytes(32), 0, source)
        task = announcement(
            model_id=model_id_of(FILES_ROOT, self.head.encode(), rows_root(rows)),
            work=Work.image(terms.kind, terms.side, terms.side, terms.units),
            input_commitment=task_input.commitment(),
        )
        self.task_id = unsigned(domain, task).digest
        self._compute(deed)
        binding = TraceBinding(
            self.task_id, Account(secret).address, task.model_id, terms.units, sha256(b"output")
        )
        final = tensor_hash(self.tensors[terms.units, TraceTensor.LATENT])
        source_latent = tensor_hash(self.tensors.get((0, TraceTensor.SOURCE), b""))
        root = binding.root(steps_root(self.leaves), final, source_latent)
        done = terms.units if deed.units_done is None else deed.units_done
        commitment = ResultCommitment(self.task_id, bytes(32), 1000, sha256(b"output"), root, done)
        envelope = seal(domain, commitment, lambda statement: sign_digest(secret, statement.digest))
        opening = open_leaves(self.task_id, self.leaves, final, range(terms.units), source_latent)
        model = HeldModel(FILES_ROOT, self.head, rows)
        self.held = HeldTrace(
            announcement=task.encode(),
            commitment=envelope,
            model=model,
            task_input=task_input,
            opening=opening,
            tensors=self.tensors,
        )

    def _compute(self, deed: Deed) -> None:
        terms, random = self.terms, np.random.default_rng([self.terms.random, 2])
        shape = (4, terms.side // 4, terms.side // 4)
        guidance = terms.guidance_milli if deed.guidance_milli is None else deed.guidance_milli
        places = [self.head.row_of(terms.schedule, terms.units, step) for step in range(terms.units)]
        steps = [Step(*self.table[place]) for place in places]
        steps = [dataclasses.replace(step, latent=step.latent + np.float32(deed.shift)) for step in steps]
        noise = initial_latent(terms.seed if deed.seed is None else deed.seed, shape)
        self.tensors: dict[tuple[int, TraceTensor], bytes] = {}
        latent = noise.astype(np.float16)
        if terms.kind is WorkKind.IMAGE_TO_IMAGE:
            source = random.normal(0, 1, shape).astype(np.float16)
            self.tensors[0, TraceTensor.SOURCE] = source.tobytes()
            latent = noised(steps[0], source, noise)
        before = None
        for number, step in enumerate(steps):
            first = second = random.normal(0, 1, shape).astype(np.float16)
            if guidance > GUIDANCE_MILLI_NONE:
                second = random.normal(0, 1, shape).astype(np.float16)
                self.tensors[number, TraceTensor.UNCONDITIONAL] = first.tobytes()
            self.tensors[number, TraceTensor.LATENT] = latent.tobytes()
            self.tensors[number, TraceTensor.CONDITIONAL] = second.tobytes()
            output = guide(first if guidance > GUIDANCE_MILLI_NONE else None, second, guidance)
            # What is infinite once makes numbers that are none.
            with np.errstate(invalid="ignore"):
                following = advance(step, latent, output, before)
            if deed.infinite:
                following[0, 0, 3] = np.inf
            before, latent = (latent, output), following
        self.tensors[terms.units, TraceTensor.LATENT] = latent.tobytes()
        self.leaves = [
            TraceLeaf.of(*(self.tensors.get((number, tensor), b"") for tensor in TENSORS_OF_A_STEP))
            for number in range(terms.units)
        ]
