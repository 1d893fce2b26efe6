"""The trace of a task: what a miner commits to of every denoising step, and how it is opened later.

Is: the leaves, the root that stands in `ResultCommitment.trace_root`, the messages of an opening, and the
check of one, over bytes alone.
Is not: the meaning of the numbers. Whether a latent follows from the seed, or an output from the model, is
found by whoever has the package.

A tensor's bytes and its hash are those of `tensor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from protocol.audit import CHECKED_STEPS_MAX
from protocol.errors import InvalidMessage
from protocol.hashing import sha256
from protocol.merkle import merkle_proof, merkle_root, proves
from protocol.schema import Encoded, Hash, Items, Uint, Uint16
from protocol.tensor import NO_TENSOR, tensor_hash

TRACE_DOMAIN: Final = b"cuckoo/trace/3\x00"
STEPS_MAX: Final = 1024
"""Most steps of a trace; bounds a proof to `PROOF_HASHES_MAX` hashes."""
PROOF_HASHES_MAX: Final = 10
LEAVES_MAX: Final = 1 + 2 * CHECKED_STEPS_MAX
"""Most leaves of an opening: those of `leaf_indices`."""


@dataclass(frozen=True, slots=True)
class TraceLeaf(Encoded):
    """One denoising step.

    :ivar latent: hash of the latent that goes into the step.
    :ivar unconditional: hash of the model's raw output without the prompt; of no tensor, without guidance.
    :ivar conditional: hash of the model's raw output with the prompt.
    """

    latent: Hash
    unconditional: Hash
    conditional: Hash

    @classmethod
    def of(cls, latent: bytes, unconditional: bytes, conditional: bytes) -> TraceLeaf:
        """The leaf of these tensors' bytes; `unconditional` is empty without guidance.

        :raises ValueError: as `tensor_hash`.
        """
        return cls(tensor_hash(latent), tensor_hash(unconditional), tensor_hash(conditional))

    @property
    def joined(self) -> bytes:
        """The 96 bytes that are the leaf of the Merkle tree."""
        return self.latent + self.unconditional + self.conditional


@dataclass(frozen=True, slots=True)
class TraceBinding:
    """The task that a trace belongs to; an auditor has all of it from signed statements.

    :ivar task_id: digest of the announcement.
    :ivar miner: address of the one that did the work.
    :ivar model_id: of the announcement.
    :ivar steps: units of the announcement; so many leaves there are.
    :ivar image_hash: `ResultCommitment.output_hash`.
    """

    task_id: bytes
    miner: bytes
    model_id: bytes
    steps: int
    image_hash: bytes

    def root(self, steps_root: bytes, final_latent: bytes, source_latent: bytes = NO_TENSOR) -> bytes:
        """The trace root, 32 bytes.

        :param steps_root: Merkle root over the leaves.
        :param final_latent: hash of the latent after the last step.
        :param source_latent: hash of what the source image was encoded to, of no tensor without one.
        """
        bound = self.task_id + self.miner + self.model_id
        return sha256(TRACE_DOMAIN + bound + source_latent + steps_root + final_latent + self.image_hash)


@dataclass(frozen=True, slots=True)
class OpeningRequest(Encoded):
    """An auditor, on a direct stream: "open these steps of that task to me".

    :ivar task_id: digest of the announcement.
    :ivar steps: whose tensors are wanted, ascending, from 0.
    :ivar final_latent: 1 when the latent after the last step is wanted too, else 0.
    :ivar source_latent: 1 when what the source image was encoded to is wanted too, else 0.
    :ivar work: 1 when input, sources and output are wanted too, before the opening, else 0.
    """

    task_id: Hash
    steps: Annotated[tuple[int, ...], Items(Uint16, 1, CHECKED_STEPS_MAX)]
    final_latent: Annotated[int, Uint(1)]
    source_latent: Annotated[int, Uint(1)] = 0
    work: Annotated[int, Uint(1)] = 0


@dataclass(frozen=True, slots=True)
class ProvedLeaf(Encoded):
    """A leaf and its place.

    :ivar index: step, from 0.
    :ivar leaf: its three hashes.
    :ivar proof: its siblings, from the leaf up.
    """

    index: Uint16
    leaf: TraceLeaf
    proof: Annotated[tuple[bytes, ...], Items(Hash, 0, PROOF_HASHES_MAX)]


@dataclass(frozen=True, slots=True)
class Opening(Encoded):
    """A miner: the answer, followed by the tensors, each a payload of its own.

    :ivar task_id: digest of the announcement.
    :ivar steps_root: Merkle root over the leaves of all steps.
    :ivar final_latent: hash of the latent after the last step.
    :ivar source_latent: hash of what the source image was encoded to, of no tensor without one.
    :ivar leaves: ascending: the first step, each step asked for, and the one after it, where there is one.
    """

    task_id: Hash
    steps_root: Hash
    final_latent: Hash
    source_latent: Hash
    leaves: Annotated[tuple[ProvedLeaf, ...], Items(ProvedLeaf, 1, LEAVES_MAX)]


def leaf_indices(steps: int, asked: Sequence[int]) -> tuple[int, ...]:
    """Which leaves an opening proves: the first, those asked for, and those after them; ascending.

    By the first one a false start shows in every audit, whichever steps are drawn.
    """
    return tuple(sorted({0, *(at for step in asked for at in (step, step + 1) if at < steps)}))


def open_leaves(
    task_id: bytes,
    leaves: Sequence[TraceLeaf],
    final_latent: bytes,
    asked: Sequence[int],
    source_latent: bytes = NO_TENSOR,
) -> Opening:
    """The opening of `asked` in a trace of these leaves. :raises ValueError: there is no such step."""
    joined = [leaf.joined for leaf in leaves]
    if not all(0 <= step < len(leaves) for step in asked):
        raise ValueError("no such step")
    proved = tuple(
        ProvedLeaf(index, leaves[index], merkle_proof(joined, index))
        for index in leaf_indices(len(leaves), asked)
    )
    return Opening(task_id, merkle_root(joined), final_latent, source_latent, proved)


def steps_root(leaves: Sequence[TraceLeaf]) -> bytes:
    """Merkle root over the leaves of all steps, 32 bytes."""
    return merkle_root([leaf.joined for leaf in leaves])


def verify_opening(
    binding: TraceBinding, trace_root: bytes, request: OpeningRequest, opening: Opening
) -> dict[int, TraceLeaf]:
    """The leaves by step, when the opening is one of the trace behind `trace_root` and answers the request.

    :raises InvalidMessage: it is not, or does not; both are the miner's fault.
    """
    if opening.task_id != request.task_id or request.task_id != binding.task_id:
        raise InvalidMessage("opening is of another task")
    if binding.root(opening.steps_root, opening.final_latent, opening.source_latent) != trace_root:
        raise InvalidMessage("opening is not of the committed trace")
    if tuple(place.index for place in opening.leaves) != leaf_indices(binding.steps, request.steps):
        raise InvalidMessage("opening is not of the steps that were asked for")
    for place in opening.leaves:
        joined = place.leaf.joined
        if not proves(opening.steps_root, joined, place.index, binding.steps, place.proof):
            raise InvalidMessage("leaf is not proved")
    return {place.index: place.leaf for place in opening.leaves}


def tensors_of(leaf: TraceLeaf) -> tuple[bytes, ...]:
    """Hashes of the tensors that follow for an opened step, in their order; an empty one does not travel."""
    return tuple(part for part in (leaf.latent, leaf.unconditional, leaf.conditional) if part != NO_TENSOR)
