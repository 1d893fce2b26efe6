"""Small tasks with whole traces, computed by the rules alone, and what an auditor would hold of them.

Is: honest unless a `Lie` says otherwise. The outputs of the networks are random numbers: no rule here
depends on them. Is not: torch or numpy, but for the table of quantiles.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import struct
from dataclasses import dataclass
from typing import Any

from node.inference.diffusion.prng import table_leaves
from protocol.audit import AuditReason, AuditVerdict, FaultPlace, TraceTensor, Verdict
from protocol.evidence import FalseVerdict, TraceEvidence, makers
from protocol.evidence.makers import HeldModel, HeldTrace
from protocol.half import half_bits, half_of
from protocol.hashing import sha256
from protocol.latent_rules import (
    QUANTILES_PER_LEAF,
    Row,
    StepNumbers,
    first_number,
    next_number,
    quantile_drawn,
    quantile_of,
    read_row,
)
from protocol.merkle import merkle_proof
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.model_table import GUIDANCE_MILLI_NONE, ModelHead, SchedulerRule, model_id_of, rows_root
from protocol.statement import Domain, open_statement, unsigned
from protocol.task_input import image_input
from protocol.tensor import tensor_hash
from protocol.trace import Opening, ProvedLeaf, TraceBinding, TraceLeaf, steps_root
from protocol.work import ImageNumbers, Work, WorkKind
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, FIRST_RANKED, Key, changed, sealed

LATENT, CONDITIONAL = TraceTensor.LATENT, TraceTensor.CONDITIONAL
FILES_ROOT = sha256(b"the files of a package")
quantile_leaves = functools.cache(table_leaves)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a task asks for. :ivar random: which rows, outputs and source it has."""

    kind: WorkKind = WorkKind.TEXT_TO_IMAGE
    scheduler: SchedulerRule = SchedulerRule.ONE_STEP
    units: int = 4
    schedule: int = 4
    steps_max: int = 5
    side: int = 24
    guidance_milli: int = 4_000
    seed: int = 7
    random: int = 0

    @property
    def guided(self) -> bool:
        return self.guidance_milli > GUIDANCE_MILLI_NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """What a miner does otherwise.

    :ivar bits: put in the place of a number, by (step, tensor, number); what follows is computed from them.
    :ivar swapped: bytes of a tensor that are committed to in the place of the real ones.
    """

    guidance_milli: int | None = None
    seed: int | None = None
    units_done: int | None = None
    bits: dict[tuple[int, TraceTensor, int], int] = dataclasses.field(default_factory=dict)
    swapped: dict[tuple[int, TraceTensor], bytes] = dataclasses.field(default_factory=dict)


