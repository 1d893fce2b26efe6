"""Evidence about a trace, made of what somebody holds of it: an auditor, or the buyer of the task.

Is: pure functions, one for each form, that pick and prove what the form shows. Is not: the search for the
place that is wrong (`node/inference/audit`), or a check: whoever makes evidence verifies it before using it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.audit import TraceTensor
from protocol.errors import LocalError
from protocol.evidence.trace_forms import (
    FalseStart,
    FalseStep,
    MalformedTrace,
    NotFinite,
    StepCount,
)
from protocol.latent_rules import QUANTILES_PER_LEAF, quantile_drawn, read_row
from protocol.merkle import merkle_proof, merkle_root
from protocol.messages import TaskAnnouncement, TaskInput
from protocol.model_table import GUIDANCE_MILLI_NONE, ModelHead, rows_of, rows_root
from protocol.task_input import prove_public
from protocol.tensor import NUMBER_BYTES, PIECE_BYTES, piece_proof
from protocol.trace import Opening
from protocol.work import ImageNumbers


class NotHeld(LocalError):
    """A leaf or a tensor that the evidence has to show was not opened yet."""


@dataclass(frozen=True, slots=True)
class HeldModel:
    """The part of a package that may be shown.

    :ivar files_root: 32 bytes.
    :ivar head: of the package.
    :ivar table: all its rows, joined.
    """

    files_root: bytes
    head: ModelHead
    table: bytes

    @property
    def joined(self) -> bytes:
        """Files root, head and rows root: what the `model_id` is over."""
        return self.files_root + self.head.encode() + rows_root(self.table)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTrace:
    """One task, as far as it was opened.

    :ivar announcement: body of the announcement.
    :ivar commitment: envelope of the commitment.
    :ivar task_input: of the task; its sealed half stays where it is.
    :ivar opening: that holds (`trace.verify_opening`).
    :ivar tensors: bytes of opened tensors, by step and tensor as evidence counts them: the final latent is
        the one that would go into a step after the last.
    """

    announcement: bytes
    commitment: bytes
    model: HeldModel
    task_input: TaskInput
    opening: Opening
    tensors: Mapping[tuple[int, TraceTensor], bytes]

    @property
    def hashes(self) -> bytes:
        """The three hashes under the trace root."""
        opening = self.opening
        return opening.source_latent + opening.steps_root + opening.final_latent

    @property
    def public(self) -> bytes:
        """The public half of the input, proved."""
        return proved(self.task_input.public.encode(), prove_public(self.task_input))

    @property
    def numbers(self) -> ImageNumbers:
        """The public numbers. :raises DecodeError: the input is of no image kind."""
        return ImageNumbers.decode(self.task_input.public.numbers)

    @property
    def units(self) -> int:
        """Steps that were announced."""
        return TaskAnnouncement.decode(self.announcement).work.units

    def row(self, step: int) -> tuple[bytes, tuple[bytes, ...]]:
        """The row of a step, and its proof. :raises InvalidMessage: the table has no such step."""
        rows = rows_of(self.model.table)
        place = self.model.head.row_of(self.numbers.schedule_steps, self.units, step)
        return rows[place], merkle_proof(rows, place)

    def leaf(self, step: int) -> bytes:
        """The leaf of a step, proved. :raises NotHeld: it was not opened."""
        for place in self.opening.leaves:
            if place.index == step:
                return proved(place.leaf.joined, place.proof)
        message = f"the leaf of step {step} was not opened"
        raise NotHeld(message)

    def leaves(self, step: int, tensor: TraceTensor) -> tuple[bytes, ...]:
        """The leaf that a tensor's hash stands in, proved; none with the final and the source latent."""
        in_leaf = step < self.units and tensor is not TraceTensor.SOURCE
        return (self.leaf(step),) if in_leaf else ()

    def tensor(self, step: int, tensor: TraceTensor) -> bytes:
        """The bytes of a tensor. :raises NotHeld: it was not opened."""
        found = self.tensors.get((step, tensor))
        if found is None:
            message = f"{tensor.name.lower()} of step {step} was not opened"
            raise NotHeld(message)
        return found

    def piece(self, step: int, tensor: TraceTensor, number: int) -> bytes:
        """The piece of a tensor that holds a number, proved.

        :raises NotHeld: it was not opened.
        :raises ValueError: there is no such number.
        """
        return proved(*piece_proof(self.tensor(step, tensor), number))

    def step_pieces(self, step: int, number: int) -> tuple[bytes, ...]:
        """The pieces of latent and outputs of a step that hold a number."""
        guided = self.numbers.guidance_milli > GUIDANCE_MILLI_NONE
        outputs = [TraceTensor.UNCONDITIONAL] if guided else []
        wanted = (TraceTensor.LATENT, *outputs, TraceTensor.CONDITIONAL)
        return tuple(self.piece(step, tensor, number) for tensor in wanted)


