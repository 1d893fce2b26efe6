"""Audits in words: by which dice work was selected or not, and who checks which of its steps.

Is: sentences made of what a peer knows, for tools to print.
Is not: the draw (`audit_draw`), or anything that a program should read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.amounts import WEI_PER_MICRO_CAI, format_cai
from protocol.audit import Audits
from protocol.audit_draw import AuditDraw, AuditedWork, BeaconBlock, draw_audit
from protocol.audit_rate import CONVICTED_PPM, detection_ppm, deterring_ppm, pictures_until_seen
from protocol.terms import PPM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.draw import EpochView
    from protocol.messages import ResultCommitment, TaskAnnouncement
    from protocol.rules.view import View
    from protocol.statement import Statement

_PER_CENT = PPM // 100
_SELECTING_BITS = 64


def explain_audit(
    view: View, task: TaskAnnouncement, commitment: Statement[ResultCommitment] | None
) -> tuple[str, ...]:
    """Sentences about the audit of one miner's work for a task.

    :param view: what the peer knows of the chain.
    :param commitment: that was heard before the deadline; None if none was.
    """
    if task.audits != Audits.PUBLIC:
        return ("its buyer alone audits this task: the announcement says so",)
    if commitment is None:
        return ("no commitment was heard in time: its buyer alone audits such work",)
    margin_s = view.audit_terms.beacon_margin_ms // 1000
    beacon, epoch = view.beacons.get(task.deadline_ms), view.epoch_of(task)
    who = f"the work of 0x{commitment.signer.address.hex()}"
    if beacon is None:
        decides = f"the first final block {margin_s} s past the deadline decides"
        return (f"whether {who} is audited is not known yet: {decides}",)
    if epoch is None:
        return (f"who audits {who} is not known any more: epoch {task.epoch} is forgotten",)
    work = AuditedWork.of(task, commitment)
    draw = draw_audit(epoch, work, beacon, view.audit_terms)
    return (*_dice(work, beacon, draw), *_outcome(view, epoch, work, draw), *_rate(task, epoch, work, draw))


def _dice(work: AuditedWork, beacon: BeaconBlock, draw: AuditDraw) -> tuple[str, str]:
    commitment, dice, block = work.commitment.hex(), draw.dice.hex(), beacon.hash.hex()
    thrown = _percent(int.from_bytes(draw.dice[:8], "big") * PPM >> _SELECTING_BITS)
    below = f"below {_percent(draw.selected_ppm)} the work of 0x{work.miner.hex()} is audited"
    return (
        f"block {beacon.number}, 0x{block}, and commitment 0x{commitment} give the dice 0x{dice}",
        f"their first 8 bytes are {thrown} of what they can be; {below}",
    )


def _outcome(view: View, epoch: EpochView, work: AuditedWork, draw: AuditDraw) -> tuple[str, ...]:
    if not draw.is_selected:
        return ("so nobody but its buyer may audit it",)
    owners = [epoch.registrations.owner_of(node) for node in (work.miner, work.coordinator)]
    barred = " and ".join(dict.fromkeys(f"0x{owner.hex()}" for owner in owners))
    return (
        *(
            f"0x{auditor.hex()} checks step{'s' * (len(steps) > 1)} {_listed(steps)} of {work.steps}, from 0"
            for auditor, steps in draw.auditors
        ),
        *(() if draw.auditors else ("nobody is left who may audit it",)),
        f"nodes of {barred} may not: they are its miner's or its coordinator's",
        f"verdicts count until {view.audit_terms.window_ms // 1000} s past the deadline",
    )


def _rate(task: TaskAnnouncement, epoch: EpochView, work: AuditedWork, draw: AuditDraw) -> tuple[str, ...]:
    """Why so much is audited: see `audit_rate`."""
    gain_wei = task.price_micro_cai * WEI_PER_MICRO_CAI
    stake_wei = epoch.miners.weight_of(work.miner) * WEI_PER_MICRO_CAI
    least = detection_ppm(work.steps, 1)
    deterring = deterring_ppm(gain_wei, stake_wei, least, CONVICTED_PPM)
    deters = "no rate of audits deters" if deterring is None else f"audits of {_percent(deterring)} deter"
    until = [pictures_until_seen(draw.selected_ppm, detected) for detected in (PPM, least)]
    every, single = ("never" if count is None else f"after {count} pictures in the mean" for count in until)
    gain, stake, steps = format_cai(gain_wei), format_cai(stake_wei), work.steps
    return (
        f"a false picture gains at most {gain}; behind its miner are {stake}, votes among them",
        f"{deters} from one false step of {steps}",
        f"at {_percent(draw.selected_ppm)} a miner that falsifies every step is seen {every}",
        f"and one that falsifies a single step of each picture {single}",
    )


def _percent(ppm: int) -> str:
    """Parts per million as a percentage, exact."""
    whole, part = divmod(ppm, _PER_CENT)
    decimals = f"{part:04d}".rstrip("0")
    return f"{whole}{'.' if decimals else ''}{decimals} %"


def _listed(steps: Sequence[int]) -> str:
    *most, last = map(str, steps)
    return f"{', '.join(most)} and {last}" if most else last
