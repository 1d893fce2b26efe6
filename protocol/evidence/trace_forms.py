"""The forms of evidence about what a miner has committed to of its work: one number, one tensor, one count.

Is: the fields, their order and bounds; `Slashing.proveFault` takes the same bytes. Is not: their check.

A field that is **proved** is one byte string: the bytes of a leaf, then its siblings from the leaf up, each
of 32 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from protocol.audit import TraceTensor
from protocol.evidence.faults import CommitmentBytes, Fault, Tagged
from protocol.latent_rules import QUANTILE_HASHES, QUANTILE_LEAF_BYTES
from protocol.model_table import HEAD_BYTES, ROW_BYTES, ROWS_MAX
from protocol.schema import Bytes, Items, Uint, Uint16
from protocol.tensor import NUMBER_BYTES, NUMBERS_MAX, PIECE_BYTES, PIECE_HASHES_MAX
from protocol.trace import PROOF_HASHES_MAX

HASH_BYTES: Final = 32
ANNOUNCEMENT_BYTES_MAX: Final = 3_072
"""Longest body of an announcement that anybody can decode, with some to spare."""
TRACE_BYTES: Final = 3 * HASH_BYTES
LEAF_BYTES: Final = 3 * HASH_BYTES
MODEL_BYTES: Final = HASH_BYTES + HEAD_BYTES + HASH_BYTES
TENSOR_BYTES: Final = 4 + HASH_BYTES
PUBLIC_BYTES_MAX: Final = 1024
"""Longest public half of an input with the hash beside it."""
ROW_HASHES_MAX: Final = (ROWS_MAX - 1).bit_length()
LEAVES_MAX: Final = 3
"""A step, the one after it, the one before it."""
PIECES_MAX: Final = 7
"""The result; latent and outputs of a step; those of the one before."""


def _proved(leaf_bytes_min: int, leaf_bytes: int, hashes_max: int) -> Bytes:
    return Bytes(leaf_bytes_min, leaf_bytes + hashes_max * HASH_BYTES)


AnnouncementBytes = Annotated[bytes, Bytes(1, ANNOUNCEMENT_BYTES_MAX)]
TraceBytes = Annotated[bytes, Bytes(TRACE_BYTES, TRACE_BYTES)]
ModelBytes = Annotated[bytes, Bytes(MODEL_BYTES, MODEL_BYTES)]
PublicBytes = Annotated[bytes, Bytes(HASH_BYTES, PUBLIC_BYTES_MAX)]
RowBytes = Annotated[bytes, _proved(ROW_BYTES, ROW_BYTES, ROW_HASHES_MAX)]
LeafBytes = Annotated[bytes, _proved(LEAF_BYTES, LEAF_BYTES, PROOF_HASHES_MAX)]
PieceBytes = Annotated[bytes, _proved(NUMBER_BYTES, PIECE_BYTES, PIECE_HASHES_MAX)]
QuantileBytes = Annotated[
    bytes, _proved(QUANTILE_LEAF_BYTES + QUANTILE_HASHES * HASH_BYTES, QUANTILE_LEAF_BYTES, QUANTILE_HASHES)
]
NumberPlace = Annotated[int, Uint(NUMBERS_MAX)]
TensorPlace = Annotated[int, Uint(max(TraceTensor))]


@dataclass(frozen=True, slots=True)
class FalseStep(Tagged):
    """A number of the latent after a step that is not what the scheduler gives.

    :ivar announcement: its body; the commitment names its digest.
    :ivar commitment: envelope of the `ResultCommitment`.
    :ivar trace: tensor hash of the source latent, steps root, tensor hash of the final latent.
    :ivar model: files root, head, rows root.
    :ivar public: the public half of the input, proved.
    :ivar step: from 0.
    :ivar number: of the latent, in C order, from 0.
    :ivar row: of the table, the one of this step, proved.
    :ivar leaves: of the step; of the next, if there is one; of the one before, if the row looks back to it;
        each proved.
    :ivar pieces: that hold the number: of the result, then of latent and outputs of the step, then of those
        of the one before, if the row looks back to it; each proved.
    """

    FAULT = Fault.FALSE_STEP
    announcement: AnnouncementBytes
    commitment: CommitmentBytes
    trace: TraceBytes
    model: ModelBytes
    public: PublicBytes
    step: Uint16
    number: NumberPlace
    row: RowBytes
    leaves: Annotated[tuple[bytes, ...], Items(LeafBytes, 1, LEAVES_MAX)]
    pieces: Annotated[tuple[bytes, ...], Items(PieceBytes, 3, PIECES_MAX)]


@dataclass(frozen=True, slots=True)
class FalseStart(Tagged):
    """A number of the first latent that is not what seed and source latent give.

    :ivar announcement: its body; the commitment names its digest.
    :ivar commitment: envelope of the `ResultCommitment`.
    :ivar trace: tensor hash of the source latent, steps root, tensor hash of the final latent.
    :ivar model: files root, head, rows root.
    :ivar public: the public half of the input, proved.
    :ivar number: of the latent, in C order, from 0.
    :ivar row: of the table, the one of the first step that is run, proved.
    :ivar leaf: of the first step, proved.
    :ivar quantiles: sixteen entries of the table of quantiles, with the one that the seed draws, proved.
    :ivar pieces: that hold the number: of the first latent, then of the source latent, if there is one; each
        proved.
    """

    FAULT = Fault.FALSE_START
    announcement: AnnouncementBytes
    commitment: CommitmentBytes
    trace: TraceBytes
    model: ModelBytes
    public: PublicBytes
    number: NumberPlace
    row: RowBytes
    leaf: LeafBytes
    quantiles: QuantileBytes
    pieces: Annotated[tuple[bytes, ...], Items(PieceBytes, 1, 2)]


@dataclass(frozen=True, slots=True)
class NotFinite(Tagged):
    """A number of a committed tensor that is infinite or none.

    :ivar announcement: its body; the commitment names its digest.
    :ivar commitment: envelope of the `ResultCommitment`.
    :ivar trace: tensor hash of the source latent, steps root, tensor hash of the final latent.
    :ivar step: whose tensor it is; the number of steps with the final latent, 0 with the source latent.
    :ivar tensor: 0 latent, 1 output without the prompt, 2 with it, 3 source latent.
    :ivar size: how many numbers the tensor has.
    :ivar number: of the tensor, in C order, from 0.
    :ivar leaves: the leaf of the step, proved; none with the final and the source latent.
    :ivar piece: of the tensor, with the number, proved.
    """

    FAULT = Fault.NOT_FINITE
    announcement: AnnouncementBytes
    commitment: CommitmentBytes
    trace: TraceBytes
    step: Uint16
    tensor: TensorPlace
    size: NumberPlace
    number: NumberPlace
    leaves: Annotated[tuple[bytes, ...], Items(LeafBytes, 0, 1)]
    piece: PieceBytes


@dataclass(frozen=True, slots=True)
class StepCount(Tagged):
    """A commitment to another number of steps than was announced.

    :ivar announcement: its body; the commitment names its digest.
    :ivar commitment: envelope of the `ResultCommitment`.
    """

    FAULT = Fault.STEP_COUNT
    announcement: AnnouncementBytes
    commitment: CommitmentBytes


@dataclass(frozen=True, slots=True)
class MalformedTrace(Tagged):
    """A tensor of another size than the task's, one that is absent, or one that must not be there.

    :ivar announcement: its body; the commitment names its digest.
    :ivar commitment: envelope of the `ResultCommitment`.
    :ivar trace: tensor hash of the source latent, steps root, tensor hash of the final latent.
    :ivar model: files root, head, rows root.
    :ivar public: the public half of the input, proved.
    :ivar step: whose tensor it is; the number of steps with the final latent, 0 with the source latent.
    :ivar tensor: 0 latent, 1 output without the prompt, 2 with it, 3 source latent.
    :ivar leaves: the leaf of the step, proved; none with the final and the source latent.
    :ivar hashed: what the tensor's hash is over, count and root; none, where being there or not is the fault.
    """

    FAULT = Fault.MALFORMED_TRACE
    announcement: AnnouncementBytes
    commitment: CommitmentBytes
    trace: TraceBytes
    model: ModelBytes
    public: PublicBytes
    step: Uint16
    tensor: TensorPlace
    leaves: Annotated[tuple[bytes, ...], Items(LeafBytes, 0, 1)]
    hashed: Annotated[tuple[bytes, ...], Items(Annotated[bytes, Bytes(TENSOR_BYTES, TENSOR_BYTES)], 0, 1)]
