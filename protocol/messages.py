"""The messages: frozen structs with units and bounds; nothing here checks a signature or a rule.

Is: what each body says, which kind of statement it is and which slot it takes.
Is not: the envelope (`statement`), the rules (`rules/`) or what travels unsigned on a direct stream
(`TaskInput` and `TaskReply` are here since their bounds belong together); the verdict is in `audit`.

Times are Unix milliseconds. Prices are micro-CAI (1 CAI = 1,000,000 micro-CAI = 10^18 wei).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from protocol.audit import AuditVerdict
from protocol.hashing import keccak256, sha256
from protocol.schema import Address, Bytes, Encoded, Hash, Items, Text, Uint, Uint8, Uint16, Uint32, Uint64

MODELS_PER_OFFER_MAX = 32
MULTIADDRS_MAX = 8
MULTIADDR_BYTES_MAX = 128
RANKING_MAX = 64
"""Longest ranking in an announcement; past it a coordinator gives up finding live miners."""
PROMPT_BYTES_MAX = 4000
CHUNK_BYTES_MAX = 256 * 1024
IMAGE_BYTES_MAX = 16 * 1024 * 1024
IMAGE_PARTS_MAX = IMAGE_BYTES_MAX // CHUNK_BYTES_MAX
SOURCE_BYTES_MAX = 4 * 1024 * 1024
"""Longest source image: a PNG of 1024 x 1024 pixels is shorter, whatever it shows."""
TASK_KINDS_MAX = 8
"""Most kinds of work of one model."""
REASON_BYTES_MAX = 200
NO_TASK = bytes(32)
"""What an announcement names as its predecessor when it is its coordinator's first."""
NOT_SLASHABLE_KINDS_START = 64
"""Kinds from here on are signed, but two statements in one slot are no offence."""


class Kind(enum.IntEnum):
    """What a statement is about. The number is part of the signed digest and never reused."""

    OFFER = 1
    TASK_ANNOUNCEMENT = 2
    TASK_ACCEPTANCE = 3
    RESULT_COMMITMENT = 4
    AUDIT_VERDICT = 5
    RESULT_CHUNK = NOT_SLASHABLE_KINDS_START

    @property
    def slashable(self) -> bool:
        """Whether two different statements in one slot of this kind cost the signer its stake."""
        return self < NOT_SLASHABLE_KINDS_START


class TaskKind(enum.IntEnum):
    """What kind of work a task is. Public, so that miners, prices and rules know it before any input."""

    TEXT_TO_IMAGE = 0
    """An image from a prompt and noise."""
    IMAGE_TO_IMAGE = 1
    """An image from a prompt and a source image with noise on it."""


AnyTaskKind = Annotated[int, Uint(max(TaskKind))]
Multiaddrs = Annotated[
    tuple[bytes, ...], Items(Annotated[bytes, Bytes(1, MULTIADDR_BYTES_MAX)], 0, MULTIADDRS_MAX)
]


def image_parts(image: bytes) -> tuple[bytes, ...]:
    """`CHUNK_BYTES_MAX` bytes each, the last what is left: how many there are follows from the length."""
    return tuple(image[start : start + CHUNK_BYTES_MAX] for start in range(0, len(image), CHUNK_BYTES_MAX))


def integer_slot(number: int) -> bytes:
    """Slot of a numbered statement: the number as 32 bytes, big-endian."""
    return number.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class ModelOffer(Encoded):
    """One model that a miner serves.

    :ivar model_id: Merkle root of the model package.
    :ivar price_micro_cai: least price of one image at the model's default size and steps.
    :ivar image_ms: how long such an image took when the miner tried; 0 when it has not.
    :ivar task_kinds: each `TaskKind` that it does with the model, ascending.
    """

    model_id: Hash
    price_micro_cai: Uint64
    image_ms: Uint32 = 0
    task_kinds: Annotated[tuple[int, ...], Items(AnyTaskKind, 1, TASK_KINDS_MAX)] = (TaskKind.TEXT_TO_IMAGE,)


@dataclass(frozen=True, slots=True)
class Offer(Encoded):
    """A miner: "these models are loaded here, at these prices". Replaces all its earlier offers.

    :ivar sequence: number of the offer, rising; names the slot.
    :ivar issued_at_ms: when it was made.
    :ivar valid_until_ms: when it lapses by itself; a miner that goes away is forgotten.
    :ivar capacity: tasks that it takes at a time, 1 to 255.
    :ivar models: what it serves.
    """

    sequence: Uint64
    issued_at_ms: Uint64
    valid_until_ms: Uint64
    capacity: Uint8
    models: Annotated[tuple[ModelOffer, ...], Items(ModelOffer, 1, MODELS_PER_OFFER_MAX)]

    def slot(self) -> bytes:
        """32 bytes: one offer per sequence number."""
        return integer_slot(self.sequence)


