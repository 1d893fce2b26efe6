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

from protocol.audit import Audits, AuditVerdict
from protocol.hashing import keccak256
from protocol.merkle import merkle_root
from protocol.schema import Address, Bytes, Encoded, Hash, Items, Text, Uint, Uint8, Uint16, Uint32, Uint64
from protocol.work import KIND_MAX, NUMBERS_BYTES_MAX, PRICES_MAX, UNITS_MAX, Work

MODELS_PER_OFFER_MAX = 32
MULTIADDRS_MAX = 8
MULTIADDR_BYTES_MAX = 128
RANKING_MAX = 64
"""Longest ranking in an announcement; past it a coordinator gives up finding live miners."""
PROMPT_BYTES_MAX = 4000
PROMPTS_MAX = 4
"""Most texts of one input: a prompt, a negative prompt, and two more for encoders of their own."""
CHUNK_BYTES_MAX = 256 * 1024
OUTPUT_BYTES_MAX = 16 * 1024 * 1024
OUTPUT_PARTS_MAX = OUTPUT_BYTES_MAX // CHUNK_BYTES_MAX
SOURCE_BYTES_MAX = 4 * 1024 * 1024
"""Longest source file: a PNG of 1024 x 1024 pixels is shorter, whatever it shows."""
SOURCES_MAX = 4
"""Most source files of one input."""
WORK_KINDS_MAX = 8
"""Most kinds of work of one model."""
REASON_BYTES_MAX = 200
NO_TASK = bytes(32)
"""The predecessor that an announcement names when its coordinator made none in the epoch before."""
NOT_SLASHABLE_KINDS_START = 64
"""Kinds from here on are signed, but two statements in one slot are no offence."""


class Kind(enum.IntEnum):
    """The kind of a statement. The number is part of the signed digest and never reused."""

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


class PassedOver(enum.IntEnum):
    """Why a coordinator passes over a miner that was drawn before others: its word, which nobody checks."""

    ASSIGNED = 0
    """It does not: this miner may work."""
    NO_OFFER = 1
    """No live offer of this miner for the model and kind."""
    TOO_EXPENSIVE = 2
    """It asks for more than the coordinator pays."""
    BUSY = 3
    """It works for this coordinator on as many tasks as it offers to take at a time."""
    EXPERIENCE = 4
    """It failed this coordinator a short while ago."""


Units = Annotated[int, Uint(UNITS_MAX)]
Multiaddrs = Annotated[
    tuple[bytes, ...], Items(Annotated[bytes, Bytes(1, MULTIADDR_BYTES_MAX)], 0, MULTIADDRS_MAX)
]


def parts_of(data: bytes) -> tuple[bytes, ...]:
    """`CHUNK_BYTES_MAX` bytes each, the last what is left: how many there are follows from the length."""
    return tuple(data[start : start + CHUNK_BYTES_MAX] for start in range(0, len(data), CHUNK_BYTES_MAX))


def integer_slot(number: int) -> bytes:
    """Slot of a numbered statement: the number as 32 bytes, big-endian."""
    return number.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class WorkOffer(Encoded):
    """One kind of work that a miner does with a model.

    :ivar kind: a `WorkKind`.
    :ivar prices_wei: least price of each kind of unit that the kind of work has a price for
        (`work.KindSpec.priced`), in wei of CAI.
    :ivar typical_ms: how long the model's default work took when the miner tried; 0 when it has not.
    """

    kind: Annotated[int, Uint(KIND_MAX)]
    prices_wei: Annotated[tuple[int, ...], Items(Uint64, 1, PRICES_MAX)]
    typical_ms: Uint32 = 0


