"""From what was signed down to one number of one tensor: each link is a hash that the one above names.

Is: the links of evidence about a trace, each checked as it is read, as the contract does.
Is not: a rule about numbers (`latent_rules`), or an offence (`trace_faults`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.errors import InvalidMessage
from protocol.evidence.trace_forms import HASH_BYTES, LEAF_BYTES, FalseStart, FalseStep, MalformedTrace
from protocol.hashing import keccak256, sha256
from protocol.latent_rules import (
    QUANTILE_LEAF_BYTES,
    QUANTILE_LEAVES,
    QUANTILES_PER_LEAF,
    QUANTILES_ROOT,
    Row,
    quantile_drawn,
    quantile_of,
    read_row,
)
from protocol.merkle import proves
from protocol.messages import Kind, ResultCommitment, TaskAnnouncement
from protocol.model_card import GUIDANCE_MILLI_MAX
from protocol.model_table import (
    GUIDANCE_MILLI_NONE,
    HEAD_BYTES,
    MODEL_DOMAIN,
    ROW_BYTES,
    ModelHead,
)
from protocol.statement import Domain, Statement, open_statement
from protocol.task_input import verify_public
from protocol.tensor import NUMBER_BYTES, PIECE_NUMBERS, proves_piece
from protocol.trace import TraceBinding, TraceLeaf
from protocol.work import ImageNumbers, WorkKind

IMAGE_KINDS: Final = frozenset({WorkKind.TEXT_TO_IMAGE, WorkKind.IMAGE_TO_IMAGE})
"""Whose steps follow from each other by known rules."""


@dataclass(frozen=True, slots=True)
class CommittedWork:
    """An announcement of an image kind, and a commitment to it.

    :ivar commitment: opened; its signer is the miner.
    """

    task: TaskAnnouncement
    commitment: Statement[ResultCommitment]

    @property
    def has_source(self) -> bool:
        """Whether the work begins with a source image."""
        return self.task.work.kind == WorkKind.IMAGE_TO_IMAGE

    @property
    def units(self) -> int:
        """Steps that were announced."""
        return self.task.work.units


def read_work(domain: Domain, announcement: bytes, commitment: bytes) -> CommittedWork:
    """The announced work and the commitment to it.

    :param announcement: a body: nobody need have signed it, since the commitment names its digest.
    :param commitment: an envelope.
    :raises DecodeError: one of them does not decode.
    :raises SignatureError: the signature is malformed.
    :raises InvalidMessage: they are of different tasks, or of a kind of work without known rules.
    """
    task = TaskAnnouncement.decode(announcement)
    statement = open_statement(domain, commitment, ResultCommitment)
    digest = domain.digest(Kind.TASK_ANNOUNCEMENT, task.slot(), keccak256(announcement))
    if statement.message.task_id != digest:
        raise InvalidMessage("the commitment is to another task")
    if task.work.kind not in IMAGE_KINDS:
        raise InvalidMessage("no such fault is known of this kind of work")
    task.work.image_size()  # whose details are no size, nobody can have worked on
    return CommittedWork(task, statement)


@dataclass(frozen=True, slots=True)
class CommittedTrace:
    """The three hashes under a trace root; made by `read_trace`.

    :ivar source: tensor hash of the source latent.
    :ivar steps: root over the leaves.
    :ivar final: tensor hash of the latent after the last step.
    """

    work: CommittedWork
    source: bytes
    steps: bytes
    final: bytes

    def leaf(self, step: int, data: bytes) -> TraceLeaf:
        """The leaf of a step. :raises InvalidMessage: it is another one, or none."""
        joined, proof = split_proved(data, LEAF_BYTES)
        if not proves(self.steps, joined, step, self.work.units, proof):
            raise InvalidMessage("the leaf is not of this step of the trace")
        return TraceLeaf(*(joined[at : at + HASH_BYTES] for at in range(0, LEAF_BYTES, HASH_BYTES)))


def read_trace(work: CommittedWork, hashes: bytes) -> CommittedTrace:
    """The trace. :raises InvalidMessage: another one was committed to."""
    source, steps, final = (hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
    task, statement = work.task, work.commitment
    committed = statement.message
    binding = TraceBinding(
        committed.task_id, statement.signer.address, task.model_id, work.units, committed.output_hash
    )
    if binding.root(steps, final, source) != committed.trace_root:
        raise InvalidMessage("the trace is not the committed one")
    return CommittedTrace(work, source, steps, final)


@dataclass(frozen=True, slots=True)
class KnownRules:
    """The rules and numbers that a trace has to follow; made by `read_rules`.

    :ivar size: numbers of each tensor.
    :ivar numbers: the public ones of the input.
    """

    head: ModelHead
    rows_root: bytes
    size: int
    numbers: ImageNumbers
    work: CommittedWork

    @property
    def guided(self) -> bool:
        """Whether the model is asked without the prompt, too."""
        return self.numbers.guidance_milli > GUIDANCE_MILLI_NONE

    def row(self, step: int, data: bytes) -> Row:
        """The row of a step of those that are run. :raises InvalidMessage: it is another one, or none."""
        row, proof = split_proved(data, ROW_BYTES)
        schedule, units = self.numbers.schedule_steps, self.work.units
        if schedule != units and not self.work.has_source:
            raise InvalidMessage("from noise, a schedule is run whole")
        place = self.head.row_of(schedule, units, step)
        if not proves(self.rows_root, row, place, self.head.rows, proof):
            raise InvalidMessage("the row is not the one of this step")
        return read_row(row)


def read_rules(work: CommittedWork, model: bytes, public: bytes) -> KnownRules:
    """The rules of the announced model and the numbers of the announced input.

    :raises DecodeError: the numbers do not decode.
    :raises InvalidMessage: of another model or input, or outside of what any miner takes.
    """
    if sha256(MODEL_DOMAIN + model) != work.task.model_id:
        raise InvalidMessage("head and table are not of the announced model")
    head = ModelHead.decode(model[HASH_BYTES : HASH_BYTES + HEAD_BYTES])
    size = head.tensor_numbers(*work.task.work.image_size())
    half, sealed = public[:-HASH_BYTES], public[-HASH_BYTES:]
    numbers = ImageNumbers.decode(verify_public(work.task.input_commitment, half, (sealed,)).numbers)
    if numbers.guidance_milli > GUIDANCE_MILLI_MAX:
        raise InvalidMessage("no miner takes so strong a guidance")
    return KnownRules(head, model[HASH_BYTES + HEAD_BYTES :], size, numbers, work)


def read_rules_of(work: CommittedWork, evidence: FalseStep | FalseStart | MalformedTrace) -> KnownRules:
    """As `read_rules`, of evidence that shows them."""
    return read_rules(work, evidence.model, evidence.public)


def read_number(tensor: bytes, size: int, number: int, data: bytes) -> int:
    """A number of a tensor, its 16 bits.

    :param tensor: its hash.
    :raises InvalidMessage: the piece is not of this tensor, place and size.
    """
    if number >= size:
        raise InvalidMessage("the tensor has no such number")
    left = size - number // PIECE_NUMBERS * PIECE_NUMBERS
    piece, proof = split_proved(data, min(left, PIECE_NUMBERS) * NUMBER_BYTES)
    if not proves_piece(tensor, size, number, piece, proof):
        raise InvalidMessage("the piece is not of this tensor")
    place = number % PIECE_NUMBERS * NUMBER_BYTES
    return int.from_bytes(piece[place : place + NUMBER_BYTES], "little")


def read_quantile(seed: int, number: int, data: bytes) -> float:
    """The quantile that a seed draws for a number. :raises InvalidMessage: it is not shown."""
    entry = quantile_drawn(seed, number)
    leaf, proof = split_proved(data, QUANTILE_LEAF_BYTES)
    if not proves(QUANTILES_ROOT, leaf, entry // QUANTILES_PER_LEAF, QUANTILE_LEAVES, proof):
        raise InvalidMessage("the quantiles are not those that the seed draws")
    return quantile_of(leaf, entry)


def split_proved(data: bytes, leaf_bytes: int) -> tuple[bytes, tuple[bytes, ...]]:
    """A leaf and the siblings behind it. :raises InvalidMessage: less than the leaf, or a part of a hash."""
    leaf, siblings = data[:leaf_bytes], data[leaf_bytes:]
    if len(leaf) != leaf_bytes or len(siblings) % HASH_BYTES:
        raise InvalidMessage("a proof is not of whole hashes")
    return leaf, tuple(siblings[at : at + HASH_BYTES] for at in range(0, len(siblings), HASH_BYTES))