@dataclass(frozen=True, slots=True)
class RankedMiner(Encoded):
    """One place of the ranking.

    :ivar miner: address of the miner that the draw put here.
    :ivar passed_over: 1 when the coordinator held no live offer of it for the model and kind, at a price
        that it pays, else 0.
    """

    miner: Address
    passed_over: Annotated[int, Uint(1)]


@dataclass(frozen=True, slots=True)
class TaskAnnouncement(Encoded):
    """A coordinator: "this is my next task, and these miners were drawn for it".

    :ivar coordinator: address of the signer, so that no copy under another signature is the same task.
    :ivar epoch: number of the snapshot and seed behind the draw; never lower than in the task before.
    :ivar sequence: the coordinator's count of tasks, without gaps; names the slot and feeds the seed.
    :ivar previous: task id of its announcement with the number before; 32 zero bytes in its first.
    :ivar model_id: model package to run.
    :ivar task_kind: a `TaskKind`.
    :ivar input_commitment: SHA-256 of the encoded `TaskInput`, which only drawn miners get to see.
    :ivar width: of the image in pixels.
    :ivar height: of the image in pixels.
    :ivar steps: denoising steps that are run.
    :ivar price_micro_cai: pay for the whole task.
    :ivar announced_at_ms: when the task was made.
    :ivar rank_timeout_ms: the miner of rank j may offer itself from
        ``announced_at_ms + j * rank_timeout_ms``.
    :ivar deadline_ms: when the task is over, whatever became of it.
    :ivar ranking: the draw, from its first place as far down as it needed to go.
    :ivar multiaddrs: where the coordinator can be dialled, binary form.
    """

    coordinator: Address
    epoch: Uint64
    sequence: Uint64
    previous: Hash
    model_id: Hash
    task_kind: AnyTaskKind
    input_commitment: Hash
    width: Uint16
    height: Uint16
    steps: Uint16
    price_micro_cai: Uint64
    announced_at_ms: Uint64
    rank_timeout_ms: Uint32
    deadline_ms: Uint64
    ranking: Annotated[tuple[RankedMiner, ...], Items(RankedMiner, 1, RANKING_MAX)]
    multiaddrs: Multiaddrs

    def slot(self) -> bytes:
        """32 bytes: one announcement per sequence number."""
        return integer_slot(self.sequence)

    @property
    def assigned(self) -> tuple[bytes, ...]:
        """Addresses of the miners that may work, in their order: rank 0 first."""
        return tuple(place.miner for place in self.ranking if not place.passed_over)


@dataclass(frozen=True, slots=True)
class TaskAcceptance(Encoded):
    """A miner: "I take this task". Given on the direct stream; the input comes back.

    :ivar task_id: digest of the announcement.
    :ivar rank: place among the assigned, from 0.

    It says no time, so that a miner that restarts may accept again in the same words.
    """

    task_id: Hash
    rank: Uint8

    def slot(self) -> bytes:
        """32 bytes: one acceptance per task."""
        return self.task_id


@dataclass(frozen=True, slots=True)
class ResultCommitment(Encoded):
    """A miner: "this is what came out". Streamed to the coordinator and gossiped to everybody.

    :ivar task_id: digest of the announcement.
    :ivar output_root: Merkle root over the parts of the image, in order; see `image_parts`.
    :ivar output_bytes: length of the image.
    :ivar output_hash: SHA-256 of the image.
    :ivar trace_root: what binds every denoising step to the task, its miner and the image; see `trace`.
    :ivar steps_done: denoising steps that were run.

    It says no time: honest work done again gives the same words, which are safe to sign again.
    """

    task_id: Hash
    output_root: Hash
    output_bytes: Annotated[int, Uint(IMAGE_BYTES_MAX)]
    output_hash: Hash
    trace_root: Hash
    steps_done: Uint16

    def slot(self) -> bytes:
        """32 bytes: one commitment per task."""
        return self.task_id


class ChunkKind(enum.IntEnum):
    """What the payload of a `ResultChunk` is."""

    PROGRESS = 0
    """Nothing: the step count is the message."""
    PREVIEW = 1
    """A whole PNG of the unfinished image."""
    IMAGE_PART = 2
    """A part of the finished PNG: `CHUNK_BYTES_MAX` bytes of it, the last part what is left."""