def table_of(terms: Terms) -> bytes:
    """Rows with numbers of the size that schedulers have them; some of a two-step scheduler look back."""
    dice, rows = random.Random(terms.random), []
    for number in range(terms.steps_max * (terms.steps_max + 1) // 2):
        row = [float(number), *(dice.choice((-1, 1)) * dice.uniform(0.05, 1.2) for _ in range(8)), 1e-3]
        if terms.scheduler is SchedulerRule.ONE_STEP or number % 3 == 0:
            row[3] = row[4] = 0.0
        rows.append(struct.pack(">10f", *row))
    return b"".join(rows)


class MadeTrace:
    """A task, its trace, and what is held of it when everything was opened."""

    def __init__(
        self, terms: Terms, lie: Lie | None = None, domain: Domain = DOMAIN, miner: Key = FIRST_RANKED
    ) -> None:
        self.terms, self.lie = terms, lie or Lie()
        self.head = ModelHead(scheduler_rule=terms.scheduler, channels=2, factor=4, steps_max=terms.steps_max)
        self.size = self.head.tensor_numbers(terms.side, terms.side)
        table = table_of(terms)
        model = HeldModel(FILES_ROOT, self.head, table)
        source = b"a picture" if terms.kind is WorkKind.IMAGE_TO_IMAGE else b""
        task_input = image_input(
            ImageNumbers(terms.seed, terms.guidance_milli, terms.schedule),
            ("a prompt that nobody may see", ""),
            sha256(b"salt"),
            0,
            source,
        )
        self.task = builders.announcement(
            model_id=model_id_of(FILES_ROOT, self.head.encode(), rows_root(table)),
            work=Work.image(terms.kind, terms.side, terms.side, terms.units),
            input_commitment=task_input.commitment(),
        )
        self.rows = [read_row(table[40 * at : 40 * at + 40]) for at in map(self._place, range(terms.units))]
        self.tensors = self._compute() | self.lie.swapped
        task_id = unsigned(domain, self.task).digest
        opening = self._open(task_id)
        binding = TraceBinding(
            task_id, miner.address, self.task.model_id, terms.units, sha256(builders.IMAGE)
        )
        root = binding.root(opening.steps_root, opening.final_latent, opening.source_latent)
        done = terms.units if self.lie.units_done is None else self.lie.units_done
        self.committed = builders.commitment(task_id=task_id, trace_root=root, units_done=done)
        self.held = HeldTrace(
            announcement=self.task.encode(),
            commitment=sealed(miner, self.committed, domain),
            model=model,
            task_input=task_input,
            opening=opening,
            tensors=self.tensors,
        )

    def _place(self, step: int) -> int:
        return self.head.row_of(self.terms.schedule, self.terms.units, step)

    def _compute(self) -> dict[tuple[int, TraceTensor], bytes]:
        terms, dice = self.terms, random.Random(self.terms.random + 1)
        halves: dict[tuple[int, TraceTensor], list[int]] = {}

        def put(step: int, tensor: TraceTensor, numbers: list[int]) -> list[float]:
            halves[step, tensor] = [
                self.lie.bits.get((step, tensor, at), number) for at, number in enumerate(numbers)
            ]
            return list(map(half_of, halves[step, tensor]))

        def drawn() -> list[int]:
            return [half_bits(dice.gauss(0, 1)) for _ in range(self.size)]

        source = put(0, TraceTensor.SOURCE, drawn()) if terms.kind is WorkKind.IMAGE_TO_IMAGE else None
        latent = put(0, TraceTensor.LATENT, self._first(self.rows[0], source))
        guidance = terms.guidance_milli if self.lie.guidance_milli is None else self.lie.guidance_milli
        before: list[StepNumbers] | None = None
        for step, row in enumerate(self.rows):
            outputs = put(step, TraceTensor.UNCONDITIONAL, drawn()) if terms.guided else [None] * self.size
            wanted = put(step, TraceTensor.CONDITIONAL, drawn())
            here = [StepNumbers(*numbers) for numbers in zip(latent, outputs, wanted, strict=True)]
            known = before if before is not None and row.needs_before(step) else [None] * self.size
            moved = [
                next_number(row, numbers, past, guidance, step)
                for numbers, past in zip(here, known, strict=True)
            ]
            latent, before = put(step + 1, TraceTensor.LATENT, moved), here
        return {key: struct.pack(f"<{len(bits)}H", *bits) for key, bits in halves.items()}

    def _first(self, row: Row, source: list[float] | None) -> list[int]:
        seed = self.terms.seed if self.lie.seed is None else self.lie.seed
        numbers = []
        for at in range(self.size):
            entry = quantile_drawn(seed, at)
            quantile = quantile_of(quantile_leaves()[entry // QUANTILES_PER_LEAF], entry)
            numbers.append(first_number(row, quantile, None if source is None else source[at]))
        return numbers

    def _open(self, task_id: bytes) -> Opening:
        """The opening of every step."""

        def of(step: int, tensor: TraceTensor) -> bytes:
            return self.tensors.get((step, tensor), b"")

        parts = (TraceTensor.LATENT, TraceTensor.UNCONDITIONAL, TraceTensor.CONDITIONAL)
        leaves = [TraceLeaf.of(*(of(step, part) for part in parts)) for step in range(self.terms.units)]
        joined = [leaf.joined for leaf in leaves]
        proved = tuple(ProvedLeaf(step, leaf, merkle_proof(joined, step)) for step, leaf in enumerate(leaves))
        final, source = of(self.terms.units, TraceTensor.LATENT), of(0, TraceTensor.SOURCE)
        return Opening(task_id, steps_root(leaves), tensor_hash(final), tensor_hash(source), proved)

    def without(self, *keys: tuple[int, TraceTensor]) -> HeldTrace:
        """What is held when some tensors were not opened."""
        kept = {key: data for key, data in self.tensors.items() if key not in keys}
        return changed(self.held, tensors=kept)


@functools.cache
def _refuted() -> tuple[AuditVerdict, bytes]:
    """A verdict that finds a number of an honest trace false, and the evidence that it would need."""
    held = MadeTrace(Terms()).held
    made = builders.verdict(
        task_id=unsigned(DOMAIN, TaskAnnouncement.decode(held.announcement)).digest,
        commitment=open_statement(DOMAIN, held.commitment, ResultCommitment).digest,
        verdict=Verdict.FAULT,
        reason=AuditReason.SCHEDULER_STEP,
        place=(FaultPlace(1, LATENT, 70),),
    )
    return made, makers.false_step(held, 1, 70).encode()


def false_verdict(signer: Key = builders.AUDITOR, **changes: Any) -> FalseVerdict:
    """A verdict that finds a number of an honest trace false. :param changes: of the verdict."""
    made, refuted = _refuted()
    return FalseVerdict(sealed(signer, changed(made, **changes)), refuted)


@functools.cache
def trace_evidence(domain: Domain = DOMAIN, miner: Key = FIRST_RANKED) -> tuple[TraceEvidence, ...]:
    """One piece of each fault of a trace."""
    cheap, infinite, counted, short = (
        MadeTrace(Terms(), lie, domain, miner)
        for lie in (
            Lie(guidance_milli=3_990, seed=8),
            Lie(bits={(4, LATENT, 70): 0x7C00}),
            Lie(units_done=3),
            Lie(swapped={(1, CONDITIONAL): bytes(142)}),
        )
    )
    return (
        makers.false_step(cheap.held, 1, 70),
        makers.false_start(cheap.held, 3, quantile_leaves()),
        makers.not_finite(infinite.held, 4, LATENT, 70),
        makers.step_count(counted.held.announcement, counted.held.commitment),
        makers.malformed_trace(short.held, 1, CONDITIONAL),
    )
