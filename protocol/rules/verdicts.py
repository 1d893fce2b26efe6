"""Rules of the topic `verdicts`: which auditors' verdicts are forwarded. Two on one work are evidence."""

from __future__ import annotations

from itertools import pairwise

from protocol.audit import (
    NO_BUNDLE,
    PLACED_REASONS,
    SKETCH_BYTES,
    AuditReason,
    Audits,
    AuditVerdict,
    FaultPlace,
    TraceTensor,
    Verdict,
)
from protocol.audit_draw import AuditDraw, AuditedWork, draw_audit
from protocol.errors import GossipIgnore, GossipReject
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.rules.view import (
    Seen,
    View,
    check_slot_is_free,
    read_gossip,
    remember,
    verify_gossip,
)
from protocol.statement import Statement

TOPIC = "verdicts"


def validate_verdict(seen: Seen, view: View, data: bytes, now_ms: int) -> Statement[AuditVerdict]:
    """The verdict in `data`, to be accepted.

    :raises Equivocation: the auditor has said something else; carries the evidence.
    :raises GossipIgnore: seen, or of a task, a commitment, an epoch or a block that this peer does not know.
    :raises GossipReject: no honest peer forwards this.
    """
    envelope, verdict = read_gossip(seen, data, AuditVerdict)
    check_form(verdict)
    # [IGNORE] The task is known. No penalty: its announcement may still be under way.
    task = seen.tasks.get(verdict.task_id)
    if task is None:
        raise GossipIgnore("task is not known")
    check_task(verdict, task.message)
    # [IGNORE] The time for its audit is not over.
    if view.audit_terms.ends_at_ms(task.message.deadline_ms) <= now_ms:
        raise GossipIgnore("audit is over")
    # [IGNORE] The miner's commitment was heard in time. No penalty: it may have reached the others alone.
    commitment = seen.commitments.get((verdict.task_id, verdict.miner))
    if commitment is None:
        raise GossipIgnore("commitment is not known")
    # [IGNORE] It is the one that was heard. No penalty: the miner may have made two.
    if commitment.digest != verdict.commitment:
        raise GossipIgnore("another commitment is known")
    statement = verify_gossip(view.domain, envelope, verdict, data)
    draw = check_dice(seen, view, task.message, commitment)
    # [IGNORE] The dice select the work. No penalty: parameters of a network may change.
    if not draw.is_selected:
        raise GossipIgnore("work was not selected")
    steps = draw.steps_of(statement.signer.address)
    if steps is None:
        # [IGNORE] Nor by a block that is gone. No penalty: peers hear of a reorganisation in turn.
        check_beacon_is_settled(view, now_ms)
        # [REJECT] The signer was drawn to audit the work.
        raise GossipReject("signer was not drawn to audit this work")
    # [REJECT] It finds honest only what it has checked in all the steps that it was drawn for.
    if verdict.verdict == Verdict.HONEST and not set(steps) <= set(verdict.steps):
        check_beacon_is_settled(view, now_ms)
        raise GossipReject("verdict is not on the steps that were drawn")
    check_slot_is_free(seen, statement)
    remember(seen, statement)
    return statement


def check_task(verdict: AuditVerdict, task: TaskAnnouncement) -> None:
    """The rules that need the announcement besides.

    :raises GossipReject: no honest auditor says this of this task.
    """
    # [REJECT] The task may be audited by others than its buyer.
    if task.audits != Audits.PUBLIC:
        raise GossipReject("task is its buyer's alone to audit")
    # [REJECT] The verdict is on a miner that was drawn for the task, and on steps that it has.
    steps = task.work.units
    places = [place for place in verdict.place if not _is_last_latent(verdict, place, steps)]
    if verdict.miner not in task.assigned or any(
        step >= steps for step in (*verdict.steps, *(place.step for place in places))
    ):
        raise GossipReject("verdict is not on this task")


def _is_last_latent(verdict: AuditVerdict, place: FaultPlace, steps: int) -> bool:
    """Whether a place is in the one tensor beyond the last step, for a fault that needs no step."""
    is_latent = (place.step, place.tensor) == (steps, TraceTensor.LATENT)
    return is_latent and verdict.reason in {AuditReason.TRACE_FORM, AuditReason.NOT_FINITE}


def check_dice(
    seen: Seen, view: View, task: TaskAnnouncement, commitment: Statement[ResultCommitment]
) -> AuditDraw:
    """The draw for some work, thrown once for each commitment and block, whoever's verdict asks for it.

    :raises GossipIgnore: this peer cannot know it.
    """
    # [IGNORE] The block of the dice is known, and final. No penalty: peers hear of it one after the other.
    beacon = view.beacons.get(task.deadline_ms)
    if beacon is None:
        raise GossipIgnore("dice of the audit are not known")
    epoch, key = view.epoch_of(task), (commitment.digest, beacon.hash)
    known = seen.audits.get(key)
    # Stakes may have changed with the seed, if the chain was reorganised.
    if known is not None and (epoch is None or epoch.seed == seen.audit_seeds.get(key)):
        return known
    # [IGNORE] The task's epoch is still known.
    if epoch is None:
        raise GossipIgnore("epoch is not known")
    drawn = draw_audit(epoch, AuditedWork.of(task, commitment), beacon, view.audit_terms)
    seen.audits[key], seen.audit_seeds[key] = drawn, epoch.seed
    return drawn


def check_beacon_is_settled(view: View, now_ms: int) -> None:
    """Before somebody is blamed for what does not fit the dice.

    :raises GossipIgnore: the chain was reorganised a short while ago; the signer may know another block.
    """
    if now_ms < view.beacons_settling_until_ms:
        raise GossipIgnore("block of the dice has just changed")


def check_form(verdict: AuditVerdict) -> None:
    """The cheap rule, which needs the verdict alone.

    :raises GossipReject: no honest auditor says this.
    """
    # [REJECT] Its parts fit each other.
    if not (_steps_fit(verdict) and _reason_fits(verdict)):
        raise GossipReject("verdict contradicts itself")


def _steps_fit(verdict: AuditVerdict) -> bool:
    """Steps ascend, sketches are whole or not there; HONEST has a step and all sketches, silence nothing."""
    lengths = {len(checked.sketch) for checked in verdict.checked}
    if not all(one < other for one, other in pairwise(verdict.steps)) or not lengths <= {0, SKETCH_BYTES}:
        return False
    match verdict.verdict:
        case Verdict.HONEST:
            return lengths == {SKETCH_BYTES}
        case Verdict.NO_OPENING:
            return not verdict.checked and not verdict.worst_excess_ppb
    return True


def _reason_fits(verdict: AuditVerdict) -> bool:
    """A fault alone has a reason, and a place where it is of one tensor; only silence has no bundle."""
    is_fault = verdict.verdict == Verdict.FAULT
    has_bundle = verdict.bundle != NO_BUNDLE
    if is_fault != (verdict.reason != AuditReason.NONE):
        return False
    if has_bundle == (verdict.verdict == Verdict.NO_OPENING):
        return False
    if bool(verdict.place) != (verdict.reason in PLACED_REASONS):
        return False
    return not verdict.place or _place_fits(AuditReason(verdict.reason), verdict.place[0])


def _place_fits(reason: AuditReason, place: FaultPlace) -> bool:
    match reason:
        case AuditReason.INITIAL_LATENT:
            return (place.step, place.tensor) == (0, TraceTensor.LATENT)
        case AuditReason.SCHEDULER_STEP:
            return place.tensor == TraceTensor.LATENT
        case AuditReason.TRACE_FORM if place.number:
            return False
    return place.tensor != TraceTensor.SOURCE or place.step == 0