@dataclass(frozen=True, slots=True)
class ResultChunk(Encoded):
    """A miner: one piece of the stream of a task.

    :ivar task_id: digest of the announcement.
    :ivar index: number of the chunk in this stream, from 0.
    :ivar chunk_kind: a `ChunkKind`.
    :ivar part: with IMAGE_PART, number of the part from 0: its place under `output_root`; else 0.
    :ivar step: steps done so far.
    :ivar payload: see `ChunkKind`.
    """

    task_id: Hash
    index: Uint32
    chunk_kind: Annotated[int, Uint(max(ChunkKind))]
    part: Annotated[int, Uint(IMAGE_PARTS_MAX - 1)]
    step: Uint16
    payload: Annotated[bytes, Bytes(0, CHUNK_BYTES_MAX)]

    def slot(self) -> bytes:
        """32 bytes: Keccak-256 of the task and the index; not slashable, a restart may stream again."""
        return keccak256(self.task_id + integer_slot(self.index))


Message: TypeAlias = Offer | TaskAnnouncement | TaskAcceptance | ResultCommitment | AuditVerdict | ResultChunk

MESSAGE_OF: dict[Kind, type[Message]] = {
    Kind.OFFER: Offer,
    Kind.TASK_ANNOUNCEMENT: TaskAnnouncement,
    Kind.TASK_ACCEPTANCE: TaskAcceptance,
    Kind.RESULT_COMMITMENT: ResultCommitment,
    Kind.AUDIT_VERDICT: AuditVerdict,
    Kind.RESULT_CHUNK: ResultChunk,
}
KIND_OF: dict[type[Message], Kind] = {struct: kind for kind, struct in MESSAGE_OF.items()}


@dataclass(frozen=True, slots=True)
class TaskInput(Encoded):
    """What a task is about; only the drawn miner sees it. Unsigned: the announcement commits to it.

    :ivar salt: 32 random bytes, so that nobody can guess a short prompt from its commitment.
    :ivar prompt: what to draw.
    :ivar negative_prompt: what to avoid; may be empty.
    :ivar seed: of the initial noise.
    :ivar guidance_milli: classifier-free guidance scale in thousandths.
    :ivar preview_every_steps: send a preview every so many steps; 0 for none.
    :ivar schedule_steps: steps of the schedule, of which the announced ones are the last; from noise, all.
    :ivar source_bytes: length of the source image with IMAGE_TO_IMAGE, else 0.
    :ivar source_hash: SHA-256 of the source image, of no bytes where there is none.
    """

    salt: Hash
    prompt: Annotated[str, Text(PROMPT_BYTES_MAX)]
    negative_prompt: Annotated[str, Text(PROMPT_BYTES_MAX)]
    seed: Uint64
    guidance_milli: Uint32
    preview_every_steps: Uint16
    schedule_steps: Uint16
    source_bytes: Annotated[int, Uint(SOURCE_BYTES_MAX)]
    source_hash: Hash

    def commitment(self) -> bytes:
        """32 bytes for `TaskAnnouncement.input_commitment`."""
        return sha256(self.encode())


class ReplyKind(enum.IntEnum):
    """What a coordinator answers on a miner's task stream."""

    INPUT = 0
    """The payload is the encoded `TaskInput`: start."""
    NOT_NEEDED = 1
    """Somebody else has finished; the reason says more."""
    RECEIVED = 2
    """The result is complete and every signature and hash fits."""
    SOURCE_PART = 3
    """After INPUT: a part of the source image: `CHUNK_BYTES_MAX` bytes of it, the last part what is left."""
    VOUCHER = 4
    """The payload is an encoded `SignedVoucher`: the work goes on."""


@dataclass(frozen=True, slots=True)
class TaskReply(Encoded):
    """A coordinator's answer on the task stream; unsigned, the stream is authenticated.

    :ivar reply_kind: a `ReplyKind`.
    :ivar payload: the encoded `TaskInput` with INPUT, a part with SOURCE_PART, the encoded
        `SignedVoucher` with VOUCHER, else empty.
    :ivar reason: for people; empty where nothing needs saying.
    """

    reply_kind: Annotated[int, Uint(max(ReplyKind))]
    payload: Annotated[bytes, Bytes(0, CHUNK_BYTES_MAX)]
    reason: Annotated[str, Text(REASON_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class TaskCall(Encoded):
    """A coordinator to a drawn miner: "whoever worked on this is lost; come now, before your head start".

    Unsigned, the stream is authenticated; it moves nobody's turn but the callee's own.

    :ivar task_id: digest of the announcement.
    """

    task_id: Hash