@dataclass(frozen=True, slots=True)
class ModelOffer(Encoded):
    """One model that a miner serves.

    :ivar model_id: Merkle root of the model package.
    :ivar works: what it does with the model, by kind, ascending.
    """

    model_id: Hash
    works: Annotated[tuple[WorkOffer, ...], Items(WorkOffer, 1, WORK_KINDS_MAX)]

    def work_offer(self, kind: int) -> WorkOffer | None:
        """Its offer of one kind of work."""
        return next((offer for offer in self.works if offer.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Offer(Encoded):
    """A miner: "these models are loaded here, at these prices". Replaces all its earlier offers.

    :ivar sequence: number of the offer, rising: its time, or more if the one before had that; names the slot.
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
    :ivar passed_over: a `PassedOver`: 0 for a miner that may work, else the coordinator's reason.
    """

    miner: Address
    passed_over: Annotated[int, Uint(max(PassedOver))]


@dataclass(frozen=True, slots=True)
class TaskAnnouncement(Encoded):
    """A coordinator: "this is my next task, and these miners were drawn for it".

    :ivar coordinator: address of the signer, so that no copy under another signature is the same task.
    :ivar epoch: number of the snapshot and seed behind the draw; never lower than in the task before.
    :ivar number: the coordinator's count of tasks in the epoch, from 0 without gaps; names the slot with the
        epoch, and feeds the seed.
    :ivar previous: task id of its announcement with the number before; of number 0, of its last
        announcement in the epoch before, and 32 zero bytes if it made none there.
    :ivar model_id: model package to run.
    :ivar work: kind, units and what the kind adds.
    :ivar input_commitment: root over the two halves of the `TaskInput`, which only drawn miners get to see.
    :ivar price_micro_cai: pay for all units.
    :ivar upfront_micro_cai: of that, what is owed with the first unit that is shown; the rest is owed evenly.
    :ivar announced_at_ms: when the task was made.
    :ivar deadline_ms: when the task is over, whatever became of it.
    :ivar ranking: the draw, from its first place as far down as it needed to go. The miner of rank j among
        the assigned may offer itself when j of the network's head starts are over.
    :ivar multiaddrs: where the coordinator can be dialled, binary form.
    :ivar audits: an `Audits`: whether drawn auditors may check the work, or its buyer alone.
    """

    coordinator: Address
    epoch: Uint64
    number: Uint64
    previous: Hash
    model_id: Hash
    work: Work
    input_commitment: Hash
    price_micro_cai: Uint64
    upfront_micro_cai: Uint64
    announced_at_ms: Uint64
    deadline_ms: Uint64
    ranking: Annotated[tuple[RankedMiner, ...], Items(RankedMiner, 1, RANKING_MAX)]
    multiaddrs: Multiaddrs
    audits: Annotated[int, Uint(max(Audits))] = Audits.PUBLIC

    def slot(self) -> bytes:
        """32 bytes: one announcement for each number of each epoch; rises as the coordinator goes on."""
        return integer_slot(self.epoch << 64 | self.number)

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
    :ivar output_root: Merkle root over the parts of the output, in order; see `parts_of`.
    :ivar output_bytes: length of the output.
    :ivar output_hash: SHA-256 of the output.
    :ivar trace_root: what binds every step of the work to the task, its miner and the output; see `trace`.
    :ivar units_done: units that were made: all that were announced, or fewer where the kind may end early.

    It says no time: honest work done again gives the same words, which are safe to sign again.
    """

    task_id: Hash
    output_root: Hash
    output_bytes: Annotated[int, Uint(OUTPUT_BYTES_MAX)]
    output_hash: Hash
    trace_root: Hash
    units_done: Units

    def slot(self) -> bytes:
        """32 bytes: one commitment per task."""
        return self.task_id


class ChunkKind(enum.IntEnum):
    """The kind of payload in a `ResultChunk`."""

    PROGRESS = 0
    """Nothing: the count of units is the message."""
    PREVIEW = 1
    """A whole PNG of the unfinished image."""
    OUTPUT_PART = 2
    """A part of the output: `CHUNK_BYTES_MAX` bytes of it, the last part what is left."""
    LAST_UNIT = 3
    """Nothing: fewer units than announced are all that there are, so that what they cost falls due."""


@dataclass(frozen=True, slots=True)
class ResultChunk(Encoded):
    """A miner: one piece of the stream of a task.

    :ivar task_id: digest of the announcement.
    :ivar index: number of the chunk in this stream, from 0.
    :ivar chunk_kind: a `ChunkKind`.
    :ivar part: with OUTPUT_PART, number of the part from 0: its place under `output_root`; else 0.
    :ivar units: made so far.
    :ivar payload: see `ChunkKind`.
    """

    task_id: Hash
    index: Uint32
    chunk_kind: Annotated[int, Uint(max(ChunkKind))]
    part: Annotated[int, Uint(OUTPUT_PARTS_MAX - 1)]
    units: Units
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
class Source(Encoded):
    """A file that an input brings besides its texts; its bytes follow the input on the stream.

    :ivar role: a `SourceRole`.
    :ivar size_bytes: its length, at least 1.
    :ivar hash: its SHA-256.
    """

    role: Uint8
    size_bytes: Annotated[int, Uint(SOURCE_BYTES_MAX)]
    hash: Hash


@dataclass(frozen=True, slots=True)
class PublicInput(Encoded):
    """The half of an input that a proof may show: numbers, and hashes of the sources.

    :ivar numbers: canonical encoding of the struct that `work.SPECS` names for the task's kind.
    :ivar sources: in the order in which their bytes follow.
    """

    numbers: Annotated[bytes, Bytes(0, NUMBERS_BYTES_MAX)]
    sources: Annotated[tuple[Source, ...], Items(Source, 0, SOURCES_MAX)]


@dataclass(frozen=True, slots=True)
class SealedInput(Encoded):
    """The half of an input that no proof shows.

    :ivar salt: 32 random bytes, so that nobody can guess a short prompt, or the numbers beside it, from the
        commitment.
    :ivar prompts: what is asked for, then what to avoid; the latter may be empty.
    :ivar preview_every_units: a preview is wanted every so many units; 0 for none.
    """

    salt: Hash
    prompts: Annotated[tuple[str, ...], Items(Annotated[str, Text(PROMPT_BYTES_MAX)], 0, PROMPTS_MAX)]
    preview_every_units: Uint16


@dataclass(frozen=True, slots=True)
class TaskInput(Encoded):
    """The input of a task; only the working miner and auditors see it. The announcement commits to it.

    :ivar public: numbers and hashes.
    :ivar sealed: salt and prompts.
    """

    public: PublicInput
    sealed: SealedInput

    def commitment(self) -> bytes:
        """32 bytes for `TaskAnnouncement.input_commitment`: the Merkle root of the two encoded halves."""
        return merkle_root((self.public.encode(), self.sealed.encode()))


class ReplyKind(enum.IntEnum):
    """The kind of a coordinator's answer on a miner's task stream."""

    INPUT = 0
    """The payload is the encoded `TaskInput`: start."""
    NOT_NEEDED = 1
    """Somebody else has finished; the reason says more."""
    RECEIVED = 2
    """The result is complete and every signature and hash fits."""
    SOURCE_PART = 3
    """After INPUT: a part of a source: `CHUNK_BYTES_MAX` bytes of it, its last part what is left of it."""
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


class DeclineKind(enum.IntEnum):
    """The reach of a miner's "no": whom else it holds for."""

    NOBODY = 0
    """No miner that runs this model can do it: it is the task that must change."""
    NOT_HERE = 1
    """Not this miner; another one may."""
    BUSY = 2
    """Not this miner now: its slots are taken."""


@dataclass(frozen=True, slots=True)
class TaskDecline(Encoded):
    """A miner, on the task stream, in place of its acceptance or a later statement: "I shall not do this".

    Unsigned, as no pay or stake hangs on it; the stream is authenticated. It ends the miner's turn; what it
    has shown until then is paid.

    :ivar task_id: digest of the announcement.
    :ivar decline_kind: a `DeclineKind`.
    :ivar reason: for the app, in a sentence.
    """

    task_id: Hash
    decline_kind: Annotated[int, Uint(max(DeclineKind))]
    reason: Annotated[str, Text(REASON_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class TaskCall(Encoded):
    """A coordinator to a drawn miner: "whoever worked on this is lost; come now, before your head start".

    Unsigned, the stream is authenticated; it moves nobody's turn but the callee's own.

    :ivar task_id: digest of the announcement.
    """

    task_id: Hash
