"""The dice of audits: whether a piece of work is audited, by whom, and which of its steps.

Is: pure functions of a block that nobody could know when the work was committed to, of the commitment, and of
what the chain says of stakes and owners; integers only.
Is not: how a block is found (`node/peer/beacon_watcher.py`), the audit, or the rule about verdicts.

The dice are ``Keccak-256("cuckoo/audit/1" || block hash || commitment digest)``. The block is the first one
whose time is past the task's deadline by a margin, and a commitment counts if it was heard before the
deadline. So neither who made it nor who ordered it can try again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from protocol.draw import EpochView, drawn_numbers, ranking
from protocol.hashing import keccak256
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.statement import Statement
from protocol.terms import PPM, AuditTerms

AUDIT_DOMAIN: Final = b"cuckoo/audit/1"
AUDITORS_DOMAIN: Final = b"auditors"
STEPS_DOMAIN: Final = b"steps"
AUDITORS_PER_WORK: Final = 2
"""How many are drawn for work that is selected."""
AUDITOR_PLACES_MAX: Final = 256
"""Places of the ranking that are looked at for auditors: bounds what an owner of many nodes can cost."""
STEPS_EACH_MAX: Final = 3
"""Most steps that one auditor is drawn for."""
STEPS_PER_DRAWN: Final = 6
"""Of so many steps one is drawn, for each auditor."""
_SELECTING_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class BeaconBlock:
    """A block of the chain.

    :ivar number: its height.
    :ivar hash: 32 bytes.
    :ivar time_ms: what its maker said, Unix milliseconds; whole seconds on most chains.
    """

    number: int
    hash: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class AuditedWork:
    """A miner's work for a task, as its audit sees it: all of it from signed statements.

    :ivar coordinator: address of whose task it is.
    :ivar miner: address of who has committed to it.
    :ivar commitment: digest of the `ResultCommitment`.
    :ivar steps: of the trace: the units that were done, at least 1.
    """

    coordinator: bytes
    miner: bytes
    commitment: bytes
    steps: int

    @classmethod
    def of(cls, task: TaskAnnouncement, commitment: Statement[ResultCommitment]) -> AuditedWork:
        """The work that a miner has committed to for a task; of a false count of units what is possible."""
        steps = max(1, min(commitment.message.units_done, task.work.units))
        return cls(task.coordinator, commitment.signer.address, commitment.digest, steps)


@dataclass(frozen=True, slots=True)
class AuditDraw:
    """The dice's word on one piece of work.

    :ivar dice: 32 bytes.
    :ivar selected_ppm: the part of such work that is audited, in parts per million.
    :ivar is_selected: whether this is.
    :ivar auditors: address and steps, ascending, of each who is to check it; nobody, if it is not selected.
    """

    dice: bytes
    selected_ppm: int
    is_selected: bool
    auditors: tuple[tuple[bytes, tuple[int, ...]], ...]

    def steps_of(self, auditor: bytes) -> tuple[int, ...] | None:
        """Steps that an auditor is to check, ascending; None for who was not drawn."""
        return next((steps for address, steps in self.auditors if address == auditor), None)


def dice_of(block_hash: bytes, commitment: bytes) -> bytes:
    """The dice of a commitment, by its digest: 32 bytes."""
    return keccak256(AUDIT_DOMAIN + block_hash + commitment)


def selects(dice: bytes, ppm: int) -> bool:
    """Whether the dice select work of which so many parts per million are audited; all from a million on."""
    thrown = int.from_bytes(dice[:_SELECTING_BYTES], "big")
    return thrown * PPM < ppm << (8 * _SELECTING_BYTES)


def selected_ppm(epoch: EpochView, miner: bytes, beacon: BeaconBlock, terms: AuditTerms) -> int:
    """How much of a miner's work is audited, in parts per million: more of who came a short while ago.

    Of who is in no list of nodes, too: it came after the list was read, or is made up.
    """
    registered_in = epoch.registrations.block_of(miner)
    if registered_in is None:
        return terms.newcomer_ppm
    # In the mean of all its blocks so far, which all peers agree on, whatever the chain's pace.
    blocks, time_ms = beacon.number - terms.origin_block, beacon.time_ms - terms.origin_ms
    is_old = blocks > 0 and (beacon.number - registered_in) * time_ms >= terms.newcomer_ms * blocks
    return terms.selected_ppm if is_old else terms.newcomer_ppm


def draw_audit(epoch: EpochView, work: AuditedWork, beacon: BeaconBlock, terms: AuditTerms) -> AuditDraw:
    """The draw for some work.

    :param epoch: that the task names: its stakes and owners.
    :param beacon: the first block whose time is ``terms.beacon_from_ms(deadline_ms)`` or later, final.
    """
    dice = dice_of(beacon.hash, work.commitment)
    ppm = selected_ppm(epoch, work.miner, beacon, terms)
    if not selects(dice, ppm):
        return AuditDraw(dice, ppm, is_selected=False, auditors=())
    drawn = tuple(islice(_eligible(epoch, work, dice), AUDITORS_PER_WORK))
    steps = tuple((auditor, drawn_steps(dice, work.steps, place)) for place, auditor in enumerate(drawn))
    return AuditDraw(dice, ppm, is_selected=True, auditors=steps)


def _eligible(epoch: EpochView, work: AuditedWork, dice: bytes) -> Iterator[bytes]:
    """Miners that may audit some work, in the order of the draw.

    None of the owner of the miner or of the coordinator; a node without a known owner is its own.
    """
    owner_of = epoch.registrations.owner_of
    parties = {owner_of(work.miner), owner_of(work.coordinator)}
    ranked = ranking(epoch.miners, keccak256(AUDITORS_DOMAIN + dice))
    for miner in islice(ranked, AUDITOR_PLACES_MAX):
        if miner != work.miner and owner_of(miner) not in parties:
            yield miner


def steps_each(steps: int) -> int:
    """How many steps each auditor checks of work that has so many: 1 to 3."""
    return max(1, min(STEPS_EACH_MAX, steps // STEPS_PER_DRAWN))


def drawn_steps(dice: bytes, steps: int, place: int) -> tuple[int, ...]:
    """The steps that an auditor checks, ascending: other ones than another auditor's, if there are so many.

    They are drawn by ``Keccak-256("steps" || dice)``. The auditor in place 0 has the first `steps_each`, the
    one in place 1 the next; when none is left, they begin at the first again.

    :param steps: of the work, at least 1.
    :param place: of the auditor, from 0.
    """
    each = steps_each(steps)
    order = drawn_numbers(keccak256(STEPS_DOMAIN + dice), steps, each * (place + 1))
    return tuple(sorted({order[at % steps] for at in range(each * place, each * (place + 1))}))
