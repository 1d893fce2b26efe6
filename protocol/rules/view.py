"""A peer's knowledge when it judges a message: the chain's facts, and what was said before.

Is: values; `node` fills a `View` from the chain, `Seen` fills itself through the rules.
Is not: a cache of the chain or a store; both are forgotten when the process ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from protocol.audit_draw import AuditDraw, BeaconBlock
from protocol.bounded import Bounded
from protocol.draw import EpochView
from protocol.errors import DecodeError, GossipIgnore, GossipReject, SignatureError
from protocol.evidence import BrokenSequence, Evidence, TwoStatements, WrongRanking
from protocol.hashing import sha256
from protocol.keeping import WORKS_MAX
from protocol.messages import Message, Offer, ResultCommitment, TaskAnnouncement
from protocol.statement import Domain, Envelope, Statement, read_envelope, verify
from protocol.terms import AuditTerms, TaskTerms

CLOCK_DISPARITY_MS_MAX = 500
"""How far two honest clocks may differ; the field's constant."""
SEED_SETTLING_MS = 5 * 60 * 1000
"""How long after an epoch's seed has changed nobody is blamed for a draw by another one."""
GOSSIP_BYTES_MAX = 64 * 1024
"""Longest gossip message."""
SEEN_MESSAGES_MAX = 65_536
SEEN_TASKS_MAX = WORKS_MAX
"""Announcements, each for as long as verdicts on its work count, an hour and its life: of four tasks a second
on the whole network. Of more, verdicts on the oldest are not forwarded. As many as one miner keeps works, so
that none is asked of a task that its peers still know and it does not."""
SEEN_COMMITMENTS_MAX = 2 * SEEN_TASKS_MAX
"""Of two miners a task: one, and one that it was passed on to."""
SEEN_STATEMENTS_MAX = 4 * SEEN_TASKS_MAX
"""An announcement, two commitments, and verdicts on a fifth of these: a second word on any is evidence."""
SEEN_OFFERS_MAX = 16_384
SEEN_EVIDENCE_MAX = 4_096
SEEN_AUDITS_MAX = SEEN_COMMITMENTS_MAX
"""As many as commitments, so that verdicts on all that are known cost each of them one draw."""

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class View:
    """The chain and the network's parameters, as of now.

    :ivar domain: of this network's signatures.
    :ivar epochs: by number; the latest and the one before, which announcements may still name.
    :ivar terms: of the network's tasks.
    :ivar settling_until_ms: of epochs whose seed has just changed, by number: until when draws that do not
        fit are nobody's fault.
    :ivar past_epochs: by number; older ones, which tasks name that are still audited.
    :ivar audit_terms: of the network's audits.
    :ivar beacons: the block of the dice by the deadline in ms of the tasks that it decides for, as far as it
        is known and final.
    :ivar beacons_settling_until_ms: until when draws by another block are nobody's fault.
    :ivar newest_block_ms: the latest time of a block that is known; 0 for none.
    """

    domain: Domain
    epochs: Mapping[int, EpochView]
    terms: TaskTerms
    settling_until_ms: Mapping[int, int] = field(default_factory=dict)
    past_epochs: Mapping[int, EpochView] = field(default_factory=dict)
    audit_terms: AuditTerms = field(default_factory=AuditTerms)
    beacons: Mapping[int, BeaconBlock] = field(default_factory=dict)
    beacons_settling_until_ms: int = 0
    newest_block_ms: int = 0

    @property
    def latest(self) -> EpochView | None:
        """The epoch that new announcements use; None before the first seed is recorded."""
        return self.epochs[max(self.epochs)] if self.epochs else None

    def is_settling(self, epoch: int, now_ms: int) -> bool:
        """Whether the seed of an epoch, by number, has just changed: a reorganisation of the chain."""
        return now_ms < self.settling_until_ms.get(epoch, 0)

    def epoch_of(self, task: TaskAnnouncement) -> EpochView | None:
        """The epoch that a task names, also when new tasks may not name it any more; None if forgotten."""
        return self.epochs.get(task.epoch) or self.past_epochs.get(task.epoch)

    def may_know_dice(self, deadline_ms: int) -> bool:
        """Whether the block of the dice for a deadline may be known: then it is too late to commit."""
        return self.newest_block_ms >= self.audit_terms.beacon_from_ms(deadline_ms)


