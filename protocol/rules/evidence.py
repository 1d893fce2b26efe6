"""Rules of the topic `evidence`: proof of an offence reaches everybody, once for each fault of a signer."""

from __future__ import annotations

from protocol.errors import DecodeError, GossipIgnore, GossipReject, ProtocolError
from protocol.evidence import (
    Evidence,
    FalsePart,
    Offence,
    TwoStatements,
    UnknownEpoch,
    WrongRanking,
    accused_by,
    decode_evidence,
    verify_evidence,
)
from protocol.hashing import sha256
from protocol.messages import TaskAnnouncement
from protocol.rules.view import Seen, View, check_size_and_novelty
from protocol.statement import Statement

TOPIC = "evidence"


def validate_evidence(seen: Seen, view: View, data: bytes, now_ms: int) -> tuple[Evidence, Offence]:
    """The evidence in `data`, to be accepted, and what it proves.

    :raises GossipIgnore: this fault of the signer is known, the offender has no stake to lose, or the epoch
        or the task is unknown, or the epoch's seed has just changed.
    :raises GossipReject: it proves nothing.
    """
    check_size_and_novelty(seen, data, Evidence)
    # [REJECT] The message is canonical evidence of a fault that is known.
    try:
        evidence = decode_evidence(data)
    except DecodeError as error:
        raise GossipReject("message does not decode") from error
    # [REJECT] A pair is in its one order; otherwise each piece could circulate twice.
    if isinstance(evidence, TwoStatements) and evidence.first >= evidence.second:
        raise GossipReject("statements are not in order")
    task = _task_of(seen, evidence)
    # [IGNORE] The task of a false part is known. No penalty: its announcement may still be under way.
    if isinstance(evidence, FalsePart) and task is None:
        raise GossipIgnore("task is not known")
    # [IGNORE] A wrong ranking is not of an epoch whose seed has just changed: it may be another one's draw.
    if isinstance(evidence, WrongRanking) and _is_settling(view, evidence, now_ms):
        raise GossipIgnore("epoch's seed has just changed")
    check_accused(seen, view, evidence)
    try:
        offence = verify_evidence(view.domain, evidence, view.epochs)
    # [IGNORE] The epoch that judging needs is known. No penalty: another peer may hear of it first.
    except UnknownEpoch as unknown:
        raise GossipIgnore("epoch is not known") from unknown
    # [REJECT] The evidence proves an offence.
    except ProtocolError as error:
        raise GossipReject("evidence proves nothing") from error
    # [REJECT] The signer of a false part was drawn for the task.
    if task is not None and offence.signer not in task.message.assigned:
        raise GossipReject("signer was not drawn for this task")
    seen.offenders[offence.key] = None
    seen.messages[sha256(data)] = Evidence
    return evidence, offence


def check_accused(seen: Seen, view: View, evidence: Evidence) -> None:
    """Whether it is worth anybody's while to judge this: one signature, before all the rest.

    :raises GossipIgnore: it is known, or there is nothing to take.
    :raises GossipReject: it accuses nobody.
    """
    # Nothing is proved by a statement that nobody signed.
    try:
        accused = accused_by(view.domain, evidence)
    except ProtocolError as error:
        raise GossipReject("evidence proves nothing") from error
    # [IGNORE] No offence of this sort by this signer is known yet: one is enough, and many would be a flood.
    if (int(evidence.FAULT), accused) in seen.offenders:
        raise GossipIgnore("offence is known")
    # [IGNORE] The offender has stake in an epoch that this peer knows; evidence about anybody would be spam.
    if not any(
        epoch.miners.weight_of(accused) or epoch.coordinators.weight_of(accused)
        for epoch in view.epochs.values()
    ):
        raise GossipIgnore("offender has no stake")


def _task_of(seen: Seen, evidence: Evidence) -> Statement[TaskAnnouncement] | None:
    """The known announcement of a false part's task; None of other faults.

    :raises GossipReject: the part's commitment does not decode as one.
    """
    if not isinstance(evidence, FalsePart):
        return None
    try:
        return seen.tasks.get(evidence.task_id())
    except DecodeError as error:
        raise GossipReject("evidence proves nothing") from error


def _is_settling(view: View, evidence: WrongRanking, now_ms: int) -> bool:
    """:raises GossipReject: the statement is not an announcement."""
    try:
        epoch = evidence.epoch()
    except DecodeError as error:
        raise GossipReject("evidence proves nothing") from error
    return view.is_settling(epoch, now_ms)