def proved(leaf: bytes, siblings: Sequence[bytes]) -> bytes:
    """A leaf with its siblings behind it."""
    return leaf + b"".join(siblings)


def false_step(held: HeldTrace, step: int, number: int) -> FalseStep:
    """Evidence that a number of the latent after a step is not the scheduler's.

    Needs the latent after the step, opened too, and the step before where the row looks back to it.

    :raises NotHeld: something of it was not opened.
    """
    row, siblings = held.row(step)
    steps, pieces = [step], [held.piece(step + 1, TraceTensor.LATENT, number)]
    pieces += held.step_pieces(step, number)
    if step + 1 < held.units:
        steps.append(step + 1)
    if read_row(row).needs_before(step):
        steps.append(step - 1)
        pieces += held.step_pieces(step - 1, number)
    return FalseStep(
        held.announcement,
        held.commitment,
        held.hashes,
        held.model.joined,
        held.public,
        step,
        number,
        proved(row, siblings),
        tuple(map(held.leaf, steps)),
        tuple(pieces),
    )


def false_start(held: HeldTrace, number: int, quantile_leaves: Sequence[bytes]) -> FalseStart:
    """Evidence that a number of the first latent is not the seed's.

    :param quantile_leaves: the whole table of quantiles, sixteen entries to a leaf.
    :raises NotHeld: something of it was not opened.
    """
    at = quantile_drawn(held.numbers.seed, number) // QUANTILES_PER_LEAF
    pieces = [held.piece(0, TraceTensor.LATENT, number)]
    if held.task_input.public.sources:
        pieces.append(held.piece(0, TraceTensor.SOURCE, number))
    return FalseStart(
        held.announcement,
        held.commitment,
        held.hashes,
        held.model.joined,
        held.public,
        number,
        proved(*held.row(0)),
        held.leaf(0),
        proved(quantile_leaves[at], merkle_proof(quantile_leaves, at)),
        tuple(pieces),
    )


def not_finite(held: HeldTrace, step: int, tensor: TraceTensor, number: int) -> NotFinite:
    """Evidence that a number of a tensor is infinite or none. :raises NotHeld: it was not opened."""
    return NotFinite(
        held.announcement,
        held.commitment,
        held.hashes,
        step,
        int(tensor),
        len(held.tensor(step, tensor)) // NUMBER_BYTES,
        number,
        held.leaves(step, tensor),
        held.piece(step, tensor, number),
    )


def step_count(announcement: bytes, commitment: bytes) -> StepCount:
    """Evidence that not as many steps were committed to as were announced."""
    return StepCount(announcement, commitment)


def malformed_trace(held: HeldTrace, step: int, tensor: TraceTensor) -> MalformedTrace:
    """Evidence that a tensor has another size, is absent, or must not be there.

    :raises NotHeld: its leaf was not opened.
    """
    data = held.tensors.get((step, tensor), b"")
    hashed: tuple[bytes, ...] = ()
    if data:
        pieces = [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
        hashed = ((len(data) // NUMBER_BYTES).to_bytes(4, "big") + merkle_root(pieces),)
    return MalformedTrace(
        held.announcement,
        held.commitment,
        held.hashes,
        held.model.joined,
        held.public,
        step,
        int(tensor),
        held.leaves(step, tensor),
        hashed,
    )