@dataclass(slots=True)
class Seen:
    """Messages that were accepted before, each mapping bounded; one instance a peer.

    :ivar messages: by SHA-256 of the whole message, what it was read as: where a duplicate ends.
    :ivar statements: envelope first said by (kind, signer's address, slot); the memory behind evidence.
    :ivar tasks: announcements by task id.
    :ivar task_ids: of announcements, by (coordinator, epoch, number).
    :ivar followers: of announcements, by (coordinator, epoch, the id that they name as predecessor).
    :ivar last_tasks: id of the announcement with the highest number, by (coordinator, epoch).
    :ivar commitments: first heard, by (task id, miner).
    :ivar audits: what the dice say, by (commitment's digest, block hash); from the first verdict on, also one
        that is not accepted.
    :ivar audit_seeds: of the epochs whose stakes were drawn by, by the same.
    :ivar offers: newest offer by miner's address.
    :ivar offenders: `Offence.key` of evidence that was already accepted.
    """

    messages: Bounded[bytes, object] = field(default_factory=lambda: Bounded(SEEN_MESSAGES_MAX))
    statements: Bounded[tuple[int, bytes, bytes], bytes] = field(
        default_factory=lambda: Bounded(SEEN_STATEMENTS_MAX)
    )
    tasks: Bounded[bytes, Statement[TaskAnnouncement]] = field(
        default_factory=lambda: Bounded(SEEN_TASKS_MAX)
    )
    task_ids: Bounded[tuple[bytes, int, int], bytes] = field(default_factory=lambda: Bounded(SEEN_TASKS_MAX))
    followers: Bounded[tuple[bytes, int, bytes], bytes] = field(
        default_factory=lambda: Bounded(SEEN_TASKS_MAX)
    )
    last_tasks: Bounded[tuple[bytes, int], bytes] = field(default_factory=lambda: Bounded(SEEN_TASKS_MAX))
    commitments: Bounded[tuple[bytes, bytes], Statement[ResultCommitment]] = field(
        default_factory=lambda: Bounded(SEEN_COMMITMENTS_MAX)
    )
    audits: Bounded[tuple[bytes, bytes], AuditDraw] = field(default_factory=lambda: Bounded(SEEN_AUDITS_MAX))
    audit_seeds: Bounded[tuple[bytes, bytes], bytes] = field(default_factory=lambda: Bounded(SEEN_AUDITS_MAX))
    offers: Bounded[bytes, Statement[Offer]] = field(default_factory=lambda: Bounded(SEEN_OFFERS_MAX))
    offenders: Bounded[tuple[int, bytes], None] = field(default_factory=lambda: Bounded(SEEN_EVIDENCE_MAX))


class Contradiction(GossipIgnore):
    """A signer contradicted itself: the message goes no further, the evidence does.

    :ivar evidence: that it did.
    """

    def __init__(self, reason: str, evidence: Evidence) -> None:
        super().__init__(reason)
        self.evidence = evidence


class Equivocation(Contradiction):
    """Another statement in the same slot."""

    def __init__(self, evidence: TwoStatements) -> None:
        super().__init__("signer has said something else in this slot", evidence)


class SequenceContradiction(Contradiction):
    """Announcements of one coordinator that are not of one chain."""

    def __init__(self, evidence: BrokenSequence) -> None:
        super().__init__("announcement contradicts its neighbour", evidence)


class Misranked(GossipReject):
    """An announcement that contradicts the chain. :ivar evidence: the announcement."""

    def __init__(self, evidence: WrongRanking) -> None:
        super().__init__("ranking is not the draw's")
        self.evidence: Evidence = evidence


def check_size_and_novelty(seen: Seen, data: bytes, expected: object) -> None:
    """The checks that come before a byte is decoded.

    :param expected: what it would be read as; the same bytes may be wrong on another topic.
    :raises GossipReject: too long.
    :raises GossipIgnore: these very bytes were accepted before.
    """
    # [REJECT] The message is at most GOSSIP_BYTES_MAX long.
    if len(data) > GOSSIP_BYTES_MAX:
        raise GossipReject("message is too long")
    # [IGNORE] The message was not accepted before.
    if seen.messages.get(sha256(data)) is expected:
        raise GossipIgnore("message was seen before")


def read_gossip(seen: Seen, data: bytes, expected: type[MessageT]) -> tuple[Envelope, MessageT]:
    """Decode a gossip message, signature unchecked: the cheap start of every rule.

    :raises GossipIgnore: it was accepted before.
    :raises GossipReject: too long, not canonical, or another kind of message.
    """
    check_size_and_novelty(seen, data, expected)
    # [REJECT] The message is a canonical envelope around a canonical body.
    try:
        envelope, message = read_envelope(data)
    except DecodeError as error:
        raise GossipReject("message does not decode") from error
    # [REJECT] The message is of the topic's kind.
    if not isinstance(message, expected):
        raise GossipReject("message is of another topic")
    return envelope, message


def verify_gossip(domain: Domain, envelope: Envelope, message: MessageT, data: bytes) -> Statement[MessageT]:
    """Recover the signer: the dear part of every rule.

    :raises GossipReject: the signature is malformed.
    """
    # [REJECT] The signature is well-formed.
    try:
        return verify(domain, envelope, message, data)
    except SignatureError as error:
        raise GossipReject("signature is malformed") from error


def check_slot_is_free(seen: Seen, statement: Statement[Any]) -> None:
    """Compare `statement` with what its signer said first in that slot.

    :raises GossipIgnore: it said exactly this.
    :raises Equivocation: it said something else.
    """
    first = seen.statements.get(slot_key(statement))
    # [IGNORE] The statement is the first of its signer in its slot ...
    if first is None:
        return
    if first == statement.encoded or Envelope.decode(first).body == Envelope.decode(statement.encoded).body:
        raise GossipIgnore("statement was seen before")
    # ... and if another was first, the pair is evidence.
    raise Equivocation(TwoStatements.pair(first, statement.encoded))


def remember(seen: Seen, statement: Statement[Any]) -> None:
    """Note an accepted statement; the last thing that a rule does."""
    seen.statements[slot_key(statement)] = statement.encoded
    seen.messages[sha256(statement.encoded)] = type(statement.message)


def slot_key(statement: Statement[Any]) -> tuple[int, bytes, bytes]:
    """Key of `statement` in `Seen.statements`."""
    # A plain number: hashing an enum's member costs as much as all the rest.
    return (statement.kind.value, statement.signer.address, statement.message.slot())
