"""Evidence that one or two statements are by themselves, and what they prove.

Is: statements in one slot, a chain of tasks, a draw, a part of an output.
Is not: what a commitment to a trace proves (`trace_faults`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from protocol.draw import EpochView, follows_draw, task_seed
from protocol.errors import DecodeError, InvalidMessage
from protocol.evidence.faults import Fault, Offence, SignedPair, Tagged, UnknownEpoch
from protocol.hashing import keccak256
from protocol.merkle import leaf_hash, merkle_proof, proves_leaf_hash
from protocol.messages import (
    CHUNK_BYTES_MAX,
    NO_TASK,
    ChunkKind,
    Kind,
    ResultChunk,
    ResultCommitment,
    TaskAnnouncement,
    parts_of,
)
from protocol.schema import Bytes, Hash, Items
from protocol.statement import Domain, Statement, open_statement, read_envelope, verify
from protocol.work import SPECS

STATEMENT_BYTES_MAX = 30 * 1024
"""Longest statement of a pair, so that two fit into one gossip message."""
CHUNK_STATEMENT_BYTES_MAX = CHUNK_BYTES_MAX + 1024
"""Longest envelope of a chunk: its payload, the other fields and the signature."""
PROOF_HASHES_MAX = 20

StatementBytes = Annotated[bytes, Bytes(1, STATEMENT_BYTES_MAX)]
ChunkStatementBytes = Annotated[bytes, Bytes(1, CHUNK_STATEMENT_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class TwoStatements(Tagged):
    """Equivocation: two envelopes of one signer with equal (kind, slot) and different bodies.

    Made by `pair`, which orders them, so that everybody who hears both makes the same evidence.

    :ivar first: an envelope.
    :ivar second: another envelope, the greater of the two.
    """

    FAULT = Fault.EQUIVOCATION
    first: StatementBytes
    second: StatementBytes

    @classmethod
    def pair(cls, one: bytes, other: bytes) -> TwoStatements:
        """Evidence of two envelopes, the lesser bytes first."""
        return cls(*sorted((one, other)))


@dataclass(frozen=True, slots=True)
class BrokenSequence(Tagged):
    """Two announcements of one coordinator that are not of one chain; see `breaks_sequence`.

    :ivar earlier: envelope of the announcement with the lower slot.
    :ivar later: envelope of the other; it names a predecessor that `earlier` shows to be wrong.
    """

    FAULT = Fault.BROKEN_SEQUENCE
    earlier: StatementBytes
    later: StatementBytes


@dataclass(frozen=True, slots=True)
class WrongRanking(Tagged):
    """An announcement that contradicts the chain: its draw comes out otherwise.

    :ivar announcement: an envelope; the epoch that it names is looked up by whoever checks.
    """

    FAULT = Fault.WRONG_RANKING
    announcement: StatementBytes

    def epoch(self) -> int:
        """The number of the epoch that the announcement names, its signature unchecked.

        :raises DecodeError: it is no announcement.
        """
        _, task = read_envelope(self.announcement)
        if not isinstance(task, TaskAnnouncement):
            message = "the statement is no announcement"
            raise DecodeError(message)
        return task.epoch


@dataclass(frozen=True, slots=True)
class FalsePart(Tagged):
    """A part of an output and a commitment of one miner for one task that do not fit.

    :ivar chunk: envelope of a `ResultChunk` of the kind OUTPUT_PART.
    :ivar commitment: envelope of the `ResultCommitment`.
    :ivar leaf: hash of the leaf that stands at the part's number under the committed root.
    :ivar proof: its siblings, from the leaf up.
    """

    FAULT = Fault.FALSE_PART
    chunk: ChunkStatementBytes
    commitment: StatementBytes
    leaf: Hash
    proof: Annotated[tuple[bytes, ...], Items(Hash, 0, PROOF_HASHES_MAX)]

    @classmethod
    def of(cls, chunk: bytes, commitment: bytes, output: bytes, part: int) -> FalsePart:
        """Evidence that `chunk` is not part number `part` of the `output` that was committed to."""
        parts = parts_of(output)
        return cls(chunk, commitment, leaf_hash(parts[part]), merkle_proof(parts, part))

    def task_id(self) -> bytes:
        """The task that the commitment names, 32 bytes, its signature unchecked.

        :raises DecodeError: it is no commitment.
        """
        _, commitment = read_envelope(self.commitment)
        if not isinstance(commitment, ResultCommitment):
            message = "the statement is no commitment"
            raise DecodeError(message)
        return commitment.task_id


def verify_equivocation(domain: Domain, evidence: TwoStatements) -> Offence:
    """As `verify_evidence`, of two statements in one slot."""
    (first, first_message), (second, second_message) = map(read_envelope, (evidence.first, evidence.second))
    if first.kind != second.kind:
        raise InvalidMessage("the statements are of different kinds")
    if not Kind(first.kind).slashable:
        raise InvalidMessage("statements of this kind are not slashable")
    slot = first_message.slot()
    if slot != second_message.slot():
        raise InvalidMessage("the statements take different slots")
    if first.body == second.body:
        raise InvalidMessage("the statements say the same")
    signer = verify(domain, first, first_message, evidence.first).signer
    if signer != verify(domain, second, second_message, evidence.second).signer:
        raise InvalidMessage("the statements have different signers")
    pair = SignedPair(keccak256(first.body), first.signature, keccak256(second.body), second.signature)
    return Offence(Fault.EQUIVOCATION, signer.address, Kind(first.kind), slot, pair)


def _announcement(domain: Domain, data: bytes) -> Statement[TaskAnnouncement]:
    statement = open_statement(domain, data, TaskAnnouncement)
    if statement.signer.address != statement.message.coordinator:
        raise InvalidMessage("an announcement is signed by somebody else than its coordinator")
    return statement


def breaks_sequence(earlier: Statement[TaskAnnouncement], later: Statement[TaskAnnouncement]) -> bool:
    """Whether two announcements of one coordinator, the lower slot first, cannot be of one chain of tasks.

    Within an epoch, number N + 1 names number N. Across two epochs that follow each other, number 0 of the
    later names the last of the earlier: never "nothing", since there is one, and never an announcement that
    another one of the earlier epoch follows.
    """
    one, other = earlier.message, later.message
    if one.epoch == other.epoch:
        return one.number + 1 == other.number and other.previous != earlier.digest
    if one.epoch + 1 != other.epoch or other.number:
        return False
    return other.previous in (NO_TASK, one.previous)


def verify_broken_sequence(domain: Domain, evidence: BrokenSequence) -> Offence:
    """As `verify_evidence`, of two announcements."""
    earlier, later = (_announcement(domain, data) for data in (evidence.earlier, evidence.later))
    for statement in (earlier, later):
        # The contract reads these, too. What it cannot judge must not stand in the place of what it can.
        if statement.message.work.kind in SPECS:
            statement.message.work.read_details()
    if earlier.signer != later.signer:
        raise InvalidMessage("the statements have different signers")
    if not breaks_sequence(earlier, later):
        raise InvalidMessage("the announcements may be of one chain")
    return Offence(Fault.BROKEN_SEQUENCE, later.signer.address, Kind.TASK_ANNOUNCEMENT, later.message.slot())


def verify_wrong_ranking(domain: Domain, evidence: WrongRanking, epochs: Mapping[int, EpochView]) -> Offence:
    """As `verify_evidence`, of a ranking."""
    statement = _announcement(domain, evidence.announcement)
    task, coordinator = statement.message, statement.signer.address
    epoch = epochs.get(task.epoch)
    if epoch is None:
        raise UnknownEpoch(task.epoch)
    if not epoch.coordinators.weight_of(coordinator):
        raise InvalidMessage("the signer was not a coordinator of that epoch")
    if follows_draw(epoch.miners, task_seed(epoch.seed, coordinator, task.number), task.ranking):
        raise InvalidMessage("the ranking is the draw's")
    return Offence(Fault.WRONG_RANKING, coordinator, Kind.TASK_ANNOUNCEMENT, task.slot())


def verify_false_part(domain: Domain, evidence: FalsePart) -> Offence:
    """As `verify_evidence`, of a part of an output."""
    chunk = open_statement(domain, evidence.chunk, ResultChunk)
    commitment = open_statement(domain, evidence.commitment, ResultCommitment)
    part, committed = chunk.message, commitment.message
    if part.chunk_kind != ChunkKind.OUTPUT_PART:
        raise InvalidMessage("the chunk is not a part of an output")
    if part.task_id != committed.task_id:
        raise InvalidMessage("the statements are of different tasks")
    if chunk.signer != commitment.signer:
        raise InvalidMessage("the statements have different signers")
    count = -(-committed.output_bytes // CHUNK_BYTES_MAX)
    if not proves_leaf_hash(committed.output_root, evidence.leaf, part.part, count, evidence.proof):
        raise InvalidMessage("the leaf is not under the committed root")
    if evidence.leaf == leaf_hash(part.payload):
        raise InvalidMessage("the part is the committed one")
    return Offence(Fault.FALSE_PART, commitment.signer.address, Kind.RESULT_COMMITMENT, committed.slot())
